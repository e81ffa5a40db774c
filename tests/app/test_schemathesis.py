"""Requests that schemathesis makes up from the OpenAPI document: no 5xx, and nothing that the document lacks.

``make fuzz`` sends many more (``FUZZ=number`` by operation).
"""

from __future__ import annotations

import os

import pytest
import schemathesis
from conftest import encode, make_picture
from hypothesis import HealthCheck, given, settings, strategies
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from app.predictor import Predictor
from app.settings import Settings
from app.web import create_app

EXAMPLES = int(os.environ.get("FUZZ", "10"))

# Most made-up bodies are no pictures, which is as it should be; some are.
PICTURES = strategies.sampled_from(
    [encode(make_picture(seed=seed), kind) for seed in (1, 2) for kind in ("PNG", "WEBP")]
)
for kind in ("image/*", "application/octet-stream"):
    schemathesis.openapi.media_type(kind, strategies.one_of(strategies.binary(), PICTURES))


# A schema cannot say what a picture is, so it cannot say which body is to be refused.
NOT_FOR_PICTURES = [positive_data_acceptance, negative_data_rejection]
PATHS = (
    "/api/v1/predict",
    "/api/v1/case",
    "/api/v1/labels",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
)


@pytest.fixture(scope="module")
def document(predictor: Predictor) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_wsgi("/openapi.json", create_app(Settings(port=8000), predictor))


def test_every_path_is_tried(document: schemathesis.BaseSchema) -> None:
    assert set(document) == set(PATHS)


@pytest.mark.parametrize(
    ("path", "mode"),
    [*((path, GenerationMode.POSITIVE) for path in PATHS), ("/api/v1/predict", GenerationMode.NEGATIVE)],
)
def test_no_fault_and_no_undocumented_answer(
    document: schemathesis.BaseSchema, path: str, mode: GenerationMode
) -> None:
    (operation,) = document[path].values()
    sent = []

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: schemathesis.Case) -> None:
        sent.append(case.call_and_validate(excluded_checks=NOT_FOR_PICTURES).status_code)

    send()
    assert sent
    assert max(sent) < 500


@pytest.mark.parametrize("path", PATHS)
def test_other_methods_are_answered_as_documented(document: schemathesis.BaseSchema, path: str) -> None:
    (operation,) = document[path].values()
    for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "TRACE"} - {operation.method.upper()}:
        case = operation.Case(method=method)
        answer = case.call()
        assert answer.status_code == 405
        assert "allow" in answer.headers
        assert answer.json()["error"]["code"] == "method_not_allowed"

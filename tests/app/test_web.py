"""The Flask app: responses of every endpoint to good and bad requests, and what they do not reveal."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import re

import flask
import pytest
from conftest import encode, make_picture
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator, ValidationError
from PIL import Image
from werkzeug.test import TestResponse

from app.pages import wording
from app.predictor import Predictor
from app.settings import Settings
from app.web import create_app
from app.web.upload import MAX_BODY
from model.checkpoint import load
from model.config import ModelConfig
from model.labels import LABELS
from model.runtime.torch import TorchRuntime

JPEG = encode(make_picture())


def form(data: bytes = JPEG, *, field: str = "image", name: str = "photo.jpg") -> dict[str, object]:
    return {"data": {field: (io.BytesIO(data), name)}, "content_type": "multipart/form-data"}


def assert_error(response: TestResponse, status: int, code: str) -> dict[str, str]:
    assert response.status_code == status, response.text
    assert response.mimetype == "application/json"
    assert set(response.json) == {"error"}
    error = response.json["error"]
    assert set(error) == {"code", "message", "hint"}
    assert all(error.values())
    assert error["code"] == code
    return error


def shown(page: str) -> str:
    """A page's HTML without what a person never reads: templates of scripts, and attributes for them."""
    page = re.sub(r"<template.*?</template>", "", page, flags=re.S)
    return re.sub(r' data-\w+="[^"]*"', "", page)


def page_for(tiny_checkpoint: os.PathLike[str], config: ModelConfig) -> str:
    """The page after an upload, by a model whose thresholds were changed."""
    checkpoint = dataclasses.replace(load(str(tiny_checkpoint)), config=config)
    predictor = Predictor(checkpoint, runtime=TorchRuntime(checkpoint))
    return create_app(Settings(port=8000), predictor).test_client().post("/", **form()).text


def test_a_multipart_picture_is_answered(client: FlaskClient, predictor: Predictor) -> None:
    response = client.post("/api/v1/predict", **form())
    expected = predictor.predict(JPEG).to_json()
    assert response.status_code == 200
    assert {**response.json, "timings_ms": None} == {**expected, "timings_ms": None}
    assert set(response.json["timings_ms"]) == set(expected["timings_ms"])


@pytest.mark.parametrize("kind", ["image/jpeg", "image/png", "application/octet-stream"])
def test_a_raw_body_is_answered_alike(client: FlaskClient, kind: str) -> None:
    response = client.post("/api/v1/predict", data=JPEG, content_type=kind)
    assert response.json["conditions"] == client.post("/api/v1/predict", **form()).json["conditions"]


@pytest.mark.parametrize(("query", "drawn"), [("", False), ("0", False), ("1", True), ("true", True)])
def test_the_heat_map_is_drawn_when_asked_for(client: FlaskClient, query: str, drawn: bool) -> None:
    heatmap = client.post(f"/api/v1/predict{query and '?heatmap=' + query}", **form()).json["heatmap"]
    assert heatmap.startswith("data:image/png;base64,") if drawn else heatmap is None


@pytest.mark.parametrize("query", ["heatmap=maybe", "heatmap=", "heatmap=1&heatmap=0"])
def test_another_value_of_heatmap_is_refused(client: FlaskClient, query: str) -> None:
    error = assert_error(client.post(f"/api/v1/predict?{query}", **form()), 400, "invalid_parameter")
    assert "heatmap" in error["message"]


@pytest.mark.parametrize(
    ("request_values", "status", "code"),
    [
        ({}, 400, "empty_body"),
        ({"data": b"", "content_type": "image/jpeg"}, 400, "empty_image"),
        ({"data": b"", "content_type": "multipart/form-data; boundary=x"}, 400, "missing_image"),
        ({"data": b"nonsense", "content_type": "multipart/form-data; boundary=x"}, 400, "missing_image"),
        ({"data": b"nonsense", "content_type": "multipart/form-data"}, 400, "missing_image"),
        (form(field="photo"), 400, "missing_image"),
        (form(b""), 400, "empty_image"),
        ({"data": {"image": "text"}, "content_type": "multipart/form-data"}, 400, "missing_image"),
        ({"data": JPEG}, 415, "unsupported_content_type"),
        (
            {"data": JPEG, "content_type": "application/x-www-form-urlencoded"},
            415,
            "unsupported_content_type",
        ),
        ({"json": {"image": "x"}}, 415, "unsupported_content_type"),
        ({"data": {"image": [(io.BytesIO(JPEG), "a"), (io.BytesIO(JPEG), "b")]}}, 400, "too_many_images"),
        ({"data": b"\0" * (MAX_BODY + 1), "content_type": "image/png"}, 413, "image_too_large"),
    ],
)
def test_a_request_without_a_usable_picture(
    client: FlaskClient, request_values: dict[str, object], status: int, code: str
) -> None:
    assert_error(client.post("/api/v1/predict", **request_values), status, code)


def test_the_wrong_field_is_named(client: FlaskClient) -> None:
    error = assert_error(client.post("/api/v1/predict", **form(field="photo")), 400, "missing_image")
    assert "'photo'" in error["message"]
    assert "`image`" in error["hint"]


def test_unknown_addresses_and_methods(client: FlaskClient) -> None:
    assert_error(client.get("/api/v1/nothing"), 404, "not_found")
    response = client.get("/api/v1/predict")
    assert_error(response, 405, "method_not_allowed")
    assert response.headers["Allow"] == "OPTIONS, POST"
    for page in (client.get("/nothing"), client.delete("/")):
        assert page.status_code in (404, 405)
        assert page.mimetype == "text/html"
        assert "<h1>" in page.text


class Broken(Predictor):
    """A predictor with a fault."""

    def __init__(self, whole: Predictor) -> None:
        self.__dict__.update(whole.__dict__)

    def predict(self, *_: object, **__: object) -> None:  # type: ignore[override]
        raise RuntimeError("secret detail")


def test_a_fault_keeps_its_details_in_the_log(predictor: Predictor, caplog: pytest.LogCaptureFixture) -> None:
    client = create_app(Settings(port=8000), Broken(predictor)).test_client()
    response = client.post("/api/v1/predict", **form(name="my-mole.jpg"))
    assert_error(response, 500, "internal_error")
    page = client.post("/", **form())
    assert page.status_code == 500
    assert "secret detail" not in response.text + page.text
    assert "secret detail" in caplog.text
    assert "my-mole" not in caplog.text


def test_labels_are_those_of_the_checkpoint(client: FlaskClient, predictor: Predictor) -> None:
    answer = client.get("/api/v1/labels").json
    assert tuple(label["name"] for label in answer["labels"]) == predictor.config.labels == LABELS
    assert all(label["title"] and label["summary"] and label["urgency_text"] for label in answer["labels"])
    assert answer["checkpoint"] == {"id": predictor.id, "revision": predictor.revision}


def test_health(client: FlaskClient, predictor: Predictor) -> None:
    assert client.get("/healthz").json == {"status": "ok"}
    assert client.get("/readyz").json["checkpoint"]["revision"] == predictor.revision


def test_the_document_lists_exactly_the_routes(client: FlaskClient, app: flask.Flask) -> None:
    document = client.get("/openapi.json").json
    listed = {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}
    routes = {
        (rule.rule, method)
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("api.")
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert listed == routes
    # Every reference leads somewhere.
    for name in json.dumps(document).split('"#/components/schemas/')[1:]:
        assert name.partition('"')[0] in document["components"]["schemas"]


def test_answers_are_what_the_document_says_and_nothing_else(client: FlaskClient) -> None:
    schemas = client.get("/openapi.json").json["components"]["schemas"]

    def check(name: str, answer: object) -> None:
        whole = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": closed(schemas)}}
        Draft202012Validator.check_schema(whole)
        Draft202012Validator(whole).validate(answer)

    check("Prediction", client.post("/api/v1/predict?heatmap=1", **form()).json)
    check(
        "Prediction", client.post("/api/v1/predict", **form(encode(Image.new("RGB", (99, 99)), "PNG"))).json
    )
    check("Labels", client.get("/api/v1/labels").json)
    check("Status", client.get("/healthz").json)
    check("Ready", client.get("/readyz").json)
    check("Error", client.post("/api/v1/predict").json)
    with pytest.raises(ValidationError, match="'doubtful' is not one of"):
        check("Prediction", {**client.post("/api/v1/predict", **form()).json, "verdict": "doubtful"})


def closed(schemas: dict[str, dict]) -> dict[str, dict]:
    """Every field is to be there, and no other."""
    for schema in schemas.values():
        assert set(schema["required"]) == set(schema["properties"])
    return {name: {**schema, "additionalProperties": False} for name, schema in schemas.items()}


def test_the_examples_are_what_the_document_says(client: FlaskClient) -> None:
    document = client.get("/openapi.json").json
    seen = 0
    for methods in document["paths"].values():
        for operation in methods.values():
            for response in operation["responses"].values():
                for content in response["content"].values():
                    whole = {
                        **content["schema"],
                        "components": {"schemas": closed(document["components"]["schemas"])},
                    }
                    Draft202012Validator(whole).validate(content["examples"]["one"]["value"])
                    seen += 1
    assert seen > 20


def test_no_text_for_programs_promises_more_than_a_learning_aid(client: FlaskClient) -> None:
    document = json.dumps(client.get("/openapi.json").json).lower().replace('"clinical"', "")  # a photograph
    assert "a learning aid, never a diagnosis" in document
    assert document.count("diagnos") == document.count("never a diagnosis")
    assert not re.search(r"decision support|medical|device|clinical", document)


def test_the_api_page_shows_every_route(client: FlaskClient) -> None:
    page = client.get("/docs").text
    for path in client.get("/openapi.json").json["paths"]:
        assert path in page
    assert "curl -F image=@photo.jpg" in page


def test_the_page_needs_nothing_from_elsewhere_and_says_its_notice_once(client: FlaskClient) -> None:
    for page in (client.get("/").text, client.post("/", **form()).text):
        assert shown(page).count(wording.NOTICE) == 1
        for outside in ('src="http', 'src="//', 'href="//', "<script>", "style=", "onclick="):
            assert outside not in page
        assert '<link rel="stylesheet" href="/static/' in page


def test_headers(client: FlaskClient) -> None:
    for response in (client.get("/"), client.post("/api/v1/predict", **form()), client.get("/nothing")):
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] == "no-store"
    with client.get("/static/style.css") as style:
        assert "no-store" not in style.headers["Cache-Control"]


def test_the_fragment_is_the_part_of_the_page(client: FlaskClient) -> None:
    page, fragment = client.post("/", **form()), client.post("/?fragment=1", **form())
    assert fragment.headers["X-Fragment"] == "answer"
    assert "<html" not in fragment.text
    assert "<html" in page.text
    assert fragment.text.count('id="verdict"') == shown(page.text).count('id="verdict"') == 1
    problem = client.post("/?fragment=1", **form(b"not a picture"))
    assert problem.status_code == 415
    assert "<html" not in problem.text
    assert "JPEG" in problem.text


@pytest.mark.parametrize(
    ("verdict", "changes"),
    [
        ("condition", {}),
        ("uncertain", {"uncertain_below": 1.0}),
        ("rejected", {"min_max_probability": 1.0, "max_normalized_entropy": 0.0}),
    ],
)
def test_the_page_says_each_verdict(
    tiny_checkpoint: os.PathLike[str], tiny_config: ModelConfig, verdict: str, changes: dict[str, float]
) -> None:
    page = page_for(tiny_checkpoint, dataclasses.replace(tiny_config, **changes))
    assert f'data-verdict="{verdict}"' in page
    assert ('id="heat"' in page) == (verdict != "rejected")
    assert page.count('class="share"') == len(LABELS)
    assert page.count("is needed.") == page.count("is allowed.") == 1
    if verdict == "rejected":
        assert page.count('class="fired"') == 2
        assert "Take the photo in daylight" in page

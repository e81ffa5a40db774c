"""Several checkpoints in one server: which of them answers a picture, and what is said of it."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import encode, make_picture
from flask.testing import FlaskClient

from app.pages.wording import ANSWERED_BY
from app.predictor import Predictor
from app.settings import Settings
from app.several import from_settings
from app.web import create_app
from model.checkpoint import CONFIG, load
from model.config import ModelConfig
from model.decision.modality import GATE, Gate, Modality
from model.errors import ConfigError

JPEG = encode(make_picture())


def gated(
    source: Path, folder: Path, config: ModelConfig, *, expects: Modality, score: float, **changes: object
) -> Path:
    """A copy of a checkpoint whose gate has the same score for every picture; above 0 means dermoscopy."""
    shutil.copytree(source, folder)
    features = load(source).network.backbone.num_features
    gate = Gate(np.zeros(features, np.float32), np.array([score], np.float32), expects)
    gate.save(folder)
    (folder / CONFIG).write_text(dataclasses.replace(config, gate=GATE, **changes).to_json())
    return folder


@pytest.fixture
def pair(tiny_checkpoint: Path, tiny_config: ModelConfig, tmp_path: Path) -> dict[float, Settings]:
    """The settings of servers whose usual checkpoint, ``photos``, is this sure of dermoscopy."""
    scopes = gated(tiny_checkpoint, tmp_path / "scopes", tiny_config, expects="dermoscopy", score=3.0)
    made = {}
    for score in (3.0, 0.5, -3.0):
        photos = gated(
            tiny_checkpoint, tmp_path / str(score) / "photos", tiny_config, expects="clinical", score=score
        )
        made[score] = Settings(port=8000, checkpoints=(str(photos), str(scopes)), runtime="torch")
        made[score] = dataclasses.replace(made[score], audit_log=str(tmp_path / "audit"))
    return made


def client(settings: Settings) -> FlaskClient:
    return create_app(settings, from_settings(settings)).test_client()


def ask(server: FlaskClient, query: str = "") -> dict[str, object]:
    response = server.post(f"/api/v1/predict{query}", data=JPEG, content_type="image/jpeg")
    assert response.status_code == 200, response.text
    return response.json


def test_the_kind_of_picture_decides_who_answers(pair: dict[float, Settings], tmp_path: Path) -> None:
    server = client(pair[3.0])
    answer = ask(server)
    assert answer["checkpoint"]["id"] == "scopes"
    assert answer["modality"]["message"] == ANSWERED_BY["dermoscopy"]
    assert (answer["modality"]["name"], answer["modality"]["expected"]) == ("dermoscopy", "dermoscopy")
    assert json.loads((tmp_path / "audit").read_text())["checkpoint"]["id"] == "scopes"


@pytest.mark.parametrize("score", [0.5, -3.0])
def test_the_usual_one_answers_a_picture_that_is_not_surely_of_another_kind(
    pair: dict[float, Settings], score: float
) -> None:
    answer = ask(client(pair[score]))
    assert answer["checkpoint"]["id"] == "photos"
    assert answer["modality"]["message"] is None


def test_either_can_be_asked_for(pair: dict[float, Settings]) -> None:
    server = client(pair[3.0])
    asked = ask(server, "?checkpoint=photos")
    assert asked["checkpoint"]["id"] == "photos"
    assert "do not rely on its answer" in asked["modality"]["message"]
    assert ask(client(pair[-3.0]), "?checkpoint=scopes")["checkpoint"]["id"] == "scopes"
    assert server.get("/api/v1/labels?checkpoint=scopes").json["checkpoint"]["id"] == "scopes"
    ready = server.get("/readyz").json
    assert ready["checkpoint"]["id"] == "photos"
    assert [other["checkpoint"]["id"] for other in ready["others"]] == ["scopes"]


def test_a_checkpoint_that_is_not_there_is_refused_with_the_names(pair: dict[float, Settings]) -> None:
    server = client(pair[3.0])
    for response in (
        server.post("/api/v1/predict?checkpoint=other", data=JPEG, content_type="image/jpeg"),
        server.get("/api/v1/labels?checkpoint=other"),
    ):
        assert response.status_code == 400
        assert "auto, photos, scopes" in response.json["error"]["message"]


def test_one_checkpoint_can_be_asked_for_by_its_name_too(predictor: Predictor) -> None:
    server = create_app(Settings(port=8000), predictor).test_client()
    assert ask(server, "?checkpoint=tiny")["checkpoint"]["id"] == "tiny"
    assert server.get("/readyz").json["others"] == []


def test_checkpoints_without_a_gate_or_of_one_kind_do_not_start(
    tiny_checkpoint: Path, tiny_config: ModelConfig, tmp_path: Path
) -> None:
    one = gated(tiny_checkpoint, tmp_path / "one", tiny_config, expects="clinical", score=1.0)
    two = gated(tiny_checkpoint, tmp_path / "two", tiny_config, expects="clinical", score=1.0)
    for second, said in ((tiny_checkpoint, "cannot tell a photo"), (two, "one checkpoint for each kind")):
        settings = Settings(port=8000, checkpoints=(str(one), str(second)), runtime="torch")
        with pytest.raises(ConfigError, match=said):
            from_settings(settings)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"CHECKPOINTS": "one"}, "at least two checkpoints"),
        ({"CHECKPOINTS": "one,,two"}, "at least two checkpoints"),
        ({"CHECKPOINTS": "one,two", "CHECKPOINT": "three"}, "both set"),
    ],
)
def test_settings_that_name_too_few_or_contradict_are_refused(variables: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Settings.from_environment(default_port=8000, environment=variables)


def test_the_list_may_have_spaces() -> None:
    read = Settings.from_environment(default_port=8000, environment={"CHECKPOINTS": "one, two"})
    assert read.checkpoints == ("one", "two")

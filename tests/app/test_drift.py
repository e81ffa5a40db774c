"""Drift: what changed between a checkpoint's validation pictures and the predictions of a service."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import encode, make_picture
from datasets_made import make_rows, write_parquet
from PIL import Image, ImageEnhance
from prometheus_client import REGISTRY

from app.__main__ import main as app_main
from app.drift import EVERY, compare, signals
from app.predictor import Predictor
from app.settings import Settings
from app.web import create_app
from model.checkpoint import files, find
from model.decision.drift import REFERENCE, SMALLEST, Reference, Signals, parse_reference
from model.errors import CheckpointError, ConfigError
from train.__main__ import main as train_main

DEPLOY = Path(__file__).parents[2] / "deploy"


def made(count: int, *, shift: float = 0.0, rejected: float = 0.1, seed: int = 0) -> list[Signals]:
    chance = np.random.default_rng(seed)
    return [
        Signals(
            {"brightness": float(np.clip(chance.normal(0.5 + shift, 0.1), 0, 1))},
            {"verdict": ["rejected" if chance.random() < rejected else "condition"], "quality": []},
        )
        for _ in range(count)
    ]


def test_the_same_kind_of_pictures_shows_no_change() -> None:
    changes = compare(Reference.of(made(1000)), made(1000, seed=1))
    assert all(change.psi < 0.1 for change in changes)
    assert {change.name: change for change in changes}["brightness"].p > 0.01


def test_darker_pictures_and_more_rejections_show() -> None:
    found = {c.name: c for c in compare(Reference.of(made(1000)), made(1000, shift=-0.15, rejected=0.5))}
    assert found["brightness"].psi > 0.25
    assert found["brightness"].p < 1e-6
    assert found["brightness"].after < found["brightness"].before
    assert found["verdict: rejected"].psi > 0.25
    assert found["verdict: rejected"].after == pytest.approx(0.5, abs=0.05)


def test_psi_is_that_of_its_definition() -> None:
    before = [Signals({}, {"verdict": [word]}) for word in ["a"] * 50 + ["b"] * 50]
    after = [Signals({}, {"verdict": [word]}) for word in ["a"] * 80 + ["b"] * 20]
    shares = np.array([50.5, 50.5]) / 101, np.array([80.5, 20.5]) / 101
    expected = ((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum()
    assert Reference.of(before).psi(after)["verdict"] == pytest.approx(expected)


def test_too_few_predictions_are_not_compared() -> None:
    with pytest.raises(ConfigError, match=f"at least {SMALLEST}"):
        compare(Reference.of(made(500)), made(SMALLEST - 1))


def test_a_damaged_reference_is_refused(tmp_path: Path) -> None:
    Reference.of(made(10)).save(tmp_path)
    data = (tmp_path / REFERENCE).read_bytes()
    assert parse_reference(data, tmp_path / REFERENCE).counts["quality: none"] == 10
    with pytest.raises(CheckpointError, match="not a readable reference"):
        parse_reference(data[:-4], tmp_path / REFERENCE)
    broken = dataclasses.replace(Reference.of(made(10)), names=["one", "two"])
    broken.save(tmp_path)
    with pytest.raises(CheckpointError, match="do not fit"):
        parse_reference((tmp_path / REFERENCE).read_bytes(), tmp_path / REFERENCE)


@pytest.fixture(scope="module")
def referenced(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny checkpoint with a reference that the command made."""
    place = tmp_path_factory.mktemp("referenced")
    folder = place / "tiny"
    shutil.copytree(tiny_checkpoint, folder)
    write_parquet(place / "clinic" / "validation.parquet", make_rows(SMALLEST + 20, seed=1))
    assert train_main(["reference", f"--checkpoint={folder}", f"--data={place / 'clinic'}"]) == 0
    return folder


def test_the_command_writes_what_the_service_measures(referenced: Path, tiny_checkpoint: Path) -> None:
    found = find(referenced)
    assert found.drift is not None
    assert found.revision != find(tiny_checkpoint).revision
    assert REFERENCE in files(referenced)
    row = make_rows(SMALLEST + 20, seed=1)[0]["image"]["bytes"]
    seen = signals(Predictor.from_checkpoint(str(referenced), device="cpu").predict(row))
    assert set(seen.numbers) == set(found.drift.names)
    kept = dict(zip(found.drift.names, found.drift.numbers[0], strict=True))
    assert seen.numbers == pytest.approx(kept, abs=2e-3)


def test_a_service_logs_and_shows_it_and_the_command_says_what_changed(
    referenced: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "audit"
    settings = Settings(port=8000, audit_log=str(log), audit_signals=True, rate_limit=None)
    predictor = Predictor.from_checkpoint(str(referenced), device="cpu")
    server = create_app(settings, predictor).test_client()
    for number in range(SMALLEST + EVERY):
        dark = ImageEnhance.Brightness(make_picture(seed=number)).enhance(0.3)
        answer = server.post("/api/v1/predict", data=encode(dark), content_type="image/jpeg")
        assert answer.status_code == 200
    labels = {"checkpoint": "tiny", "signal": "brightness"}
    assert REGISTRY.get_sample_value("skindiseasenet_drift_psi", labels) > 0.25
    assert 'skindiseasenet_drift_psi{checkpoint="tiny",signal="verdict"}' in server.get("/metrics").text
    command = ["drift", f"--audit-log={log}", f"--checkpoint={referenced}"]
    assert app_main(command) == 3
    said = capsys.readouterr().out
    assert f"{SMALLEST + EVERY} predictions" in said
    assert re.search(r"large +PSI \d\.\d+, KS 1?0?\.\d+ \(p \S+\): the brightness of the pictures", said)
    assert "Something has changed a lot" in said
    assert app_main([*command, "--since=2999-01-01"]) == 1
    assert "There are 0 predictions" in capsys.readouterr().err


def test_the_audit_log_has_no_signals_unless_asked_for(predictor: Predictor, tmp_path: Path) -> None:
    log = tmp_path / "audit"
    server = create_app(Settings(port=8000, audit_log=str(log)), predictor).test_client()
    server.post("/api/v1/predict", data=encode(make_picture()), content_type="image/jpeg")
    assert "signals" not in json.loads(log.read_text())


def test_a_checkpoint_without_a_reference_is_said(
    tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app_main(["drift", f"--audit-log={tmp_path}", f"--checkpoint={tiny_checkpoint}"]) == 1
    assert "nothing to compare with" in capsys.readouterr().err


def test_brightness_is_the_mean_luminance(predictor: Predictor) -> None:
    for level in (40, 200):
        flat = encode(Image.new("RGB", (90, 70), (level,) * 3), "PNG")
        assert predictor.predict(flat).brightness == pytest.approx(level / 255, abs=0.01)


def test_dashboard_and_alerts_name_metrics_that_exist(predictor: Predictor) -> None:
    server = create_app(Settings(port=8000), predictor).test_client()
    server.post("/api/v1/predict", data=encode(make_picture()), content_type="image/jpeg")
    known = {
        "skindiseasenet_drift_psi",
        *re.findall(r"^skindiseasenet_\w+", server.get("/metrics").text, re.M),
    }
    known |= {"skindiseasenet_rejections_total"}
    rules = yaml.safe_load((DEPLOY / "alerts.yaml").read_text())["groups"][0]["rules"]
    panels = json.loads((DEPLOY / "grafana.json").read_text())["panels"]
    asked = [rule["expr"] for rule in rules] + [t["expr"] for panel in panels for t in panel["targets"]]
    named = {name for expression in asked for name in re.findall(r"skindiseasenet_\w+", expression)}
    assert len(rules) == 2
    assert named <= known

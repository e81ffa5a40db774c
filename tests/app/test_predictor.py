"""The one predictor and its command line: the contract of a prediction, verdicts, errors."""

from __future__ import annotations

import dataclasses
import io
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import encode, make_picture
from PIL import Image

from app.__main__ import main
from app.predictor import Predictor
from model.checkpoint import Checkpoint, load
from model.errors import ImageError
from model.labels import LABELS, NO_CONDITION, condition
from model.runtime.torch import TorchRuntime

PHOTO = encode(make_picture(120, 90, seed=4))
KEYS = [
    "verdict",
    "reason",
    "conditions",
    "criteria",
    "malignancy",
    "quality",
    "brightness",
    "prediction_set",
    "checkpoint",
    "precision",
    "timings_ms",
    "advice",
    "modality",
    "heatmap",
]


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoint: Path) -> Checkpoint:
    return load(tiny_checkpoint)


def changed(checkpoint: Checkpoint, **changes: object) -> Predictor:
    """A predictor for the same weights under another configuration."""
    config = dataclasses.replace(checkpoint.config, **changes)
    return Predictor(dataclasses.replace(checkpoint, config=config), runtime=TorchRuntime(checkpoint))


def answer(predictor: Predictor, data: bytes = PHOTO, **options: object) -> dict:
    return json.loads(json.dumps(predictor.predict(data, **options).to_json()))


def without_timings(prediction: dict) -> dict:
    return {name: value for name, value in prediction.items() if name != "timings_ms"}


def test_a_prediction_has_the_keys_of_the_contract(predictor: Predictor, checkpoint: Checkpoint) -> None:
    got = answer(predictor)

    assert list(got) == KEYS
    assert got["verdict"] in ("condition", "uncertain", "no_condition", "rejected")
    assert got["reason"].endswith(".")
    assert [set(row) for row in got["conditions"]] == [{"name", "title", "probability"}] * len(LABELS)
    assert {row["name"] for row in got["conditions"]} == set(LABELS)
    assert all(row["title"] == condition(row["name"]).title for row in got["conditions"])
    shares = [row["probability"] for row in got["conditions"]]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1)
    assert [set(row) for row in got["criteria"]] == [{"name", "value", "threshold", "fired"}] * 2
    assert [row["name"] for row in got["criteria"]] == ["max_probability", "normalized_entropy"]
    assert got["criteria"][0]["value"] == pytest.approx(shares[0])
    entropy = -sum(share * np.log(share) for share in shares) / np.log(len(shares))
    assert got["criteria"][1]["value"] == pytest.approx(entropy, abs=1e-6)
    assert got["prediction_set"] is None
    assert got["checkpoint"] == {"id": "tiny", "revision": checkpoint.revision}
    assert got["heatmap"] is None


def test_what_cannot_be_ruled_out_is_named_most_probable_first(checkpoint: Checkpoint) -> None:
    ranked = answer(changed(checkpoint))["conditions"]
    third = 1 - ranked[2]["probability"]
    assert answer(changed(checkpoint, set_quantile=third))["prediction_set"] == [
        row["name"] for row in ranked[:3]
    ]
    assert answer(changed(checkpoint, set_quantile=0.0))["prediction_set"] == [ranked[0]["name"]]
    unsure = answer(changed(checkpoint, set_quantile=third, uncertain_below=1.0))
    assert (unsure["verdict"], len(unsure["prediction_set"])) == ("uncertain", 3)


def test_of_a_rejected_picture_nothing_is_said_to_be_ruled_out(checkpoint: Checkpoint) -> None:
    rejected = answer(changed(checkpoint, set_quantile=0.5, min_max_probability=1.0))
    assert (rejected["verdict"], rejected["prediction_set"]) == ("rejected", None)


def test_the_timings_add_up(predictor: Predictor) -> None:
    timings = answer(predictor, heatmap=True)["timings_ms"]
    assert list(timings) == ["decode", "transform", "forward", "total"]
    assert all(value >= 0 for value in timings.values())
    assert timings["total"] + 0.02 >= timings["decode"] + timings["transform"] + timings["forward"]


def test_the_probabilities_are_calibrated_by_the_temperature(checkpoint: Checkpoint) -> None:
    logits = {}
    for temperature in (0.5, 2.0):
        rows = answer(changed(checkpoint, temperature=temperature))["conditions"]
        logs = {row["name"]: temperature * np.log(row["probability"]) for row in rows}
        mean = np.mean(list(logs.values()))
        logits[temperature] = [logs[name] - mean for name in LABELS]
    assert logits[0.5] == pytest.approx(logits[2.0], abs=1e-4)


def test_every_verdict_can_be_reached(checkpoint: Checkpoint) -> None:
    best = answer(changed(checkpoint))["conditions"][0]["name"]
    assert best != NO_CONDITION
    swap = {best: NO_CONDITION, NO_CONDITION: best}
    swapped = tuple(swap.get(name, name) for name in checkpoint.config.labels)

    sure = answer(changed(checkpoint))
    unsure = answer(changed(checkpoint, uncertain_below=1.0))
    healthy = answer(changed(checkpoint, labels=swapped, uncertain_below=1.0))
    foreign = answer(changed(checkpoint, labels=swapped, min_max_probability=1.0, uncertain_below=1.0))
    vague = answer(changed(checkpoint, max_normalized_entropy=0.0))

    assert sure["verdict"] == "condition"
    assert condition(best).in_a_sentence in sure["reason"]
    assert unsure["verdict"] == "uncertain"
    assert condition(best).in_a_sentence in unsure["reason"]
    assert healthy["verdict"] == "no_condition"
    assert [foreign["verdict"], *(row["fired"] for row in foreign["criteria"])] == ["rejected", True, False]
    assert [vague["verdict"], *(row["fired"] for row in vague["criteria"])] == ["rejected", False, True]
    assert len({row["reason"] for row in (sure, unsure, healthy, foreign, vague)}) == 5


def test_the_same_bytes_get_the_same_answer_alone_and_together(predictor: Predictor) -> None:
    photos = [encode(make_picture(100, 80, seed=seed)) for seed in range(4)]
    alone = [without_timings(answer(predictor, photo, heatmap=True)) for photo in photos]
    assert len({row["conditions"][0]["probability"] for row in alone}) == 4
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda photo: answer(predictor, photo, heatmap=True), photos * 4))
    assert [without_timings(row) for row in together] == alone * 4


def test_a_picture_that_cannot_be_read_is_an_image_error(predictor: Predictor) -> None:
    with pytest.raises(ImageError, match="empty"):
        predictor.predict(b"")


# What serves, and for what


@pytest.mark.parametrize(
    ("card", "terms"),
    [
        ("---\nlicense: other\nlicense_name: research-only\n---\n# M\n", "research only"),
        ("---\nlicense: apache-2.0\n---\n# M\n", "apache-2.0"),
        ("# No front matter\n", "not stated"),
        ("", "not stated"),
        ("---\nlicense: [broken\n---\n# M\n", "not stated"),
    ],
)
def test_the_description_names_model_and_terms(
    tiny_checkpoint: Path, tmp_path: Path, card: str, terms: str
) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((tiny_checkpoint / name).read_bytes())
    (tmp_path / "README.md").write_text(card)
    predictor = Predictor.from_checkpoint(str(tmp_path), device="cpu")
    assert terms in predictor.terms
    text = predictor.describe()
    for word in (
        tmp_path.name,
        predictor.revision,
        "test_resnet",
        "bilstm",
        "22 labels",
        "cpu",
        predictor.terms,
    ):
        assert word in text


# The command line


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(PHOTO)
    return path


def test_each_photo_gets_one_line(
    tiny_checkpoint: Path, predictor: Predictor, photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(["predict", str(photo), str(photo), "--checkpoint", str(tiny_checkpoint), "--device", "cpu"])
        == 0
    )
    out, err = capsys.readouterr()
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row.pop("path") for row in rows] == [str(photo)] * 2
    assert [without_timings(row) for row in rows] == [without_timings(answer(predictor))] * 2
    assert "test only" in err, "the terms of use are shown"


def test_an_unreadable_photo_gets_an_error_line_and_the_others_an_answer(
    tiny_checkpoint: Path, tmp_path: Path, photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.jpg").write_text("text")
    (tmp_path / "empty").mkdir()
    photos = [tmp_path / "absent.jpg", tmp_path / "text.jpg", tmp_path / "empty", photo]
    status = main(["predict", *map(str, photos), "--checkpoint", str(tiny_checkpoint), "--device", "cpu"])
    assert status == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["path"] for row in rows] == list(map(str, photos))
    assert [list(row) for row in rows[:3]] == [["path", "error"]] * 3
    assert all(set(row["error"]) == {"code", "message", "hint"} for row in rows[:3])
    assert [row["error"]["code"] for row in rows[:3]] == [
        "unreadable_file",
        "unsupported_format",
        "unreadable_file",
    ]
    assert list(rows[3]) == ["path", *KEYS]


def test_folders_patterns_and_the_standard_input_name_pictures(
    tiny_checkpoint: Path,
    tmp_path: Path,
    predictor: Predictor,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("folder/b.jpg", "folder/below/a.jpg", "folder/.hidden.jpg", "one[1].jpg", "two.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(PHOTO)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHECKPOINT", str(tiny_checkpoint))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(PHOTO)))
    assert main(["predict", "folder", "one[1].jpg", "t*.jpg", "-", "--device", "cpu"]) == 0
    out, err = capsys.readouterr()
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row.pop("path") for row in rows] == [
        "folder/b.jpg",
        "folder/below/a.jpg",
        "one[1].jpg",
        "two.jpg",
        "-",
    ]
    assert [without_timings(row) for row in rows] == [without_timings(answer(predictor))] * 5
    assert f"checkpoint {tiny_checkpoint.name} " in err, "CHECKPOINT of the environment answers"


def test_the_heat_map_is_written_as_png(tiny_checkpoint: Path, tmp_path: Path, photo: Path) -> None:
    out = tmp_path / "heat.png"
    command = ["predict", str(photo), "--checkpoint", str(tiny_checkpoint), "--device", "cpu"]
    assert main([*command, "--heatmap", str(out)]) == 0
    with Image.open(out) as image:
        assert (image.format, image.size) == ("PNG", (120, 90))


def test_a_heat_map_that_cannot_be_written_is_an_error(
    tiny_checkpoint: Path, tmp_path: Path, photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["predict", str(photo), "--checkpoint", str(tiny_checkpoint), "--device", "cpu"]
    assert main([*command, "--heatmap", str(tmp_path / "absent" / "heat.png")]) == 1
    out, err = capsys.readouterr()
    assert list(json.loads(out)) == ["path", *KEYS]
    assert "heat.png" in err.splitlines()[-1]
    with pytest.raises(SystemExit):
        main([*command, str(photo), "--heatmap", str(tmp_path / "heat.png")])


@pytest.mark.parametrize(("option", "value"), [("--checkpoint", "no-such-folder"), ("--device", "tpu")])
def test_a_wrong_option_is_an_error_with_a_hint(
    tiny_checkpoint: Path, photo: Path, option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["predict", str(photo), "--checkpoint", str(tiny_checkpoint), option, value]
    assert main(command) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert value in err

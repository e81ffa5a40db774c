"""The third criterion: its distances, its file, how it is chosen, and that every interface uses it."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import encode, make_picture
from datasets_made import make_rows, write_parquet
from safetensors.numpy import save_file

from app.predictor import Predictor
from app.settings import Settings
from app.web import create_app
from model.checkpoint import files, find, fingerprint, load_config
from model.decision.ood import DETECTOR, Detector, parse_detector
from model.errors import CheckpointError
from model.image import read_image
from model.labels import NO_CONDITION
from train.__main__ import main
from train.calibrate.ood_detector import candidates, choose, pieces
from train.data.splits import load_split

CLASSES = np.arange(300) % 3
MEANS = np.random.default_rng(0).normal(size=(3, 200)) * 3
SPREAD = np.where(np.arange(200) < 50, 3.0, 0.3)


def drawn(count: int, seed: int) -> np.ndarray:
    """Features of three classes that vary in fifty of two hundred directions."""
    rng = np.random.default_rng(seed)
    return MEANS[np.arange(count) % 3] + rng.normal(size=(count, 200)) * SPREAD


def candidate(words: str) -> Detector:
    return next(detector for detector in candidates(drawn(300, 1), CLASSES) if detector.name == words)


@pytest.fixture(scope="module")
def plain() -> Detector:
    """The squared distance to the nearest of two points."""
    return Detector(
        centres=np.array([[0.0, 0, 0], [10, 0, 0]]),
        directions=np.empty((3, 0)),
        weights=np.empty(0),
        neighbour=1,
        normalised=False,
        reference=np.array([1.0, 4.0, 9.0, 16.0]),
        name="made by hand",
        choice={"auroc": {"made by hand": {"shelf": 0.75}}},
    )


def test_the_score_is_the_distance_to_the_nearest_centre(plain: Detector) -> None:
    pictures = np.array([[0.0, 3, 4], [9, 0, 0], [5, 0, 0]])
    assert plain.score(pictures) == pytest.approx([25, 1, 25])
    assert dataclasses.replace(plain, neighbour=2).score(pictures) == pytest.approx([125, 81, 25])
    along = np.array([[0.0], [0], [1]])
    heavy = dataclasses.replace(plain, directions=along, weights=np.array([0.25]))
    assert heavy.score(pictures) == pytest.approx([9 + 0.25 * 16, 1, 25])
    assert dataclasses.replace(heavy, weights=np.zeros(1)).score(pictures) == pytest.approx([9, 1, 25])


def test_brought_to_length_1_the_size_of_a_feature_does_not_count(plain: Detector) -> None:
    normalised = dataclasses.replace(plain, normalised=True)
    assert normalised.score(np.array([[3.0, 4, 0], [30, 40, 0]])) == pytest.approx([1, 1])


def test_unusualness_is_the_share_of_the_reference_that_is_less_far_out(plain: Detector) -> None:
    distances = np.sqrt([0.5, 4.0, 5.0, 100.0])
    pictures = np.stack([np.zeros(4), distances, np.zeros(4)], axis=1)
    assert plain.unusualness(pictures) == pytest.approx([0, 0.25, 0.5, 1])
    assert float(plain.unusualness(pictures[2])) == 0.5


def test_the_candidates_are_the_textbook_distances() -> None:
    training, fresh = drawn(300, 1), drawn(20, 2)
    nearest = ((fresh[:, None] - training) ** 2).sum(axis=2).min(axis=1)
    assert candidate("nearest pictures, number 1").score(fresh) == pytest.approx(nearest, rel=0.01)

    means = np.stack([training[number == CLASSES].mean(axis=0) for number in range(3)])
    deviations = fresh[:, None] - means  # (20, 3, 200)
    to_means = (deviations**2).sum(axis=2).min(axis=1)
    assert candidate("distance to class means").score(fresh) == pytest.approx(to_means, rel=0.01)

    variances, axes = np.linalg.eigh(np.cov((training - means[CLASSES]).T, bias=True))
    rest = variances[:-64].mean()
    variances[:-64] = rest
    precision = np.linalg.inv(axes * variances @ axes.T)
    mahalanobis = np.einsum("nkc,cd,nkd->nk", deviations, precision, deviations).min(axis=1) * rest
    found = candidate("Mahalanobis, 64 directions, around class means").score(fresh)
    assert found == pytest.approx(mahalanobis, rel=0.01)

    outside = ((deviations @ axes[:, :-64]) ** 2).sum(axis=2).min(axis=1)
    found = candidate("residual outside 64 directions, around class means").score(fresh)
    assert found == pytest.approx(outside, rel=0.01)


def test_the_choice_is_what_tells_the_others_best_and_the_table_travels(tmp_path: Path) -> None:
    """Pictures that are usual where skin varies, and unusual where it does not."""
    skin, rng = drawn(200, 3), np.random.default_rng(4)
    others = drawn(60, 5) + rng.normal(size=(60, 200)) * np.where(SPREAD < 1, 0.3, 0.0)
    sources = np.array(["clothing", "grocery"])[np.arange(60) % 2]
    chosen = choose(candidates(drawn(300, 1), CLASSES), skin, others, sources)
    means = {name: np.mean(list(aurocs.values())) for name, aurocs in chosen.choice["auroc"].items()}
    assert "around class means" in chosen.name
    assert means[chosen.name] == max(means.values()) > 0.95 > means["nearest pictures, number 1"]
    assert set(chosen.choice["left_out"]) == {"clothing", "grocery"}
    assert chosen.unusualness(skin).mean() == pytest.approx(0.5, abs=0.01)

    chosen.save(tmp_path)
    again = parse_detector((tmp_path / DETECTOR).read_bytes(), tmp_path / DETECTOR)
    assert (again.name, again.choice) == (chosen.name, chosen.choice)
    assert np.array_equal(again.unusualness(others), chosen.unusualness(others))


@pytest.mark.parametrize("damage", ["cut", "other shapes", "no names"])
def test_a_file_that_is_no_detector_is_refused(plain: Detector, tmp_path: Path, damage: str) -> None:
    path = tmp_path / DETECTOR
    if damage == "other shapes":
        dataclasses.replace(plain, weights=np.ones(2)).save(tmp_path)
    elif damage == "no names":
        save_file({"centres": np.zeros((1, 2))}, path)
    else:
        plain.save(tmp_path)
        path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CheckpointError, match=r"detector\.safetensors is not a readable detector"):
        parse_detector(path.read_bytes(), path)


def test_a_detector_of_another_backbone_says_so(plain: Detector) -> None:
    with pytest.raises(CheckpointError, match="features of 3 channels, but the network gives 5"):
        plain.unusualness(np.zeros((2, 5)))


# As a command


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Skin in plain colours, and pictures of other things in many, under the label Unknown_Normal."""
    folder = tmp_path_factory.mktemp("data")
    for number, split in enumerate(("train", "validation")):
        rows = make_rows(110, seed=number, group_size=1)
        for row, values in enumerate(rows):
            if values["label"] == NO_CONDITION:
                values["source"] = ("clothing", "grocery", "clothing")[row % 3]
                values["image"]["bytes"] = encode(make_picture(90, 70, seed=row + 100 * number))
        write_parquet(folder / f"{split}.parquet", rows)
    return folder


@pytest.fixture(scope="module")
def calibrated(tiny_checkpoint: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calibrated") / "tiny"
    shutil.copytree(tiny_checkpoint, folder)
    words = ["calibrate", f"--checkpoint={folder}", f"--data={data}", "--device=cpu"]
    assert main([*words, "--not-skin", "clothing", "grocery", f"--output={folder.parent}"]) == 0
    return folder


def test_calibrate_adds_the_detector_and_shows_how_it_chose(calibrated: Path, tiny_checkpoint: Path) -> None:
    config = load_config(calibrated)
    assert config.detector == DETECTOR
    assert 0 < config.max_unusualness < 1
    assert DETECTOR in files(calibrated)
    figures = json.loads((calibrated.parent / "calibration.json").read_text())["detector"]
    assert figures["name"] == parse_detector((calibrated / DETECTOR).read_bytes(), calibrated / DETECTOR).name
    assert set(figures["auroc"][figures["name"]]) == {"clothing", "grocery"}
    assert load_config(tiny_checkpoint).detector == ""


def test_the_predictor_asks_them_all_and_the_share_is_kept(calibrated: Path, data: Path) -> None:
    predictor = Predictor.from_checkpoint(str(calibrated), runtime="torch")
    rows = load_split([str(data)], "validation", labels=predictor.config.labels)
    answers = [predictor.predict(row["image"]["bytes"]) for row in rows]
    assert all(
        [criterion.name for criterion in answer.criteria]
        == ["max_probability", "normalized_entropy", "unusualness", "not_skin"]
        for answer in answers
    )
    unknown = predictor.config.labels.index(NO_CONDITION)
    rejected = [
        answer.verdict in ("rejected", "no_condition")
        for answer, label in zip(answers, rows["label"], strict=True)
        if label != unknown
    ]
    assert sum(rejected) <= 0.05 * len(rejected) + 1
    values = [answer.criteria[2].value for answer in answers]
    assert all(0 <= value <= 1 for value in values)
    assert len(set(values)) > 30


def test_a_picture_unlike_skin_is_rejected_in_plain_words(calibrated: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(calibrated, copy)
    lenient = {"min_max_probability": 0.0, "max_normalized_entropy": 1.0, "max_unusualness": 0.0}
    lenient["max_not_skin"] = 1.0
    config = dataclasses.replace(load_config(copy), **lenient)
    (copy / "config.json").write_text(config.to_json())
    predictor = Predictor.from_checkpoint(str(copy), runtime="torch")
    photo = encode(make_picture(90, 70, seed=5))
    answer = predictor.predict(photo)
    assert answer.verdict == "rejected"
    assert [criterion.fired for criterion in answer.criteria] == [False, False, True, False]
    assert "the picture is unlike the skin photos that the model learned from." in answer.reason
    value = f"{answer.criteria[2].value:.1%}"
    form = {"data": {"image": (io.BytesIO(photo), "photo.jpg")}, "content_type": "multipart/form-data"}
    page = create_app(Settings(port=8000), predictor).test_client().post("/", **form).text
    assert "unlike the skin photos that the model learned from" in page
    assert f"{value} of photos of skin conditions are more like the photos" in page
    assert "Make sure that the photo shows skin and little else" in page


def test_another_detector_is_another_checkpoint(calibrated: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(calibrated, copy)
    assert fingerprint(copy) == fingerprint(calibrated)
    detector = parse_detector((copy / DETECTOR).read_bytes(), copy / DETECTOR)
    dataclasses.replace(detector, reference=detector.reference * 2).save(copy)
    assert fingerprint(copy) != fingerprint(calibrated)
    (copy / DETECTOR).unlink()
    with pytest.raises(CheckpointError, match=r"detector\.safetensors is missing"):
        find(copy)


def test_without_pictures_for_it_calibrate_takes_the_detector_away(
    calibrated: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(calibrated, copy)
    words = ["calibrate", f"--checkpoint={copy}", f"--data={data}", "--device=cpu", "--detector_pictures=0"]
    assert main([*words, "--not-skin", "clothing", "grocery"]) == 0
    assert "No third criterion" in capsys.readouterr().err
    config = load_config(copy)
    assert (config.detector, config.max_unusualness, config.max_not_skin) == ("", 1.0, 1.0)
    assert not (copy / DETECTOR).exists()


def test_pieces_are_the_ninths_of_a_picture(data: Path) -> None:
    rows = load_split([str(data)], "validation", labels=None).select(range(2))
    cut = pieces(rows)
    assert len(cut) == 18
    assert cut["source"] == [source for source in rows["source"] for _ in range(9)]
    whole = np.asarray(read_image(rows[0]["image"]["bytes"]))
    third = np.asarray(read_image(cut[5]["image"]["bytes"]))
    assert third.shape == whole.shape
    height, width = whole.shape[0] // 3, whole.shape[1] // 3
    inside = whole[height : 2 * height, 2 * width :]
    assert third.mean(axis=(0, 1)) == pytest.approx(inside.mean(axis=(0, 1)), abs=3)
    assert inside.mean(axis=(0, 1)) != pytest.approx(whole.mean(axis=(0, 1)), abs=3)

"""The HTML report: one self-contained file, with what was measured and the worst errors."""

from __future__ import annotations

import base64
import io
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import PHONE, Open, faults
from conftest import encode, make_picture
from datasets_made import make_rows, write_parquet
from PIL import Image
from test_metrics import drawn_arrays

from model.config import ModelConfig
from model.labels import LABELS
from train.__main__ import main
from train.data.splits import load_split
from train.evaluate.bootstrap import number_groups
from train.evaluate.metrics import accuracy_by, bootstrap_intervals, classification_metrics, warning_metrics
from train.evaluate.per_class import confusion, malignant_sensitivity, per_class_metrics
from train.predictions import Predictions
from train.report.html import write_report
from train.report.worst_errors import COUNT, SIDE, WorstError, worst_errors

CONFIG = ModelConfig(labels=LABELS, malignant_from=0.1)
HOSTILE = "<script>alert(1)</script> $x_1$ & \"'"
CHOICE = {"per_skin_type.png", "decision_curve.png"}
ALWAYS = {"per_class.png", "confusion.png", "per_source.png", "reliability.png", "risk_coverage.png"}


class Page(HTMLParser):
    """The tags with their attributes, and the text of table rows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self.cell = False

    def handle_data(self, data: str) -> None:
        if self.cell:
            self.rows[-1][-1] += data.replace("\xa0", " ")

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def figures(probabilities: np.ndarray, targets: np.ndarray, groups: list[str]) -> dict[str, Any]:
    """Content of ``metrics.json``: a hostile source, three skin types, Acne in nine groups."""
    sources = [HOSTILE if row % 2 else "clinic" for row in range(len(targets))]
    skin_types = [row % 4 or None for row in range(len(targets))]
    detected = np.arange(len(targets)) % 10 == 0
    predictions = Predictions.of(LABELS, probabilities, targets, groups=groups)
    return {
        "checkpoint": {"id": "tiny", "revision": "sha256:0"},
        "data": "drawn",
        "split": "test",
        **classification_metrics(predictions, CONFIG),
        "labels": list(LABELS),
        "confusion": confusion(predictions),
        "per_class": per_class_metrics(predictions),
        "intervals": bootstrap_intervals(predictions),
        "per_source": accuracy_by(sources, predictions, detected),
        "per_skin_type": accuracy_by(skin_types, predictions, detected),
        "malignant_warning": warning_metrics(predictions, predictions.warned(CONFIG)),
        "malignant_sensitivity": malignant_sensitivity(predictions, CONFIG),
        "unreadable": [],
    }


CURVES = {
    "reliability": {
        "bins": [
            {"low": 0.2, "high": 0.4, "n": 300, "confidence": 0.31, "accuracy": 0.28},
            {"low": 0.6, "high": 0.8, "n": 140, "confidence": 0.7, "accuracy": 0.72},
        ],
        "ece": 0.0345,
        "ece_uncalibrated": 0.1234,
        "ece_by_source": {"clinic": {"n": 220, "ece": 0.0456}},
    },
    "risk_coverage": {"coverage": [0.1, 0.5, 1.0], "risk": [0.05, 0.2, 0.4375], "aurc": 0.1875},
    "decision_curve": {
        "thresholds": [0.05, 0.1, 0.2],
        "net_benefit": [0.07, 0.05, 0.0125],
        "treat_all": [0.06, 0.01, -0.1],
    },
    "prediction_sets": {
        "level": 0.9,
        "n": 400,
        "coverage": 0.91,
        "interval": [0.88, 0.94],
        "mean_size": 4.5,
        "per_source": {"clinic": {"n": 220, "coverage": 0.89, "interval": [0.85, 0.93], "mean_size": 4.25}},
        "per_skin_type": {"1": {"n": 110, "coverage": 0.93, "interval": None, "mean_size": 4.75}},
    },
}


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    probabilities, targets = drawn_arrays(6, rows=440, classes=22)
    acne = np.cumsum(targets == 0)
    groups = [f"acne {acne[row] % 9}" if targets[row] == 0 else f"g{row}" for row in range(440)]
    assert len(np.unique(number_groups(groups)[targets == 0])) == 9
    return figures(probabilities, targets, groups)


@pytest.fixture(scope="module")
def errors() -> list[WorstError]:
    picture = encode(make_picture(SIDE, SIDE // 2, seed=1), "JPEG")
    return [WorstError(f"{HOSTILE}-{n}", HOSTILE, "Acne", "Moles", 0.9, 0.05, picture) for n in range(3)]


@pytest.fixture(scope="module")
def full(
    tmp_path_factory: pytest.TempPathFactory, measured: dict[str, Any], errors: list[WorstError]
) -> Path:
    """A folder with the report of everything that can be measured."""
    folder = tmp_path_factory.mktemp("full")
    write_report(folder, {**measured, **CURVES}, errors)
    return folder


def read(folder: Path) -> tuple[str, Page]:
    text = (folder / "report.html").read_text(encoding="utf-8")
    return text, Page(text)


def test_the_report_is_one_file_that_runs_and_fetches_nothing(full: Path) -> None:
    text, page = read(full)
    tags = {name for name, _ in page.tags}
    assert not tags & {"script", "link", "iframe", "object", "form", "video"}
    assert not [name for _, found in page.tags for name in found if name.startswith("on")]
    for place in (
        found[name] for _, found in page.tags for name in ("src", "href", "srcset") if name in found
    ):
        assert re.match(r"data:image/(png|jpeg);base64,|#", place or "")
    assert "alert(1)" in text, "the hostile name is shown, as text"
    assert "url(" not in text
    assert "@import" not in text


def test_whoever_does_not_see_it_can_read_it(full: Path) -> None:
    _, page = read(full)
    assert all(len(picture["alt"] or "") > 20 for picture in page.all("img"))
    assert len(page.all("caption")) == len(page.all("table")) > 8
    assert {header.get("scope") for header in page.all("th")} == {"col", "row"}
    identifiers = [found["id"] for _, found in page.tags if "id" in found]
    assert len(set(identifiers)) == len(identifiers)
    assert {(link["href"] or "").lstrip("#") for link in page.all("a")} == set(identifiers)
    assert [name for name, _ in page.tags if name in ("h1", "h2")].count("h1") == 1


def test_a_class_of_under_ten_groups_has_counts_and_another_an_interval(
    full: Path, measured: dict[str, Any]
) -> None:
    _, page = read(full)
    acne, moles = (next(row for row in page.rows if row[0] == name) for name in ("Acne", "Moles"))
    found = measured["per_class"]["Acne"]
    assert acne[1] == f"{found['n']} (9)"
    assert acne[2] == f"{round(found['recall'] * found['n'])} of {found['n']}"
    assert re.fullmatch(r"\d+ of \d+", acne[3])
    assert re.fullmatch(r"0\.\d\d", acne[5])
    assert all(re.fullmatch(r"\d\.\d\d \(\d\.\d\d to \d\.\d\d\)", cell) for cell in moles[2:])
    low, high = measured["per_class"]["Moles"]["intervals"]["auroc"]
    assert moles[5] == f"{measured['per_class']['Moles']['auroc']:.2f} ({low:.2f} to {high:.2f})"


def test_the_tables_hold_what_was_measured(full: Path, measured: dict[str, Any]) -> None:
    text, page = read(full)
    clinic = measured["per_source"]["clinic"]
    accuracy, rejected, covered = next(row for row in page.rows if row[0] == "clinic")[2:]
    assert accuracy.startswith(f"{clinic['accuracy']:.2f} (")
    assert rejected.startswith(f"{clinic['detected'] / clinic['n']:.2f} (")
    assert covered == "0.89 (0.85 to 0.93)"
    row = next(row for row in page.rows if row[0] == "0.90")
    assert row[1].startswith(f"{measured['malignant_sensitivity'][1]['sensitivity']:.2f} (")
    assert ["At temperature 1", "440", "0.123"] in page.rows
    assert ["1.00", "0.438"] in page.rows
    assert ["All pictures not rejected", "400", "0.91 (0.88 to 0.94)", "4.5"] in page.rows
    assert ["Fitzpatrick skin type: 1", "110", "102 of 110", "4.8"] in page.rows
    confused = next(row for row in page.rows if row[0] == "Moles" and len(row) == 23)
    assert confused[1:] == [str(count) for count in measured["confusion"][LABELS.index("Moles")]]
    assert "0.188" in text


def test_figures_are_png_files_and_inside_and_photographs_are_not_among_them(
    full: Path, errors: list[WorstError]
) -> None:
    _, page = read(full)
    files = {file.name: file.read_bytes() for file in (full / "figures").iterdir()}
    assert set(files) == ALWAYS | CHOICE
    for data in files.values():
        assert Image.open(io.BytesIO(data)).width >= 600
    inside = [(picture["src"] or "").partition(",") for picture in page.all("img")]
    assert {base64.b64decode(data) for start, _, data in inside if "png" in start} == set(files.values())
    assert [base64.b64decode(data) for start, _, data in inside if "jpeg" in start] == [
        error.thumbnail for error in errors
    ]


def test_what_was_not_measured_is_not_spoken_of(tmp_path: Path, measured: dict[str, Any]) -> None:
    absent = ("decision_curve", "prediction_sets", "malignant_warning", "malignant_sensitivity")
    write_report(tmp_path, {**measured, **CURVES, **dict.fromkeys(absent), "per_skin_type": {}}, [])
    text, page = read(tmp_path)
    assert {file.name for file in (tmp_path / "figures").iterdir()} == ALWAYS
    headings = "All pictures|Classes|Confusions|Source|Calibration|Deferring uncertain pictures to a person"
    assert "|".join(re.findall(r"<h2[^>]*>([^<]+)", text)) == headings
    assert "small copies" not in text
    assert len(page.all("a")) == 6


def test_the_worst_errors_are_the_surest_ones_of_each_group(tmp_path: Path) -> None:
    rows = make_rows(80, group_size=2)
    rows[6]["image"]["bytes"] = encode(make_picture(700, 350, seed=3), "JPEG")
    write_parquet(tmp_path / "test.parquet", rows)
    data = load_split([str(tmp_path)], "test", labels=LABELS)
    targets = np.asarray(data["label"])
    probabilities = np.full((80, 22), 0.2 / 21)
    answers = np.where(np.arange(80) < 60, (targets + 1) % 22, targets)
    confidence = 0.5 + np.arange(80) / 1000
    confidence[6] = 0.8
    probabilities[np.arange(80), answers] = confidence
    found = worst_errors(data, Predictions.of(LABELS, probabilities, targets, groups=data["group"]))
    assert len(found) == COUNT
    # The last twenty are right; of the two pictures of a group the second is the surer one.
    assert [error.id for error in found[:4]] == ["0-6.jpg", "0-59.jpg", "0-57.jpg", "0-55.jpg"]
    first = found[0]
    assert (first.label, first.answer, first.source) == ("Bullous", "Candidiasis", "clinic")
    assert (first.confidence, first.own) == (0.8, pytest.approx(0.2 / 21))
    thumbnail = Image.open(io.BytesIO(first.thumbnail))
    assert (thumbnail.format, thumbnail.size) == ("JPEG", (SIDE, SIDE // 2))


def test_without_matplotlib_evaluate_stops_before_it_computes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The checkpoint is not there: a command that began would say so."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    nowhere = str(tmp_path / "nowhere")
    command = ["evaluate", "--checkpoint", nowhere, "--data", nowhere, "--split", "test", "--output", nowhere]
    assert main(command) == 1
    said = capsys.readouterr().err
    assert "matplotlib" in said
    assert "requirements-eval.txt" in said
    assert main([*command, "--map", "isic2018"]) == 1
    assert "requirements-eval.txt" not in capsys.readouterr().err, "the mapped figures are not drawn"


@pytest.mark.browser
def test_in_a_browser_it_is_accessible_and_fits_a_phone(open_page: Open, full: Path) -> None:
    page = open_page("about:blank", viewport=PHONE)
    asked, complaints = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto((full / "report.html").as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    assert faults(page) == []
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    assert complaints == []
    assert {url for url in asked if not url.startswith("data:")} == {(full / "report.html").as_uri()}

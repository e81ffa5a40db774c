"""Several pictures at once: the table, CSV that tricks no spreadsheet, JSON as the API has it."""

from __future__ import annotations

import csv
import dataclasses
import io
import json

import pytest
from conftest import encode, make_picture

from app.pages.batch import MAX_BATCH, Outcome, csv_text, json_text, predict_all, rows
from app.pages.wording import headline
from app.predictor import Predictor
from model.decision.malignancy import Malignancy
from model.errors import ConfigError, ImageError
from model.labels import LABELS

PICTURES = [encode(make_picture(260, 220, seed=1)), b"text", encode(make_picture(100, 80, seed=2))]


@pytest.fixture(scope="module")
def outcomes(predictor: Predictor) -> list[Outcome]:
    return predict_all(lambda data: predictor.predict(data, heatmap=True), PICTURES)


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_rows_are_numbered_in_order_and_a_broken_picture_costs_no_other(outcomes: list[Outcome]) -> None:
    first, broken, last = rows(outcomes)
    assert [first.number, broken.number, last.number] == [1, 2, 3]
    assert first.headline == headline(outcomes[0])  # type: ignore[arg-type]
    assert first.top == outcomes[0].conditions[:3]  # type: ignore[union-attr]
    assert (first.error, first.malignancy) == ("", "")
    assert (broken.verdict, broken.top) == ("error", ())
    assert "not a JPEG" in broken.error
    assert "Save the picture as JPEG" in broken.error
    assert last.quality == "small, blurred"


def test_a_row_says_when_cancer_comes_first_and_names_no_guess_of_a_rejected_one(
    outcomes: list[Outcome],
) -> None:
    worried = dataclasses.replace(outcomes[0], malignancy=Malignancy(0.3, 0.1, True), verdict="condition")
    (row,) = rows([worried])
    assert "see a doctor soon" in row.malignancy
    assert "30%" in row.malignancy
    assert len(row.top) == 3

    (row,) = rows([dataclasses.replace(worried, verdict="rejected")])
    assert "to a doctor" in row.malignancy
    assert "cancer" not in row.malignancy
    assert row.top == ()


def test_csv_has_a_column_for_each_label(outcomes: list[Outcome]) -> None:
    text = csv_text(outcomes, LABELS)
    lines = table(text)
    assert [line["number"] for line in lines] == ["1", "2", "3"]
    assert list(lines[0])[3:25] == [f"probability_{name}" for name in LABELS]
    for ranked in outcomes[0].conditions:  # type: ignore[union-attr]
        assert float(lines[0][f"probability_{ranked.name}"]) == pytest.approx(ranked.probability, abs=1e-6)
    assert lines[0]["checkpoint"] == "tiny"
    assert lines[1]["error_code"] == "unsupported_format"
    assert lines[1]["probability_Acne"] == lines[1]["checkpoint"] == ""
    assert lines[2]["quality"] == "small, blurred"
    assert text.count("\r\n") == 4


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula(outcomes: list[Outcome], start: str) -> None:
    nasty = f"{start}HYPERLINK(A1)"
    prediction = dataclasses.replace(outcomes[0], checkpoint={"id": nasty, "revision": nasty})
    error = ImageError(nasty, hint="x", code=nasty)
    for line in table(csv_text([prediction, error], LABELS)):
        assert not [cell for cell in line.values() if cell.startswith(start)]
    assert table(csv_text([prediction], LABELS))[0]["checkpoint"] == f"'{nasty}"


def test_csv_of_errors_alone_still_has_the_columns() -> None:
    (line,) = table(csv_text([ImageError("a", hint="b")], ["x", "y"]))
    assert line["probability_y"] == ""
    assert line["error"] == "a b"


def test_json_is_what_the_api_answers_without_heat_maps(outcomes: list[Outcome]) -> None:
    first, broken, last = json.loads(json_text(outcomes))
    assert first == {**json.loads(json.dumps(outcomes[0].to_json())), "heatmap": None}
    assert outcomes[0].heatmap is not None  # type: ignore[union-attr]
    assert set(broken) == {"error"}
    assert set(last) == set(first)


def test_too_many_are_refused_before_any_is_analysed(predictor: Predictor) -> None:
    looked: list[bytes] = []
    with pytest.raises(ConfigError, match="13 photos were sent; at most 12") as caught:
        predict_all(looked.append, [b"x"] * (MAX_BATCH + 1))  # type: ignore[arg-type]
    assert caught.value.code == "too_many_images"
    assert looked == []
    assert predict_all(predictor.predict, []) == []

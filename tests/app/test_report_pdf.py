"""The PDF of an answer, and the answer to several pictures of one spot."""

from __future__ import annotations

import dataclasses
import io
from datetime import datetime, timezone

import pytest
from conftest import encode, make_picture
from flask.testing import FlaskClient
from pypdf import PdfReader

from app.pages import wording
from app.pages.report_pdf import report_pdf
from app.predictor import Predictor
from model.errors import ConfigError

WHEN = datetime(2026, 3, 4, 5, 6, tzinfo=timezone.utc)
PICTURES = [encode(make_picture(300, 240, seed=seed)) for seed in (1, 2)]


def text_of(data: bytes) -> str:
    return " ".join(" ".join(page.extract_text() for page in PdfReader(io.BytesIO(data)).pages).split())


def test_a_report_says_what_the_answer_says(predictor: Predictor) -> None:
    prediction = predictor.predict(PICTURES[0])
    text = text_of(report_pdf(prediction, when=WHEN, picture=PICTURES[0]))
    assert wording.headline(prediction) in text
    assert "2026-03-04 at 05:06 UTC" in text
    for ranked in prediction.conditions:
        assert ranked.title in text


def test_a_report_takes_numbers_alone_from_a_page(client: FlaskClient, predictor: Predictor) -> None:
    prediction = predictor.predict(PICTURES[0])
    forged = dataclasses.replace(prediction, verdict="rejected", reason="You are healthy.")
    response = client.post("/report", data={"prediction": forged.dumps(), "when": WHEN.isoformat()})
    assert response.mimetype == "application/pdf"
    text = text_of(response.data)
    assert "You are healthy" not in text
    assert wording.headline(prediction) in text
    other = dataclasses.replace(prediction, checkpoint={"id": "other", "revision": "1"})
    for wrong in (other.dumps(), "{}", ""):
        assert client.post("/report", data={"prediction": wrong}).status_code == 400


def test_devanagari_is_shaped(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    """The vowel sign of कि stands before its consonant; क्ष is one glyph, without a virama."""
    prediction = predictor.predict(PICTURES[0])
    monkeypatch.setattr(wording, "NOTICE", "किक्ष")
    glyphs = text_of(report_pdf(prediction, when=WHEN))
    assert "किक्ष" not in glyphs  # as it would be, one glyph for each letter
    assert "\u094d" not in glyphs


def test_a_case_averages_and_decides_anew(predictor: Predictor) -> None:
    first, second = (predictor.predict(data) for data in PICTURES)
    assert predictor.combine([first]) == first
    case = predictor.combine([first, second])
    shares = [{r.name: r.probability for r in each.conditions} for each in (first, second, case)]
    for name in shares[2]:
        assert shares[2][name] == pytest.approx((shares[0][name] + shares[1][name]) / 2)
    with pytest.raises(ConfigError):
        predictor.combine([])


def test_the_api_answers_a_case(client: FlaskClient, predictor: Predictor) -> None:
    files = [(io.BytesIO(data), "a.jpg") for data in (*PICTURES, b"no picture")]
    response = client.post("/api/v1/case?heatmap=1", data={"image": files})
    assert response.status_code == 200
    got = response.get_json()
    expected = predictor.combine([predictor.predict(data) for data in PICTURES]).to_json()
    assert got["answer"]["conditions"] == expected["conditions"]
    assert got["answer"]["heatmap"].startswith("data:image/png")
    assert [set(each) == {"error"} for each in got["pictures"]] == [False, False, True]
    broken = client.post("/api/v1/case", data={"image": (io.BytesIO(b"no picture"), "a.jpg")})
    assert broken.status_code == 415

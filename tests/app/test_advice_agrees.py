"""Urgency, caution, set and page never contradict each other, whatever the network says of a picture."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import numpy as np
from conftest import encode, make_picture
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from app.pages import render
from app.pages.batch import rows
from app.prediction import Prediction
from app.predictor import Predictor
from model.checkpoint import Checkpoint
from model.config import ModelConfig
from model.labels import DERMOSCOPY, LABELS, URGENCY, condition

PHOTO = encode(make_picture(64, 64))
WAY = render.Way(address="/", report="/report", start="/", several="/batch", learn="/learn")
KINDS = [LABELS, tuple(about.name for about in DERMOSCOPY)]


class Given:
    """Computes the logits that it was made with, whatever the picture."""

    name, device, precision = "torch", "cpu", "float32"

    def __init__(self, logits: np.ndarray) -> None:
        self.logits = logits

    def forward(self, image: np.ndarray) -> tuple[np.ndarray, None]:
        return self.logits, None


def predicted(logits: np.ndarray, labels: tuple[str, ...], **rule: float) -> Prediction:
    checkpoint = Checkpoint(
        config=ModelConfig(labels=labels, input_size=32, **rule),
        id="made",
        revision="0",
        folder=Path("made"),
        weights={},
        detector=None,
        gate=None,
        drift=None,
        card_file=b"",
        fingerprint="0",
    )
    return Predictor(checkpoint, runtime=Given(logits)).predict(PHOTO)


def paragraphs(card: str) -> list[str]:
    return [
        html.unescape(re.sub("<[^>]*>", "", text)).strip() for text in re.findall(r"<p.*?</p>", card, re.S)
    ]


SHARE = st.floats(0, 1)
SHIFTED = np.where(np.arange(len(LABELS)) == LABELS.index("Moles"), 5.0, 0.0)


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(KINDS).flatmap(
        lambda labels: st.tuples(st.just(labels), arrays(np.float64, len(labels), elements=st.floats(-8, 8)))
    ),
    st.fixed_dictionaries(
        {
            "malignant_from": SHARE,
            "set_quantile": SHARE,
            "uncertain_below": SHARE,
            "min_max_probability": st.sampled_from([0.0, 0.0, 0.5]),
        }
    ),
)
@example((LABELS, SHIFTED), {"malignant_from": 0.001, "set_quantile": 0.0})  # warned of, but outside the set
@example((LABELS, SHIFTED), {"malignant_from": 1.0, "set_quantile": 0.995})  # in the set, no warning
def test_no_answer_contradicts_itself(
    made: tuple[tuple[str, ...], np.ndarray], rule: dict[str, float]
) -> None:
    prediction = predicted(made[1], made[0], **rule)
    got: dict[str, Any] = prediction.to_json()
    advice, inside = got["advice"], got["prediction_set"]
    caution, hasty = advice["caution"], list(URGENCY).index(advice["urgency"]) >= list(URGENCY).index("soon")
    # What is copied and saved as PDF stands in attributes, which nobody reads.
    page = re.sub(
        r' data-(text|prediction)="[^"]*"', "", render.answer(prediction, picture="data:,", way=WAY)
    )
    (card,) = re.findall(r'<section class="card verdict.*?</section>', page, re.S)
    (row,) = rows([prediction])
    if got["verdict"] == "rejected":
        assert caution is None
        assert inside is None
        return

    worries = [name for name in inside or () if condition(name).malignant]
    fired = got["malignancy"]["fired"]
    assert (caution is not None) == bool(worries or fired)
    if inside is not None:
        assert bool(worries) >= fired, "what is warned of is never ruled out"
        named = [
            name
            for name in made[0]
            if condition(name).malignant and condition(name).in_a_sentence in (caution or "")
        ]
        assert sorted(named) == sorted(worries)
    if fired:
        assert hasty
    assert ("within two weeks" in (caution or "")) == (fired and advice["urgency"] == "soon")
    assert ("if the spot is new" in (caution or "")) == (bool(caution) and not hasty)

    said = paragraphs(card)
    assert said.count(advice["how_soon"]) == 1
    assert bool(row.malignancy) == fired
    assert row.caution == ("" if fired or caution is None else caution)
    if caution is not None:
        assert said[said.index(advice["how_soon"]) + 1] == caution, "right beside the urgency"
        assert html.unescape(page).count(caution) == 1
        assert caution not in advice["text"]

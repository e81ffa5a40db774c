"""The texts for people: cancer comes first where it matters, plainly and without alarm."""

from __future__ import annotations

import dataclasses

import pytest
from conftest import encode, make_picture

from app.pages import wording
from app.prediction import Prediction, RankedCondition
from app.predictor import Predictor
from model.checkpoint import load
from model.config import ModelConfig
from model.decision.malignancy import Malignancy
from model.errors import ConfigError
from model.labels import LABELS, URGENCY, condition
from model.runtime.torch import TorchRuntime

PHOTO = encode(make_picture(240, 200))


@pytest.fixture(scope="module")
def answered(predictor: Predictor) -> Prediction:
    return predictor.predict(PHOTO)


def made(answered: Prediction, verdict: str, fired: bool, **shares: float) -> Prediction:
    """The same prediction with these first labels."""
    ranked = tuple(RankedCondition(name, condition(name).title, share) for name, share in shares.items())
    total = sum(share for name, share in shares.items() if condition(name).malignant)
    malignancy = Malignancy(total, 0.1, fired)
    return dataclasses.replace(answered, verdict=verdict, conditions=ranked, malignancy=malignancy)


def test_cancer_in_second_or_third_place_comes_first(answered: Prediction) -> None:
    prediction = made(answered, "condition", True, Moles=0.6, Eczema=0.2, SkinCancer=0.12)
    advice = wording.advice(prediction)
    assert (advice.urgency, advice.how_soon) == ("soon", URGENCY["soon"])
    assert advice.caution is not None
    assert advice.caution.startswith("It could be skin cancer (12%). Please have a doctor look at it soon")
    calmer = condition("Moles").when_to_be_seen
    assert advice.text.endswith(f"If it turns out to be {condition('Moles').in_a_sentence}: {calmer}")
    assert advice.about == condition("Moles")


def test_several_labels_that_may_be_cancer_are_named_together(answered: Prediction) -> None:
    shares = {"Moles": 0.6, "SkinCancer": 0.12, "Actinic_Keratosis": 0.08}
    caution = wording.advice(made(answered, "condition", True, **shares)).caution or ""
    assert caution.startswith("It could be skin cancer (12%) or an actinic keratosis (8%).")


@pytest.mark.parametrize(
    ("verdict", "top"),
    [("condition", "SkinCancer"), ("uncertain", "Warts"), ("no_condition", "Unknown_Normal")],
)
def test_it_comes_first_whatever_the_verdict(answered: Prediction, verdict: str, top: str) -> None:
    shares = {top: 0.6, "SkinCancer" if top != "SkinCancer" else "Moles": 0.3}
    quiet = wording.advice(made(answered, verdict, False, **shares))
    worried = wording.advice(made(answered, verdict, True, **shares))
    assert worried.urgency == "soon"
    assert (worried.caution or "").startswith("It could be skin cancer (")
    assert worried.text.endswith(quiet.text)
    assert quiet.caution is None


@pytest.mark.parametrize("verdict", ["condition", "uncertain", "no_condition"])
def test_a_cancer_that_cannot_be_ruled_out_is_named_beside_a_calmer_pill(
    answered: Prediction, verdict: str
) -> None:
    calm = made(answered, verdict, False, Moles=0.8, SkinCancer=0.08)
    without = dataclasses.replace(calm, prediction_set=("Moles", "Warts"))
    within = dataclasses.replace(calm, prediction_set=("Moles", "SkinCancer", "Actinic_Keratosis"))
    assert wording.advice(without).caution is None
    advice = wording.advice(within)
    assert (advice.caution or "").startswith(
        "From this picture alone, the model cannot rule out skin cancer or an actinic keratosis:"
    )
    assert dataclasses.replace(advice, caution=None) == wording.advice(without)
    worried = made(within, verdict, True, Moles=0.8, SkinCancer=0.08)
    caution = wording.advice(worried).caution or ""
    assert "cannot rule out" not in caution, "said already, and more strongly"


def test_headline_and_reason_name_the_condition_as_a_sentence_does(answered: Prediction) -> None:
    sure = made(answered, "condition", False, Moles=0.8, Warts=0.1)
    unsure = dataclasses.replace(sure, verdict="uncertain")
    assert wording.headline(sure) == "This looks most like a mole"
    assert wording.headline(unsure) == "Not sure – it might be a mole"
    assert "If it is a mole, see a doctor" in wording.advice(unsure).text
    assert wording.reason("uncertain", "Moles", 0.33, ()).startswith("The best guess is a mole, but at 33% ")


def test_a_card_has_three_points_at_most_and_the_api_all_of_the_text(answered: Prediction) -> None:
    for verdict in ("condition", "uncertain", "no_condition", "rejected"):
        for fired in (True, False):
            advice = wording.advice(made(answered, verdict, fired, Moles=0.6, SkinCancer=0.2))
            assert len(advice.points) + bool(advice.caution) <= 3
            assert advice.text.startswith(" ".join(advice.points))


@pytest.mark.parametrize(
    ("share", "word"), [(0.5, "likely"), (0.49, "possible"), (0.1, "possible"), (0.09, "unlikely")]
)
def test_a_word_stands_beside_each_probability(share: float, word: str) -> None:
    assert wording.likelihood(share) == word


def test_what_is_more_urgent_stays_more_urgent(answered: Prediction) -> None:
    advice = wording.advice(made(answered, "condition", True, Vasculitis=0.7, SkinCancer=0.2))
    assert advice.urgency == "urgent"
    assert "two weeks" not in (advice.caution or ""), "today is not within two weeks"


def test_a_rejected_picture_names_nothing_but_asks_to_show_a_worrying_spot(answered: Prediction) -> None:
    quiet = wording.advice(made(answered, "rejected", False, Moles=0.2, SkinCancer=0.2))
    worried = wording.advice(made(answered, "rejected", True, Moles=0.2, SkinCancer=0.2))
    assert (worried.how_soon, worried.about) == (quiet.how_soon, None)
    assert quiet.text == wording.BETTER_PHOTO
    assert worried.text == f"{wording.BETTER_PHOTO} {wording.WORRYING_SPOT}"


def test_the_threshold_of_the_checkpoint_decides(tiny_checkpoint: object) -> None:
    checkpoint = load(tiny_checkpoint)  # type: ignore[arg-type]
    total = None
    for threshold, fired in ((1.0, False), (0.0, True), (None, True), (0.999, False)):
        bound = total if threshold is None else threshold
        config = dataclasses.replace(checkpoint.config, malignant_from=bound)
        served = Predictor(dataclasses.replace(checkpoint, config=config), runtime=TorchRuntime(checkpoint))
        got = served.predict(PHOTO).to_json()
        shares = {row["name"]: row["probability"] for row in got["conditions"]}
        total = got["malignancy"]["probability"]
        assert total == pytest.approx(shares["SkinCancer"] + shares["Actinic_Keratosis"])
        assert got["malignancy"] == {"probability": total, "threshold": bound, "fired": fired}
    with pytest.raises(ConfigError, match="malignant_from"):
        ModelConfig(labels=LABELS, malignant_from=1.5)


def test_a_checkpoint_without_a_label_that_may_be_cancer_says_nothing(tiny_checkpoint: object) -> None:
    checkpoint = load(tiny_checkpoint)  # type: ignore[arg-type]
    labels = tuple(f"Label_{number}" for number in range(len(LABELS)))
    config = dataclasses.replace(checkpoint.config, labels=labels, malignant_from=0.0)
    served = Predictor(dataclasses.replace(checkpoint, config=config), runtime=TorchRuntime(checkpoint))
    assert served.predict(PHOTO).to_json()["malignancy"] is None


def test_what_cannot_be_ruled_out_is_said_plainly(answered: Prediction) -> None:
    assert wording.set_sentence(answered) is None
    for names, words in (
        (("Acne",), "finds only one plausible: acne."),
        (("Acne", "Rosacea", "SkinCancer"), "cannot rule out any of these 3:"),
        (LABELS[:15], "15 of the 22"),
    ):
        sentence = wording.set_sentence(dataclasses.replace(answered, prediction_set=names))
        assert words in (sentence or "")

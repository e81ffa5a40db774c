"""The sentences that every front end shows, so that all say the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from model.rejection import Criterion, Verdict

if TYPE_CHECKING:
    from app.predictor import Prediction

NOTICE = (
    "This is a learning aid, not a diagnosis. It can be wrong, and it knows only a few conditions. "
    "If your skin worries you, please show it to a doctor, whatever you read here."
)

BETTER_PHOTO = (
    "Take the photo in daylight, hold the camera still and about a hand's width away, "
    "and let the spot fill the middle of the picture."
)

HEADLINES: dict[Verdict, str] = {
    "condition": "This looks most like {title}",
    "uncertain": "Not sure; perhaps {title}",
    "no_condition": "No condition to name here",
    "rejected": "This picture could not be judged",
}

CRITERIA = {
    "max_probability": "Confidence: the probability of the best guess",
    "normalized_entropy": "Indecision: how evenly the guesses are spread, from 0 % to 100 %",
}


def percent(share: float) -> str:
    """A share from 0 to 1 for people: whole percents, and never "0 %" for what is possible."""
    return "under 1 %" if share < 0.01 else f"{share:.0%}".replace("%", " %")


def headline(prediction: Prediction) -> str:
    """The verdict as the few words that stand above everything else."""
    return HEADLINES[prediction.verdict].format(title=prediction.conditions[0].title)


def reason(verdict: Verdict, title: str, probability: float, criteria: Iterable[Criterion]) -> str:
    """Why the verdict is what it is, one sentence.

    Args:
        verdict: the verdict. title, probability: of the most probable label.
        criteria: of the rejection rule.
    """
    if verdict == "rejected":
        return f"The picture does not look like one the model can judge: {' and '.join(_fired(criteria))}."
    if verdict == "no_condition":
        return f"It looks most like healthy skin or like something that is not skin ({percent(probability)})."
    if verdict == "uncertain":
        return f"The best guess is {title}, but with {percent(probability)} it is too weak to rely on."
    return (
        f"Of the conditions the model knows, {title} fits best, with a probability of {percent(probability)}."
    )


def criterion_sentence(criterion: Criterion) -> str:
    """One criterion with its value and threshold, for people."""
    relation = "at least" if criterion.name == "max_probability" else "at most"
    return (
        f"{CRITERIA[criterion.name]} is {percent(criterion.value)}; "
        f"{relation} {percent(criterion.threshold)} is needed."
    )


def _fired(criteria: Iterable[Criterion]) -> list[str]:
    texts = {
        "max_probability": "even its best guess reaches only {value}, under the {threshold} that is needed",
        "normalized_entropy": "its guesses are spread too evenly ({value} of the possible spread, "
        "{threshold} allowed)",
    }
    return [
        texts[c.name].format(value=percent(c.value), threshold=percent(c.threshold))
        for c in criteria
        if c.fired
    ]

"""The sentences that every front end shows, so that all say the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING

from model.labels import URGENCY, Condition, condition
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

VERDICT_TAGS: dict[Verdict, str] = {
    "condition": "Best match",
    "uncertain": "Not sure",
    "no_condition": "Nothing named",
    "rejected": "Not judged",
}
"""One or two words beside the verdict's colour, which must never stand alone."""

HEATMAP_NOTE = (
    "The bright areas counted most for this answer. "
    "They show where the model looked, not where something is wrong."
)

GUESSES_NOTE = "What the model would have guessed. Please do not rely on it: the picture was turned down."

CRITERIA = {
    "max_probability": "Confidence: the best guess has a probability of {value}; at least {threshold} is "
    "needed.",
    "normalized_entropy": "Indecision: the guesses are spread to {value} of the most even spread there is; "
    "at most {threshold} is allowed.",
}


def percent(share: float) -> str:
    """A share from 0 to 1 for people: whole percents, and never "0%" for what is possible."""
    return "under 1%" if share < 0.01 else f"{share:.0%}"


def headline(prediction: Prediction) -> str:
    """The verdict as the few words that stand above everything else."""
    return HEADLINES[prediction.verdict].format(title=prediction.conditions[0].title)


@dataclasses.dataclass(frozen=True)
class Advice:
    """What to do next, the same in every front end.

    Attributes:
        urgency: a key of ``model.labels.URGENCY``.
        how_soon: a few words that stand above the text.
        text: one to four sentences.
        about: the condition whose texts explain the answer; None where none should be named.
    """

    urgency: str
    how_soon: str
    text: str
    about: Condition | None


def advice(prediction: Prediction) -> Advice:
    """What a person should do after this prediction, and how soon."""
    if prediction.verdict == "rejected":
        return Advice("none", "Try another photo", BETTER_PHOTO, None)
    about = condition(prediction.conditions[0].name)
    if prediction.verdict == "uncertain":
        text = f"The model is not sure, so treat this as a hint only. If it is {about.title}: "
        return Advice(about.urgency, URGENCY[about.urgency], text + about.when_to_be_seen, about)
    return Advice(about.urgency, URGENCY[about.urgency], about.when_to_be_seen, about)


def time_taken(prediction: Prediction) -> str:
    """How long the answer took, small print."""
    return f"Answered in {prediction.timings_ms['total'] / 1000:.2f} seconds"


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
    return CRITERIA[criterion.name].format(
        value=percent(criterion.value), threshold=percent(criterion.threshold)
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

"""The sentences that people read, shared by every front end."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from app.prediction import AdviceWords, Prediction
from model.decision.modality import Modality
from model.decision.rejection import Criterion, Verdict
from model.image.quality import QualityWarning
from model.labels import URGENCY, Condition, condition

NOTICE = (
    "This is a learning aid, not a diagnosis. It can be wrong, and it knows only a few conditions. "
    "If your skin worries you, please see a doctor, whatever you read here."
)

LOOK_TITLE = "Check a photo of skin"

SEVERAL_TITLE = "Check several photos"

BETTER_PHOTO = (
    "Take the photo in daylight, hold the camera steady about a hand's width away, "
    "and let the spot fill the middle of the picture."
)

ONLY_SKIN = "Make sure that the photo shows skin and little else: no clothes, writing or other objects."

WORRYING_SPOT = "If a spot worries you, show it to a doctor, whatever this program says."

NO_FINDING = "This is not a diagnosis; only an examination can tell."

QUALITY_TITLE = "A clearer photo may help"

QUALITY_WORDS = {"too_small": "small", "too_dark": "dark", "blurred": "blurred", "too_bright": "washed out"}
"""One or two words for each quality warning, for tables."""

MODALITY_TITLE = "A picture of another kind"

MODALITY_WORDS: dict[Modality, str] = {
    "dermoscopy": "This looks like dermoscopy, a close view through a lit magnifier held to the skin. "
    "This model knows ordinary photos alone, so please do not rely on its answer: take a photo without the "
    "magnifier, or use a model for dermoscopy.",
    "clinical": "This looks like an ordinary photo. This model knows dermoscopy alone, close views through a "
    "lit magnifier held to the skin, so please do not rely on its answer: use a model for ordinary "
    "photos.",
}
"""For each kind of picture, what is said of it where the model knows the other kind."""

ANSWERED_BY: dict[Modality, str] = {
    "dermoscopy": "This looks like dermoscopy, a close view through a lit magnifier held to the skin, so the "
    "model for dermoscopy answered.",
    "clinical": "This looks like an ordinary photo, so the model for ordinary photos answered.",
}
"""For each kind of picture, what is said where another than the usual model answered."""

SET_TITLE = "What cannot be ruled out"

HEADLINES: dict[Verdict, str] = {
    "condition": "This looks most like {condition}",
    "uncertain": "Not sure – it might be {condition}",
    "no_condition": "No skin condition recognised",
    "rejected": "We can't assess this picture",
}

VERDICT_TAGS: dict[Verdict, str] = {
    "condition": "Best match",
    "uncertain": "Not sure",
    "no_condition": "None recognised",
    "rejected": "Not assessed",
}
"""One or two words beside the verdict's colour, so that colour is never the only signal."""

HEATMAP_NOTE = (
    "The bright areas counted most for this answer. "
    "They show where the model looked, not where something is wrong."
)

GUESSES_NOTE = "What the model would have guessed. Please do not rely on it: the picture was rejected."

CRITERIA = {
    "max_probability": "Confidence: the best guess has a probability of {value}; at least {threshold} is "
    "needed.",
    "normalized_entropy": "Focus: the spread of the guesses is {value}, where 100% is pure guessing; "
    "at most {threshold} is allowed.",
    "unusualness": "Similarity: {value} of photos of skin conditions are more like the photos that the model "
    "learned from than this one is; at most {threshold} is allowed.",
    "not_skin": "Skin: the score for a picture that does not show skin is {value}; at most {threshold} is "
    "allowed. It combines how unlike those photos the picture is with the odds of “No skin condition "
    "recognised”.",
}


TROUBLE = {
    "unreachable": (
        "The server could not be reached",
        "Check your connection and try again. If the file is very large, try a smaller copy.",
    ),
    "broken": (
        "The server could not answer just now",
        "It may be restarting. Wait a moment and try again.",
    ),
    "busy": (
        "The server is busy just now",
        "Nothing is wrong with your picture. Please try again in a moment.",
    ),
}
"""What a page's script shows if no answer came back: a headline, and what to do."""


def look_lead(labels: int) -> str:
    """What the page for one photo does; ``labels`` is how many labels the model knows."""
    return (
        f"Choose a photo. A neural network compares it with {labels} groups of pictures and tells you what "
        "it resembles most, and how sure the model is."
    )


def several_lead(pictures: int, size: int) -> str:
    """What the page for several photos does; the arguments are those of ``at_most``."""
    return (
        f"Choose {at_most(pictures, size)}. Each gets its own row, and you can save the table as CSV or JSON."
    )


def at_most(pictures: int, size: int) -> str:
    """The limits on one upload: a number of photos, and a number of bytes in total."""
    return f"up to {pictures} photos, {size // 1_000_000}\u00a0MB in total"


def percent(share: float) -> str:
    """Format a share from 0 to 1 as whole percents; never "0%" for something that is possible."""
    return "under 1%" if share < 0.01 else f"{share:.0%}"


def headline(prediction: Prediction) -> str:
    """The verdict in a few words, the first thing to read."""
    return HEADLINES[prediction.verdict].format(condition=_named(prediction.conditions[0].name))


@dataclasses.dataclass(frozen=True)
class Advice:
    """What to do next.

    Attributes:
        urgency: a key of ``model.labels.URGENCY``.
        how_soon: a few words shown above the text.
        caution: one sentence on what may be cancer here, shown beside ``how_soon``; None if nothing is.
        text: a few sentences.
        about: the condition whose texts explain the answer; None if none should be named.
    """

    urgency: str
    how_soon: str
    caution: str | None
    text: str
    about: Condition | None

    def words(self) -> AdviceWords:
        """What a program shows, without ``about``, which it finds among the labels."""
        return AdviceWords(urgency=self.urgency, how_soon=self.how_soon, caution=self.caution, text=self.text)


def advice(prediction: Prediction) -> Advice:
    """What a person should do after this prediction, and how soon.

    If the labels that may be cancer are probable enough together (``malignancy.fired``), the advice to see a
    doctor soon comes first, whatever the most probable label is. If they are not, but the prediction set
    holds one of them, the caution says so. ``how_soon``, caution and set agree: the caution
    names labels of the set alone, and asks for no less haste than ``how_soon`` does, and for no more unless
    the spot itself gives cause.
    """
    worry = prediction.malignancy is not None and prediction.malignancy.fired
    if prediction.verdict == "rejected":
        unlike = any(c.fired and c.name in ("unusualness", "not_skin") for c in prediction.criteria)
        sentences = [ONLY_SKIN] * unlike + [BETTER_PHOTO] + [WORRYING_SPOT] * worry
        return Advice("none", "Try another photo", None, " ".join(sentences), None)
    about = condition(prediction.conditions[0].name)
    urgency, text = about.urgency, about.when_to_be_seen
    if prediction.verdict == "uncertain":
        text = (
            f"The model is not sure, so treat this as a hint only. If it is {about.in_a_sentence}, "
            f"{text[0].lower()}{text[1:]}"
        )
    if worry:
        urgency = max(urgency, "soon", key=list(URGENCY).index)
        if prediction.verdict == "condition" and urgency != about.urgency:
            text = f"If it turns out to be {about.in_a_sentence}: {text}"
        text = f"{NO_FINDING} {text}"
    caution = (_among_what_it_could_be if worry else _not_ruled_out)(prediction, urgency)
    return Advice(urgency, URGENCY[urgency], caution, text, about)


def _among_what_it_could_be(prediction: Prediction, urgency: str) -> str:
    worries = [ranked for ranked in prediction.conditions if condition(ranked.name).malignant]
    inside = prediction.prediction_set
    named = [
        ranked
        for ranked in worries
        if (ranked.probability >= 0.01 if inside is None else ranked.name in inside)
    ] or worries[:1]
    names = _joined([f"{_named(ranked.name)} ({percent(ranked.probability)})" for ranked in named], "or")
    if urgency == "urgent":
        return f"It could also be {names}. Please have the doctor look at that as well."
    return f"It could be {names}. Please have a doctor look at it soon, within two weeks."


def _not_ruled_out(prediction: Prediction, urgency: str) -> str | None:
    """That a label of the prediction set may be cancer, and when that matters; None if there is none."""
    names = [name for name in prediction.prediction_set or () if condition(name).malignant]
    if not names:
        return None
    words = f"From this picture alone, the model cannot rule out {_joined([*map(_named, names)], 'or')}"
    if urgency in ("soon", "urgent"):
        return f"{words}."
    return f"{words}: if the spot is new, grows, changes, itches or bleeds, see a doctor soon."


def malignancy_words(prediction: Prediction) -> str:
    """For a table: the advice to see a doctor, and why; empty if nothing fired."""
    malignancy = prediction.malignancy
    if malignancy is None or not malignancy.fired:
        return ""
    if prediction.verdict == "rejected":
        return WORRYING_SPOT
    return f"Could be skin cancer or a precancer ({percent(malignancy.probability)}): see a doctor soon."


def modality_words(name: Modality, expected: Modality) -> str | None:
    """What is said of a picture that is of another kind than the model learned from; None where it is not.

    Args:
        name: what the picture looks like. expected: what the model learned from.
    """
    return None if name == expected else MODALITY_WORDS[name]


def quality_sentence(warning: QualityWarning) -> str:
    """What is wrong with the photo, and how to take a better one."""
    return f"{warning.message} {warning.advice}"


def set_sentence(prediction: Prediction) -> str | None:
    """What cannot be ruled out, one or two sentences; None if the checkpoint has no prediction sets."""
    names = prediction.prediction_set
    if names is None:
        return None
    known = len(prediction.conditions)
    if len(names) == 1:
        return (
            f"Of the {known} groups it knows, the model finds only one plausible: {_named(names[0])}. "
            "That does not prove it."
        )
    if 2 * len(names) > known:
        return (
            f"The model cannot rule out {len(names)} of the {known} groups it knows: "
            "this picture tells it very little."
        )
    return f"From this picture alone, the model cannot rule out {_joined([*map(_named, names)], 'or')}."


def _named(name: str) -> str:
    return condition(name).in_a_sentence


def _joined(texts: list[str], word: str) -> str:
    return f" {word} ".join([", ".join(texts[:-1]), texts[-1]]) if len(texts) > 1 else texts[0]


def time_taken(prediction: Prediction) -> str:
    """How long the answer took."""
    return f"Answered in {prediction.timings_ms['total'] / 1000:.2f} seconds"


def reason(verdict: Verdict, name: str, probability: float, criteria: Iterable[Criterion]) -> str:
    """Why the verdict is what it is, one sentence.

    Args:
        verdict: the verdict.
        name, probability: of the most probable label.
        criteria: of the rejection rule.
    """
    if verdict == "rejected":
        return f"The model cannot assess this picture: {_joined(_fired(criteria), 'and')}."
    if verdict == "no_condition":
        return f"It looks most like healthy skin, or like something other than skin ({percent(probability)})."
    if verdict == "uncertain":
        return (
            f"The best guess is {_named(name)}, but at {percent(probability)} "
            "that is too uncertain to rely on."
        )
    return (
        f"Of the conditions the model knows, {_named(name)} fits best, "
        f"with a probability of {percent(probability)}."
    )


def criterion_sentence(criterion: Criterion) -> str:
    """Describe one criterion, with its value and threshold."""
    # For unusualness only the last few per cent matter, so they need a decimal place.
    words = "{:.1%}".format if criterion.name == "unusualness" else percent
    return CRITERIA[criterion.name].format(value=words(criterion.value), threshold=words(criterion.threshold))


def _fired(criteria: Iterable[Criterion]) -> list[str]:
    texts = {
        "max_probability": "even its best guess reaches only {value}, below the required {threshold}",
        "normalized_entropy": "its guesses are too spread out ({value}, where 100% is pure guessing and "
        "at most {threshold} is allowed)",
        "unusualness": "the picture is unlike the skin photos that the model learned from",
        "not_skin": "the picture probably does not show skin",
    }
    return [
        texts[c.name].format(value=percent(c.value), threshold=percent(c.threshold))
        for c in criteria
        if c.fired
    ]

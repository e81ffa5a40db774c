"""The sentences that every front end shows, so that all say the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from app.prediction import AdviceWords, Prediction
from app.quality import QualityWarning
from model.decision.modality import Modality
from model.decision.rejection import Criterion, Verdict
from model.labels import URGENCY, Condition, condition

NOTICE = (
    "This is a learning aid, not a diagnosis. It can be wrong, and it knows only a few conditions. "
    "If your skin worries you, please show it to a doctor, whatever you read here."
)

LOOK_TITLE = "A second look at a patch of skin"

SEVERAL_TITLE = "Several pictures at once"

BETTER_PHOTO = (
    "Take the photo in daylight, hold the camera still and about a hand's width away, "
    "and let the spot fill the middle of the picture."
)

ONLY_SKIN = (
    "Make sure that the photo shows skin and little else: no clothes, writing or other things in the picture."
)

WORRYING_SPOT = "Show a spot that worries you to a doctor, whatever this program says."

NO_FINDING = "That is no finding, and only a closer look can tell."

QUALITY_TITLE = "A better photo may give a better answer"

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

SET_TITLE = "What cannot be ruled out"

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
    "unusualness": "Likeness: {value} of photos of skin conditions are more like those which the model "
    "learned from; at most {threshold} is allowed.",
    "not_skin": "Not skin: the signs that the picture shows no skin, its unlikeness and the odds of "
    "“No condition to name”, come to {value}; at most {threshold} is allowed.",
}


TROUBLE = {
    "unreachable": (
        "The server could not be reached",
        "Check the connection and try again. A very large file can be the cause too: "
        "then try a smaller copy.",
    ),
    "broken": (
        "The server could not answer just now",
        "It may be starting again. Wait a moment and try again.",
    ),
    "busy": (
        "The server is busy just now",
        "Nothing is wrong with your picture. Please try again in a moment.",
    ),
}
"""What a page's script says where no answer came back: a headline, and what to do."""


def look_lead(labels: int) -> str:
    """What the page for one picture does; ``labels``: how many the model knows."""
    return (
        f"Choose a photo. A neural network compares it with {labels} groups of pictures and says what it "
        "resembles, and how sure it is."
    )


def several_lead(pictures: int, size: int) -> str:
    """What the page for several pictures does; the arguments are those of ``at_most``."""
    return (
        f"Choose {at_most(pictures, size)}. Each gets its own row, and the table can be saved as CSV or JSON."
    )


def at_most(pictures: int, size: int) -> str:
    """How much may be sent at once: so many pictures, and so many bytes in all."""
    return f"at most {pictures} pictures and {size // 1_000_000}\u00a0MB at a time"


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
        caution: what may be cancer here, one sentence that stands beside ``how_soon``; None where nothing is.
        text: a few sentences.
        about: the condition whose texts explain the answer; None where none should be named.
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

    Where the labels that may be cancer are probable enough together (``malignancy.fired``), the advice to
    see a doctor soon stands first, whatever the most probable label is. Where they are not, but one of them
    is among what cannot be ruled out, the caution says so. ``how_soon``, caution and set agree: the caution
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
        text = f"The model is not sure, so treat this as a hint only. If it is {about.title}: {text}"
    if worry:
        urgency = max(urgency, "soon", key=list(URGENCY).index)
        if prediction.verdict == "condition" and urgency != about.urgency:
            text = f"If it is {about.title} all the same: {text}"
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
    names = _joined([f"{ranked.title} ({percent(ranked.probability)})" for ranked in named])
    are = "is" if len(named) == 1 else "are"
    if urgency == "urgent":
        return f"{names} {are} among what it could be, so please have the doctor look at that as well."
    return f"{names} {are} among what it could be, so please show it to a doctor soon, within two weeks."


def _not_ruled_out(prediction: Prediction, urgency: str) -> str | None:
    """That a label of the prediction set may be cancer, and when that matters; None where there is none."""
    titles = [about.title for about in map(condition, prediction.prediction_set or ()) if about.malignant]
    if not titles:
        return None
    words = f"{_joined(titles)} cannot be ruled out by this picture alone"
    if urgency in ("soon", "urgent"):
        return f"{words}."
    return f"{words}: if the spot is new, grows, changes, itches or bleeds, see a doctor soon."


def malignancy_words(prediction: Prediction) -> str:
    """For a table: that a doctor should see it, and why; empty where nothing fired."""
    malignancy = prediction.malignancy
    if malignancy is None or not malignancy.fired:
        return ""
    if prediction.verdict == "rejected":
        return WORRYING_SPOT
    return f"May be skin cancer or a precursor of it ({percent(malignancy.probability)}): see a doctor soon."


def modality_words(name: Modality, expected: Modality) -> str | None:
    """What is said of a picture that is of another kind than the model learned from; None where it is not.

    Args:
        name: what the picture looks like. expected: what the model learned from.
    """
    return None if name == expected else MODALITY_WORDS[name]


def quality_sentence(warning: QualityWarning) -> str:
    """What about the photo could be better, and how."""
    return f"{warning.message} {warning.advice}"


def set_sentence(prediction: Prediction) -> str | None:
    """What cannot be ruled out, one or two sentences; None where the checkpoint has no such set."""
    names = prediction.prediction_set
    if names is None:
        return None
    titles = [condition(name).title for name in names]
    known = len(prediction.conditions)
    if len(titles) == 1:
        return (
            f"Of the {known} labels it knows, the model finds only {titles[0]} plausible. That is no proof."
        )
    if 2 * len(titles) > known:
        return (
            f"The model cannot rule out {len(titles)} of the {known} labels it knows; it learns little here."
        )
    return f"By this picture alone the model cannot rule out {_joined(titles)}."


def _joined(texts: list[str]) -> str:
    return " and ".join([", ".join(texts[:-1]), texts[-1]]) if len(texts) > 1 else texts[0]


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
        return f"The picture does not look like one the model can judge: {_joined(_fired(criteria))}."
    if verdict == "no_condition":
        return f"It looks most like healthy skin or like something that is not skin ({percent(probability)})."
    if verdict == "uncertain":
        return f"The best guess is {title}, but with {percent(probability)} it is too weak to rely on."
    return (
        f"Of the conditions the model knows, {title} fits best, with a probability of {percent(probability)}."
    )


def criterion_sentence(criterion: Criterion) -> str:
    """One criterion with its value and threshold, for people."""
    # Of the unusualness only the last few per cent matter, so they are told apart.
    words = "{:.1%}".format if criterion.name == "unusualness" else percent
    return CRITERIA[criterion.name].format(value=words(criterion.value), threshold=words(criterion.threshold))


def _fired(criteria: Iterable[Criterion]) -> list[str]:
    texts = {
        "max_probability": "even its best guess reaches only {value}, under the {threshold} that is needed",
        "normalized_entropy": "its guesses are spread too evenly ({value} of the possible spread, "
        "{threshold} allowed)",
        "unusualness": "it looks unlike the skin photos that the model learned from",
        "not_skin": "much speaks for something else than skin",
    }
    return [
        texts[c.name].format(value=percent(c.value), threshold=percent(c.threshold))
        for c in criteria
        if c.fired
    ]

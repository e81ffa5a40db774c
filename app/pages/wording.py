"""The sentences that people read, shared by every front end."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from datetime import datetime

from app.pages.about import Result
from app.prediction import AdviceWords, Prediction
from model.decision.modality import Modality
from model.decision.rejection import Criterion, Verdict
from model.errors import ImageError
from model.image.quality import QualityWarning
from model.labels import URGENCY, Condition, condition

NOTICE = (
    "This is a learning aid, not a diagnosis. It can be wrong, and it knows only a few conditions. "
    "If your skin worries you, please see a doctor, whatever you read here."
)

DESCRIPTION = (
    "Choose a photo of skin and see which of the conditions that a neural network knows it resembles most. "
    "For learning, never a diagnosis."
)
"""What search engines and link previews say of the product."""

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

UNSURE = "The model is not sure, so treat this as a hint only."

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


PICKER = {
    "preparing": "Preparing …",
    "sending": "Sending: {percent}%",
    "analysing": "Analysing your photo …",
    "analysing-several": "Analysing {count} photos …",
    "example": "Analysing the example …",
    "cancelled": "Cancelled. Nothing was analysed or kept.",
    "moment": "a moment",
    "second": "a second",
    "seconds": "{seconds} seconds",
    "NotAllowedError": "The camera is blocked. Allow it for this page in your browser's settings, or choose "
    "a photo instead.",
    "NotFoundError": "No camera was found. Please choose a photo instead.",
    "OverconstrainedError": "No suitable camera was found. Please choose a photo instead.",
    "NotReadableError": "The camera is in use by another program. Close that, or choose a photo instead.",
    "insecure": "The browser allows the camera here only over HTTPS. Take the photo with your device's own "
    "camera app, or choose one.",
    "camera-failed": "The camera did not start ({error}). Please choose a photo instead.",
    "camera-stopped": "The camera stopped. Start it again, or choose a photo instead.",
    "copied": "Copied.",
    "copy-failed": "Your browser did not allow copying. Save the PDF instead.",
    "saved": "Saved.",
    "pdf-failed": "The PDF could not be made just now. Try again in a moment, or print the page.",
}
"""What the script of a page says, by name; values go where the braces are."""

DROP_ONE = "You can also drop a photo here or paste one."
DROP_SEVERAL = "You can also drop photos here or paste them."
AT_ONCE_ONE = "Your result appears as soon as you choose it."
AT_ONCE_SEVERAL = "Your results appear as soon as you choose them."
PROGRESS = "How much has been sent"
ONE_SPOT = "All photos show the same spot: give one answer for all of them as well"

TOO_MANY = "Too many photos at once"
ONE_AT_A_TIME = "This page checks one photo at a time. Choose one, or go to"
TOO_LARGE = "That is too large to send"

TAKE_TITLE = "Keep this answer"
WITH_PICTURE = "With the picture"
REPORT_TITLE = "Answer to a photo of skin"
REPORT_SEVERAL = "Answer to {count} photos of one spot"
REPORT_PICTURE = "The photo"
REPORT_HEATMAP = "Where the model looked"
REPORT_CONDITIONS = "How well each condition fits"
CASE_TITLE = "All {count} photos together"
EACH_TITLE = "Each photo"


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


def choose_at_most(pictures: int, size: int) -> str:
    """What to do about too many photos; the arguments are those of ``at_most``."""
    return f"Please choose {at_most(pictures, size)}."


def choose_smaller(size: int) -> str:
    """What to do about photos that are too large; ``size`` is the limit, bytes."""
    return f"Please choose a smaller copy, or fewer photos: at most {size // 1_000_000}\u00a0MB."


def percent(share: float) -> str:
    """Format a share from 0 to 1 as whole percents; never "0%" for something that is possible."""
    return "under 1%" if share < 0.01 else f"{share:.0%}"


def how_often(result: Result) -> str:
    """How often a model was right on the test pictures of one data set."""
    first = _in_ten(result.accuracy)
    words = f"On the test pictures of {result.data_set}, its first guess was right about {first}"
    if result.top3 is not None:
        words += f"; the right one was among its first three about {_in_ten(result.top3)}"
    return f"{words}."


def _in_ten(share: float) -> str:
    return f"{10 * share:.0f} times in 10"


def likelihood(share: float) -> str:
    """A word beside a calibrated probability: likely from a half on, possible from a tenth on."""
    return "likely" if share >= 0.5 else "possible" if share >= 0.1 else "unlikely"


def heatmap_note(areas: str | None) -> str:
    """How to read a heat map; ``areas`` is how many it is made of, such as "7 x 7"."""
    coarse = f"It is coarse: {areas} areas. " if areas else ""
    return (
        f"{coarse}The bright areas counted most for this answer. They show where the model looked, not where "
        "something is wrong. Each area also draws on its surroundings, so the brightest one may lie beside a "
        "spot, or even beside the skin."
    )


def rejected_because(prediction: Prediction) -> str:
    """Why a picture was rejected, one plain sentence without figures."""
    fired = {criterion.name for criterion in prediction.criteria if criterion.fired}
    if "not_skin" in fired:
        return "It probably doesn't show skin, or shows it in a way that the model has not learned."
    if "unusualness" in fired:
        return "It is unlike the skin photos that the model learned from."
    return "The model's guesses are too uncertain to be of any use."


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
        points: what to know first, at most three, each one sentence.
        text: a few sentences, which begin with the points.
        about: the condition whose texts explain the answer; None if none should be named.
    """

    urgency: str
    how_soon: str
    caution: str | None
    points: tuple[str, ...]
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
        return Advice("none", "Try another photo", None, tuple(sentences), " ".join(sentences), None)
    about = condition(prediction.conditions[0].name)
    urgency, text = about.urgency, about.when_to_be_seen
    hints = []
    if prediction.verdict == "uncertain":
        text = f"If it is {about.in_a_sentence}, {text[0].lower()}{text[1:]}"
        hints = [UNSURE]
    if worry:
        urgency = max(urgency, "soon", key=list(URGENCY).index)
        if prediction.verdict == "condition" and urgency != about.urgency:
            text = f"If it turns out to be {about.in_a_sentence}: {text}"
        hints = [NO_FINDING, *hints]
    caution = (_among_what_it_could_be if worry else _not_ruled_out)(prediction, urgency)
    return Advice(urgency, URGENCY[urgency], caution, tuple(hints), " ".join([*hints, text]), about)


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


def quality_short(warnings: Sequence[QualityWarning]) -> str | None:
    """What could be better about a photo, one sentence; None if nothing is."""
    words = [QUALITY_WORDS[warning.name] for warning in warnings]
    return f"The photo is {_joined(words, 'and')}." if words else None


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
    return f"From this picture alone, the model cannot rule out any of these {len(names)}:"


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


def case_sentence(outcomes: Sequence[Prediction | ImageError]) -> str:
    """How the answer to several photos of one spot came about, and which of them did not help.

    Args:
        outcomes: one per photo, in order, at least one of them a prediction.
    """
    unread = [str(n) for n, outcome in enumerate(outcomes, start=1) if isinstance(outcome, ImageError)]
    rejected = [
        str(n)
        for n, outcome in enumerate(outcomes, start=1)
        if isinstance(outcome, Prediction) and outcome.verdict == "rejected"
    ]
    words = ["The probabilities are the averages over the photos."]
    if unread:
        words.append(f"Left out, since it can't be opened: photo {_joined(unread, 'and')}.")
    if rejected and len(rejected) + len(unread) < len(outcomes):
        words.append(
            f"Not assessable alone: photo {_joined(rejected, 'and')}. Without it, the answer may be clearer."
        )
    return " ".join(words)


def report_title(photos: int) -> str:
    """The title of a report on one photo, or on several of one spot."""
    return REPORT_TITLE if photos == 1 else REPORT_SEVERAL.format(count=photos)


def report_origin(prediction: Prediction, when: datetime) -> str:
    """When an answer was given, and by which model."""
    return (
        f"Answered on {when:%Y-%m-%d} at {when:%H:%M} UTC by SkinDiseaseNet, model "
        f"{prediction.checkpoint['id']}, revision {prediction.checkpoint['revision']}."
    )


def plain_text(prediction: Prediction, when: datetime) -> str:
    """An answer as plain text, to be copied."""
    told = advice(prediction)
    lines = [headline(prediction), told.how_soon, told.caution, prediction.reason, told.text]
    lines += [seen.message] if (seen := prediction.modality) else []
    lines += [set_sentence(prediction), *map(quality_sentence, prediction.quality), ""]
    lines += [f"{percent(ranked.probability):>8}  {ranked.title}" for ranked in prediction.conditions]
    lines += ["", report_origin(prediction, when), NOTICE]
    return "\n".join(line for line in lines if line is not None) + "\n"

"""The sentences that people read, shared by every front end.

Constants are English and are translated where they are shown; functions answer in the language in use.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from datetime import datetime

from app.pages import language
from app.pages.about import Result
from app.pages.language import N_, condition
from app.pages.language import gettext as _
from app.prediction import AdviceWords, Prediction
from model.decision.modality import Modality
from model.decision.rejection import Criterion, Verdict
from model.errors import ImageError, SkinDiseaseNetError
from model.image.quality import WORDS, QualityWarning
from model.labels import URGENCY, Condition

NOTICE = N_(
    "This is a learning aid, not a diagnosis. It can be wrong, and it knows only a few conditions. "
    "If your skin worries you, please see a doctor, whatever you read here."
)

DESCRIPTION = N_(
    "Choose a photo of skin and see which of the conditions that a neural network knows it resembles most. "
    "For learning, never a diagnosis."
)
"""What search engines and link previews say of the product."""

UNREVIEWED = N_(
    "This translation has not been reviewed by a clinician. If it differs from the English text, that one "
    "counts."
)
"""What pages in other languages than English say of themselves."""

TERMS = (N_("research and education only"), N_("not stated in its model card"))
"""Terms of use of a checkpoint that are translated; others are shown as they are."""

LOOK_TITLE = N_("Check a photo of skin")

SEVERAL_TITLE = N_("Check several photos")

BETTER_PHOTO = N_(
    "Take the photo in daylight, hold the camera steady about a hand's width away, "
    "and let the spot fill the middle of the picture."
)

ONLY_SKIN = N_("Make sure that the photo shows skin and little else: no clothes, writing or other objects.")

WORRYING_SPOT = N_("If a spot worries you, show it to a doctor, whatever this program says.")

NO_FINDING = N_("This is not a diagnosis; only an examination can tell.")

QUALITY_TITLE = N_("A clearer photo may help")

QUALITY_WORDS = {
    "too_small": N_("small"),
    "too_dark": N_("dark"),
    "blurred": N_("blurred"),
    "too_bright": N_("washed out"),
}
"""One or two words for each quality warning, for tables."""

MODALITY_TITLE = N_("A picture of another kind")

MODALITY_WORDS: dict[Modality, str] = {
    "dermoscopy": N_(
        "This looks like dermoscopy, a close view through a lit magnifier held to the skin. "
        "This model knows ordinary photos alone, so please do not rely on its answer: take a photo without "
        "the magnifier, or use a model for dermoscopy."
    ),
    "clinical": N_(
        "This looks like an ordinary photo. This model knows dermoscopy alone, close views through a "
        "lit magnifier held to the skin, so please do not rely on its answer: use a model for ordinary "
        "photos."
    ),
}
"""For each kind of picture, what is said of it where the model knows the other kind."""

ANSWERED_BY: dict[Modality, str] = {
    "dermoscopy": N_(
        "This looks like dermoscopy, a close view through a lit magnifier held to the skin, so the "
        "model for dermoscopy answered."
    ),
    "clinical": N_("This looks like an ordinary photo, so the model for ordinary photos answered."),
}
"""For each kind of picture, what is said where another than the usual model answered."""

SET_TITLE = N_("What cannot be ruled out")

HEADLINES: dict[Verdict, str] = {
    "condition": N_("This looks most like {condition}"),
    "uncertain": N_("Not sure – it might be {condition}"),
    "no_condition": N_("No skin condition recognised"),
    "rejected": N_("We can't assess this picture"),
}

VERDICT_TAGS: dict[Verdict, str] = {
    "condition": N_("Best match"),
    "uncertain": N_("Not sure"),
    "no_condition": N_("None recognised"),
    "rejected": N_("Not assessed"),
}
"""One or two words beside the verdict's colour, so that colour is never the only signal."""

UNSURE = N_("The model is not sure, so treat this as a hint only.")

GUESSES_NOTE = N_("What the model would have guessed. Please do not rely on it: the picture was rejected.")

CRITERIA = {
    "max_probability": N_(
        "Confidence: the best guess has a probability of {value}; at least {threshold} is needed."
    ),
    "normalized_entropy": N_(
        "Focus: the spread of the guesses is {value}, where 100% is pure guessing; "
        "at most {threshold} is allowed."
    ),
    "unusualness": N_(
        "Similarity: {value} of photos of skin conditions are more like the photos that the model "
        "learned from than this one is; at most {threshold} is allowed."
    ),
    "not_skin": N_(
        "Skin: the score for a picture that does not show skin is {value}; at most {threshold} is "
        "allowed. It combines how unlike those photos the picture is with the odds of “No skin condition "
        "recognised”."
    ),
}


TROUBLE = {
    "unreachable": (
        N_("The server could not be reached"),
        N_("Check your connection and try again. If the file is very large, try a smaller copy."),
    ),
    "broken": (
        N_("The server could not answer just now"),
        N_("It may be restarting. Wait a moment and try again."),
    ),
    "busy": (
        N_("The server is busy just now"),
        N_("Nothing is wrong with your picture. Please try again in a moment."),
    ),
}
"""What a page's script shows if no answer came back: a headline, and what to do."""


PICKER = {
    "preparing": N_("Preparing …"),
    "sending": N_("Sending: {percent}%"),
    "analysing": N_("Analysing your photo …"),
    "analysing-several": N_("Analysing {count} photos …"),
    "example": N_("Analysing the example …"),
    "cancelled": N_("Cancelled. Nothing was analysed or kept."),
    "moment": N_("a moment"),
    "second": N_("a second"),
    "seconds": N_("{seconds} seconds"),
    "NotAllowedError": N_(
        "The camera is blocked. Allow it for this page in your browser's settings, or choose a photo instead."
    ),
    "NotFoundError": N_("No camera was found. Please choose a photo instead."),
    "OverconstrainedError": N_("No suitable camera was found. Please choose a photo instead."),
    "NotReadableError": N_("The camera is in use by another program. Close that, or choose a photo instead."),
    "insecure": N_(
        "The browser allows the camera here only over HTTPS. Take the photo with your device's own "
        "camera app, or choose one."
    ),
    "camera-failed": N_("The camera did not start ({error}). Please choose a photo instead."),
    "camera-stopped": N_("The camera stopped. Start it again, or choose a photo instead."),
    "copied": N_("Copied."),
    "copy-failed": N_("Your browser did not allow copying. Save the PDF instead."),
    "saved": N_("Saved."),
    "pdf-failed": N_("The PDF could not be made just now. Try again in a moment, or print the page."),
}
"""What the script of a page says, by name; values go where the braces are."""

DROP_ONE = N_("You can also drop a photo here or paste one.")
DROP_SEVERAL = N_("You can also drop photos here or paste them.")
AT_ONCE_ONE = N_("Your result appears as soon as you choose it.")
AT_ONCE_SEVERAL = N_("Your results appear as soon as you choose them.")
PROGRESS = N_("How much has been sent")
ONE_SPOT = N_("All photos show the same spot: give one answer for all of them as well")

SIGNED_OUT = N_("You are no longer signed in")
NO_RESULT = N_("No result")
NOT_SENT = N_("Not sent")
TOO_MANY = N_("Too many photos at once")
ONE_AT_A_TIME = N_("This page checks one photo at a time. Choose one, or go to")
TOO_LARGE = N_("That is too large to send")

TAKE_TITLE = N_("Keep this answer")
WITH_PICTURE = N_("With the picture")
REPORT_TITLE = N_("Answer to a photo of skin")
REPORT_SEVERAL = N_("Answer to {count} photos of one spot")
REPORT_PICTURE = N_("The photo")
REPORT_HEATMAP = N_("Where the model looked")
REPORT_CONDITIONS = N_("How well each condition fits")
CASE_TITLE = N_("All {count} photos together")
EACH_TITLE = N_("Each photo")


def look_lead(labels: int) -> str:
    """What the page for one photo does; ``labels`` is how many labels the model knows."""
    return _(
        "Choose a photo. A neural network compares it with {labels} groups of pictures and tells you what "
        "it resembles most, and how sure the model is.",
        labels=labels,
    )


def several_lead(pictures: int, size: int) -> str:
    """What the page for several photos does; the arguments are those of ``at_most``."""
    return _(
        "Choose {at_most}. Each gets its own row, and you can save the table as CSV or JSON.",
        at_most=at_most(pictures, size),
    )


def at_most(pictures: int, size: int) -> str:
    """The limits on one upload: a number of photos, and a number of bytes in total."""
    return _("up to {pictures} photos, {size}\u00a0MB in total", pictures=pictures, size=size // 1_000_000)


def choose_at_most(pictures: int, size: int) -> str:
    """What to do about too many photos; the arguments are those of ``at_most``."""
    return _("Please choose {at_most}.", at_most=at_most(pictures, size))


def choose_smaller(size: int) -> str:
    """What to do about photos that are too large; ``size`` is the limit, bytes."""
    return _("Please choose a smaller copy, or fewer photos: at most {size}\u00a0MB.", size=size // 1_000_000)


def percent(share: float) -> str:
    """Format a share from 0 to 1 as whole percents; never "0%" for something that is possible."""
    return _("under {percent}", percent=language.percent(0.01)) if share < 0.01 else language.percent(share)


def how_often(result: Result) -> str:
    """How often a model was right on the test pictures of one data set."""
    first = f"{10 * result.accuracy:.0f}"
    if result.top3 is None:
        return _(
            "On the test pictures of {data_set}, its first guess was right about {first} times in 10.",
            data_set=result.data_set,
            first=first,
        )
    three = f"{10 * result.top3:.0f}"
    return _(
        "On the test pictures of {data_set}, its first guess was right about {first} times in 10; the right "
        "one was among its first three about {three} times in 10.",
        data_set=result.data_set,
        first=first,
        three=three,
    )


def likelihood(share: float) -> str:
    """A word beside a calibrated probability: likely from a half on, possible from a tenth on."""
    return _("likely") if share >= 0.5 else _("possible") if share >= 0.1 else _("unlikely")


def heatmap_note(areas: str | None) -> str:
    """How to read a heat map; ``areas`` is how many it is made of, such as "7 x 7"."""
    note = _(
        "The bright areas counted most for this answer. They show where the model looked, not where "
        "something is wrong. Each area also draws on its surroundings, so the brightest one may lie beside a "
        "spot, or even beside the skin."
    )
    if areas is None:
        return note
    coarse = _("It is coarse: {areas} areas.", areas=areas)
    return f"{coarse} {note}"


def rejected_because(prediction: Prediction) -> str:
    """Why a picture was rejected, one plain sentence without figures."""
    fired = {criterion.name for criterion in prediction.criteria if criterion.fired}
    if "not_skin" in fired:
        return _("It probably doesn't show skin, or shows it in a way that the model has not learned.")
    if "unusualness" in fired:
        return _("It is unlike the skin photos that the model learned from.")
    return _("The model's guesses are too uncertain to be of any use.")


def headline(prediction: Prediction) -> str:
    """The verdict in a few words, the first thing to read."""
    return _(HEADLINES[prediction.verdict], condition=_named(prediction.conditions[0].name))


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
        points = tuple(map(_, sentences))
        return Advice("none", _("Try another photo"), None, points, " ".join(points), None)
    about = condition(prediction.conditions[0].name)
    urgency, text = about.urgency, about.when_to_be_seen
    hints = []
    if prediction.verdict == "uncertain":
        text = _(
            "If it is {condition}, {advice}",
            condition=about.in_a_sentence,
            advice=text[0].lower() + text[1:],
        )
        hints = [_(UNSURE)]
    if worry:
        urgency = max(urgency, "soon", key=list(URGENCY).index)
        if prediction.verdict == "condition" and urgency != about.urgency:
            text = _(
                "If it turns out to be {condition}: {advice}", condition=about.in_a_sentence, advice=text
            )
        hints = [_(NO_FINDING), *hints]
    caution = (_among_what_it_could_be if worry else _not_ruled_out)(prediction, urgency)
    return Advice(urgency, _(URGENCY[urgency]), caution, tuple(hints), " ".join([*hints, text]), about)


def _among_what_it_could_be(prediction: Prediction, urgency: str) -> str:
    worries = [ranked for ranked in prediction.conditions if condition(ranked.name).malignant]
    inside = prediction.prediction_set
    named = [
        ranked
        for ranked in worries
        if (ranked.probability >= 0.01 if inside is None else ranked.name in inside)
    ] or worries[:1]
    names = _any_of([f"{_named(ranked.name)} ({percent(ranked.probability)})" for ranked in named])
    if urgency == "urgent":
        return _("It could also be {names}. Please have the doctor look at that as well.", names=names)
    return _("It could be {names}. Please have a doctor look at it soon, within two weeks.", names=names)


def _not_ruled_out(prediction: Prediction, urgency: str) -> str | None:
    """That a label of the prediction set may be cancer, and when that matters; None if there is none."""
    names = [name for name in prediction.prediction_set or () if condition(name).malignant]
    if not names:
        return None
    joined = _any_of([*map(_named, names)])
    if urgency in ("soon", "urgent"):
        return _("From this picture alone, the model cannot rule out {names}.", names=joined)
    return _(
        "From this picture alone, the model cannot rule out {names}: if the spot is new, grows, changes, "
        "itches or bleeds, see a doctor soon.",
        names=joined,
    )


def malignancy_words(prediction: Prediction) -> str:
    """For a table: the advice to see a doctor, and why; empty if nothing fired."""
    malignancy = prediction.malignancy
    if malignancy is None or not malignancy.fired:
        return ""
    if prediction.verdict == "rejected":
        return _(WORRYING_SPOT)
    return _(
        "Could be skin cancer or a precancer ({percent}): see a doctor soon.",
        percent=percent(malignancy.probability),
    )


def modality_words(name: Modality, expected: Modality) -> str | None:
    """What is said of a picture that is of another kind than the model learned from; None where it is not.

    Args:
        name: what the picture looks like. expected: what the model learned from.
    """
    return None if name == expected else _(MODALITY_WORDS[name])


def quality_sentence(warning: QualityWarning) -> str:
    """What is wrong with the photo, and how to take a better one."""
    message, advice = WORDS[warning.name]
    return f"{_(message, value=round(warning.value))} {_(advice)}"


def quality_short(warnings: Sequence[QualityWarning]) -> str | None:
    """What could be better about a photo, one sentence; None if nothing is."""
    words = [_(QUALITY_WORDS[warning.name]) for warning in warnings]
    return _("The photo is {words}.", words=_all_of(words)) if words else None


def set_sentence(prediction: Prediction) -> str | None:
    """What cannot be ruled out, one or two sentences; None if the checkpoint has no prediction sets."""
    names = prediction.prediction_set
    if names is None:
        return None
    known = len(prediction.conditions)
    if len(names) == 1:
        return _(
            "Of the {known} groups it knows, the model finds only one plausible: {condition}. "
            "That does not prove it.",
            known=known,
            condition=_named(names[0]),
        )
    if 2 * len(names) > known:
        return _(
            "The model cannot rule out {number} of the {known} groups it knows: this picture tells it very "
            "little.",
            number=len(names),
            known=known,
        )
    return _("From this picture alone, the model cannot rule out any of these {number}:", number=len(names))


def _named(name: str) -> str:
    return condition(name).in_a_sentence


def _any_of(texts: list[str]) -> str:
    return _listed(texts, N_("{first} or {last}"))


def _all_of(texts: list[str]) -> str:
    return _listed(texts, N_("{first} and {last}"))


def _listed(texts: list[str], pattern: str) -> str:
    return _(pattern, first=", ".join(texts[:-1]), last=texts[-1]) if len(texts) > 1 else texts[0]


def time_taken(prediction: Prediction) -> str:
    """How long the answer took."""
    seconds = f"{prediction.timings_ms['total'] / 1000:.2f}"
    return _("Answered in {seconds} seconds", seconds=seconds)


def reason(verdict: Verdict, name: str, probability: float, criteria: Iterable[Criterion]) -> str:
    """Why the verdict is what it is, one sentence.

    Args:
        verdict: the verdict.
        name, probability: of the most probable label.
        criteria: of the rejection rule.
    """
    if verdict == "rejected":
        return _("The model cannot assess this picture: {reasons}.", reasons=_all_of(_fired(criteria)))
    share = percent(probability)
    if verdict == "no_condition":
        return _(
            "It looks most like healthy skin, or like something other than skin ({percent}).", percent=share
        )
    if verdict == "uncertain":
        return _(
            "The best guess is {condition}, but at {percent} that is too uncertain to rely on.",
            condition=_named(name),
            percent=share,
        )
    return _(
        "Of the conditions the model knows, {condition} fits best, with a probability of {percent}.",
        condition=_named(name),
        percent=share,
    )


def criterion_sentence(criterion: Criterion) -> str:
    """Describe one criterion, with its value and threshold."""
    # For unusualness only the last few per cent matter, so they need a decimal place.
    fine = criterion.name == "unusualness"
    value, threshold = (
        language.percent(share, places=1) if fine else percent(share)
        for share in (criterion.value, criterion.threshold)
    )
    return _(CRITERIA[criterion.name], value=value, threshold=threshold)


def _fired(criteria: Iterable[Criterion]) -> list[str]:
    texts = {
        "max_probability": N_("even its best guess reaches only {value}, below the required {threshold}"),
        "normalized_entropy": N_(
            "its guesses are too spread out ({value}, where 100% is pure guessing and at most {threshold} is "
            "allowed)"
        ),
        "unusualness": N_("the picture is unlike the skin photos that the model learned from"),
        "not_skin": N_("the picture probably does not show skin"),
    }
    return [
        _(texts[c.name], value=percent(c.value), threshold=percent(c.threshold)) for c in criteria if c.fired
    ]


def error_words(error: SkinDiseaseNetError) -> tuple[str, str]:
    """What went wrong, and what to do about it."""
    return _(error.template, **error.values), _(error.hint_template, **error.values)


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
    words = [_("The probabilities are the averages over the photos.")]
    if unread:
        words.append(_("Left out, since it can't be opened: photo {numbers}.", numbers=_all_of(unread)))
    if rejected and len(rejected) + len(unread) < len(outcomes):
        words.append(
            _(
                "Not assessable alone: photo {numbers}. Without it, the answer may be clearer.",
                numbers=_all_of(rejected),
            )
        )
    return " ".join(words)


def report_title(photos: int) -> str:
    """The title of a report on one photo, or on several of one spot."""
    return _(REPORT_TITLE) if photos == 1 else _(REPORT_SEVERAL, count=photos)


def report_origin(prediction: Prediction, when: datetime) -> str:
    """When an answer was given, and by which model."""
    return _(
        "Answered on {date} at {time} UTC by SkinDiseaseNet, model {model}, revision {revision}.",
        date=language.date(when),
        time=when.strftime("%H:%M"),
        model=prediction.checkpoint["id"],
        revision=prediction.checkpoint["revision"],
    )


def plain_text(prediction: Prediction, when: datetime) -> str:
    """An answer as plain text, to be copied."""
    told = advice(prediction)
    lines = [headline(prediction), told.how_soon, told.caution, prediction.reason, told.text]
    lines += [seen.message] if (seen := prediction.modality) else []
    lines += [set_sentence(prediction), *map(quality_sentence, prediction.quality), ""]
    lines += [
        f"{percent(ranked.probability):>8}  {condition(ranked.name).title}"
        for ranked in prediction.conditions
    ]
    lines += ["", report_origin(prediction, when), _(NOTICE)]
    return "\n".join(line for line in lines if line is not None) + "\n"

"""The sentences of ``app.pages.wording`` as data, for the script that answers in the browser.

They are made by calling the functions that write them, with stand-ins for what differs between pictures: a
label whose name is ``{condition}``, and numbers that print as ``{value:.0%}``. So there is no second copy of
a sentence, and whoever changes one changes it everywhere. ``browser/sentences.ts`` puts them together; a
test compares the result with Python's.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any, get_args

import numpy as np
from PIL import Image

from app.pages import wording
from app.prediction import AdviceWords, Prediction, RankedCondition
from model.config import ModelConfig
from model.decision.malignancy import Malignancy
from model.decision.modality import MODALITIES, SURE, Modality
from model.decision.rejection import Criterion, Verdict, applicable
from model.errors import ConfigError
from model.image.quality import SMALLEST, check_quality
from model.labels import CONDITIONS, NO_CONDITION, URGENCY, condition

_NAMED: tuple[Verdict, ...] = ("condition", "uncertain", "no_condition")
_NAME = "{condition}"


class _Number(float):
    """A number that prints as its name and format in braces."""

    name: str

    def __format__(self, form: str) -> str:
        return f"{{{self.name}:{form}}}"


def _number(name: str) -> _Number:
    made = _Number(0.5)
    made.name = name
    return made


def words(config: ModelConfig, expects: Modality | None) -> dict[str, Any]:
    """All sentences about answers of a checkpoint, in the form of ``Words`` in ``browser/sentences.ts``.

    Args:
        config: of the checkpoint.
        expects: the kind of picture that it learned from; None if it cannot tell.

    Raises:
        ConfigError: a sentence has another structure than the script expects.
    """
    return {
        "under_one_percent": wording.percent(0.0),
        "labels": {
            name: {key: getattr(condition(name), key) for key in ("title", "in_a_sentence", "malignant")}
            for name in config.labels
        },
        "tags": wording.VERDICT_TAGS,
        "headlines": {verdict: wording.headline(_made(verdict)) for verdict in get_args(Verdict)},
        "reasons": {
            verdict: wording.reason(verdict, _NAME, _number("probability"), ()) for verdict in _NAMED
        },
        "rejected": _rejected(config),
        "advice": {
            verdict: {
                name: _calm_and_worried(_made(verdict, name))
                for name in config.labels
                if verdict != "no_condition" or name == NO_CONDITION
            }
            for verdict in _NAMED
        },
        "retry": {"like": _calm_and_worried(_made("rejected")), "unlike": _calm_and_worried(_unlike(config))},
        "caution": {
            mood: {urgency: _caution(urgency, worried=mood == "worried") for urgency in URGENCY}
            for mood in ("calm", "worried")
        },
        "criteria": {
            criterion.name: wording.criterion_sentence(criterion) for criterion in _criteria(config, "value")
        },
        "set": _set(len(config.labels)),
        "quality": _quality(),
        "modality": {name: wording.modality_words(name, expects or name) for name in MODALITIES},
        "modality_sure": SURE,
    }


def _made(verdict: Verdict, *names: str, **changes: Any) -> Prediction:
    """A prediction of these labels, most probable first."""
    made = Prediction(
        verdict=verdict,
        reason="",
        conditions=tuple(
            RankedCondition(name, condition(name).title, _number("probability")) for name in names or (_NAME,)
        ),
        criteria=(),
        malignancy=None,
        quality=(),
        brightness=0.5,
        prediction_set=(),
        checkpoint={"id": "", "revision": ""},
        precision="float32",
        timings_ms={"decode": 0.0, "transform": 0.0, "forward": 0.0, "total": 0.0},
        advice=AdviceWords(urgency="none", how_soon="", caution=None, text=""),
        modality=None,
        heatmap=None,
    )
    return dataclasses.replace(made, **changes)


def _criteria(config: ModelConfig, value: str | None = None) -> list[Criterion]:
    """Every criterion of the checkpoint as if it had fired, with the name of its value if none is given."""
    rules = applicable(config, 0.0 if config.detector else None)
    return [
        Criterion(name, _number(value or name), getattr(config, rule.threshold), True)
        for name, rule in rules.items()
    ]


def _rejected(config: ModelConfig) -> dict[str, str]:
    """The reason for every combination of criteria."""
    all_of_them = _criteria(config)
    some = (
        chosen
        for count in range(1, len(all_of_them) + 1)
        for chosen in itertools.combinations(all_of_them, count)
    )
    return {
        ",".join(criterion.name for criterion in chosen): wording.reason("rejected", "", 0.0, chosen)
        for chosen in some
    }


def _unlike(config: ModelConfig) -> Prediction:
    return _made("rejected", criteria=tuple(_criteria(config)))


def _calm_and_worried(prediction: Prediction) -> dict[str, dict[str, str]]:
    """The advice without its caution, as ``malignancy`` has fired or not."""
    found = {}
    for mood in ("calm", "worried"):
        fired = Malignancy(1.0, 1.0, mood == "worried")
        advice = wording.advice(
            dataclasses.replace(
                prediction,
                malignancy=fired,
                conditions=(
                    *prediction.conditions,
                    *(RankedCondition(name, name, 0.0) for name in _MALIGNANT[:1]),
                ),
            )
        )
        found[mood] = {"urgency": advice.urgency, "how_soon": advice.how_soon, "text": advice.text}
    return found


_MALIGNANT = tuple(entry.name for entry in CONDITIONS if entry.malignant)


def _caution(urgency: str, *, worried: bool) -> list[str] | None:
    """What may be cancer, where the advice without it has this urgency; None if that never happens."""
    calm_label = next((e.name for e in CONDITIONS if e.urgency == urgency and not e.malignant), None)
    if calm_label is None:
        return None

    def write(names: Sequence[str]) -> str:
        made = _made(
            "condition",
            calm_label,
            *names,
            prediction_set=tuple(names),
            malignancy=Malignancy(1.0, 1.0, worried),
        )
        return wording.advice(made).caution or ""

    return _listing(write, _MALIGNANT)


def _set(known: int) -> dict[str, Any]:
    def write(names: Sequence[str], labels: int = 99) -> str:
        made = _made("condition", *[_NAME] * labels, prediction_set=tuple(names))
        return wording.set_sentence(made) or ""

    return {
        "one": write([_NAME], known),
        "several": _listing(write, [_NAME]),
        "many": {number: write([_NAME] * number, known) for number in range(known // 2 + 1, known + 1)},
    }


def _listing(write: Callable[[Sequence[str]], str], names: Sequence[str]) -> list[str]:
    """Take a sentence about three labels apart: what is before, between and after their names.

    Args:
        write: the sentence for some labels.
        names: labels; the first that the sentence names three times and no more is used.
    """
    for name in names:
        pieces = write([name] * 3).split(condition(name).in_a_sentence)
        if len(pieces) == 4:
            return pieces
    raise ConfigError(
        f"A sentence does not list its labels one after the other: {write(list(names[:1]) * 3)!r}.",
        hint="Adapt app/private/words.py and browser/sentences.ts to the new sentence.",
    )


def _quality() -> dict[str, str]:
    """Every warning, found on a picture that deserves it."""
    grain = np.random.default_rng(0).integers(0, 256, (SMALLEST, SMALLEST), np.uint8)
    pictures = {
        "too_small": grain[:, :-1],
        "too_dark": grain // 16,
        "blurred": np.full_like(grain, 128),
        "too_bright": np.where(np.indices(grain.shape)[0] % 2, 255, 240).astype(np.uint8),
    }
    found = {}
    for name, pixels in pictures.items():
        picture = Image.fromarray(pixels).convert("RGB")
        (warning,) = (each for each in check_quality(picture) if each.name == name)
        sentence = wording.quality_sentence(warning)
        for side, size in (("width", picture.width), ("height", picture.height)):
            sentence = sentence.replace(str(size), f"{{{side}}}") if name == "too_small" else sentence
        found[name] = sentence
    return found

"""The sentences of ``app.pages.wording`` as data, for the script that answers in the browser.

They are made by calling the functions that write them, in the language in use, with stand-ins for what
differs between pictures: a label whose name is ``{condition}``, and numbers that no probability can have. So
there is no second copy of a sentence, and whoever changes one changes it everywhere. ``browser/sentences.ts``
puts them together; a test compares the result with Python's.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any, get_args

from app.pages import wording
from app.pages.language import condition, gettext
from app.prediction import AdviceWords, Prediction, RankedCondition
from model.config import ModelConfig
from model.decision.malignancy import Malignancy
from model.decision.modality import MODALITIES, SURE, Modality
from model.decision.rejection import Criterion, CriterionName, Verdict, applicable
from model.errors import ConfigError
from model.image.quality import WORDS, QualityWarning
from model.labels import CONDITIONS, NO_CONDITION, URGENCY

_NAMED: tuple[Verdict, ...] = ("condition", "uncertain", "no_condition")
_NAME = "{condition}"
_STAND_INS = {
    "probability": 77.01,
    "value": 77.02,
    "max_probability": 77.03,
    "normalized_entropy": 77.04,
    "unusualness": 77.05,
    "not_skin": 77.06,
}
"""What is put in later → a share that stands for it, far above 1: its digits occur nowhere else."""

_MALIGNANT = tuple(entry.name for entry in CONDITIONS if entry.malignant)


def words(config: ModelConfig, expects: Modality | None) -> dict[str, Any]:
    """All sentences about answers of a checkpoint, in the form of ``Words`` in ``browser/sentences.ts``.

    Args:
        config: of the checkpoint.
        expects: the kind of picture that it learned from; None if it cannot tell.

    Raises:
        ConfigError: a sentence has another structure than the script expects.
    """
    known = len(config.labels)
    return {
        "under_one_percent": wording.percent(0.0),
        "likelihood": _likelihood(),
        "labels": {
            name: {
                key: getattr(condition(name), key)
                for key in ("title", "in_a_sentence", "summary", "malignant")
            }
            for name in config.labels
        },
        "tags": {verdict: gettext(tag) for verdict, tag in wording.VERDICT_TAGS.items()},
        "headlines": {verdict: wording.headline(_made(verdict)) for verdict in get_args(Verdict)},
        "reasons": {
            verdict: _slots(wording.reason(verdict, _NAME, _STAND_INS["probability"], ()))
            for verdict in _NAMED
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
        "retry": {
            "like": _calm_and_worried(_made("rejected")),
            "unlike": _calm_and_worried(_made("rejected", criteria=tuple(_criteria(config)))),
        },
        "caution": {
            mood: {urgency: _caution(urgency, worried=mood == "worried") for urgency in URGENCY}
            for mood in ("calm", "worried")
        },
        "criteria": {
            name: _slots(
                wording.criterion_sentence(
                    Criterion(name, _STAND_INS["value"], getattr(config, rule.threshold), False)
                )
            )
            for name, rule in _rules(config).items()
        },
        "sets": {
            number: wording.set_sentence(
                _made("condition", *[_NAME] * known, prediction_set=(_NAME,) * number)
            )
            for number in range(1, known + 1)
        },
        "quality": {name: _warning(name) for name in WORDS},
        "modality": {name: wording.modality_words(name, expects or name) for name in MODALITIES},
        "modality_sure": SURE,
    }


def _slots(text: str) -> str:
    """The stand-ins of a sentence replaced by their names, with the number of decimal places."""
    for name, share in _STAND_INS.items():
        digits = round(100 * share)
        text = re.sub(rf"{digits}\.0%", f"{{{name}:.1%}}", text)
        text = re.sub(rf"{digits}%", f"{{{name}:.0%}}", text)
    return text


def _made(verdict: Verdict, *names: str, **changes: Any) -> Prediction:
    """A prediction of these labels, most probable first."""
    made = Prediction(
        verdict=verdict,
        reason="",
        conditions=tuple(
            RankedCondition(name, name, _STAND_INS["probability"]) for name in names or (_NAME,)
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


def _rules(config: ModelConfig) -> dict[CriterionName, Any]:
    return applicable(config, 0.0 if config.detector else None)


def _criteria(config: ModelConfig) -> list[Criterion]:
    """Every criterion of the checkpoint as if it had fired."""
    return [
        Criterion(name, _STAND_INS[name], getattr(config, rule.threshold), True)
        for name, rule in _rules(config).items()
    ]


def _rejected(config: ModelConfig) -> dict[str, str]:
    """Why a picture was rejected, for every combination of criteria."""
    every = _criteria(config)
    return {
        ",".join(criterion.name for criterion in chosen): wording.rejected_because(
            _made("rejected", criteria=chosen)
        )
        for count in range(1, len(every) + 1)
        for chosen in itertools.combinations(every, count)
    }


def _calm_and_worried(prediction: Prediction) -> dict[str, dict[str, Any]]:
    """The advice without its caution, as ``malignancy`` has fired or not."""
    some_cancer = (RankedCondition(name, name, 0.0) for name in _MALIGNANT[:1])
    ranked = (*prediction.conditions, *some_cancer)
    found = {}
    for mood in ("calm", "worried"):
        fired = Malignancy(1.0, 1.0, mood == "worried")
        advice = wording.advice(dataclasses.replace(prediction, malignancy=fired, conditions=ranked))
        found[mood] = {key: getattr(advice, key) for key in ("urgency", "how_soon", "points", "text")}
    return found


def _caution(urgency: str, *, worried: bool) -> list[str] | None:
    """What may be cancer, where the advice has this urgency without it; None if that never happens."""
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


def _listing(write: Callable[[Sequence[str]], str], names: Sequence[str]) -> list[str]:
    """Take a sentence about three labels apart: what is before, between and after their names.

    Args:
        write: the sentence for some labels.
        names: labels; the first that the sentence names three times and no more is used.
    """
    for name in names:
        pieces = _slots(write([name] * 3)).split(condition(name).in_a_sentence)
        if len(pieces) == 4:
            return pieces
    raise ConfigError(
        f"A sentence does not list its labels one after the other: {write(list(names[:1]) * 3)!r}.",
        hint="Adapt app/private/words.py and browser/sentences.ts to the new sentence.",
    )


def _likelihood() -> list[tuple[float, str]]:
    """The words for probabilities, each with the whole per cent from which on it is used, descending."""
    told = {share / 100: wording.likelihood(share / 100) for share in range(101)}
    first = {word: share for share, word in sorted(told.items(), reverse=True)}
    return sorted(((share, word) for word, share in first.items()), reverse=True)


def _warning(name: Any) -> str:
    stand_in = 770207
    sentence = wording.quality_sentence(QualityWarning(name, stand_in, 0.0, "", ""))
    return sentence.replace(str(stand_in), "{value}")

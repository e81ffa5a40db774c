"""``validate``: a checkpoint on a clinic's own pictures, against requirements that it set beforehand.

A requirement is met only if the worse end of the 95 % interval meets it, so that few pictures do not pass by
luck.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from model.config import ModelConfig
from model.decision.conformal import in_prediction_set
from model.errors import ConfigError
from model.files import write_json, write_text
from train.data.pictures import shown
from train.data.rows import open_rows
from train.evaluate.bootstrap import number_groups, share_by_group, share_interval
from train.evaluate.measure import open_checkpoint, predictions_of
from train.evaluate.metrics import in_top3
from train.predictions import Predictions
from train.report.tables import markdown_table

Bools = NDArray[np.bool_]


class Figure(NamedTuple):
    """A share that a clinic can require.

    Attributes:
        words: what it is.
        better: whether more of it is better, or less.
    """

    words: str
    better: Literal["more", "less"]


FIGURES = {
    "accuracy": Figure("first label right", "more"),
    "top3": Figure("right label among the first three", "more"),
    "sensitivity": Figure("cancer or precursor: advice to see a doctor first", "more"),
    "specificity": Figure("other pictures: no such advice", "more"),
    "coverage": Figure("right label in the prediction set", "more"),
    "rejected": Figure("rejected although a condition is shown", "less"),
}


@dataclasses.dataclass(frozen=True)
class Measured:
    """A figure on the pictures: its value, interval and number of pictures, and whether it is enough.

    Attributes:
        share: 0 to 1; None if no picture counts for it.
        low, high: the 95 % interval.
        required: the bound; None if none was set.
        met: whether the worse end of the interval meets it; None without a bound.
    """

    pictures: int
    share: float | None
    low: float | None
    high: float | None
    required: float | None
    met: bool | None


def validate(
    *,
    checkpoint: str,
    data: str,
    split: str,
    output: str,
    required: Mapping[str, float],
    device: str,
    max_unreadable: float,
) -> bool:
    """Write ``OUTPUT/validation.json`` and ``validation.md``, print the table, and return whether all is met.

    Args:
        checkpoint: a folder, or ``ORG/NAME@REVISION``.
        data: a folder or Hub id of labelled pictures that the network has never seen.
        split: its split.
        required: keys of ``FIGURES`` → bounds, 0 to 1; at least one.
        device: as in ``TrainConfig``.
        max_unreadable: as for ``open_rows``.

    Raises:
        ConfigError: there is no requirement, or a bound is out of range.
        DataError: as for ``open_rows``.
    """
    if not required or not all(0 <= bound <= 1 for bound in required.values()):
        raise ConfigError(
            "No requirement was set."
            if not required
            else f"The requirements are {dict(required)}; each must be from 0 to 1.",
            hint="Set what you need before you measure, for example --min-sensitivity 0.9.",
        )
    loaded = open_checkpoint(checkpoint, device)
    rows, unreadable = open_rows([data], split, labels=loaded.config.labels, max_unreadable=max_unreadable)
    predictions = predictions_of(loaded, rows)
    found = measure(predictions, loaded.config, required)
    go = all(one.met is not False for one in found.values())
    about = {
        "checkpoint": {"id": loaded.id, "revision": loaded.revision},
        "data": shown(Path(data).name),
        "split": split,
        "pictures": len(rows),
        "unreadable": len(unreadable),
        "go": go,
    }
    text = _text(about, found, predictions)
    figures = {name: dataclasses.asdict(one) for name, one in found.items()}
    write_json(Path(output) / "validation.json", {**about, "figures": figures})
    write_text(Path(output) / "validation.md", text)
    print(text)
    return go


def measure(
    predictions: Predictions, config: ModelConfig, required: Mapping[str, float]
) -> dict[str, Measured]:
    """Every figure, on the pictures that count for it.

    Args:
        predictions: with targets and groups.
        config: with the thresholds.
        required: as for ``validate``.
    """
    everything = np.ones(len(predictions), dtype=bool)
    rejected, warned = predictions.rejected(config), predictions.warned(config)
    malignant, groups = predictions.malignant, number_groups(predictions.groups)
    counted: dict[str, tuple[Bools, Bools]] = {
        "accuracy": (predictions.right, everything),
        "top3": (in_top3(predictions), everything),
        "sensitivity": (warned, malignant),
        "specificity": (~warned, ~malignant),
        "rejected": (rejected, predictions.has_condition),
    }
    if config.set_quantile < 1:
        inside = in_prediction_set(predictions.probabilities, config)
        counted["coverage"] = inside[np.arange(len(predictions)), predictions.targets], ~rejected
    if lacking := sorted(set(required) - set(counted)):
        raise ConfigError(
            f"This checkpoint has no {', '.join(lacking)}: it gives no prediction sets.",
            hint="Leave that requirement out.",
        )
    return {
        name: _measured(name, hits[rows], groups[rows], required.get(name))
        for name in FIGURES
        if name in counted
        for hits, rows in [counted[name]]
    }


def _measured(name: str, hits: Bools, groups: NDArray[np.int64], required: float | None) -> Measured:
    if not len(hits):
        return Measured(0, None, None, None, required, None if required is None else False)
    share = float(hits.mean())
    low, high = share_interval(hits, groups) or _exact(hits, groups)
    met = None
    if required is not None:
        met = low >= required if FIGURES[name].better == "more" else high <= required
    return Measured(len(hits), share, low, high, required, met)


def _exact(hits: Bools, groups: NDArray[np.int64]) -> tuple[float, float]:
    """Clopper and Pearson's interval, a group counting as one picture: for few groups, or all alike."""
    number = len(np.unique(groups))
    mean, _ = share_by_group(hits, groups)
    found = binomtest(round((mean or 0.0) * number), number).proportion_ci(method="exact")
    return float(found.low), float(found.high)


def _text(about: Mapping[str, Any], found: Mapping[str, Measured], predictions: Predictions) -> str:
    rows = []
    for name, one in found.items():
        sign = "at least" if FIGURES[name].better == "more" else "at most"
        value = "no picture" if one.share is None else f"{one.share:.2f} ({one.low:.2f} to {one.high:.2f})"
        bound = "–" if one.required is None else f"{sign} {one.required:.2f}"
        verdict = {None: "", True: "met", False: "not met"}[one.met]
        rows.append([FIGURES[name].words, one.pictures, value, bound, verdict])
    classes = len(np.unique(predictions.targets))
    return "\n".join(
        [
            f"# Validation of {about['checkpoint']['id']} ({about['checkpoint']['revision']})",
            "",
            f"{about['pictures']} pictures of {classes} labels from {about['data']} ({about['split']}); "
            f"{about['unreadable']} could not be read.",
            "",
            markdown_table(["Figure", "Pictures", "Share (95 % interval)", "Required", ""], rows),
            "",
            "**Go**: the worse end of every interval meets its requirement."
            if about["go"]
            else "**No go**: the worse end of an interval does not meet its requirement.",
            "",
            "This holds only for pictures like these, of the same cameras, people and conditions. "
            "The model remains a learning aid and makes no diagnosis.",
            "",
        ]
    )

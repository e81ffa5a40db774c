"""The content of ``metrics.json``: ``evaluate`` writes it; model card, report and figures are made of it.

Shares, probabilities and errors are 0 to 1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, FiniteFloat, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from model.errors import DataError
from model.files import read_json
from model.schema import CheckpointId

Interval = Annotated[list[FiniteFloat], Field(min_length=2, max_length=2)]
"""95 % bootstrap interval over groups of related pictures; None stands for too few groups to have one."""


class OfClass(TypedDict):
    """A class against all others; ``intervals`` by figure, None for a class of too few groups."""

    n: int
    groups: int
    recall: FiniteFloat
    precision: FiniteFloat
    specificity: FiniteFloat | None
    auroc: FiniteFloat | None
    intervals: dict[str, Interval | None] | None


class Subgroup(TypedDict):
    """The pictures of one source or skin type; ``detected`` were rejected or called no condition."""

    n: int
    groups: int
    accuracy: FiniteFloat
    balanced_accuracy: FiniteFloat
    detected: int
    interval: Interval | None
    detected_interval: Interval | None


class Reached(TypedDict):
    """Pictures whose class may be cancer, others, and for how many the advice to see a doctor came first.

    For ``sensitivity`` and ``specificity`` each group of related pictures counts as one; None where there is
    no such picture.
    """

    malignant: int
    malignant_warned: int
    others: int
    others_warned: int
    sensitivity: FiniteFloat | None
    sensitivity_interval: Interval | None
    specificity: FiniteFloat | None
    specificity_interval: Interval | None


class Warned(Reached):
    """The same of all pictures, and of those of each source and skin type."""

    per_source: dict[str, Reached]
    per_skin_type: dict[str, Reached]


class RocPoint(TypedDict):
    """Sensitivity for classes that may be cancer, at a specificity that these very pictures have."""

    specificity: FiniteFloat
    threshold: FiniteFloat
    sensitivity: FiniteFloat
    interval: Interval | None


class Bin(TypedDict):
    """A bar of the reliability diagram: from ``low`` to ``high``, the mean confidence and the accuracy."""

    low: FiniteFloat
    high: FiniteFloat
    n: int
    confidence: FiniteFloat
    accuracy: FiniteFloat


class SourceError(TypedDict):
    """The expected calibration error of one source."""

    n: int
    ece: FiniteFloat


class Reliability(TypedDict):
    """The bins that hold a picture, and expected calibration errors."""

    bins: list[Bin]
    ece: FiniteFloat
    ece_uncalibrated: FiniteFloat
    ece_by_source: dict[str, SourceError]


class RiskCoverage(TypedDict):
    """Share of wrong answers (``risk``) by the share answered, which rises to 1; the area under the curve."""

    coverage: list[FiniteFloat]
    risk: list[FiniteFloat]
    aurc: FiniteFloat


class DecisionCurve(TypedDict):
    """Net benefit of acting from a threshold on, and of always acting, in true cases found a picture."""

    thresholds: list[FiniteFloat]
    net_benefit: list[FiniteFloat]
    treat_all: list[FiniteFloat]


class Coverage(TypedDict):
    """How many prediction sets hold the true class, and their mean number of classes."""

    n: int
    coverage: FiniteFloat
    interval: Interval | None
    mean_size: FiniteFloat


class PredictionSets(Coverage):
    """The sets of the pictures that are not rejected; ``level`` is what they were meant to hold."""

    level: FiniteFloat
    empty_or_single: FiniteFloat
    per_source: dict[str, Coverage]
    per_skin_type: dict[str, Coverage]


class Metrics(TypedDict):
    """A checkpoint on the labelled pictures of one split.

    ``confusion`` counts pictures by true class (rows) and most probable one (columns), in the order of
    ``labels``; ``rejected`` is a share; ``unreadable`` pictures are left out of all figures. The figures of
    cancer are None where no picture's class may be cancer, the sets where the checkpoint has none.
    """

    checkpoint: CheckpointId
    data: str
    split: str
    n: int
    accuracy: FiniteFloat
    balanced_accuracy: FiniteFloat
    macro_f1: FiniteFloat
    top3_accuracy: FiniteFloat
    ece: FiniteFloat
    rejected: FiniteFloat
    per_class: dict[str, OfClass]
    labels: list[str]
    confusion: list[list[int]]
    intervals: dict[str, Interval]
    per_source: dict[str, Subgroup]
    per_skin_type: dict[str, Subgroup]
    malignant_warning: Warned | None
    malignant_sensitivity: list[RocPoint] | None
    reliability: Reliability
    risk_coverage: RiskCoverage
    decision_curve: DecisionCurve | None
    prediction_sets: PredictionSets | None
    unreadable: list[dict[str, Any]]


_METRICS = TypeAdapter(Metrics)


def parse_metrics(values: Any, path: Path) -> Metrics:
    """Figures as they were measured, or as JSON has them, checked; unknown names are left out.

    Raises:
        DataError: one is missing, of another kind, or not finite; ``path`` is the file of the message.
    """
    try:
        return _METRICS.validate_python(values, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(
            f"{path} has figures other than expected ({'.'.join(map(str, first['loc']))}: {first['msg']}).",
            hint="Look for numbers that are not finite in checkpoint and data, and run `evaluate` again.",
        ) from None


def read_metrics(path: Path) -> Metrics:
    """The figures that ``evaluate`` wrote; raises ``DataError`` as ``read_json`` and ``parse_metrics`` do."""
    return parse_metrics(read_json(path), path)

"""Commands that measure a checkpoint and write its metrics and model card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from train.commands.types import Challenge, Reading, Verified


def evaluate(
    *,
    checkpoint: str,
    data: str,
    split: str,
    output: str,
    truth: str | None = None,
    map: Challenge | None = None,
    **options: Any,
) -> None:
    """Measure a checkpoint on a labelled split.

    Args:
        checkpoint: folder, or ORG/NAME@REVISION.
        data: folder or Hub id.
        split: name of the split.
        output: folder for metrics.json, report.html and figures.
        truth: ground truth in CSV, for pictures without labels.
        map: measure a model of the 22 clinical groups on dermoscopy with these labels.
    """
    shared = Verified(**options)
    from train.evaluate.run import evaluate as measure

    measure(
        checkpoint=checkpoint,
        data=data,
        split=split,
        output=output,
        truth=truth,
        map=map,
        **vars(shared),
    )


def predict_split(
    *,
    checkpoint: str,
    data: str,
    split: str,
    output: str,
    format: Literal["csv"] | Challenge = "csv",
    **options: Any,
) -> None:
    """Write calibrated probabilities for every picture of a split.

    Args:
        checkpoint: folder, or ORG/NAME@REVISION.
        data: folder or Hub id.
        split: name of the split.
        output: CSV file.
        format: csv, or the submission of an ISIC challenge.
    """
    shared = Verified(**options)
    from train.evaluate.run import predict

    predict(
        checkpoint=checkpoint,
        data=data,
        split=split,
        output=output,
        format=format,
        **vars(shared),
    )


def score(*, submission: str, truth: str, output: str | None = None) -> None:
    """Score a submission as the ISIC challenges do.

    Args:
        submission: CSV file that predict-split wrote.
        truth: the challenge's ground truth, CSV.
        output: JSON file for the figures.
    """
    from train.evaluate.isic import score as grade

    grade(submission=submission, truth=truth, output=output)


def ood(
    *,
    checkpoint: str,
    data: str,
    split: str,
    ood: str,
    output: str,
    fit_data: str | None = None,
    fit_split: str = "train",
    max_pictures: int = 3000,
    manifest: str = "",
    **options: Any,
) -> None:
    """Measure how well pictures that are not skin are rejected.

    Args:
        checkpoint: folder, or ORG/NAME@REVISION.
        data: folder or Hub id, with pictures of skin.
        split: name of its split.
        ood: folder with pictures that are not skin.
        output: folder for ood.json.
        fit_data: training data, to fit published detectors on for comparison (extra "eval").
        fit_split: its split.
        max_pictures: cap on --fit-data and on each split of --ood.
        manifest: hash manifest that the pictures of --data must match.
    """
    shared = Reading(**options)
    from train.evaluate.ood import ood as measure

    measure(
        checkpoint=checkpoint,
        data=data,
        split=split,
        ood=ood,
        output=output,
        fit_data=fit_data,
        fit_split=fit_split,
        max_pictures=max_pictures,
        manifest=manifest,
        **vars(shared),
    )


def benchmark(
    name: Literal["fitzpatrick17k", "pad_ufes_20", "ddi", "scin"],
    *,
    data: str,
    checkpoint: str,
    output: str,
    backbone: str = "resnet50",
    stride_in_1x1: bool = False,
    splits: str | None = None,
    **options: Any,
) -> None:
    """Run a public benchmark.

    docs/benchmarks.md describes the benchmarks.

    Args:
        name: which one.
        data: folder or Hub id of its pictures.
        checkpoint: checkpoint; for a linear probe, weights as for fit --init also work.
        output: folder for metrics.json.
        backbone: as for fit; not needed for a checkpoint.
        stride_in_1x1: as for fit; not needed for a checkpoint.
        splits: folder for the fitzpatrick17k protocols as data sets, to train on.
    """
    shared = Reading(**options)
    from train.benchmark.run import benchmark as measure

    measure(
        name=name,
        data=data,
        checkpoint=checkpoint,
        output=output,
        backbone=backbone,
        stride_in_1x1=stride_in_1x1,
        splits=splits,
        **vars(shared),
    )


def card(
    *,
    checkpoint: str,
    notes: str,
    run: str | None = None,
    metrics: Sequence[str] = (),
    ood: str | None = None,
    calibration: str | None = None,
    sources: str | None = None,
) -> None:
    """Write a checkpoint's model card from its metrics.

    Args:
        checkpoint: checkpoint folder.
        notes: Markdown file on data and terms.
        run: folder of its training run; default: keep the card's existing section on training.
        metrics: metrics.json files of this checkpoint.
        ood: ood.json file of this checkpoint.
        calibration: calibration.json file of this checkpoint.
        sources: JSON file on training without each source in turn.
    """
    from train.report.card import write_card

    write_card(
        checkpoint=checkpoint,
        notes=notes,
        run=run,
        metrics=metrics,
        ood=ood,
        calibration=calibration,
        sources=sources,
    )


def validate(
    *,
    checkpoint: str,
    data: str,
    output: str,
    split: str = "test",
    min_accuracy: float | None = None,
    min_top3: float | None = None,
    min_sensitivity: float | None = None,
    min_specificity: float | None = None,
    min_coverage: float | None = None,
    max_rejected: float | None = None,
    **options: Any,
) -> int:
    """Measure a checkpoint on your own pictures, against what you require; the exit status is 3 for a no-go.

    A requirement is met if the worse end of the 95 % interval meets it. Set them before you measure.

    Args:
        checkpoint: folder, or ORG/NAME@REVISION.
        data: folder or Hub id of labelled pictures that the model has never seen.
        output: folder for validation.json and validation.md.
        split: name of the split.
        min_accuracy: smallest share of pictures whose first label is right.
        min_top3: smallest share with the right label among the first three.
        min_sensitivity: smallest share of cancers and precursors for which the advice comes first.
        min_specificity: smallest share of other pictures without that advice.
        min_coverage: smallest share of pictures whose prediction set holds the right label.
        max_rejected: largest share of pictures of a condition that are rejected.
    """
    shared = Reading(**options)
    from train.evaluate.validate import validate as measure

    bounds = {
        "accuracy": min_accuracy,
        "top3": min_top3,
        "sensitivity": min_sensitivity,
        "specificity": min_specificity,
        "coverage": min_coverage,
        "rejected": max_rejected,
    }
    met = measure(
        checkpoint=checkpoint,
        data=data,
        split=split,
        output=output,
        required={name: bound for name, bound in bounds.items() if bound is not None},
        **vars(shared),
    )
    return 0 if met else 3

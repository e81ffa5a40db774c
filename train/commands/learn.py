"""Commands that train, compare recipes and calibrate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from model.labels import NO_CONDITION
from train.commands.types import Reading, Verified
from train.config import TrainConfig


def fit(**options: Any) -> None:
    """Train a network and write its checkpoint."""
    config = TrainConfig(**options)
    from train.finish import fit_checkpoint

    fit_checkpoint(config)


def crossval(*, folds: int = 5, views: int = 2, **options: Any) -> None:
    """Cross-validate a recipe on cached features of its frozen stages.

    Args:
        folds: number of folds.
        views: augmented views of each picture.
    """
    config = TrainConfig(**options)
    from train.ablate.crossval import cross_validate

    cross_validate(config, folds=folds, views=views)


def ablate(
    *, plan: str, data: list[str], init: str, output: str, maps: str, report: str, only: str = ""
) -> None:
    """Compare recipes under one small budget, following a plan.

    Args:
        plan: YAML file, such as train/ablations.yaml.
        data: folders or Hub ids.
        init: initial weights, as for fit.
        output: folder for the figures of the rows.
        maps: folder for cached features, several gigabytes.
        report: Markdown file for the table.
        only: regular expression; train only rows whose "TITLE/ROW" matches.
    """
    from train.ablate.run import ablate as compare

    compare(plan=plan, data=data, init=init, output=output, maps=maps, report=report, only=only)


def calibrate(
    *,
    checkpoint: str,
    data: list[str],
    split: str = "validation",
    fit_split: str = "train",
    output: str | None = None,
    not_skin: Sequence[str] = (),
    detector_pictures: int = TrainConfig.detector_pictures,
    keep: float = TrainConfig.keep,
    uncertain_accuracy: float = TrainConfig.uncertain_accuracy,
    malignant_sensitivity: float = TrainConfig.malignant_sensitivity,
    **options: Any,
) -> None:
    """Recalibrate a checkpoint: temperature, thresholds and prediction sets.

    Args:
        checkpoint: folder; its config.json and detector are rewritten, its weights are not.
        data: folders or Hub ids.
        split: labelled pictures that the weights were not trained on.
        fit_split: split that the weights were trained on, for the detector.
        output: folder for calibration.json.
        not_skin: sources of pictures that show no skin, as for fit; without any there is no detector.
        detector_pictures: the most training pictures of skin used for the detector.
        keep: share of pictures with a condition that should be neither rejected nor called no condition.
        uncertain_accuracy: wanted accuracy of answers that are not called uncertain.
        malignant_sensitivity: share of lesions that may be cancer for which the advice comes first.
    """
    shared = Verified(**options)
    from train.calibrate.run import recalibrate

    recalibrate(
        checkpoint=checkpoint,
        data=data,
        split=split,
        fit_split=fit_split,
        output=output,
        not_skin=not_skin,
        detector_pictures=detector_pictures,
        keep=keep,
        uncertain_accuracy=uncertain_accuracy,
        malignant_sensitivity=malignant_sensitivity,
        **vars(shared),
    )


def gate(
    *,
    checkpoint: str,
    clinical: list[str],
    dermoscopy: list[str],
    expects: Literal["clinical", "dermoscopy"],
    clinical_split: str = "validation",
    dermoscopy_split: str = "validation",
    pictures: int = 300,
    **options: Any,
) -> None:
    """Teach a checkpoint to tell clinical photographs from dermoscopy.

    Args:
        checkpoint: folder; its config.json and gate are written, its weights stay.
        clinical: folders or Hub ids of clinical photographs.
        dermoscopy: folders or Hub ids of dermoscopy.
        expects: what the checkpoint's network learned from.
        clinical_split: photographs that the weights were not trained on.
        dermoscopy_split: dermoscopy that the weights were not trained on.
        pictures: at most so many of each source.
    """
    shared = Reading(**options)
    from train.calibrate.gate import make_gate

    make_gate(
        checkpoint=checkpoint,
        clinical=clinical,
        dermoscopy=dermoscopy,
        expects=expects,
        clinical_split=clinical_split,
        dermoscopy_split=dermoscopy_split,
        pictures=pictures,
        **vars(shared),
    )


def reference(
    *,
    checkpoint: str,
    data: list[str],
    split: str = "validation",
    **options: Any,
) -> None:
    """Give a checkpoint what drift is measured against: a few numbers about each picture of a split.

    Args:
        checkpoint: folder; its config.json and reference are written, its weights stay.
        data: folders or Hub ids; labels are not needed.
        split: pictures that the weights were not trained on.
    """
    shared = Reading(**options)
    from train.calibrate.reference import make_reference

    make_reference(checkpoint=checkpoint, data=data, split=split, **vars(shared))


def shift(*, checkpoint: str, output: str, by: float, label: str = NO_CONDITION) -> None:
    """Write a copy of a checkpoint that finds one label more (or less) often; run calibrate afterwards.

    Args:
        checkpoint: folder, or ORG/NAME@REVISION.
        output: folder to write.
        by: is added to the label's logit; choose it on validation.
        label: one of the checkpoint's labels.
    """
    from train.calibrate.shift import shift as moved

    moved(source=checkpoint, label=label, by=by, output=output)

"""The rule that turns logits into an answer, fitted on pictures whose labels are known."""

from __future__ import annotations

import dataclasses

import datasets
import numpy as np
from numpy.typing import NDArray

from model.config import ModelConfig
from model.decision.calibration import fit_temperature, softmax
from model.decision.malignancy import choose_malignant_bound
from model.decision.ood import Detector
from model.decision.rejection import choose_thresholds, choose_uncertain_bound, rejection_margin
from model.labels import NO_CONDITION
from train.calibrate.conformal import fit_set_quantile, has_mapie
from train.inference import Outputs


@dataclasses.dataclass(frozen=True)
class Answers:
    """What a network says of labelled pictures.

    Attributes:
        logits: (N, K).
        labels: true class numbers, (N,).
        groups: pictures of one series or patient share a name, (N,).
        sources, skin_types: where a picture is from and its Fitzpatrick type, None where not known, (N,).
        unusualness: 0 to 1, (N,); None without a detector.
    """

    logits: NDArray[np.float64]
    labels: NDArray[np.int64]
    groups: NDArray[np.object_]
    sources: NDArray[np.object_]
    skin_types: NDArray[np.object_]
    unusualness: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, rows: datasets.Dataset, outputs: Outputs, detector: Detector | None = None) -> Answers:
        """The network's outputs for the rows that ``train.data.splits`` gave, in their order."""
        own = [group or f"row {row}" for row, group in enumerate(rows["group"])]
        groups, sources, skin_types = (
            np.asarray(list(values), dtype=object) for values in (own, rows["source"], rows["skin_type"])
        )
        unusualness = None if detector is None else detector.unusualness(outputs.features)
        return cls(outputs.logits, np.asarray(rows["label"]), groups, sources, skin_types, unusualness)

    def take(self, rows: NDArray[np.int64]) -> Answers:
        """The pictures at these positions."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        taken = {name: value[rows] for name, value in values.items() if value is not None}
        return dataclasses.replace(self, **taken)


@dataclasses.dataclass(frozen=True)
class Aims:
    """What the thresholds are chosen for; shares from 0 to 1, see ``train.config.TrainConfig``."""

    keep: float
    uncertain_accuracy: float
    malignant_sensitivity: float


def fit_rule(answers: Answers, model_config: ModelConfig, aims: Aims) -> ModelConfig:
    """The configuration, completed with what these pictures teach.

    Temperature first, then both rejection thresholds; of the pictures that are not rejected, the bound under
    which an answer is called uncertain and the quantile of the prediction sets, which therefore hold what
    they promise among the answers that are given; the bound for the advice to see a doctor of all pictures.
    Without MAPIE there is no quantile.
    """
    labels = answers.labels
    temperature = fit_temperature(answers.logits, labels)
    probabilities = softmax(answers.logits, temperature)
    names = np.asarray(model_config.labels)[labels]
    ill, unusualness = names != NO_CONDITION, answers.unusualness
    thresholds = choose_thresholds(
        probabilities[ill],
        model_config,
        keep=aims.keep,
        unusualness=None if unusualness is None else unusualness[ill],
    )
    rule = dataclasses.replace(model_config, temperature=temperature, **thresholds._asdict())
    kept = rejection_margin(probabilities, rule, unusualness) <= 0
    return dataclasses.replace(
        rule,
        uncertain_below=choose_uncertain_bound(
            probabilities[kept], labels[kept], accuracy=aims.uncertain_accuracy
        ),
        malignant_from=choose_malignant_bound(
            probabilities, labels, model_config, sensitivity=aims.malignant_sensitivity
        ),
        set_quantile=fit_set_quantile(probabilities[kept], labels[kept]) if has_mapie() else 1.0,
    )

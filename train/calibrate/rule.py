"""Fit the rule that turns logits into a verdict on pictures with known classes."""

from __future__ import annotations

import dataclasses

from model.config import ModelConfig
from model.decision.calibration import fit_temperature
from model.decision.malignancy import choose_malignant_bound
from model.decision.rejection import choose_thresholds, choose_uncertain_bound
from train.calibrate.conformal import fit_set_quantile, has_mapie
from train.evaluate.bootstrap import group_sizes, number_groups
from train.predictions import Predictions


@dataclasses.dataclass(frozen=True)
class Aims:
    """The aims for the thresholds; shares from 0 to 1, see ``train.config.TrainConfig``."""

    keep: float
    uncertain_accuracy: float
    malignant_sensitivity: float


def fit_rule(predictions: Predictions, model_config: ModelConfig, aims: Aims) -> ModelConfig:
    """Complete the configuration with values fitted on these pictures.

    Temperature first, then both rejection thresholds; of the pictures that are not rejected, the bound under
    which an answer is called uncertain and the quantile of the prediction sets, which therefore hold what
    they promise among the answers that are given; the bound for the advice to see a doctor of all pictures,
    where every group of related ones, such as those of one lesion, counts as one.
    Without MAPIE there is no quantile.
    """
    temperature = fit_temperature(predictions.logits, predictions.targets)
    predictions = predictions.at_temperature(temperature)
    ill = predictions.take(predictions.has_condition)
    rule = choose_thresholds(
        ill.probabilities,
        dataclasses.replace(model_config, temperature=temperature),
        keep=aims.keep,
        unusualness=ill.unusualness,
    )
    kept = predictions.take(~predictions.rejected(rule))
    malignant = predictions.take(predictions.malignant)
    return dataclasses.replace(
        rule,
        uncertain_below=choose_uncertain_bound(
            kept.probabilities, kept.targets, accuracy=aims.uncertain_accuracy
        ),
        malignant_from=choose_malignant_bound(
            malignant.probabilities,
            model_config,
            sensitivity=aims.malignant_sensitivity,
            weights=1 / group_sizes(number_groups(malignant.groups)),
        ),
        set_quantile=fit_set_quantile(kept) if has_mapie() else 1.0,
    )

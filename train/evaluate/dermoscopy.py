"""Mapping between the 22 groups of clinical photographs and the labels of dermoscopy.

SkinCancer combines labels that HAM10000 and ISIC 2019 separate, so a model of the 22 groups can only be
scored on groups of labels. ``docs/datasets.md`` shows this table with reasons; a test keeps the two equal.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from model.config import ModelConfig
from model.decision.rejection import unknown_margin
from model.errors import ConfigError
from model.labels import condition
from train.evaluate.metrics import bootstrap_intervals, mean_recall
from train.predictions import Predictions


class Group(NamedTuple):
    """Labels that mean the same on both sides.

    Attributes:
        clinical: labels among the 22.
        dermoscopy: labels of HAM10000 and ISIC 2019 together; each is in one group.
    """

    clinical: tuple[str, ...]
    dermoscopy: tuple[str, ...]


GROUPS: dict[str, Group] = {
    "actinic keratosis": Group(("Actinic_Keratosis",), ("akiec", "ak")),
    "skin cancer": Group(("SkinCancer",), ("mel", "bcc", "scc")),
    "mole": Group(("Moles",), ("nv",)),
    "benign keratosis": Group(("Seborrh_Keratoses", "Sun_Sunlight_Damage"), ("bkl",)),
    "benign growth": Group(("Benign_tumors",), ("df",)),
    "blood vessels": Group(("Vascular_Tumors",), ("vasc",)),
}

DERMOSCOPY_LABELS = {
    "isic2018": ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"),
    "isic2019": ("ak", "bcc", "bkl", "df", "mel", "nv", "scc", "vasc"),
}
"""The labels that the data of a cross-modality test must have."""


CLINICAL_LABELS = frozenset(name for group in GROUPS.values() for name in group.clinical)


def check_mappable(config: ModelConfig) -> None:
    """Raise ``ConfigError`` if a model lacks a label of the groups."""
    lacking = sorted(CLINICAL_LABELS - set(config.labels))
    if lacking:
        raise ConfigError(
            f"The checkpoint has no {', '.join(lacking)}, which the mapping needs.",
            hint="--map is for models of the 22 clinical groups; leave it out.",
        )


def mapped_metrics(
    predictions: Predictions, config: ModelConfig, *, truth_names: Sequence[str]
) -> dict[str, Any]:
    """Metrics of a model for clinical photographs on dermoscopy, over ``GROUPS``.

    The probability of a group is the sum over its labels; a label in no group counts as a wrong answer
    whenever it is the most probable. Rejection is counted but does not change the answer.

    Args:
        predictions: of the model, but with targets that are positions in ``truth_names``; the groups are
            lesions.
        config: of the model; ``check_mappable`` holds.
        truth_names: a value of ``DERMOSCOPY_LABELS``.

    Returns:
        ``n``; ``balanced_accuracy`` and ``accuracy`` with their ``intervals``; ``forced``, the same for the
        forced analysis, where the answer must be one of the groups; ``malignant``, ``sensitivity`` and
        ``specificity`` of an answer that is cancer or its precursor; counts of pictures that are
        ``rejected``, called ``no_condition``, or given to ``no_group``; ``per_group``.
    """
    position = {name: number for number, name in enumerate(config.labels)}
    columns = [[position[name] for name in group.clinical] for group in GROUPS.values()]
    columns += [[position[name]] for name in config.labels if name not in CLINICAL_LABELS]
    names = [*GROUPS, *(name for name in config.labels if name not in CLINICAL_LABELS)]
    group_of = {name: number for number, group in enumerate(GROUPS.values()) for name in group.dermoscopy}
    folded = dataclasses.replace(
        predictions,
        class_names=tuple(names),
        probabilities=np.stack(
            [predictions.probabilities[:, members].sum(axis=1) for members in columns], axis=1
        ),
        targets=np.array([group_of[name] for name in truth_names])[predictions.targets],
    )
    forced = dataclasses.replace(
        folded, class_names=tuple(GROUPS), probabilities=folded.probabilities[:, : len(GROUPS)]
    )
    truth, answer = folded.targets, folded.answers
    malignant = [
        number for number, group in enumerate(GROUPS.values()) if condition(group.clinical[0]).malignant
    ]
    ill, called_ill = np.isin(truth, malignant), np.isin(answer, malignant)
    rejected = predictions.rejected(config)
    return {
        "n": len(predictions),
        **_accuracies(folded),
        "forced": _accuracies(forced),
        "malignant": {
            "n": int(ill.sum()),
            "sensitivity": float(called_ill[ill].mean()) if ill.any() else None,
            "specificity": float((~called_ill[~ill]).mean()) if not ill.all() else None,
        },
        "rejected": int(rejected.sum()),
        "no_condition": int((~rejected & (unknown_margin(predictions.probabilities, config) > 0)).sum()),
        "no_group": int((answer >= len(GROUPS)).sum()),
        "per_group": {
            name: {
                "n": int((truth == number).sum()),
                "recall": float((answer[truth == number] == number).mean()),
                "rejected": int(rejected[truth == number].sum()),
            }
            for number, name in enumerate(GROUPS)
            if (truth == number).any()
        },
    }


def _accuracies(folded: Predictions) -> dict[str, Any]:
    intervals = bootstrap_intervals(folded)
    return {
        "balanced_accuracy": mean_recall(folded),
        "accuracy": float(folded.right.mean()),
        "intervals": {name: intervals[name] for name in ("balanced_accuracy", "accuracy")},
    }

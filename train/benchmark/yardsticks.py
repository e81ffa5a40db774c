"""The public benchmarks, each with its own protocol; ``docs/benchmarks.md`` describes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.decision.malignancy import malignant_labels, malignant_probability
from model.errors import ConfigError, DataError
from model.hub import is_reference
from train.benchmark.figures import Figure, by_tone, figure, figures, share, shares
from train.benchmark.fitzpatrick import CLASSES, SKIN_TYPES, protocols, read_pictures, write_splits
from train.benchmark.task import Result, Task, expected, features, opened, out_of_fold, predictions
from train.data import test_sets
from train.evaluate.bootstrap import number_groups, share_interval
from train.evaluate.measure import open_checkpoint, predictions_of
from train.evaluate.metrics import mean_recall
from train.evaluate.per_class import separation
from train.predictions import Predictions, members
from train.probe import grouped_folds, probe

SCIN_CASES = 20
"""A condition of SCIN is a class if it leads in at least so many cases."""


def _fitzpatrick17k(task: Task) -> Result:
    """Probe each of the four protocols."""
    pictures = read_pictures(task.data, task.max_unreadable)
    parts = protocols(pictures)
    if task.splits is not None:
        write_splits(Path(task.splits), pictures, parts)
    values = features(task, pictures.rows)
    targets = np.eye(len(pictures.classes))[pictures.targets]
    table, measured = [], {}
    for name, part in parts.items():
        probed = probe(values, targets, part, what=name)
        own = predictions(probed.probabilities, pictures.targets, pictures.rows, part.test, pictures.classes)
        unseen = pictures.split[part.test] != "train"
        classes = len(np.unique(pictures.targets[part.train]))
        measured[name] = {
            **{kind: len(numbers) for kind, numbers in part._asdict().items()},
            "classes": classes,
            "strength": probed.strength,
            **figures(own),
            "outside_train": share(own, unseen),
            "by_skin_type": shares(own, members(own.skin_types)),
        }
        what = f"Fitzpatrick17k, {'random' if name == 'random' else f'trained on {name}'}, {classes} classes"
        table.append(figure(own, what, "accuracy"))
        if name != "random" and measured[name]["outside_train"]:
            part_of = measured[name]["outside_train"]
            what = f"{what}, pictures outside the split train"
            table.append(Figure(what, part_of["n"], "accuracy", part_of["accuracy"], part_of["interval"]))
    metrics = {
        "pictures": len(pictures.rows),
        "unreadable": pictures.unreadable,
        "classes": pictures.classes,
        "classes_of_protocol": len(CLASSES),
        "protocols": measured,
    }
    return Result(table, metrics)


def _pad_ufes_20(task: Task) -> Result:
    """Probe the six diagnoses in five folds by patient."""
    names = tuple(test_sets.PAD_LABELS.values())
    rows, unreadable = opened(task, expected(task, "PAD-UFES-20"), names)
    targets = np.asarray(rows["label"], dtype=np.int64)
    folds = grouped_folds(targets, number_groups(rows["group"]))
    probabilities, strengths = out_of_fold(features(task, rows), np.eye(len(names))[targets], folds)
    own = predictions(probabilities, targets, rows, np.arange(len(rows)), names)
    by_fold = [mean_recall(own.take(fold.test)) for fold in folds]
    metrics = {
        "n": len(rows),
        "patients": len(set(rows["group"])),
        "unreadable": len(unreadable),
        "classes": names,
        "strengths": strengths,
        **figures(own),
        "balanced_accuracy_by_fold": by_fold,
        "by_skin_type": shares(own, by_tone(own)),
    }
    return Result([figure(own, "PAD-UFES-20, 5 folds by patient", "balanced_accuracy")], metrics)


def _ddi(task: Task) -> Result:
    """AUROC of a checkpoint's probability of cancer for malignant against benign, by skin tone."""
    data = expected(task, "DDI")
    if not (Path(task.weights.init).is_dir() or is_reference(task.weights.init)):
        raise ConfigError(
            f"{task.weights.init} is not a checkpoint.",
            hint="DDI is for testing only, even for a probe: give a checkpoint that predicts diagnoses.",
        )
    loaded = open_checkpoint(task.weights.init, task.weights.device)
    if not malignant_labels(loaded.config):
        raise ConfigError(
            f"None of the labels of {loaded.id} may be cancer.",
            hint="Give a checkpoint with such labels, such as that of the 22 groups.",
        )
    rows, unreadable = opened(task, data, test_sets.DDI_LABELS)
    answers = predictions_of(loaded, rows)
    scores = malignant_probability(answers.probabilities, loaded.config)
    malignant = answers.targets == test_sets.DDI_LABELS.index("malignant")
    warned = answers.warned(loaded.config)
    tones = test_sets.ddi_tones(Path(data))
    tone_of = np.asarray([tones[name] for name in rows["id"]])
    everything = np.ones(len(rows), dtype=bool)
    by_tone = {}
    for name, chosen in {"all": everything, **{tone: tone_of == tone for tone in SKIN_TYPES}}.items():
        if chosen.any():
            alone = [None] * int(chosen.sum())  # patients are not named: every picture is its own group
            by_tone[name] = {
                **separation(scores[chosen], malignant[chosen], alone),
                "sensitivity": _share(warned[chosen & malignant]),
                "specificity": _share(~warned[chosen & ~malignant]),
            }
    table = [
        Figure(f"DDI, skin tone {name}", own["n"], "AUROC, malignant", own["auroc"], own["interval"])
        for name, own in by_tone.items()
        if own["auroc"] is not None
    ]
    about = {"revision": loaded.revision, "malignant_from": loaded.config.malignant_from}
    return Result(table, {**about, "unreadable": len(unreadable), "by_skin_tone": by_tone})


def _scin(task: Task) -> Result:
    """Probe in five folds by case, on the mean features of a case's pictures and its weighted labels."""
    data = expected(task, "SCIN")
    cases = test_sets.scin_cases(Path(data))
    rows, unreadable = opened(task, data, None)
    values = features(task, rows)
    names, case_of = np.unique(np.asarray(rows["group"]), return_inverse=True)
    counts = np.bincount(case_of)
    means = np.stack([np.bincount(case_of, column) for column in values.T], axis=1) / counts[:, None]
    leading = np.asarray([cases[name].leading for name in names])
    conditions, led = np.unique(leading, return_counts=True)
    classes = [str(name) for name in conditions[led >= SCIN_CASES]]
    kept = np.flatnonzero(np.isin(leading, classes))
    if len(classes) < 2:
        raise DataError(
            f"{len(classes)} conditions lead in {SCIN_CASES} cases or more; a probe needs two.",
            hint="Give the whole data set.",
        )
    chosen = [cases[name] for name in names[kept]]
    weights = np.asarray([[case.weights.get(name, 0.0) for name in classes] for case in chosen])
    targets = np.asarray([classes.index(case.leading) for case in chosen], dtype=np.int64)
    folds = grouped_folds(targets, np.arange(len(kept)))
    probabilities, strengths = out_of_fold(means[kept].astype(np.float32), weights, folds)
    own = Predictions.of(
        classes,
        probabilities,
        targets,
        groups=names[kept],
        skin_types=[case.skin_type for case in chosen],
    )
    monk = np.asarray([case.monk or 0 for case in chosen])
    metrics = {
        "cases": len(kept),
        "cases_left_out": len(names) - len(kept),
        "pictures": int(counts[kept].sum()),
        "unreadable": len(unreadable),
        "classes": classes,
        "strengths": strengths,
        **figures(own),
        "weighted_accuracy": float(weights[np.arange(len(kept)), own.answers].mean()),
        "by_efst": shares(own, by_tone(own)),
        "by_emst": shares(own, {str(tone): monk == tone for tone in range(1, 11)}),
    }
    what = f"SCIN, 5 folds by case, {len(classes)} conditions"
    return Result([figure(own, what, metric) for metric in ("accuracy", "top3_accuracy")], metrics)


def _share(hits: NDArray[np.bool_]) -> dict[str, Any] | None:
    if not len(hits):
        return None
    return {"share": float(hits.mean()), "interval": share_interval(hits, np.arange(len(hits)))}


YARDSTICKS: dict[str, Callable[[Task], Result]] = {
    "fitzpatrick17k": _fitzpatrick17k,
    "pad_ufes_20": _pad_ufes_20,
    "ddi": _ddi,
    "scin": _scin,
}

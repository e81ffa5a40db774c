"""``benchmark``: public benchmarks, each with its own protocol."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import numpy as np
from numpy.typing import NDArray

from model.decision.malignancy import malignant_labels, malignant_probability
from model.errors import ConfigError, DataError
from model.files import write_json
from model.hub import is_reference
from train.benchmark.figures import Figure, by_tone, figure, figures, share, shares
from train.benchmark.fitzpatrick import CLASSES, SKIN_TYPES, protocols, read_pictures, write_splits
from train.data import test_sets
from train.data.rows import Opened, open_rows
from train.data.splits import picture_bytes
from train.evaluate.bootstrap import number_groups, share_interval
from train.evaluate.measure import open_checkpoint, predictions_of
from train.evaluate.metrics import mean_recall
from train.evaluate.per_class import separation
from train.predictions import Predictions, members
from train.probe import Part, Weights, cached_features, grouped_folds, probe
from train.report.tables import markdown_table, with_interval

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SCIN_CASES = 20
"""A condition of SCIN is a class if it leads in at least so many cases."""


class Task(NamedTuple):
    """The arguments of a benchmark; fields as for ``benchmark``."""

    data: str
    output: Path
    weights: Weights
    max_unreadable: float
    splits: str | None


class Result(NamedTuple):
    """The lines for the table, and the content of ``metrics.json``."""

    table: list[Figure]
    metrics: dict[str, Any]


def benchmark(
    *,
    name: str,
    data: str,
    checkpoint: str,
    output: str,
    backbone: str,
    stride_in_1x1: bool,
    device: str,
    max_unreadable: float,
    splits: str | None = None,
) -> None:
    """Write ``OUTPUT/metrics.json`` and print its main metrics as a Markdown table.

    Args:
        name: a key of ``YARDSTICKS``.
        data: its data set.
        checkpoint: a checkpoint; a linear probe also accepts weights, as ``fit --init``.
        output: a folder; it caches the features of a probe, so a killed run can continue.
        backbone, stride_in_1x1: as for ``fit``; not needed for a checkpoint.
        device: auto, cpu, cuda or mps.
        max_unreadable: largest share of unreadable pictures, 0 to 1.
        splits: a folder for the fitzpatrick17k protocols as data sets for ``fit`` and ``evaluate``.

    Raises:
        ConfigError, CheckpointError, DataError: an option, the checkpoint or the data set is wrong.
    """
    if splits is not None and name != "fitzpatrick17k":
        raise ConfigError(
            f"--splits was given for {name}.", hint="Only fitzpatrick17k has parts that are trained on."
        )
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    weights = Weights(checkpoint, backbone, stride_in_1x1, device)
    table, metrics = YARDSTICKS[name](Task(data, folder, weights, max_unreadable, splits))
    about = {"benchmark": name, "data": Path(data).name, "weights": Path(checkpoint).name}
    write_json(folder / "metrics.json", {**about, "table": [line._asdict() for line in table], **metrics})
    rows = [
        (line.what, about["weights"], line.n, line.metric, with_interval(line.value, line.interval, digits=3))
        for line in table
    ]
    print(markdown_table(("Benchmark", "Weights", "n", "Measure", "Value"), rows))


def _fitzpatrick17k(task: Task) -> Result:
    """Probe each of the four protocols."""
    pictures = read_pictures(task.data, task.max_unreadable)
    parts = protocols(pictures)
    if task.splits is not None:
        write_splits(Path(task.splits), pictures, parts)
    features = _features(task, pictures.rows)
    targets = np.eye(len(pictures.classes))[pictures.labels]
    table, measured = [], {}
    for name, part in parts.items():
        probed = probe(features, targets, part, what=name)
        own = _predictions(probed.probabilities, pictures.labels, pictures.rows, part.test, pictures.classes)
        unseen = pictures.split[part.test] != "train"
        classes = len(np.unique(pictures.labels[part.train]))
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


def _predictions(
    probabilities: Floats, targets: Ints, rows: datasets.Dataset, numbers: Ints, class_names: Sequence[str]
) -> Predictions:
    """Predictions for some rows; ``probabilities`` are for these only, ``targets`` for all."""
    chosen = rows.select(numbers)
    return Predictions.of(
        class_names,
        probabilities,
        targets[numbers],
        groups=chosen["group"],
        skin_types=chosen["skin_type"],
    )


def _opened(task: Task, data: str, labels: Sequence[str] | None) -> Opened:
    return open_rows(
        [data],
        test_sets.SPLIT,
        labels=labels,
        max_unreadable=task.max_unreadable,
        labelled=labels is not None,
    )


def _pad_ufes_20(task: Task) -> Result:
    """Probe the six diagnoses in five folds by patient."""
    names = tuple(test_sets.PAD_LABELS.values())
    rows, unreadable = _opened(task, _expected(task, "PAD-UFES-20"), names)
    targets = np.asarray(rows["label"], dtype=np.int64)
    folds = grouped_folds(targets, number_groups(rows["group"]))
    probabilities, strengths = _out_of_fold(_features(task, rows), np.eye(len(names))[targets], folds)
    own = _predictions(probabilities, targets, rows, np.arange(len(rows)), names)
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
    data = _expected(task, "DDI")
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
    rows, unreadable = _opened(task, data, test_sets.DDI_LABELS)
    predictions = predictions_of(loaded, rows)
    scores = malignant_probability(predictions.probabilities, loaded.config)
    malignant = predictions.targets == test_sets.DDI_LABELS.index("malignant")
    warned = predictions.warned(loaded.config)
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
    data = _expected(task, "SCIN")
    cases = test_sets.scin_cases(Path(data))
    rows, unreadable = _opened(task, data, None)
    features = _features(task, rows)
    names, case_of = np.unique(np.asarray(rows["group"]), return_inverse=True)
    counts = np.bincount(case_of)
    means = np.stack([np.bincount(case_of, column) for column in features.T], axis=1) / counts[:, None]
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
    probabilities, strengths = _out_of_fold(means[kept].astype(np.float32), weights, folds)
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


YARDSTICKS: dict[str, Callable[[Task], Result]] = {
    "fitzpatrick17k": _fitzpatrick17k,
    "pad_ufes_20": _pad_ufes_20,
    "ddi": _ddi,
    "scin": _scin,
}


def _expected(task: Task, name: str) -> str:
    known = test_sets.recognise(Path(task.data))
    if known is None or not known.name.startswith(name):
        found = f"{known.name}" if known else "none of the sets that are for testing"
        raise DataError(
            f"{task.data} is {found}; {name} as it is downloaded is expected.",
            hint="docs/datasets.md says what its folder holds.",
        )
    return task.data


def _features(task: Task, rows: datasets.Dataset) -> NDArray[np.float32]:
    hashes = [hashlib.sha256(picture_bytes(record)).hexdigest() for record in rows]
    return cached_features(task.output, rows, hashes, task.weights)


def _out_of_fold(
    features: NDArray[np.float32], targets: Floats, folds: Sequence[Part]
) -> tuple[Floats, list[float]]:
    probabilities, strengths = np.zeros(targets.shape), []
    for number, fold in enumerate(folds, 1):
        probed = probe(features, targets, fold, what=f"fold {number}")
        probabilities[fold.test] = probed.probabilities
        strengths.append(probed.strength)
    return probabilities, strengths


def _share(hits: NDArray[np.bool_]) -> dict[str, Any] | None:
    if not len(hits):
        return None
    return {"share": float(hits.mean()), "interval": share_interval(hits, np.arange(len(hits)))}

"""The gate between clinical photographs and dermoscopy: fitted on augmented pictures, measured by source.

Resolution, sharpness and compression tell one collection from another, not one kind of picture from the
other, so the gate learns from pictures that were all shrunk and compressed at random.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from model.checkpoint import CONFIG, load
from model.config import ModelConfig
from model.decision.modality import GATE, Gate, Modality
from model.files import write_text
from model.image.augment import Transform, train_transform
from model.runtime.device import trusted_device
from train.data.loader import draw
from train.data.pictures import shown
from train.data.rows import open_rows
from train.evaluate.bootstrap import number_groups
from train.evaluate.per_class import separation
from train.inference import predict_rows
from train.predictions import Predictions, members

Bools = NDArray[np.bool_]
Features = NDArray[np.floating]

FOLDS = 5
STRENGTH = 0.01
"""``C`` of the logistic regression, on standardised features."""


class Kinds(NamedTuple):
    """Pictures of both kinds.

    Attributes:
        plain, augmented: features of the same N pictures as they are and augmented, (N, C).
        dermoscopy: which they are, (N,).
        sources, groups: as in ``Predictions``, (N,).
    """

    plain: Features
    augmented: Features
    dermoscopy: Bools
    sources: NDArray[np.object_]
    groups: NDArray[np.object_]


def make_gate(
    *,
    checkpoint: str,
    clinical: Sequence[str],
    dermoscopy: Sequence[str],
    expects: Modality,
    clinical_split: str,
    dermoscopy_split: str,
    pictures: int,
    device: str,
    max_unreadable: float,
) -> None:
    """Fits a gate, prints how well it does on sources left out, and adds it to a checkpoint.

    Args:
        checkpoint: the folder; its ``config.json`` and gate are written, its weights stay.
        clinical, dermoscopy: folders or Hub ids of pictures of each kind.
        expects: what the network learned from.
        clinical_split, dermoscopy_split: splits that it did not learn from: it knows its own pictures too
            well, which would tell the kinds apart and be of no use later.
        pictures: at most so many of each source.
        device: as in ``TrainConfig``.
        max_unreadable: as for ``open_rows``.

    Raises:
        DataError: as for ``open_rows``.
    """
    loaded = load(Path(checkpoint))
    chosen = trusted_device(device, loaded.network, size=loaded.config.input_size)
    parts = [
        part
        for names, split in ((clinical, clinical_split), (dermoscopy, dermoscopy_split))
        for part in [_drawn(names, split, pictures, max_unreadable)]
    ]
    rows = datasets.concatenate_datasets(parts)

    def predicted(transform: Transform | None) -> Predictions:
        return predict_rows(
            loaded.network, rows, loaded.config, device=chosen, what="gate", transform=transform
        )

    plain = predicted(None)
    kinds = Kinds(
        plain.features,
        predicted(augmentation(loaded.config)).features,
        np.arange(len(rows)) >= len(parts[0]),
        plain.sources,
        plain.groups,
    )
    figures = held_out(kinds)
    for source, found in figures.items():
        low, high = found["interval"] or (None, None)
        spread = "" if low is None else f" ({low:.4f} to {high:.4f})"
        print(
            f"{source} left out: AUROC {found['auroc']:.4f}{spread}, {found['right']:.1%} of its "
            f"{found['own']} pictures told right."
        )
    gate = fit(kinds.augmented, kinds.dermoscopy, expects=expects, figures=figures)
    gate.save(loaded.folder)
    write_text(loaded.folder / CONFIG, dataclasses.replace(loaded.config, gate=GATE).to_json())


def augmentation(config: ModelConfig) -> Transform:
    """Every picture is cropped, turned, shrunk and compressed at random, whatever collection it is from."""
    return train_transform(
        config=config,
        size=config.input_size,
        min_scale=0.5,
        color_jitter=0.2,
        white_balance=0.1,
        grayscale=0.0,
        blur=0.2,
        downscale=1.0,
        compress=1.0,
        erase=0.0,
        quarter_turns=True,
    )


def held_out(kinds: Kinds) -> dict[str, dict[str, Any]]:
    """How well a gate does on each source that it was not fitted on.

    A gate is fitted on augmented pictures without the source and without one of ``FOLDS`` parts, drawn by
    group, of the other kind; plain pictures of both are then told apart. A kind's only source is not left
    out, nor any where the other kind has too few groups to be divided.

    Returns:
        Source → ``own``, its pictures; ``right``, the share of them told right; and the ``separation``.
    """
    group_of = number_groups(kinds.groups)
    fold_of = np.random.default_rng(0).permutation(group_of.max() + 1)[group_of] % FOLDS
    found = {}
    for number, (source, own) in enumerate(members(kinds.sources).items()):
        same = kinds.dermoscopy == kinds.dermoscopy[own][0]
        held = own | (~same & (fold_of == number % FOLDS))
        if not ((same & ~own).any() and (held & ~same).any() and (~held & ~same).any()):
            continue
        gate = fit(kinds.augmented[~held], kinds.dermoscopy[~held], expects="clinical")
        chances = gate.dermoscopy(kinds.plain)
        right = (chances > 0.5) == kinds.dermoscopy
        found[source] = {
            "own": int(own.sum()),
            "right": float(right[own].mean()),
            **separation(chances[held], kinds.dermoscopy[held], list(kinds.groups[held])),
        }
    return found


def fit(
    features: Features, dermoscopy: Bools, *, expects: Modality, figures: dict[str, Any] | None = None
) -> Gate:
    """A logistic regression with an L2 penalty, both kinds weighing the same.

    Args:
        features: (N, C). dermoscopy: which rows are, (N,); there are rows of both kinds.
        expects, figures: of the gate.
    """
    scaler = StandardScaler().fit(features)
    fitted = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=1000)
    fitted.fit(scaler.transform(features), dermoscopy)
    weights = fitted.coef_[0] / scaler.scale_
    return Gate(
        weights.astype(np.float32),
        (fitted.intercept_ - weights @ scaler.mean_).astype(np.float32),
        expects,
        figures or {},
    )


def _drawn(names: Sequence[str], split: str, pictures: int, max_unreadable: float) -> datasets.Dataset:
    """At most so many rows of every source; rows that name none are of their data set."""
    parts = []
    for name in names:
        rows = open_rows([name], split, labels=None, max_unreadable=max_unreadable, labelled=False).rows
        known = [source or shown(Path(name).name) for source in rows["source"]]
        rows = rows.remove_columns("source").add_column("source", known)
        parts += [draw(rows.select(np.flatnonzero(own)), pictures) for own in members(known).values()]
    return datasets.concatenate_datasets([part.select_columns(sorted(part.column_names)) for part in parts])

"""``Predictions``: a network's predictions for many pictures, with their labels and metadata."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import datasets
import numpy as np
from numpy.typing import NDArray

from model.config import ModelConfig
from model.decision.calibration import softmax
from model.decision.malignancy import warned
from model.decision.ood import Detector
from model.decision.rejection import detected, max_probability, rejected
from model.labels import NO_CONDITION, condition

Floats = NDArray[np.float64]
Features = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Objects = NDArray[np.object_]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Predictions:
    """One row per picture; created by ``of`` and ``of_rows``.

    Attributes:
        class_names: in the order of the K columns.
        probabilities: (N, K), each row sums to 1.
        targets: true class indices, (N,); -1 if the true class is not known.
        groups: pictures of one series or patient share a name, (N,).
        sources, skin_types: a picture's source and Fitzpatrick type, None if not known, (N,).
        logits: uncalibrated, (N, K); (N, 0) if the probabilities are not from a network.
        features: the backbone's last map averaged over locations, (N, C); (N, 0) if they are not kept.
        unusualness: 0 to 1, (N,), see ``model.decision.ood``; None without a detector.
    """

    class_names: tuple[str, ...]
    probabilities: Floats
    targets: Ints
    groups: Objects
    sources: Objects
    skin_types: Objects
    logits: Floats
    features: Features
    unusualness: Floats | None = None

    @classmethod
    def of(
        cls,
        class_names: Sequence[str],
        probabilities: Floats,
        targets: Iterable[int],
        *,
        groups: Iterable[str | None] | None = None,
        sources: Iterable[str | None] | None = None,
        skin_types: Iterable[int | None] | None = None,
        logits: Floats | None = None,
        features: Features | None = None,
        unusualness: Floats | None = None,
    ) -> Predictions:
        """Create from arrays or lists; a group of None becomes a group of its own."""
        unknown = [None] * len(probabilities)
        own = [group or f"row {row}" for row, group in enumerate(unknown if groups is None else groups)]
        return cls(
            class_names=tuple(class_names),
            probabilities=probabilities,
            targets=np.asarray(targets, dtype=np.int64),
            groups=_objects(own),
            sources=_objects(unknown if sources is None else sources),
            skin_types=_objects(unknown if skin_types is None else skin_types),
            logits=np.empty((len(unknown), 0)) if logits is None else logits,
            features=np.empty((len(unknown), 0), dtype=np.float32) if features is None else features,
            unusualness=unusualness,
        )

    @classmethod
    def of_rows(
        cls,
        rows: datasets.Dataset,
        config: ModelConfig,
        logits: Floats,
        features: Features | None = None,
        detector: Detector | None = None,
    ) -> Predictions:
        """Create from a network's output for rows of ``train.data.splits``, in their order."""
        return cls.of(
            config.labels,
            softmax(logits, config.temperature),
            rows["label"],
            groups=rows["group"],
            sources=rows["source"],
            skin_types=rows["skin_type"],
            logits=logits,
            features=features,
            unusualness=None if detector is None or features is None else detector.unusualness(features),
        )

    @classmethod
    def joined(cls, parts: Sequence[Predictions]) -> Predictions:
        """Concatenate parts from the same network."""
        columns: dict[str, Any] = {
            name: np.concatenate([getattr(part, name) for part in parts]) for name in parts[0]._columns()
        }
        return dataclasses.replace(parts[0], **columns)

    def __len__(self) -> int:
        return len(self.probabilities)

    def take(self, rows: Ints | Bools) -> Predictions:
        """Select pictures by position or by a mask (N,)."""
        return dataclasses.replace(self, **{name: getattr(self, name)[rows] for name in self._columns()})

    def at_temperature(self, temperature: float) -> Predictions:
        """The same predictions with another temperature; logits are required."""
        return dataclasses.replace(self, probabilities=softmax(self.logits, temperature))

    @property
    def answers(self) -> Ints:
        """The index of the most probable class, (N,)."""
        return self.probabilities.argmax(axis=1)

    @property
    def confidence(self) -> Floats:
        """Its probability, (N,), 0 to 1."""
        return max_probability(self.probabilities)

    @property
    def right(self) -> Bools:
        """Whether the most probable class is the true one, (N,)."""
        return self.answers == self.targets

    @property
    def has_condition(self) -> Bools:
        """Whether the true class is a condition, not ``Unknown_Normal``, (N,)."""
        return self._of_classes(name != NO_CONDITION for name in self.class_names)

    @property
    def malignant(self) -> Bools:
        """Whether the true class may be cancer or a precancer, (N,)."""
        return self._of_classes(condition(name).malignant for name in self.class_names)

    def rejected(self, config: ModelConfig) -> Bools:
        """Whether a criterion of the rejection rule fires, (N,)."""
        return rejected(self.probabilities, config, self.unusualness)

    def detected(self, config: ModelConfig) -> Bools:
        """Whether the verdict is ``rejected`` or ``no_condition``, (N,)."""
        return detected(self.probabilities, config, self.unusualness)

    def warned(self, config: ModelConfig) -> Bools:
        """Where the advice to see a doctor comes first, (N,)."""
        return warned(self.probabilities, config)

    def _of_classes(self, chosen: Iterable[bool]) -> Bools:
        return np.isin(self.targets, np.flatnonzero(list(chosen)))

    def _columns(self) -> list[str]:
        """The attributes with one row per picture."""
        names = [field.name for field in dataclasses.fields(self) if field.name != "class_names"]
        return [name for name in names if getattr(self, name) is not None]


def members(keys: Iterable[object]) -> dict[str, Bools]:
    """Each key as text, in order → a mask (N,) of its rows; rows without a key are in none."""
    texts = np.array(["" if key is None else str(key) for key in keys], dtype=str)
    return {str(key): texts == key for key in np.unique(texts) if key}


def _objects(values: Iterable[object]) -> Objects:
    return np.array([*values, None], dtype=object)[:-1]  # always one-dimensional

"""``Predictor``: from an encoded picture to a ``Prediction``, for every front end."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import yaml
from huggingface_hub import ModelCard
from numpy.typing import NDArray

from app.heatmap import data_uri, overlay
from app.pages.wording import advice, modality_words, reason
from app.prediction import AdviceWords, Prediction, RankedCondition, Seen, Timings
from app.settings import Settings
from model.checkpoint import Checkpoint, find
from model.decision.calibration import softmax
from model.decision.conformal import prediction_set
from model.decision.malignancy import malignancy
from model.decision.modality import SURE, Gate, Modality
from model.decision.rejection import criteria, verdict
from model.errors import ComputationError, ConfigError
from model.image import read_image
from model.image.preprocess import decode_side, preprocess, seen_share
from model.image.quality import QualityWarning, brightness, check_quality
from model.labels import condition
from model.runtime.base import Runtime, available_cores, open_runtime

AUTO = "auto"
"""In place of a checkpoint's id: let the kind of picture decide, where there are several."""


class Predictor:
    """A loaded checkpoint that predicts; safe to use from several threads.

    Args:
        checkpoint: the checkpoint to serve.
        runtime: runs the checkpoint's network.
    """

    def __init__(self, checkpoint: Checkpoint, *, runtime: Runtime) -> None:
        self.config = checkpoint.config
        self.id, self.revision = checkpoint.id, checkpoint.revision
        self.folder, self.card = checkpoint.folder, checkpoint.card()
        self.runtime = runtime
        self._detector, self._gate = checkpoint.detector, checkpoint.gate
        self.drift = checkpoint.drift

    @classmethod
    def from_checkpoint(
        cls,
        reference: str,
        *,
        device: str = "auto",
        runtime: str = "auto",
        graph_cache: Path | None = None,
        threads: int = 0,
        streams: int = 1,
        precision: str = "float32",
    ) -> Predictor:
        """Loads a checkpoint folder or a pinned Hub repository.

        Args:
            reference: a folder, or ``ORG/NAME@REVISION``.
            device: ``auto``, ``cpu``, ``cuda`` or ``mps``; one that computes wrong results is replaced by the
                CPU.
            runtime, graph_cache, threads, streams, precision: as for ``model.runtime.base.open_runtime``.

        Raises:
            CheckpointError, ConfigError, ExportError: it cannot be used as it is.
        """
        checkpoint = find(reference)
        opened = open_runtime(
            checkpoint,
            name=runtime,
            device=device,
            graph_cache=graph_cache,
            threads=threads,
            streams=streams,
            precision=precision,
        )
        return cls(checkpoint, runtime=opened)

    @classmethod
    def from_settings(cls, settings: Settings, *, streams: int = 1) -> Predictor:
        """As ``from_checkpoint``, with an even share of the cores for each worker.

        Args:
            settings: what the operator chose.
            streams: how many pictures are processed at the same time; with 1, a picture gets all the cores.
        """
        return cls.from_checkpoint(
            settings.checkpoint,
            device=settings.device,
            runtime=settings.runtime,
            graph_cache=settings.graph_cache,
            threads=max(1, available_cores() // settings.workers),
            streams=streams,
            precision=settings.precision,
        )

    @property
    def members(self) -> tuple[Predictor, ...]:
        """The predictors that this one chooses among: itself alone."""
        return (self,)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of every member, each once."""
        return tuple(dict.fromkeys(label for member in self.members for label in member.config.labels))

    @property
    def expects(self) -> Modality | None:
        """The kind of picture that the network learned from; None if the checkpoint cannot tell."""
        return None if self._gate is None else self._gate.expects

    def named(self, checkpoint: str) -> Predictor:
        """The member with this id; the first for ``AUTO``.

        Raises:
            ConfigError: there is none.
        """
        by_id = {AUTO: self.members[0], **{member.id: member for member in self.members}}
        if checkpoint not in by_id:
            raise ConfigError(
                f"There is no checkpoint {checkpoint!r} here.", hint=f"There are: {', '.join(by_id)}."
            )
        return by_id[checkpoint]

    @property
    def terms(self) -> str:
        """What the weights may be used for: the licence that the model card names."""
        return terms_of(self.card)

    def describe(self) -> str:
        """One line for a server's start-up log: which model it serves, and its terms of use."""
        return (
            f"Serving checkpoint {self.id} ({self.revision}): {self.config.backbone} + {self.config.head}, "
            f"{len(self.config.labels)} labels, on {self.runtime.device} with {self.runtime.name} "
            f"in {self.runtime.precision}. "
            f"Terms of use: {self.terms}."
        )

    def predict(
        self, data: bytes, *, heatmap: bool = False, explain: str | None = None, checkpoint: str = AUTO
    ) -> Prediction:
        """Predict one picture.

        Args:
            data: an encoded picture.
            heatmap: also compute a heat map that shows where the evidence lies.
            explain: the label that the heat map explains; default the most probable.
            checkpoint: the id of the checkpoint that answers, or ``AUTO``.

        Raises:
            ImageError: the bytes cannot be read safely as a picture.
            ConfigError: ``explain`` is not a label of the checkpoint, or ``checkpoint`` is not its id.
            ComputationError: the network computed values that are not finite.
        """
        self.named(checkpoint)
        if explain is not None and explain not in self.config.labels:
            raise ConfigError(
                f"There is no label {explain!r}.", hint=f"The labels are: {', '.join(self.config.labels)}."
            )
        started = time.perf_counter()
        picture = read_image(data, target_side=decode_side(self.config))
        decoded = time.perf_counter()
        image = preprocess(picture, config=self.config)[None]
        transformed = time.perf_counter()
        logits, features = self.runtime.forward(image)
        finished = time.perf_counter()
        probabilities = softmax(_finite(logits, "logits"), self.config.temperature)
        picture_uri = None
        if heatmap:
            target = int(probabilities.argmax()) if explain is None else self.config.labels.index(explain)
            evidence = _finite(self.runtime.grad_cam(features, target), "heat map")
            share = seen_share(picture.size, config=self.config)
            picture_uri = data_uri(overlay(picture, evidence, seen=share))
        unusualness = dermoscopy = None
        if self._detector is not None or self._gate is not None:
            pooled = _finite(self.runtime.pooled(features), "features")
            unusualness = None if self._detector is None else float(self._detector.unusualness(pooled))
            dermoscopy = None if self._gate is None else float(self._gate.dermoscopy(pooled))
        return self._decide(
            probabilities,
            unusualness,
            dermoscopy,
            quality=check_quality(picture),
            light=brightness(picture),
            timings={
                "decode": round((decoded - started) * 1e3, 2),
                "transform": round((transformed - decoded) * 1e3, 2),
                "forward": round((finished - transformed) * 1e3, 2),
                "total": round((time.perf_counter() - started) * 1e3, 2),
            },
            heatmap=picture_uri,
        )

    def combine(self, predictions: Sequence[Prediction]) -> Prediction:
        """One prediction for several pictures of the same spot, or a single prediction decided anew.

        Calibrated probabilities, unusualness and the evidence for dermoscopy are averaged over the pictures;
        verdict, set and advice follow from the averages as they do for one picture. docs/model.md has the
        figures, under "Several photos of one spot".

        Args:
            predictions: of one checkpoint that is loaded, at least one; none of them is left out.

        Returns:
            A prediction without a heat map, whose quality warnings are those of any picture, each kind once,
            and whose timings are sums.

        Raises:
            ConfigError: there is no prediction, or they are of several checkpoints, or of one not loaded.
        """
        if not predictions:
            raise ConfigError("No prediction was given.", hint="Send one picture or more.", code="no_image")
        answered = predictions[0].checkpoint
        member = next((m for m in self.members if (m.id, m.revision) == tuple(answered.values())), self)
        labels, its = member.config.labels, {"id": member.id, "revision": member.revision}
        for prediction in predictions:
            if prediction.checkpoint != its or {r.name for r in prediction.conditions} != set(labels):
                raise ConfigError(
                    f"A prediction of {prediction.checkpoint} was given; one of {its} is expected.",
                    hint="Check the photo again.",
                    code="other_checkpoint",
                )
        shares = [{r.name: r.probability for r in each.conditions} for each in predictions]
        probabilities = np.mean([[share[name] for name in labels] for share in shares], axis=0)
        warnings: dict[str, QualityWarning] = {}
        for warning in (warning for each in predictions for warning in each.quality):
            warnings.setdefault(warning.name, warning)
        return member._decide(
            probabilities,
            _mean(_unusualness(each) for each in predictions),
            _mean(_dermoscopy(each) for each in predictions),
            quality=tuple(warnings.values()),
            light=sum(each.brightness for each in predictions) / len(predictions),
            timings={
                "decode": round(sum(each.timings_ms["decode"] for each in predictions), 2),
                "transform": round(sum(each.timings_ms["transform"] for each in predictions), 2),
                "forward": round(sum(each.timings_ms["forward"] for each in predictions), 2),
                "total": round(sum(each.timings_ms["total"] for each in predictions), 2),
            },
        )

    def _decide(
        self,
        probabilities: NDArray[np.float64],
        unusualness: float | None,
        dermoscopy: float | None,
        *,
        quality: tuple[QualityWarning, ...],
        light: float,
        timings: Timings,
        heatmap: str | None = None,
    ) -> Prediction:
        """Decide what follows from calibrated probabilities (K,) and the two scores of the features."""
        order = np.argsort(-probabilities, kind="stable")
        ranked = tuple(
            RankedCondition(name, condition(name).title, float(probabilities[number]))
            for number, name in ((int(number), self.config.labels[number]) for number in order)
        )
        decided = verdict(probabilities, self.config, unusualness)
        checked = criteria(probabilities, self.config, unusualness)
        prediction = Prediction(
            verdict=decided,
            reason=reason(decided, ranked[0].name, ranked[0].probability, checked),
            conditions=ranked,
            criteria=checked,
            malignancy=malignancy(probabilities, self.config),
            quality=quality,
            brightness=round(light, 4),
            prediction_set=None if decided == "rejected" else prediction_set(probabilities, self.config),
            checkpoint={"id": self.id, "revision": self.revision},
            timings_ms=timings,
            precision=self.runtime.precision,
            advice=AdviceWords(urgency="none", how_soon="", caution=None, text=""),  # follows from the rest
            modality=None if self._gate is None or dermoscopy is None else _seen(self._gate, dermoscopy),
            heatmap=heatmap,
        )
        return dataclasses.replace(prediction, advice=advice(prediction).words())


def terms_of(card: str) -> str:
    """What weights may be used for: the licence that their model card, Markdown, names."""
    try:
        data = ModelCard(card, ignore_metadata_errors=True).data if card else None
    except (ValueError, RecursionError, yaml.YAMLError):  # the model can be served anyway
        data = None
    named = data and (str(data.get("license_name") or "").replace("-", " ") or data.get("license"))
    return " ".join(str(named).split())[:200] if named else "not stated in its model card"


def _unusualness(prediction: Prediction) -> float | None:
    return next((c.value for c in prediction.criteria if c.name == "unusualness"), None)


def _dermoscopy(prediction: Prediction) -> float | None:
    seen = prediction.modality
    if seen is None:
        return None
    return seen.probability if seen.name == "dermoscopy" else 1 - seen.probability


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _seen(gate: Gate, dermoscopy: float) -> Seen:
    name: Modality = "dermoscopy" if dermoscopy > 0.5 else "clinical"
    probability = max(dermoscopy, 1 - dermoscopy)
    message = modality_words(name, gate.expects) if probability >= SURE else None
    return Seen(name, probability, gate.expects, message)


def _finite(values: NDArray[np.float32], what: str) -> NDArray[np.float32]:
    if not np.isfinite(values).all():
        raise ComputationError(
            f"The network computed {what} that are not finite for this picture, so there is no result.",
            hint="Tell whoever runs this: the machine computes wrong results, or the model does not suit it.",
        )
    return values

"""Write the model card from a run's options and the metrics of ``evaluate`` and ``ood``."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from model.checkpoint import CARD, fingerprint, load_config
from model.config import ModelConfig
from model.decision.modality import Gate, parse_gate
from model.errors import DataError
from model.files import read_json, read_text, write_text
from model.hub import is_reference
from model.image.preprocess import resized_side
from model.weights import read_bytes
from train.config import TrainConfig
from train.data.pictures import shown
from train.report.card_ood import ood_section
from train.report.card_rule import gate_section, rule_section
from train.report.markdown import figures_section, sources_section
from train.report.schema import Metrics, read_metrics
from train.report.tables import FIGURES
from train.run_folder import CONFIG, LOG

_PREPROCESSING = {
    "center": "short side resized to {side} px",
    "squash": "the whole picture resized to {side} x {side} px",
}
TRAINING = "## Training"
F = TypeVar("F", bound=Mapping[str, Any])


def write_card(
    *,
    checkpoint: str,
    run: str | None,
    notes: str,
    metrics: Sequence[str],
    ood: str | None,
    calibration: str | None,
    sources: str | None,
) -> None:
    """Write ``README.md`` of a checkpoint folder.

    Args:
        checkpoint: the folder.
        run: the folder of its training run; None keeps the card's existing section on training.
        notes: a Markdown file on data and terms; its front matter gives the card's licence and tags.
        metrics: files that ``evaluate`` wrote for this checkpoint.
        ood, calibration: files that ``ood`` and ``calibrate`` wrote for it, if any.
        sources: a file on training without each source, for ``sources_section``, if any.

    Raises:
        DataError: a file is missing or damaged, or its metrics belong to another checkpoint.
    """
    folder = Path(checkpoint)
    revision = fingerprint(folder)
    measured = [_of(revision, path, read_metrics(Path(path))) for path in metrics]
    detection, crossfit = (
        _of(revision, path, read_json(Path(path), "checkpoint")) if path else None
        for path in (ood, calibration)
    )
    options = dataclasses.asdict(TrainConfig())
    if run is None:
        training = _present_section(folder / CARD, TRAINING)
    else:
        options |= read_json(Path(run) / CONFIG)
        history = [json.loads(line) for line in read_text(Path(run) / LOG).splitlines()]
        training = training_section(options, history)
    config = load_config(folder)
    gate = folder / config.gate if config.gate else None
    text = model_card(
        config,
        options=options,
        training=training,
        notes=read_text(Path(notes)),
        metrics=measured,
        ood=detection,
        calibration=crossfit,
        gate=parse_gate(read_bytes(gate), gate) if gate else None,
        sources=read_json(Path(sources), "rows", "mean", "budget") if sources else None,
    )
    write_text(folder / CARD, text)
    print(f"The card is in {folder / CARD}.")


def model_card(
    config: ModelConfig,
    *,
    options: dict[str, Any],
    training: str,
    notes: str = "",
    metrics: Sequence[Metrics] = (),
    ood: dict[str, Any] | None = None,
    calibration: dict[str, Any] | None = None,
    gate: Gate | None = None,
    sources: dict[str, Any] | None = None,
) -> str:
    """The text of a model card with ``model-index``.

    Args:
        config: of the checkpoint.
        options: of the training run, named as in ``TrainConfig``.
        training: the section on the training run, see ``training_section``.
        notes: Markdown on data and terms, with front matter.
        metrics: what ``evaluate`` measured, one for each data set.
        ood, calibration: contents of ``ood.json`` and ``calibration.json`` files.
        gate: of the checkpoint, if it has one.
        sources: see ``sources_section``.
    """
    given = ModelCard(notes, ignore_metadata_errors=True) if notes else None
    data = given.data.to_dict() if given else {}
    name = data.pop("model_name", "SkinDiseaseNet")
    front = ModelCardData(
        model_name=name,
        pipeline_tag="image-classification",
        library_name="timm",
        eval_results=[result for measured in metrics for result in _eval_results(measured)] or None,
        **data,
    )
    parts = [f"---\n{front.to_yaml()}\n---", f"# {name}", _summary(config)]
    if given:
        parts.append(given.text.strip())
    if sources:
        parts.append(sources_section(sources))
    if metrics:
        parts.append(figures_section(metrics))
    if ood:
        parts.append(ood_section(ood))
    parts.append(rule_section(config, options, calibration))
    if gate:
        parts.append(gate_section(gate))
    parts.append(training)
    return "\n\n".join(parts) + "\n"


def _present_section(path: Path, heading: str) -> str:
    """A card's section under a heading, up to the next one of the same level."""
    text = read_text(path)
    if f"\n{heading}\n" not in text:
        raise DataError(
            f"{path} has no section {heading!r} to keep.",
            hint="Name the training run's folder with --run.",
        )
    body = text.split(f"\n{heading}\n")[1].split("\n## ")[0]
    return f"{heading}\n{body.rstrip()}"


def _of(revision: str, path: str, figures: F) -> F:
    """The figures, once it is sure that they are of this checkpoint."""
    measured = figures["checkpoint"]["revision"]
    if measured != revision:
        raise DataError(
            f"{path} was measured on the checkpoint {measured}, but the card is for {revision}.",
            hint="Measure again on this checkpoint, with the command of `python -m train` that wrote it.",
        )
    return figures


def _eval_results(measured: Metrics) -> list[EvalResult]:
    return [
        EvalResult(
            task_type="image-classification",
            dataset_type=measured["data"],
            dataset_name=measured["data"],
            dataset_split=measured["split"],
            metric_type=name,
            metric_name=title,
            metric_value=round(measured[name], 4),
        )
        for name, title in FIGURES.items()
        if name != "rejected"
    ]


def _summary(config: ModelConfig) -> str:
    strides = ", strides in the first 1x1 convolution of a stage" if config.stride_in_1x1 else ""
    return (
        f"`{config.backbone}`{strides}, its last map read as tokens by the `{config.head}` head; "
        f"{len(config.labels)} labels: {', '.join(config.labels)}.\n\n"
        f"Input: RGB, {_PREPROCESSING[config.crop_mode].format(side=resized_side(config))}, "
        f"centre crop of {config.input_size} px. Weights: float16."
    )


def training_section(options: dict[str, Any], history: Sequence[dict[str, Any]]) -> str:
    """The card's section on a training run: its command, its length, which weights were kept.

    Args:
        options: of the run, as ``TrainConfig`` names them.
        history: one entry per finished epoch.
    """
    defaults = dataclasses.asdict(TrainConfig())
    # The card is published; local folder names are not.
    init = options["init"]
    places = {
        "data": [shown(Path(name).name) for name in options["data"]],
        "init": init if is_reference(init) else Path(init).name,
    }
    words = ["python", "-m", "train", "fit"]
    for name, value in {**options, **places}.items():
        if name not in ("output", "resume") and value != defaults[name]:
            values = value if isinstance(value, list) else [value]
            words += [
                f"--{name.replace('_', '-')}",
                *(str(v).lower() if isinstance(v, bool) else str(v) for v in values),
            ]
    minutes = sum(entry["seconds"] for entry in history) / 60
    best = max(history, key=lambda entry: entry["balanced_accuracy"], default=None)
    lines = [TRAINING, "", "```", shlex.join(words), "```", "", f"Seed {options['seed']}."]
    if best:
        lines[-1] += (
            f" {len(history)} epochs in {minutes:.0f} minutes; the weights are those of epoch "
            f"{best['epoch']}, the best on validation (balanced accuracy {best['balanced_accuracy']:.3f})."
        )
        if share := options.get("init_share"):
            lines[-1] += (
                f" They were then averaged with the initial weights, which have {share:.0%} of the sum "
                "(WiSE-FT, Wortsman et al. 2022)."
            )
    return "\n".join(lines)

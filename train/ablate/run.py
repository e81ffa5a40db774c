"""``ablate``: measure many recipes in the same way under one small budget, and write a table of them.

Rows (``train.ablate.plan``) are trained on cached features (``train.ablate.cached_features``). Each row's
metrics are in their own file, so a killed run continues with the next row, and the table is made from these
files alone.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from model.decision.calibration import fit_temperature
from model.files import write_json
from model.labels import NO_CONDITION
from model.network import SkinDiseaseNet
from train.ablate.cached_features import Maps, cached, predict_maps, train_on_maps
from train.ablate.plan import Plan, figures_path, read_plan
from train.ablate.table import write_table
from train.config import TrainConfig
from train.data.rows import fingerprint, open_rows
from train.evaluate.metrics import (
    bootstrap_intervals,
    classification_metrics,
    detection_metrics,
    expected_calibration_error,
    mean_recall,
)
from train.fit.network import model_config
from train.predictions import Predictions, members

# The options that the cached maps depend on, besides the data.
_OF_MAPS = ("backbone", "stride_in_1x1", "init", "trainable", "input_size", "crop_mode", "crop_pct")
_OF_VIEWS = ("train_size", "min_scale", "color_jitter", "grayscale", "blur", "downscale", "compress", "erase")


def ablate(
    *, plan: str, data: Sequence[str], init: str, output: str, maps: str, report: str, only: str
) -> None:
    """Train the rows without metrics, and write the table of all rows with metrics.

    Args:
        plan: a YAML file, see ``Plan``.
        data, init: as for ``fit``.
        output: folder for the metrics of the rows.
        maps: folder for the cached maps, several gigabytes.
        report: Markdown file for the table.
        only: a regular expression; only matching rows ("TITLE/ROW") are trained.

    Raises:
        ConfigError, DataError: the plan or the data cannot be used.
    """
    chosen = read_plan(Path(plan))
    splits: dict[str, datasets.Dataset] = {}
    prints: dict[str, str] = {}
    for section in chosen.sections:
        for name, options in section.rows.items():
            if not re.search(only, f"{section.title}/{name}"):
                continue
            for seed in section.seeds:
                path = figures_path(Path(output), section, name, seed)
                if path.is_file():
                    continue
                values = {"init": init, **chosen.options, **section.options, **options}
                train_sources = values.pop("train_sources", None)
                recipe = TrainConfig(**values, data=list(data), seed=seed)
                if not splits:
                    splits = {
                        split: open_rows(
                            data,
                            split,
                            labels=recipe.labels,
                            max_unreadable=recipe.max_unreadable,
                            strict=split == "train",
                            manifest=recipe.manifest,
                        ).rows
                        for split in ("train", "validation", "test")
                    }
                    prints = {split: fingerprint(rows) for split, rows in splits.items()}
                tqdm.write(f"{section.title}: {name}, seed {seed}")
                started = time.monotonic()
                bench = _Bench(recipe, splits, prints, Path(maps), chosen)
                figures = (
                    bench.leave_out(section.leave_out)
                    if section.leave_out
                    else bench.validation(train_sources)
                )
                figures |= {
                    "options": {**section.options, **options},
                    "seed": seed,
                    "budget": budget(recipe, chosen.views),
                    "minutes": (time.monotonic() - started) / 60,
                    "machine": _machine(),
                }
                write_json(path, figures)
    write_table(chosen, Path(output), Path(report))
    print(f"The table is in {report}.")


def budget(config: TrainConfig, views: int) -> str:
    """A row's budget, in words."""
    parts = ", ".join(config.trainable) or "nothing"
    return (
        f"{config.epochs} epochs of {parts} and the {config.head} head at {config.train_size} px on "
        f"{views} cached views"
    )


def _machine() -> str:
    return f"{torch.get_num_threads()} of {os.cpu_count()} cores, {torch.backends.cpu.get_cpu_capability()}"


class _Bench:
    """One recipe on one set of splits; the cached maps are named by their fingerprints."""

    def __init__(
        self,
        recipe: TrainConfig,
        splits: dict[str, datasets.Dataset],
        prints: dict[str, str],
        maps: Path,
        plan: Plan,
    ) -> None:
        self.recipe, self.splits, self.prints = recipe, splits, prints
        self.maps, self.plan = maps, plan
        self.targets = {name: np.asarray(rows["label"]) for name, rows in splits.items()}
        self.sources = {name: np.asarray(rows["source"], dtype=str) for name, rows in splits.items()}

    def validation(self, train_sources: Sequence[str] | None) -> dict[str, Any]:
        """Metrics on the validation split after training on some sources (None for all)."""
        own = np.isin(self.sources["train"], train_sources or self.sources["train"])
        network = self._trained(np.flatnonzero(own), name=self.recipe.head)
        raw = self._predictions(network, "validation", np.arange(len(self.splits["validation"])))
        temperature = fit_temperature(raw.logits, raw.targets)
        scaled = raw.at_temperature(temperature)
        skin = scaled.take(scaled.has_condition)
        away = scaled.take(np.isin(self.sources["validation"], self.plan.not_skin))
        figures = {"all": classification_metrics(scaled, model_config(self.recipe))}
        for source, own in members(skin.sources).items():
            figures[source] = classification_metrics(skin.take(own), model_config(self.recipe))
        return {
            "validation": {
                name: {key: part[key] for key in ("n", "accuracy", "balanced_accuracy", "top3_accuracy")}
                for name, part in figures.items()
            },
            "ece": expected_calibration_error(raw),
            "ece_scaled": expected_calibration_error(scaled),
            "temperature": temperature,
            "rejection": detection_metrics(-best_condition(skin), -best_condition(away)),
        }

    def leave_out(self, sources: Sequence[str]) -> dict[str, Any]:
        """Metrics on each source's validation and test pictures after training without that source."""
        rows = []
        for source in sources:
            train = np.flatnonzero(self.sources["train"] != source)
            network = self._trained(train, name=f"without {source}")
            known = np.unique(self.targets["train"][train])
            row: dict[str, Any] = {"source": source}
            for split in ("validation", "test"):
                own = (self.sources[split] == source) & np.isin(self.targets[split], known)
                chosen = np.flatnonzero(own)
                found = self._predictions(network, split, chosen)
                row[split] = {
                    "n": len(found),
                    "classes": len(np.unique(found.targets)),
                    "balanced_accuracy": mean_recall(found),
                    "interval": bootstrap_intervals(found)["balanced_accuracy"],
                }
            rows.append(row)
        return {
            "rows": [
                {"source": row["source"], **row["test"], "validation": row["validation"]} for row in rows
            ],
            "mean": float(np.mean([row["test"]["balanced_accuracy"] for row in rows])),
            "validation_mean": float(np.mean([row["validation"]["balanced_accuracy"] for row in rows])),
        }

    def _folder(self, names: Sequence[str], split: str) -> Path:
        options = {name: getattr(self.recipe, name) for name in names}
        text = json.dumps([options, self.prints[split]], sort_keys=True, allow_nan=False)
        return self.maps / hashlib.sha256(text.encode()).hexdigest()[:12]

    def _views(self) -> list[Maps]:
        folder = self._folder((*_OF_MAPS, *_OF_VIEWS), "train")
        same = dataclasses.replace(self.recipe, seed=0)  # all seeds train on the same views
        return [
            cached(folder / f"train-{view}", self.splits["train"], same, view=view)
            for view in range(self.plan.views)
        ]

    def _trained(self, chosen: NDArray[np.int64], *, name: str) -> SkinDiseaseNet:
        return train_on_maps(self.recipe, self._views(), self.splits["train"], chosen, name=name)

    def _predictions(self, network: SkinDiseaseNet, split: str, chosen: NDArray[np.int64]) -> Predictions:
        rows = self.splits[split]
        maps = cached(self._folder(_OF_MAPS, split) / split, rows, self.recipe, view=None)
        return predict_maps(network, self.recipe, maps, rows, chosen)


def best_condition(predictions: Predictions) -> NDArray[np.float64]:
    """The probability of the most probable condition, (N,), 0 to 1."""
    named = [name != NO_CONDITION for name in predictions.class_names]
    return predictions.probabilities[:, named].max(axis=1)

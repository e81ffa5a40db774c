"""Several pictures of one patient as one case: ``python -m benchmarks.cases --data DIR [DIR ...]``.

Compares rules that combine the pictures of a group (column ``group``, one label, two pictures or more) with a
single picture of it. Every group counts as one; intervals draw whole groups.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet

from app.pages.batch import MAX_BATCH
from app.settings import EMBEDDED_CHECKPOINT
from model.checkpoint import find
from model.decision.calibration import softmax
from model.decision.malignancy import warned
from model.decision.rejection import rejected
from model.image import read_image
from model.image.preprocess import decode_side, preprocess
from model.labels import NO_CONDITION, condition
from model.runtime.base import open_runtime
from train.evaluate.bootstrap import draw_weights, interval

Array = np.ndarray
Rule = Callable[[Array, float, Array], Array]


def mean_of_probabilities(logits: Array, temperature: float, kept: Array) -> Array:
    return softmax(logits, temperature).mean(axis=0)


def mean_of_logits(logits: Array, temperature: float, kept: Array) -> Array:
    return softmax(logits.mean(axis=0), temperature)


def mean_of_accepted(logits: Array, temperature: float, kept: Array) -> Array:
    return softmax(logits[kept] if kept.any() else logits, temperature).mean(axis=0)


RULES: dict[str, Rule] = {
    "mean of probabilities": mean_of_probabilities,
    "mean of logits": mean_of_logits,
    "mean of probabilities of the pictures that are not rejected": mean_of_accepted,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--checkpoint", default=EMBEDDED_CHECKPOINT)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of parquet files")
    parser.add_argument("--split", default="validation")
    options = parser.parse_args()
    checkpoint = find(options.checkpoint)
    config = checkpoint.config
    runtime = open_runtime(checkpoint, device="cpu")
    names = list(config.labels)

    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for folder in options.data:
        for file in sorted(folder.glob(f"{options.split}-*.parquet")):
            table = parquet.read_table(file, columns=["image", "label", "group"])
            features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
            for row in table.to_pylist():
                row["label"] = features["label"]["names"][row["label"]]
                groups[folder.name, row["group"]].append(row)

    cases = []
    for rows in groups.values():
        if len(rows) < 2 or len({row["label"] for row in rows}) > 1 or rows[0]["label"] == NO_CONDITION:
            continue
        logits, unusual = [], []
        for row in rows[:MAX_BATCH]:
            picture = read_image(row["image"]["bytes"], target_side=decode_side(config))
            values, features = runtime.forward(preprocess(picture, config=config)[None])
            logits.append(values)
            pooled = runtime.pooled(features)
            unusual.append(float(checkpoint.detector.unusualness(pooled)) if checkpoint.detector else 0.0)
        cases.append((rows[0]["label"], np.array(logits), np.array(unusual)))

    temperature = config.temperature
    labels = np.array([names.index(label) for label, *_ in cases])
    malignant = np.array([condition(label).malignant for label, *_ in cases])
    weights = draw_weights(np.arange(len(cases)))

    def stated(values: Array, over: Array | None = None) -> dict[str, Any]:
        over = np.ones(len(cases)) if over is None else over.astype(float)
        resampled = (weights @ (values * over)) / (weights @ over)
        return {"value": round(float((values * over).sum() / over.sum()), 4), "interval": interval(resampled)}

    def figures(shares: list[Array], unusualness: list[Array]) -> dict[str, Array]:
        """Each case's figures, averaged over the answers (A, K) that it got."""
        right, loss, refused, warns = [], [], [], []
        for number, (answers, unusual) in enumerate(zip(shares, unusualness, strict=True)):
            right.append((answers.argmax(-1) == labels[number]).mean())
            loss.append(-np.log(np.clip(answers[:, labels[number]], 1e-12, 1)).mean())
            refused.append(rejected(answers, config, unusual if checkpoint.detector else None).mean())
            warns.append(warned(answers, config).mean())
        return {
            key: np.array(v)
            for key, v in zip(
                ("right", "loss", "refused", "warned"), (right, loss, refused, warns), strict=True
            )
        }

    alone = figures(
        [softmax(logits, temperature) for _, logits, _ in cases], [unusual for *_, unusual in cases]
    )
    report: dict[str, Any] = {
        "checkpoint": checkpoint.revision,
        "cases": len(cases),
        "pictures": sum(len(logits) for _, logits, _ in cases),
        "of cancer": int(malignant.sum()),
    }

    def tell(got: dict[str, Array]) -> dict[str, Any]:
        return {
            "accuracy": stated(got["right"]),
            "accuracy gained": stated(got["right"] - alone["right"]),
            "negative log-likelihood": stated(got["loss"]),
            "loss saved": stated(alone["loss"] - got["loss"]),
            "rejected": stated(got["refused"]),
            "cancer warned of": stated(got["warned"], malignant),
            "warned in vain": stated(got["warned"], ~malignant),
        }

    report["one picture"] = tell(alone)
    combined = {}
    for name, rule in RULES.items():
        shares, means = [], []
        for _, logits, unusual in cases:
            kept = ~rejected(softmax(logits, temperature), config, unusual if checkpoint.detector else None)
            shares.append(rule(logits, temperature, kept)[None])
            chosen = unusual[kept] if "not rejected" in name and kept.any() else unusual
            means.append(chosen.mean(keepdims=True))
        combined[name] = figures(shares, means)
        report[name] = tell(combined[name])
    first, second, third = combined.values()
    for other, got in (("logits", second), ("not rejected", third)):
        report[f"accuracy of mean of probabilities minus {other}"] = stated(first["right"] - got["right"])
        report[f"loss of {other} minus mean of probabilities"] = stated(got["loss"] - first["loss"])
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()

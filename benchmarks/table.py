"""Rounds to medians, and medians to the table that docs/speed.md shows."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from model.runtime.base import available_cores

START, END = "<!-- bench:start -->", "<!-- bench:end -->"
Round = dict[str, Any]


def machine() -> dict[str, Any]:
    """What the figures hold for."""
    name = platform.processor() or platform.machine()
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    load = os.getloadavg()[0]
    return {"cpu": models[0] if models else name, "cores": available_cores(), "load_at_end": round(load, 2)}


def spread(values: list[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    return {"median": float(middle), "q1": float(low), "q3": float(high)}


def summary(figures: dict[str, Any], *, ours: str) -> dict[str, Any]:
    """Medians and quartiles over the rounds; ratios are taken within each round."""
    rounds: list[Round] = figures["rounds"]

    def over(value: Callable[[Round], float]) -> dict[str, float]:
        return spread([value(one) for one in rounds])

    def median_rate(variant: str) -> float:
        return float(np.median([one["forward"][variant]["rate"] for one in rounds]))

    # Chosen over all rounds: the best of each round would be the luckiest, not the fastest.
    fastest = max(rounds[0]["forward"], key=median_rate)
    result: dict[str, Any] = {
        "forward": {
            name: {key: over(lambda one, n=name, k=key: one["forward"][n][k]) for key in ("rate", "ms")}
            for name in rounds[0]["forward"]
        },
        "closed": {
            name: {
                key: over(lambda one, n=name, k=key: one["closed"][n][k]) for key in ("rate", "p50", "p99")
            }
            for name in rounds[0]["closed"]
        },
        "failed": sum(
            got["failed"]
            for one in rounds
            for got in (*one["closed"].values(), one["steady"], one["poisson"])
        ),
        "share of the bare forward": over(
            lambda one: one["closed"][ours]["rate"] / one["forward"][fastest]["rate"]
        ),
        "throughput over": {
            name: over(lambda one, n=name: one["closed"][ours]["rate"] / one["closed"][n]["rate"])
            for name in rounds[0]["closed"]
            if name != ours
        },
        "start_s": spread(figures["start_s"]),
    }
    for kind in ("steady", "poisson"):
        result[kind] = {key: over(lambda one, k=key, w=kind: one[w][k]) for key in ("rate", "p50", "p99")}
        result[kind]["p99 over p50"] = over(lambda one, w=kind: one[w]["p99"] / one[w]["p50"])
    for name in rounds[0]["predict"]:
        timed = {
            key: over(lambda one, n=name, k=key: one["predict"][n][k])
            for key in ("forward", "predict", "heatmap")
        }
        for key in ("predict", "heatmap"):
            timed[f"{key} over forward"] = over(
                lambda one, n=name, k=key: one["predict"][n][k] / one["predict"][n]["forward"]
            )
        result[f"predict, {name}"] = timed
    return result


def table(figures: dict[str, Any]) -> str:
    """The figures as Markdown."""
    found, where = figures["summary"], figures["machine"]
    rounds = len(figures["rounds"])
    lines = [
        f"{where['cores']} cores of {where['cpu']}; medians of {rounds} rounds taken in turns in one run, "
        "quartiles in brackets; the load generator runs on the same cores."
        + (" **A quick trial: these figures mean nothing.**" if figures["quick"] else ""),
        "",
        "| 16 clients, JPEGs of 640 x 480 | Answers a second | p50, ms | p99, ms | Ours over it |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, got in found["closed"].items():
        ratio = found["throughput over"].get(name)
        lines.append(
            f"| {name}, {figures['sizings'][name]} | {_cell(got['rate'], 1)} | {_cell(got['p50'], 0)} | "
            f"{_cell(got['p99'], 0)} | {_cell(ratio, 2) if ratio else ''} |"
        )
    lines += ["", "| The bare network | Pictures a second | One picture, ms |", "| --- | --- | --- |"]
    lines += [
        f"| {name} | {_cell(got['rate'], 1)} | {_cell(got['ms'], 1)} |"
        for name, got in found["forward"].items()
    ]
    lines += ["", "| Measure | Value | Wanted |", "| --- | --- | --- |"]
    lines.append(
        "| Throughput over that of the fastest bare network | "
        f"{_cell(found['share of the bare forward'], 2)} | at least 0.85 |"
    )
    for kind, words in (("steady", "evenly spaced requests"), ("poisson", "requests at random times")):
        lines.append(
            f"| p99 over p50 at 70 % load, {words} | {_cell(found[kind]['p99 over p50'], 2)} | under 3 |"
        )
    for name in (key for key in found if key.startswith("predict, ")):
        for key, wanted in (("predict", "1.35"), ("heatmap", "2")):
            words = "`predict`" if key == "predict" else "`predict` with the heat map"
            lines.append(
                f"| {words}, 12 megapixels, over the bare forward ({name.partition(', ')[2]}) | "
                f"{_cell(found[name][f'{key} over forward'], 2)} | at most {wanted} |"
            )
    lines += [
        f"| From start to `/readyz`, s | {_cell(found['start_s'], 1)} | under 5 |",
        f"| Memory of a worker after the load, MB | {max(figures['resident_mb']):.0f} | under 700 |",
        f"| Failed requests | {found['failed']} | 0 |",
        "",
        "Where the memory goes (resident MB after each step): "
        + ", ".join(f"{name} {size:.0f}" for name, size in figures["memory"])
        + ".",
    ]
    return "\n".join(lines)


def write_between_markers(path: Path, text: str) -> None:
    """Replace the text between the two markers.

    Raises:
        ValueError: the file has no such markers.
    """
    before, start, rest = path.read_text(encoding="utf-8").partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError(f"{path} has no place for the table; put {START} and {END} into it.")
    path.write_text(f"{before}{START}\n{text}\n{END}{after}", encoding="utf-8")


def _cell(values: dict[str, float], digits: int) -> str:
    return f"{values['median']:.{digits}f} ({values['q1']:.{digits}f} to {values['q3']:.{digits}f})"

"""Draw the figures of an evaluation as PNG, with matplotlib, from ``metrics.json``."""

from __future__ import annotations

import dataclasses
import io
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from train.report.schema import DecisionCurve, Metrics, Reliability, RiskCoverage
from train.report.tables import SUBGROUPS, SubgroupName, worthwhile

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 4.2  # inches: letters of 9 points are still 10 px high on a screen of 360 px
BLUE, ORANGE, GREY = "#1f6fb2", "#c2570c", "#767676"
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e3e3",
    "legend.frameon": False,
    "text.parse_math": False,  # a source may be called $x$
}


@dataclasses.dataclass(frozen=True)
class Figure:
    """A PNG with its alternative text."""

    png: bytes
    alt: str


def draw_figures(measured: Metrics) -> dict[str, Figure]:
    """Draw every figure that ``metrics.json`` has data for: name → figure."""
    figures = {"per_class": _per_class(measured), "confusion": _confusion(measured)}
    for name in SUBGROUPS:
        if measured[name]:
            figures[name] = _subgroups(measured, name)
    figures["reliability"] = _reliability(measured["reliability"])
    figures["risk_coverage"] = _risk_coverage(measured["risk_coverage"])
    if measured["decision_curve"]:
        figures["decision_curve"] = _decision_curve(measured["decision_curve"])
    return figures


def _per_class(measured: Metrics) -> Figure:
    per_class = measured["per_class"]
    names = sorted(per_class, key=lambda name: per_class[name]["recall"])
    found = [per_class[name] for name in names]

    def series(figure: Literal["recall", "precision"]) -> list[tuple[float, Sequence[float] | None]]:
        return [(entry[figure], (entry["intervals"] or {}).get(figure)) for entry in found]

    best, worst = names[-1], names[0]
    alt = (
        f"Sensitivity and PPV of {len(names)} classes with their intervals. Highest sensitivity: {best}, "
        f"{per_class[best]['recall']:.2f}; lowest: {worst}, {per_class[worst]['recall']:.2f}."
    )
    labels = [f"{name} ({per_class[name]['n']})" for name in names]
    return _dots(labels, {"Sensitivity": series("recall"), "PPV": series("precision")}, alt)


def _subgroups(measured: Metrics, name: SubgroupName) -> Figure:
    found = measured[name]
    series = {
        "Accuracy": [(entry["accuracy"], entry["interval"]) for entry in found.values()],
        "Rejected or no condition": [
            (entry["detected"] / entry["n"], entry["detected_interval"]) for entry in found.values()
        ],
    }
    title = SUBGROUPS[name]
    told = "; ".join(
        f"{key}: {entry['accuracy']:.2f} and {entry['detected'] / entry['n']:.2f}"
        for key, entry in found.items()
    )
    labels = [f"{key} ({entry['n']})" for key, entry in found.items()]
    alt = f"Accuracy, and share rejected or called no condition, by {title}, with their intervals. {told}."
    return _dots(labels[::-1], {legend: values[::-1] for legend, values in series.items()}, alt, axis=title)


def _dots(
    labels: Sequence[str],
    series: Mapping[str, Sequence[tuple[float, Sequence[float] | None]]],
    alt: str,
    *,
    axis: str = "",
) -> Figure:
    """A row for each label from the bottom up, with a dot and an interval for each series."""

    def draw(axes: Axes) -> None:
        for number, (legend, values) in enumerate(series.items()):
            colour, marker = ((BLUE, "o"), (ORANGE, "D"))[number]
            for place, (value, interval) in enumerate(values):
                height = place + 0.17 - 0.34 * number
                if interval:
                    axes.plot(interval, [height, height], color=colour, linewidth=1.5, solid_capstyle="butt")
                axes.plot(
                    [value],
                    [height],
                    marker,
                    color=colour,
                    markersize=4.5,
                    markerfacecolor=colour if interval else "white",
                )
            axes.plot([], [], marker, color=colour, markersize=4.5, label=legend)
        axes.set_yticks(range(len(labels)), [textwrap.shorten(label, 40) for label in labels])
        axes.set_ylim(-0.6, len(labels) - 0.4)
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylabel(axis)
        axes.figure.legend(loc="outside upper center", ncols=2)

    return _draw(draw, alt, height=0.9 + 0.27 * len(labels))


def _confusion(measured: Metrics) -> Figure:
    counts, names = np.asarray(measured["confusion"]), measured["labels"]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = len(names)

    def draw(axes: Axes) -> None:
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row, column in np.argwhere(counts > 0):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, counts[row, column], ha="center", va="center", color=colour, fontsize=7)
        axes.set_xticks(range(side), names, rotation=90)
        axes.set_yticks(range(side), names)
        axes.set_xlabel("Most probable class")
        axes.set_ylabel("Label")
        axes.grid(False)

    alt = (
        f"Confusion matrix of {side} classes: {int(np.trace(counts))} of {int(counts.sum())} pictures are on "
        "its diagonal, where the answer is right. The table below has its numbers."
    )
    return _draw(draw, alt, width=3 + 0.27 * side, height=2.2 + 0.27 * side)


def _reliability(found: Reliability) -> Figure:
    bins = found["bins"]
    total = sum(entry["n"] for entry in bins)

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1, label="perfect calibration")
        centres = [(entry["low"] + entry["high"]) / 2 for entry in bins]
        widths = [entry["high"] - entry["low"] for entry in bins]
        shares = [entry["n"] / total for entry in bins]
        axes.bar(centres, shares, widths, color="#d5e4f2", edgecolor="white", label="share of pictures")
        confidence, accuracy = ([entry[name] for entry in bins] for name in ("confidence", "accuracy"))
        axes.plot(confidence, accuracy, "o-", color=BLUE, markersize=4, label="share right")
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="Probability of the answer", ylabel="Share")
        axes.figure.legend(loc="outside upper center", ncols=3)

    alt = (
        f"Reliability diagram: how often answers of a given probability are right. Expected calibration "
        f"error {found['ece']:.3f}, at temperature 1 {found['ece_uncalibrated']:.3f}."
    )
    return _draw(draw, alt)


def _risk_coverage(found: RiskCoverage) -> Figure:
    def draw(axes: Axes) -> None:
        axes.plot(found["coverage"], found["risk"], color=BLUE)
        axes.set(
            xlim=(0, 1), xlabel="Share answered, most confident first", ylabel="Share of these that is wrong"
        )
        axes.set_ylim(bottom=0)

    alt = (
        f"Risk by coverage: of all answers {found['risk'][-1]:.2f} are wrong. Area under the curve "
        f"{found['aurc']:.3f}."
    )
    return _draw(draw, alt)


def _decision_curve(found: DecisionCurve) -> Figure:
    thresholds, benefit, everyone = (
        np.asarray(found[name]) for name in ("thresholds", "net_benefit", "treat_all")
    )

    def draw(axes: Axes) -> None:
        axes.plot(thresholds, benefit, color=BLUE, label="model")
        axes.plot(thresholds, everyone, "--", color=ORANGE, label="everyone referred")
        axes.axhline(0, color=GREY, linewidth=1, label="nobody sent on")
        top = max(benefit.max(), everyone.max(), 0.01)
        axes.set(xlim=(0, thresholds.max()), ylim=(-0.15 * top, 1.1 * top))
        axes.set(xlabel="Threshold probability of cancer", ylabel="Net benefit per picture")
        axes.figure.legend(loc="outside upper center", ncols=3)

    return _draw(draw, f"Decision curve for labels that may be cancer. {worthwhile(found)}")


def _draw(draw: Callable[[Axes], None], alt: str, *, width: float = WIDTH, height: float = 3.2) -> Figure:
    import matplotlib
    from matplotlib.figure import Figure as Canvas

    with matplotlib.rc_context(STYLE):
        canvas = Canvas(figsize=(width, height), layout="constrained")  # not pyplot: no display, no state
        draw(canvas.add_subplot())
        file = io.BytesIO()
        canvas.savefig(file, format="png", dpi=160)
    return Figure(file.getvalue(), alt)

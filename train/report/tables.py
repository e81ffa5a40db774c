"""The tables of an evaluation, from ``metrics.json``, for the model card and the HTML report."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np

from train.report.schema import Coverage, DecisionCurve, Interval, Metrics, Reached, Warned

FigureName = Literal["accuracy", "balanced_accuracy", "top3_accuracy", "macro_f1", "ece", "rejected"]
SubgroupName = Literal["per_source", "per_skin_type"]

FIGURES: dict[FigureName, str] = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "top3_accuracy": "Top-3 accuracy",
    "macro_f1": "Macro F1",
    "ece": "Expected calibration error",
    "rejected": "Share rejected",
}
SUBGROUPS: dict[SubgroupName, str] = {"per_source": "Source", "per_skin_type": "Fitzpatrick skin type"}

PIPE = r"\|"  # a source may have one in its name


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of text cells; the first column names the row."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def markdown_table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """Format a Markdown table; vertical bars in cells are escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', PIPE) for cell in line)} |" for line in lines)


def with_interval(value: float, interval: Sequence[float] | None, digits: int = 2) -> str:
    """``0.57 (0.53 to 0.60)``, or the value alone."""
    spread = f" ({interval[0]:.{digits}f} to {interval[1]:.{digits}f})" if interval else ""
    return f"{value:.{digits}f}{spread}"


def overall(metrics: Sequence[Metrics]) -> Table:
    """The metrics over all pictures, one column per data set."""
    rows = [
        [title, *(with_interval(m[name], m["intervals"].get(name), digits=3) for m in metrics)]
        for name, title in FIGURES.items()
    ]
    columns = [f"{m['data']}, {m['split']} (n = {m['n']})" for m in metrics]
    return Table("All pictures; rejection affects only the last row.", ["Figure", *columns], rows)


def classes(measured: Metrics) -> Table:
    """Each class against all others."""
    counts = np.asarray(measured["confusion"])
    everything = counts.sum()
    rows = []
    for name, found in measured["per_class"].items():
        number = measured["labels"].index(name)
        right, ours, named = counts[number, number], counts[number].sum(), counts[:, number].sum()
        intervals = found["intervals"] or {}
        others = everything - ours
        rows.append(
            [
                name,
                f"{found['n']} ({found['groups']})",
                _share(right, ours, intervals.get("recall")),
                _share(others - (named - right), others, intervals.get("specificity")),
                _share(right, named, intervals.get("precision")),
                "–" if found["auroc"] is None else with_interval(found["auroc"], intervals.get("auroc")),
            ]
        )
    header = ["Class", "Pictures (groups)", "Sensitivity", "Specificity", "PPV", "AUROC"]
    return Table("Each class against all others.", header, rows)


def confusion(measured: Metrics) -> Table:
    """Counts of label by answer."""
    names = measured["labels"]
    rows = [[name, *map(str, row)] for name, row in zip(names, measured["confusion"], strict=True)]
    return Table("Pictures of each label (rows) by answer (columns).", ["Label", *names], rows)


def confusions(measured: Metrics, *, count: int = 12) -> Table:
    """The most common wrong answers."""
    counts, names = np.asarray(measured["confusion"]), measured["labels"]
    ours = counts.sum(axis=1)
    wrong = counts * (1 - np.eye(len(names), dtype=int))
    order = np.argsort(-wrong, axis=None, kind="stable")[:count]
    pairs = [
        (int(row), int(column)) for row, column in zip(*np.unravel_index(order, wrong.shape), strict=True)
    ]
    rows = [[names[a], names[b], f"{wrong[a, b]} of {ours[a]}"] for a, b in pairs if wrong[a, b]]
    return Table("The most common wrong answers.", ["Label", "Answer", "Pictures"], rows)


def subgroups(measured: Metrics, name: SubgroupName) -> Table:
    """Accuracy, rejected pictures and coverage by a key of ``SUBGROUPS``."""
    sets = measured["prediction_sets"]
    covered = sets[name] if sets else {}
    rows = []
    for key, found in measured[name].items():
        right = round(found["accuracy"] * found["n"])
        row = [
            key,
            f"{found['n']} ({found['groups']})",
            _share(right, found["n"], found["interval"]),
            _share(found["detected"], found["n"], found["detected_interval"]),
        ]
        if covered:
            own = covered.get(key)
            row.append(_covered(own) if own else "–")
        rows.append(row)
    header = [SUBGROUPS[name], "Pictures (groups)", "Accuracy", "Rejected or no condition"]
    return Table(
        f"{SUBGROUPS[name]}: accuracy and rejected pictures.",
        header + ["In the prediction set"] * bool(covered),
        rows,
    )


def cancer(measured: Metrics) -> Table | None:
    """Sensitivity for labels that may be cancer, at fixed specificities; None without such labels."""
    points = measured["malignant_sensitivity"]
    if not points:
        return None
    rows = [
        [f"{p['specificity']:.2f}", with_interval(p["sensitivity"], p["interval"]), f"{p['threshold']:.3f}"]
        for p in points
    ]
    header = ["Specificity", "Sensitivity", "Threshold"]
    return Table("Pictures whose label may be cancer, found at fixed specificities.", header, rows)


def warned(measured: Metrics) -> str | None:
    """A sentence on the advice to see a doctor; None if no label may be cancer."""
    counts = measured["malignant_warning"]
    if not counts:
        return None
    return (
        f"The advice to see a doctor soon came first for {counts['malignant_warned']} of "
        f"{counts['malignant']} pictures of {measured['data']} ({measured['split']}) whose label may be "
        f"cancer, and for {counts['others_warned']} of {counts['others']} others."
    )


def warned_by(counts: Warned) -> Table:
    """Whom the advice to see a doctor reaches, of a ``malignant_warning``: all, by source, by skin type."""
    parts: list[tuple[str, Reached]] = [("All", counts)]
    for name, title in SUBGROUPS.items():
        parts += [(f"{title}: {key}", own) for key, own in counts[name].items()]
    rows = [
        [
            name,
            _by_group(
                own["sensitivity"], own["sensitivity_interval"], own["malignant_warned"], own["malignant"]
            ),
            _by_group(
                own["specificity"],
                own["specificity_interval"],
                own["others"] - own["others_warned"],
                own["others"],
            ),
        ]
        for name, own in parts
    ]
    return Table(
        "The advice to see a doctor soon: the share of what may be cancer that it reaches, and of the others "
        "that it spares. Each group of related pictures, such as those of one lesion, counts as one; where "
        "there is no interval, the pictures are counted.",
        ["Pictures", "May be cancer: reached", "Others: spared"],
        rows,
    )


def calibration(measured: Metrics) -> Table:
    """The expected calibration error before and after the temperature, and by source."""
    found = measured["reliability"]
    rows = [
        ["At temperature 1", str(measured["n"]), f"{found['ece_uncalibrated']:.3f}"],
        ["At the fitted temperature", str(measured["n"]), f"{found['ece']:.3f}"],
    ]
    rows += [[key, str(own["n"]), f"{own['ece']:.3f}"] for key, own in found["ece_by_source"].items()]
    header = ["Pictures", "Number", "Expected calibration error"]
    return Table("Expected calibration error; by source at the fitted temperature.", header, rows)


def reliability(measured: Metrics) -> Table:
    """The non-empty bins of the reliability diagram."""
    rows = [
        [f"{b['low']:.2f} to {b['high']:.2f}", str(b["n"]), f"{b['confidence']:.2f}", f"{b['accuracy']:.2f}"]
        for b in measured["reliability"]["bins"]
    ]
    header = ["Probability", "Pictures", "Mean probability", "Share right"]
    return Table("The bins of the reliability diagram.", header, rows)


def deferral(measured: Metrics) -> Table:
    """The share of wrong answers if the least confident pictures are deferred to a person."""
    curve = measured["risk_coverage"]
    coverage, risk = np.asarray(curve["coverage"]), np.asarray(curve["risk"])
    rows = []
    for wanted in (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.3, 0.1):
        nearest = int(np.abs(coverage - wanted).argmin())
        rows.append([f"{coverage[nearest]:.2f}", f"{risk[nearest]:.3f}"])
    return Table(
        "Share answered, most confident first, and the share of these answers that is wrong.",
        ["Answered", "Wrong"],
        rows,
    )


def decision(curve: DecisionCurve) -> Table:
    """The decision curve at some of its thresholds."""
    chosen = np.unique(np.linspace(0, len(curve["thresholds"]) - 1, 10).round().astype(int))
    points = list(zip(curve["thresholds"], curve["net_benefit"], curve["treat_all"], strict=True))
    rows = [
        [f"{at:.2f}", f"{own:.3f}", f"{everyone:.3f}"] for at, own, everyone in (points[n] for n in chosen)
    ]
    header = ["Threshold", "Model", "Everyone referred"]
    return Table("Net benefit; referring nobody has 0.", header, rows)


def worthwhile(curve: DecisionCurve) -> str:
    """A sentence on the thresholds of a decision curve at which the model has a benefit."""
    thresholds, benefit, everyone = (
        np.asarray(curve[name]) for name in ("thresholds", "net_benefit", "treat_all")
    )
    better = thresholds[(benefit > everyone) & (benefit > 0)]
    if not len(better):
        return "At no threshold does the model have more net benefit than referring everyone, or nobody."
    return (
        "Acting on the probability of cancer has more net benefit than referring everyone, or nobody, at "
        f"{len(better)} of {len(thresholds)} thresholds, from {better.min():.2f} to {better.max():.2f}."
    )


def prediction_sets(measured: Metrics) -> Table | None:
    """Coverage and size of the prediction sets: overall, by source, by skin type; None without sets."""
    sets = measured["prediction_sets"]
    if not sets:
        return None
    parts: list[tuple[str, Coverage]] = [("All pictures not rejected", sets)]
    for name, title in SUBGROUPS.items():
        parts += [(f"{title}: {key}", own) for key, own in sets[name].items()]
    rows = [[name, str(own["n"]), _covered(own), f"{own['mean_size']:.1f}"] for name, own in parts]
    header = ["Pictures", "Number", "Contains the label", "Mean number of labels"]
    caption = f"Nominal coverage: {sets['level']:.0%} of the pictures that are not rejected."
    return Table(caption, header, rows)


def _covered(sets: Coverage) -> str:
    return _share(round(sets["coverage"] * sets["n"]), sets["n"], sets["interval"])


def _by_group(share: float | None, interval: Interval | None, hits: int, of: int) -> str:
    """A share in which every group counts as one, and how many pictures it stands on."""
    if share is None or interval is None:
        return _share(hits, of, None)
    return f"{with_interval(share, interval)}, n = {of}"


def _share(hits: int, of: int, interval: Sequence[float] | None) -> str:
    if not of:
        return "–"
    return with_interval(hits / of, interval) if interval else f"{hits} of {of}"

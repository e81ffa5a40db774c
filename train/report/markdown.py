"""The model card's sections of measured figures, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from train.report import tables as report_tables
from train.report.schema import Metrics
from train.report.tables import SUBGROUPS, Table, markdown_table, with_interval


def figures_section(metrics: Sequence[Metrics]) -> str:
    """What ``evaluate`` measured: an overview of the data sets, then each on its own.

    Args:
        metrics: one file at least.
    """
    parts = [
        "## Measured",
        *_table(report_tables.overall(metrics)),
        "In brackets: 95 % bootstrap intervals over groups of related pictures. If a figure has fewer than "
        "ten groups, or every picture is alike, counts are given instead.",
    ]
    for measured in metrics:
        parts += [f"### {measured['data']}, {measured['split']}", *_table(report_tables.classes(measured))]
        for name in SUBGROUPS:
            if measured[name]:
                parts += _table(report_tables.subgroups(measured, name))
        parts += _cancer(measured)
        parts.append(_confidence(measured))
    return "\n\n".join(parts)


def sources_section(sources: Mapping[str, Any]) -> str:
    """How well models trained without a source do on it.

    Args:
        sources: ``rows`` of ``source``, ``n``, ``classes``, ``balanced_accuracy`` and its ``interval``;
            ``mean`` of the balanced accuracies; ``budget``, how the networks were trained.
    """
    rows = [
        [
            own["source"],
            str(own["n"]),
            str(own["classes"]),
            with_interval(own["balanced_accuracy"], own["interval"]),
        ]
        for own in sources["rows"]
    ]
    header = ["Source left out", "Pictures", "Classes", "Balanced accuracy"]
    table = Table("Measured on the test pictures of the source that training left out.", header, rows)
    return "\n\n".join(
        [
            "## Photographs from elsewhere",
            "A network that was trained in much the same way on a small budget, without one source, had a "
            f"balanced accuracy of about {sources['mean']:.2f} on that source, the mean of the table. The "
            "network of this folder had a larger budget and more sources. From a photograph of a camera and "
            "a clinic that it does not know, expect markedly worse results than the figures below: "
            "these are for sources that it does know.",
            *_table(table),
            "For each row a network was trained alike on the other sources, and measured over "
            "the classes that these share with the one left out. None of them is the network of this folder. "
            f"Their budget: {sources['budget']}.",
        ]
    )


def _table(table: Table) -> list[str]:
    """The caption and the table, as two paragraphs."""
    return [table.caption, markdown_table(table.header, table.rows)]


def _cancer(measured: Metrics) -> list[str]:
    warned, points = report_tables.warned(measured), report_tables.cancer(measured)
    reached = measured["malignant_warning"]
    told = [warned, *_table(report_tables.warned_by(reached))] if warned and reached else []
    if not points:
        return told
    read_off = (
        "Each threshold is chosen on these same pictures: what the ranking could achieve, not a rule to use."
    )
    return [*told, *_table(points), read_off]


def _confidence(measured: Metrics) -> str:
    """Calibration, deferral, net benefit and prediction sets in a paragraph."""
    errors, curve = measured["reliability"], measured["risk_coverage"]
    half = int(np.abs(np.asarray(curve["coverage"]) - 0.5).argmin())
    by_source = ", ".join(f"{name} {own['ece']:.3f}" for name, own in errors["ece_by_source"].items())
    sentences = [
        f"Expected calibration error {errors['ece']:.3f}, {errors['ece_uncalibrated']:.3f} at temperature 1"
        + (f"; by source {by_source}." if by_source else "."),
        f"Of all answers {curve['risk'][-1]:.2f} are wrong; of the surest "
        f"{curve['coverage'][half]:.0%}, {curve['risk'][half]:.2f} (area under the risk-coverage curve "
        f"{curve['aurc']:.3f}).",
    ]
    if measured["decision_curve"]:
        sentences.append(report_tables.worthwhile(measured["decision_curve"]))
    if sets := measured["prediction_sets"]:
        sentences.append(
            f"Prediction sets hold the label of {sets['coverage']:.1%} of the {sets['n']} pictures that are "
            f"not rejected ({sets['level']:.0%} meant), with {sets['mean_size']:.1f} labels on average."
        )
    return " ".join(sentences)

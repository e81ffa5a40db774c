"""Write the table of an ablation from the metrics of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model.files import read_json, write_text
from train.ablate.plan import Plan, Section, figures_path
from train.report.tables import markdown_table

Figures = dict[str, Any]


def write_table(plan: Plan, output: Path, report: Path) -> None:
    """Write the Markdown tables of all rows with metrics.

    Args:
        plan: of the ablation.
        output: folder with the metrics.
        report: the Markdown file.
    """
    parts = ["# Ablations", plan.text.strip()]
    for section in plan.sections:
        parts += [f"## {section.title}", section.text.strip(), _table(section, output)]
    write_text(report, "\n\n".join(part for part in parts if part) + "\n")


def _table(section: Section, output: Path) -> str:
    measured = {
        name: [read_json(path) for path in paths if path.is_file()]
        for name in section.rows
        for paths in [[figures_path(output, section, name, seed) for seed in section.seeds]]
    }
    done = {name: runs for name, runs in measured.items() if runs}
    if not done:
        return "Not measured yet."
    first = next(iter(done.values()))[0]
    columns = _left_out_columns(first) if section.leave_out else _validation_columns(first)
    rows = []
    for name, runs in done.items():
        cells = [_cell([_value(run, path) for run in runs]) for path in columns.values()]
        minutes = sum(run["minutes"] for run in runs) / len(runs)
        rows.append([name, *cells, len(runs), f"{minutes:.0f}"])
    budgets = list(dict.fromkeys(run["budget"] for runs in done.values() for run in runs))
    machines = list(dict.fromkeys(run["machine"] for runs in done.values() for run in runs))
    missing = [name for name in section.rows if name not in done]
    lines = [markdown_table(["Recipe", *columns, "Runs", "Minutes a run"], rows), ""]
    lines.append(f"Budget: {'; '.join(budgets)}. Machine: {'; '.join(machines)}.")
    if missing:
        lines.append(f"Not measured yet: {', '.join(missing)}.")
    return "\n".join(lines)


def _validation_columns(first: Figures) -> dict[str, Sequence[str | int]]:
    columns: dict[str, Sequence[str | int]] = {
        "Balanced accuracy": ("validation", "all", "balanced_accuracy"),
        "Accuracy": ("validation", "all", "accuracy"),
        "Top-3": ("validation", "all", "top3_accuracy"),
    }
    for source in first["validation"]:
        if source != "all":
            columns[f"`{source}`"] = ("validation", source, "balanced_accuracy")
    return {
        **columns,
        "ECE": ("ece",),
        "ECE, scaled": ("ece_scaled",),
        "AUROC, not skin": ("rejection", "auroc"),
    }


def _left_out_columns(first: Figures) -> dict[str, Sequence[str | int]]:
    columns: dict[str, Sequence[str | int]] = {
        "Validation, mean": ("validation_mean",),
        "Test, mean": ("mean",),
    }
    for place, row in enumerate(first["rows"]):
        columns[f"`{row['source']}`, test"] = ("rows", place, "balanced_accuracy")
    return columns


def _value(figures: Any, path: Sequence[str | int]) -> float | None:
    for step in path:
        figures = figures[step]
    return None if figures is None else float(figures)


def _cell(found: Sequence[float | None]) -> str:
    values = [value for value in found if value is not None]
    if not values:
        return "–"
    mean = sum(values) / len(values)
    return f"{mean:.3f}" if len(values) == 1 else f"{mean:.3f} ({min(values):.3f} to {max(values):.3f})"

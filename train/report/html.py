"""The HTML report of an evaluation: one self-contained file."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2

from model.files import atomic_path, write_text
from train.report import tables as report_tables
from train.report.figures import Figure, draw_figures
from train.report.schema import Metrics
from train.report.tables import Table
from train.report.worst_errors import WorstError

TEMPLATES = Path(__file__).parent / "templates"


@dataclasses.dataclass(frozen=True)
class Section:
    """A heading with its content; the tables in ``more`` are folded."""

    title: str
    text: Sequence[str] = ()
    figures: Sequence[str] = ()
    tables: Sequence[Table] = ()
    more: Sequence[Table] = ()


def write_report(folder: Path, measured: Metrics, errors: Sequence[WorstError]) -> None:
    """Writes ``FOLDER/report.html`` and its figures, ``FOLDER/figures/*.png``; the folder exists.

    Args:
        measured: what ``evaluate`` measured.
        errors: the wrong answers to show, in the HTML only.
    """
    figures = draw_figures(measured)
    for name, figure in figures.items():
        with atomic_path(folder / "figures" / f"{name}.png") as partial:
            partial.write_bytes(figure.png)
    write_text(folder / "report.html", html_report(measured, figures, errors))


def html_report(measured: Metrics, figures: Mapping[str, Figure], errors: Sequence[WorstError]) -> str:
    """The report as HTML with its pictures inside, without scripts.

    Args:
        measured: what ``evaluate`` measured.
        figures: as ``draw_figures`` gives them.
        errors: the wrong answers to show.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode("ascii")
    template = environment.get_template("report.html")
    sections = [
        *_answers(measured),
        *_subgroups(measured),
        *_cancer(measured),
        *_confidence(measured),
    ]
    return template.render(measured=measured, figures=figures, sections=sections, errors=errors)


def _answers(measured: Metrics) -> list[Section]:
    return [
        Section("All pictures", tables=[report_tables.overall([measured])]),
        Section(
            "Classes",
            [
                "Sensitivity (recall): the share of the class's pictures that are found. Specificity: the "
                "share of the others that are not mistaken for it. PPV (precision): the share of its "
                "predictions that are right. AUROC: how well the probability of the class ranks its pictures "
                "above the others, whatever the threshold.",
                "A hollow dot has no interval: it is based on fewer than ten groups of related pictures, or "
                "all of them are alike. The table gives counts instead.",
            ],
            ["per_class"],
            [report_tables.classes(measured)],
        ),
        Section(
            "Confusions",
            ["Each row of the matrix is a label, each column an answer; the colour is the share of the row."],
            ["confusion"],
            [report_tables.confusions(measured)],
            [report_tables.confusion(measured)],
        ),
    ]


def _subgroups(measured: Metrics) -> list[Section]:
    away = "Rejected or no condition: right for a picture that shows no condition."
    covered = "In the prediction set: the label of a picture that is not rejected."
    texts: dict[report_tables.SubgroupName, str] = {
        "per_source": "Results by source show how far they generalise: expect worse from a source "
        "that is not here.",
        "per_skin_type": "Only pictures with a stated skin type count.",
    }
    return [
        Section(
            title,
            [texts[name], away, *([covered] if measured["prediction_sets"] else [])],
            [name],
            [report_tables.subgroups(measured, name)],
        )
        for name, title in report_tables.SUBGROUPS.items()
        if measured[name]
    ]


def _cancer(measured: Metrics) -> list[Section]:
    warned, points = report_tables.warned(measured), report_tables.cancer(measured)
    reached = measured["malignant_warning"]
    if not warned or not reached:
        return []
    text = [warned]
    if points:
        text.append(
            "The sensitivities below are points of the ROC curve, each threshold chosen on "
            "these same pictures: what the ranking could achieve, not a rule chosen beforehand."
        )
    tables = [report_tables.warned_by(reached), *([points] if points else [])]
    if not measured["decision_curve"]:
        return [Section("Possible cancer", text, tables=tables)]
    text.append(
        "Net benefit: true alarms per picture minus false ones, each weighted by the odds of the "
        "threshold. At a threshold of 0.1 a missed cancer counts as nine false alarms."
    )
    more = [report_tables.decision(measured["decision_curve"])]
    return [Section("Possible cancer", text, ["decision_curve"], tables, more)]


def _confidence(measured: Metrics) -> list[Section]:
    sections = [
        Section(
            "Calibration",
            ["Of the answers with a probability of 0.7, seven in ten should be right."],
            ["reliability"],
            [report_tables.calibration(measured)],
            [report_tables.reliability(measured)],
        ),
        Section(
            "Deferring uncertain pictures to a person",
            [
                "If the model answers only when it is most confident, fewer of its answers are wrong. Area "
                f"under the curve: {measured['risk_coverage']['aurc']:.3f}; the smaller, the better."
            ],
            ["risk_coverage"],
            more=[report_tables.deferral(measured)],
        ),
    ]
    if sets := report_tables.prediction_sets(measured):
        text = [
            "The labels that cannot be ruled out. The nominal coverage holds for all pictures together, not "
            "by group."
        ]
        sections.append(Section("Prediction sets", text, tables=[sets]))
    return sections

"""The model card's section on pictures that are not skin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from train.report.tables import markdown_table

SCORES = {
    "max_probability": "largest probability (MSP)",
    "normalized_entropy": "normalised entropy",
    "dual_criterion": "the paper's two criteria together",
    "dual_criterion_or_unknown": "these, or `Unknown_Normal` most probable",
    "unusualness": "the third criterion: unusual features",
    "all_criteria": "all four criteria",
    "all_criteria_or_unknown": "**the rule**: these, or `Unknown_Normal` most probable",
    "unusualness_and_unknown": "the fourth: unusual features combined with the odds of `Unknown_Normal`",
    "energy": "energy",
    "mahalanobis": "Mahalanobis distance",
    "vim": "ViM",
    "knn": "distance to the 50th nearest training picture (KNN)",
}
"""Descriptions of the scores of ``train.evaluate.ood``."""


def ood_section(ood: Mapping[str, Any]) -> str:
    """Write the section: pictures that are not skin that were rejected, and how well each score detects them.

    Args:
        ood: content of an ``ood.json`` file.
    """
    skin, sources = ood["skin"], ood["sources"]
    lines = [
        "## Pictures that are not skin",
        "",
        f"Detected (rejected, or `Unknown_Normal` most probable): {skin['detected']} of {skin['n']} pictures "
        f"of skin ({ood['data']}, {ood['split']}), which should be few, and "
        + ", ".join(f"{own['detected']} of {own['n']} from {name}" for name, own in sources.items())
        + ", which should be most.",
        "",
    ]
    rows = []
    for score, by_source in ood["detectors"].items():
        cells = [f"{own['auroc']:.3f} / {own['fpr95']:.3f}" for own in by_source.values()]
        rows.append([SCORES[score], *cells, f"{ood['mean_auroc'][score]:.3f}"])
    lines.append(markdown_table(["AUROC / FPR at 95 % of skin accepted", *sources, "Mean AUROC"], rows))
    if fitted := ood.get("fitted_on"):
        lines += [
            "",
            f"Energy, Mahalanobis, ViM and KNN are pytorch-ood's, for comparison, the last three fitted on "
            f"{fitted['n']} pictures of skin ({fitted['data']}, {fitted['split']}).",
        ]
    return "\n".join(lines)

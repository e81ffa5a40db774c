"""The model card's section on calibration, rejection and prediction sets."""

from __future__ import annotations

from typing import Any

from model.config import ModelConfig
from model.decision.conformal import SET_LEVEL, SOURCE_LEVEL, SOURCE_PICTURES
from model.decision.malignancy import malignant_labels
from model.decision.modality import Gate
from model.labels import NO_CONDITION
from train.report.tables import markdown_table, warned_by, with_interval


def rule_section(config: ModelConfig, options: dict[str, Any], calibration: dict[str, Any] | None) -> str:
    """Write the section: calibration and rejection, and how well they hold on other pictures.

    Args:
        config: of the checkpoint.
        options: of the training run, named as in ``TrainConfig``.
        calibration: content of a ``calibration.json`` file, if there is one.
    """
    aims = {**options, **(calibration or {}).get("aims", {})}  # those of a later `calibrate`
    parts = ["## Calibration and rejection", _fitted(config, aims)]
    if calibration:
        parts.append(_cross_fitted(calibration))
    return "\n\n".join(parts)


def gate_section(gate: Gate) -> str:
    """How well clinical photographs and dermoscopy are told apart on sources that did not teach it."""
    header = ["Source left out", "Pictures", "Told right", "AUROC against the other kind"]
    rows = [
        [source, own["own"], f"{own['right']:.1%}", with_interval(own["auroc"], own["interval"], digits=4)]
        for source, own in gate.figures.items()
    ]
    words = {"clinical": "clinical photographs", "dermoscopy": "dermoscopy"}
    return "\n\n".join(
        [
            "## Clinical photograph or dermoscopy",
            f"This network learned from {words[gate.expects]}. A linear head on its features says where a "
            "picture looks like the other kind, and the answer repeats it. For each row it was fitted "
            "without that source and a part of the other kind, and told both apart.",
            markdown_table(header, rows),
        ]
    )


def _fitted(config: ModelConfig, options: dict[str, Any]) -> str:
    unusual = ""
    if config.detector:
        unusual = (
            " (the paper's two criteria), or the picture's features are more unusual than those of "
            f"{config.max_unusualness:.1%} of the validation pictures that show a condition (the third)"
        )
        if NO_CONDITION in config.labels:
            unusual += (
                f", or the odds of `{NO_CONDITION}`, divided by the share of them that is as unusual, make a "
                f"probability over {config.max_not_skin:.3f} without that label being the best guess (the "
                "fourth)"
            )
    away = (
        f"neither rejected nor called `{NO_CONDITION}`" if NO_CONDITION in config.labels else "not rejected"
    )
    text = (
        f"Fitted on the validation split: temperature {config.temperature:.3f}; rejected if the largest "
        f"calibrated probability is under {config.min_max_probability:.3f} or the normalised entropy is over "
        f"{config.max_normalized_entropy:.3f}{unusual}, chosen so that {options['keep']:.0%} of the "
        f"validation pictures that show a condition are {away}; called uncertain under "
        f"{config.uncertain_below:.3f}, the smallest bound above which "
        f"{options['uncertain_accuracy']:.0%} of the accepted answers were right there."
    )
    if malignant_labels(config) and config.malignant_from < 1:
        text += (
            f" The advice to see a doctor soon comes first from {config.malignant_from:.3f} on of the summed "
            f"probability of {', '.join(malignant_labels(config))}, a bound that "
            f"{options['malignant_sensitivity']:.0%} of the validation pictures of these labels reach, each "
            "group of related ones counting as one."
        )
    if config.set_quantile < 1:
        text += (
            f" What cannot be ruled out is every label of probability {1 - config.set_quantile:.3f} or more, "
            f"and always the best guess: a split conformal set, meant to hold the true label of "
            f"{SET_LEVEL:.0%} of the pictures that are not rejected, and of {SOURCE_LEVEL:.0%} of those of "
            f"every source with {SOURCE_PICTURES} or more of them in validation."
        )
    return text


def _cross_fitted(figures: dict[str, Any]) -> str:
    errors, skin, certain = figures["ece"], figures["skin"], figures["not_uncertain"]
    warned = figures["malignant_warning"]
    lines = [
        "How well these values hold on pictures that were not used to choose them "
        f"({', '.join(figures['data'])}, {figures['split']}, n = {figures['n']}; fitted on all but one of "
        f"{figures['folds']} folds and measured on that one, in turn; no group of related pictures is in two "
        "folds):",
        "",
        f"- expected calibration error {errors['before']:.3f} at temperature 1, {errors['after']:.3f} at the "
        "fitted one;",
        f"- {figures['rejected']:.1%} rejected; of the {skin['n']} pictures that show a condition "
        f"{skin['detected']} rejected or called `Unknown_Normal`;",
    ]
    if certain["n"]:
        lines.append(f"- {certain['accuracy']:.1%} right of the {certain['n']} answers not called uncertain;")
    if warned:
        lines.append(
            f"- the advice to see a doctor soon first for {warned['malignant_warned']} of the "
            f"{warned['malignant']} pictures whose label may be cancer, and for {warned['others_warned']} of "
            f"{warned['others']} others; {_reached(warned)};"
        )
    sets, others = figures["prediction_sets"], figures["adaptive_sets"]
    if detector := figures.get("detector"):
        lines.append(f"- {_chosen(detector)};")
    if sets:
        against = f" ({_coverage(others)} for adaptive sets, which were not chosen)" if others else ""
        lines.append(f"- sets of what cannot be ruled out: {_coverage(sets)}{against}.")
    reach = warned_by(warned) if warned else None
    told = ["", reach.caption, "", markdown_table(reach.header, reach.rows)] if reach else []
    return "\n".join([*lines, *_by_source(errors["by_source"], sets), *_by_skin_type(sets), *told])


def _reached(warned: dict[str, Any]) -> str:
    """Sensitivity and its price, with intervals."""
    figures = (
        f"{name} {with_interval(warned[name], warned[f'{name}_interval'])}"
        for name in ("sensitivity", "specificity")
        if warned[name] is not None
    )
    return f"each group of related pictures counting as one, {', '.join(figures)}"


def _chosen(detector: dict[str, Any]) -> str:
    """The detector of the third criterion, and how it was chosen."""
    own = detector["auroc"][detector["name"]]
    aurocs = ", ".join(f"{auroc:.3f} on {source}" for source, auroc in own.items())
    text = (
        f"the third criterion is the {detector['name']}, the best of {len(detector['auroc'])} candidates on "
        "the pictures that are not skin, each counted whole and in nine pieces: AUROC " + aurocs
    )
    if without := detector["left_out"]:
        found = (f"{own['auroc']:.3f} on {source}" for source, own in without.items())
        text += f"; chosen without a source and measured on it: {', '.join(found)}"
    return text


def _coverage(sets: dict[str, Any]) -> str:
    return f"true label in {sets['coverage']:.1%} of {sets['n']}, {sets['mean_size']:.1f} labels on average"


def _by_source(errors: dict[str, Any], sets: dict[str, Any] | None) -> list[str]:
    if not errors:
        return []
    of_sets = (sets or {}).get("per_source", {})
    rows = [
        [source, own["n"], f"{own['before']:.3f}", f"{own['after']:.3f}", *_set_cells(of_sets.get(source))]
        for source, own in errors.items()
    ]
    header = ["Source", "Pictures", "Error before", "Error after", "Sets", "Coverage", "Mean size"]
    return [
        "",
        "Calibration errors of small samples are large by chance alone.",
        "",
        markdown_table(header, rows),
    ]


def _by_skin_type(sets: dict[str, Any] | None) -> list[str]:
    if not sets or not sets["per_skin_type"]:
        return []
    rows = [[name, *_set_cells(own)] for name, own in sets["per_skin_type"].items()]
    return ["", markdown_table(["Fitzpatrick skin type", "Sets", "Coverage", "Mean size"], rows)]


def _set_cells(own: dict[str, Any] | None) -> list[str]:
    return [str(own["n"]), f"{own['coverage']:.2f}", f"{own['mean_size']:.1f}"] if own else ["–"] * 3

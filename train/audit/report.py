"""Write an audit's two reports: ``audit.json`` for programs, ``audit.md`` for people."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model.files import write_text
from train.report.tables import markdown_table

TEXTS = {
    "unreadable": "pictures that cannot be read",
    "copies_across_splits": "files that are in several splits",
    "copies_conflicting": "files that have several labels",
    "groups_across_splits": "groups that are in several splits",
    "copies_within_split": "files that are in one split more than once",
    "near_across_splits": "pairs of near duplicates in different splits",
    "near_conflicting": "pairs of near duplicates with different labels",
    "near_across_groups": "pairs of near duplicates in one split but in different groups",
    "near_within_group": "pairs of near duplicates in one group, which is fine",
    "without_label": "pictures without a label",
    "without_group": "pictures without a group",
    "label_errors": "likely label errors",
}

SHOWN = 20
"""The most entries of a list in ``audit.md``; ``audit.json`` has all."""


def defects(found: dict[str, Any]) -> dict[str, int]:
    """Count the findings of each kind that makes metrics wrong or stops training; kinds as in ``TEXTS``."""
    copies = found["copies"]
    return {
        "unreadable": len(found["unreadable"]),
        "copies_across_splits": sum(same["across_splits"] for same in copies),
        "copies_conflicting": sum(same["conflict"] for same in copies),
        "groups_across_splits": len(found["groups_across_splits"]),
    }


def hints(found: dict[str, Any]) -> dict[str, int]:
    """Count the findings of each kind that should be checked; kinds as in ``TEXTS``."""
    pairs, errors = found["near_duplicates"], found["label_errors"]
    counted = {
        "copies_within_split": sum(not same["across_splits"] for same in found["copies"]),
        "near_across_splits": sum(pair["across_splits"] for pair in pairs),
        "near_conflicting": sum(pair["conflict"] for pair in pairs),
        "near_across_groups": sum(_across_groups(pair) for pair in pairs),
        "near_within_group": sum(pair["same_group"] for pair in pairs),
        "without_label": found["without_label"],
        "without_group": found["without_group"],
    }
    return counted if errors is None else {**counted, "label_errors": len(errors["pictures"])}


def _across_groups(pair: dict[str, Any]) -> bool:
    return not pair["same_group"] and not pair["across_splits"]


def write_report(folder: Path, found: dict[str, Any]) -> None:
    """Write ``audit.json`` and ``audit.md``.

    Args:
        folder: to write to.
        found: from ``train.audit.run.audit``.
    """
    content = {"defects": defects(found), "hints": hints(found), **found}
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(folder / "audit.json", text + "\n")
    write_text(folder / "audit.md", _markdown(found))


def _markdown(found: dict[str, Any]) -> str:
    copies, pairs = found["copies"], found["near_duplicates"]
    worst_first = sorted(copies, key=lambda same: (not same["across_splits"], not same["conflict"]))
    parts = [
        "# Audit of a data set",
        f"{found['pictures']} pictures. "
        f"{'There are defects.' if any(defects(found).values()) else 'There are no defects.'}",
        "## Defects",
        "They make metrics wrong or stop training. Fix them first.",
        _totals(defects(found)),
        "## Hints",
        "Check these: a hash can match different pictures, and a model can be wrong about a label.",
        _totals(hints(found)),
        "## Pictures by class",
        _counted("Class", found["counts"], "label"),
        "## Pictures by source",
        _counted("Source", found["counts"], "data", "source"),
        *_listing(
            "unreadable", [f"{_name(picture)}: {picture['problem']}" for picture in found["unreadable"]]
        ),
        *_listing(
            "groups_across_splits",
            [
                f"{entry['data']}/{entry['group']}: {entry['splits']}"
                for entry in found["groups_across_splits"]
            ],
        ),
        *_listing(
            "copies", [" = ".join(_name(picture) for picture in same["pictures"]) for same in worst_first]
        ),
        *_listing("near_across_splits", [_pair(pair) for pair in pairs if pair["across_splits"]]),
        *_listing("near_conflicting", [_pair(pair) for pair in pairs if pair["conflict"]]),
        *_listing("near_across_groups", [_pair(pair) for pair in pairs if _across_groups(pair)]),
        *_label_errors(found["label_errors"]),
    ]
    return "\n\n".join(parts) + "\n"


def _label_errors(errors: dict[str, Any] | None) -> list[str]:
    title = "## Likely label errors"
    if errors is None:
        return [title, "Not checked: neither `--probabilities` nor `--init` was given."]
    text = (
        f"By cleanlab, from {errors['method']}: {errors['judged']} pictures checked, "
        f"{errors['accuracy']:.1%} of them predicted as labelled. The lower this share, the more of the "
        "labels below are right. Do not correct a test split with the kind of model that it measures."
    )
    lines = [
        f"{_name(picture)}, probability {picture['probability']:.3f}; "
        f"{picture['suggested']}, probability {picture['suggested_probability']:.3f}?"
        for picture in errors["pictures"]
    ]
    return [title, text, *_listing("label_errors", lines)[1:]]


def _listing(kind: str, lines: Sequence[str]) -> list[str]:
    """A heading and the first lines; empty if there are none."""
    if not lines:
        return []
    shown = [f"- {line}" for line in lines[:SHOWN]]
    if len(lines) > SHOWN:
        shown.append(f"- {len(lines) - SHOWN} more in `audit.json`")
    text = TEXTS.get(kind, "files that occur more than once")
    return [f"## {text[0].upper()}{text[1:]}", "\n".join(shown)]


def _name(picture: dict[str, Any]) -> str:
    return f"{picture['data']}/{picture['split']}/{picture['id']} ({picture['label'] or 'no label'})"


def _pair(pair: dict[str, Any]) -> str:
    first, second = map(_name, pair["pictures"])
    return (
        f"{first} ~ {second}, {pair['bits']} of 256 bits{', rotated or mirrored' if pair['turned'] else ''}"
    )


def _totals(counts: dict[str, int]) -> str:
    return markdown_table(["Number", "What"], [[count, TEXTS[kind]] for kind, count in counts.items()])


def _counted(title: str, counts: Sequence[dict[str, Any]], *keys: str) -> str:
    """Number of pictures by split for each value of the keys."""
    splits = sorted({split for entry in counts for split in entry["splits"]})
    sums: dict[str, Counter[str]] = {}
    for entry in counts:
        name = ": ".join(filter(None, (entry[key] for key in keys))) or "none"
        sums.setdefault(name, Counter()).update(entry["splits"])
    return markdown_table(
        [title, *splits], [[name, *(sums[name][split] for split in splits)] for name in sorted(sums)]
    )

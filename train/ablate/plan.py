"""The plan of an ablation: a YAML file with a shared recipe and sections of rows."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import yaml

from model.errors import ConfigError
from model.files import read_text


@dataclasses.dataclass(frozen=True, kw_only=True)
class Section:
    """A set of rows to compare.

    Attributes:
        title: heading. text: the question and the result.
        rows: name → the options it changes; ``train_sources`` lists the sources to train on, if not all.
        leave_out: sources; a row is trained without each of them in turn, and measured on it.
        options: changes for all rows of the section.
        seeds: each row is trained once with each.
    """

    title: str
    rows: dict[str, dict[str, Any]]
    text: str = ""
    leave_out: tuple[str, ...] = ()
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    seeds: tuple[int, ...] = (0,)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """A plan for ``ablate``.

    Attributes:
        text: shown above the tables.
        options: the shared recipe, named as in ``TrainConfig``.
        views: number of cached augmented views of each training picture.
        not_skin: sources of pictures that should be rejected.
        sections: see ``Section``.
    """

    text: str
    options: dict[str, Any]
    views: int
    not_skin: tuple[str, ...]
    sections: tuple[Section, ...]


def read_plan(path: Path) -> Plan:
    """Read a plan; raises ``ConfigError`` if it is not valid."""
    try:
        values = yaml.safe_load(read_text(path))
        sections = tuple(Section(**section) for section in values.pop("sections"))
        return Plan(**values, sections=sections)
    except (yaml.YAMLError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(
            f"{path} is not a valid plan ({error}).", hint="See train/ablations.yaml."
        ) from error


def figures_path(output: Path, section: Section, name: str, seed: int) -> Path:
    """The path of a row's metrics."""
    slug = re.sub(r"[^a-z0-9]+", "-", f"{section.title} {name}".lower()).strip("-")
    return output / f"{slug}-{seed}.json"

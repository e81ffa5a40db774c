"""The findings of an audit that need no network."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from train.audit.duplicates import Hashes, Pair, near_duplicates
from train.data.manifest import Entry


class Picture(NamedTuple):
    """One row of a data set.

    Attributes:
        data: name of the data set.
        line: its line in the manifest, which has split, id, label and hash.
        source, group: from ``load_split``.
        problem: why it cannot be read, or None.
        hashes: None if it cannot be read.
    """

    data: str
    line: Entry
    source: str | None
    group: str | None
    problem: str | None
    hashes: Hashes | None


def reference(picture: Picture) -> dict[str, Any]:
    """A picture's entry in a report."""
    return {
        "data": picture.data,
        "split": picture.line.split,
        "id": picture.line.id,
        "label": picture.line.label,
    }


def counts(pictures: Sequence[Picture]) -> list[dict[str, Any]]:
    """One ``{"data", "source", "label", "splits": {split: pictures}}`` for each that occurs, sorted."""
    found: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    for picture in pictures:
        found[picture.data, picture.source or "", picture.line.label][picture.line.split] += 1
    return [
        {"data": data, "source": source, "label": label, "splits": dict(splits)}
        for (data, source, label), splits in sorted(found.items())
    ]


def exact_copies(pictures: Sequence[Picture]) -> list[list[int]]:
    """Groups of rows with identical files; only files that occur more than once."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row, picture in enumerate(pictures):
        if picture.line.sha256:
            rows[picture.line.sha256].append(row)
    return [same for same in rows.values() if len(same) > 1]


def near_copies(pictures: Sequence[Picture], copies: Iterable[Sequence[int]]) -> list[Pair]:
    """Pairs of rows that look the same; only the first of exact copies is compared."""
    others = {row for same in copies for row in same[1:]}
    kept = [row for row, picture in enumerate(pictures) if picture.hashes is not None and row not in others]
    pairs = near_duplicates([hashes for row in kept if (hashes := pictures[row].hashes) is not None])
    return [pair._replace(first=kept[pair.first], second=kept[pair.second]) for pair in pairs]


def describe_copies(pictures: Sequence[Picture], rows: Sequence[int]) -> dict[str, Any]:
    """Exact copies for the report: the pictures, whether they cross splits, whether their labels differ."""
    found = [pictures[row] for row in rows]
    return {
        "pictures": [reference(picture) for picture in found],
        "across_splits": len({picture.line.split for picture in found}) > 1,
        "conflict": len({picture.line.label for picture in found} - {""}) > 1,
    }


def describe_pair(pictures: Sequence[Picture], pair: Pair) -> dict[str, Any]:
    """Near duplicates for the report: as exact copies, with what the hashes say and the groups."""
    groups = {_group(pictures[row]) for row in pair[:2]}
    return {
        **describe_copies(pictures, pair[:2]),
        "turned": pair.turned,
        "bits": pair.bits,
        "same_group": len(groups) == 1 and None not in groups,
    }


def groups_across_splits(pictures: Sequence[Picture]) -> list[dict[str, Any]]:
    """Groups of one data set that are in several splits: ``{"data", "group", "splits": {...}}``."""
    found: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for picture in pictures:
        if group := _group(picture):
            found[group][picture.line.split] += 1
    return [
        {"data": data, "group": group, "splits": dict(splits)}
        for (data, group), splits in found.items()
        if len(splits) > 1
    ]


def related(
    pictures: Sequence[Picture], copies: Iterable[Sequence[int]], pairs: Iterable[Pair]
) -> NDArray[np.int64]:
    """A number for every row, (N,), shared by pictures that are related by group or similarity."""
    members: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row, picture in enumerate(pictures):
        if group := _group(picture):
            members[group].append(row)
    joined = [*members.values(), *copies, *(pair[:2] for pair in pairs)]
    links = [(rows[0], row) for rows in joined for row in rows[1:]]
    first, second = np.asarray(links, dtype=np.int64).reshape(-1, 2).T
    size = len(pictures)
    graph = coo_array((np.ones(len(links)), (first, second)), shape=(size, size))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _group(picture: Picture) -> tuple[str, str] | None:
    """A group's name, unique across data sets."""
    return None if picture.group is None else (picture.data, picture.group)

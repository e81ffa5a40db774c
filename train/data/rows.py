"""``open_rows``: checks every picture before anything is trained, measured or fitted on it.

Accepted rows can be read, have a label if one is needed, and match the manifest if one is given.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import datasets
from tqdm import tqdm

from model.errors import ConfigError, DataError, ImageError
from model.files import write_json
from model.image import read_image
from train.data.columns import NO_LABEL
from train.data.manifest import verify_sources
from train.data.splits import load_split, picture_bytes, with_truth
from train.distributed import gather_rows, is_main, on_main, own_rows
from train.run_folder import read_stored

_SHOWN = 10


class Opened(NamedTuple):
    """A checked split.

    Attributes:
        rows: the readable ones, from ``load_split``.
        unreadable: one ``{"row", "id", "problem"}`` for each of the others.
    """

    rows: datasets.Dataset
    unreadable: list[dict[str, Any]]


def open_rows(
    sources: Sequence[str],
    split: str,
    *,
    labels: Sequence[str] | None,
    max_unreadable: float,
    labelled: bool = True,
    strict: bool = False,
    manifest: str = "",
    truth: str | None = None,
) -> Opened:
    """Load one split of every source and keep the usable rows.

    Every process of a launcher must call it: each checks its share, and all get the full result.

    Args:
        sources, labels, strict: as for ``load_split``.
        split: the split's name.
        max_unreadable: largest share of unreadable pictures, 0 to 1.
        labelled: every row must have one of ``labels``.
        manifest: a hash manifest that the split must match; empty for none.
        truth: a file for ``read_truth`` that provides the labels.

    Raises:
        ConfigError: ``max_unreadable`` is out of range.
        DataError: as for ``load_split``, ``verify_sources``, ``with_truth`` and ``admit``.
    """
    if manifest:
        verify_sources(Path(manifest), sources, [split], None if truth else labels)
    rows = load_split(sources, split, labels=None if truth else labels, strict=strict)
    if truth and labels is not None:
        rows = with_truth(rows, Path(truth), labels)
    return admit(rows, what=split, max_unreadable=max_unreadable, labelled=labelled)


def admit(
    rows: datasets.Dataset,
    *,
    what: str,
    max_unreadable: float,
    labelled: bool = True,
    known: Sequence[dict[str, Any]] | None = None,
) -> Opened:
    """Keep the usable rows of a split that is already loaded; see ``open_rows``.

    Args:
        rows: as ``load_split`` gives them.
        what: the split's name, for the progress bar and the messages.
        max_unreadable, labelled: as for ``open_rows``.
        known: the unreadable rows of an earlier check of the same rows; None checks every picture.

    Raises:
        ConfigError: ``max_unreadable`` is out of range.
        DataError: too many pictures are unreadable, none is left, or a row has no label.
    """
    if not 0 <= max_unreadable <= 1:
        raise ConfigError(
            f"max_unreadable is {max_unreadable:g}; a share from 0 to 1 is expected.",
            hint="0.01 allows one picture in a hundred to be unreadable.",
        )
    bad = list(known) if known is not None else _unreadable(rows, what=what)
    if len(bad) > max_unreadable * len(rows):
        raise DataError(
            f"{len(bad)} of {len(rows)} pictures of {what} are unreadable; "
            f"at most {max_unreadable:.1%} may be.",
            hint="Repair the pictures listed above, or raise max_unreadable.",
        )
    skip = {entry["row"] for entry in bad}
    left = rows.select([row for row in range(len(rows)) if row not in skip]) if skip else rows
    if not len(left):
        raise DataError(f"No picture in {what} can be used.", hint="Check the data set and its splits.")
    unlabelled = list(left["label"]).count(NO_LABEL) if labelled else 0
    if unlabelled:
        raise DataError(
            f"{unlabelled} of {len(left)} rows of {what} have no label.",
            hint="Label or remove them. `python -m train predict-split` takes pictures without labels, and "
            "`evaluate` takes their labels from --truth FILE.csv.",
        )
    return Opened(left, bad)


def admit_for_run(
    listing: Path, *, max_unreadable: float, **splits: datasets.Dataset
) -> dict[str, datasets.Dataset]:
    """``admit`` for a run that may be resumed: gives the same rows every time.

    Args:
        listing: a file in the run's folder; the first call writes the unreadable rows and a hash of all rows.
        max_unreadable: as for ``open_rows``.
        splits: name → rows from ``load_split``.

    Raises:
        ConfigError: the listing is damaged.
        DataError: as for ``admit``; or the rows have changed since the run started.
    """
    known: dict[str, Any] | None = on_main(
        lambda: _read_listing(listing, splits) if listing.exists() else None
    )
    opened = {
        name: admit(rows, what=name, max_unreadable=max_unreadable, known=known[name] if known else None)
        for name, rows in splits.items()
    }
    if known is None and is_main():
        bad = {name: split.unreadable for name, split in opened.items()}
        write_json(listing, {**bad, "rows": {name: fingerprint(rows) for name, rows in splits.items()}})
    return {name: split.rows for name, split in opened.items()}


def _read_listing(listing: Path, splits: Mapping[str, datasets.Dataset]) -> dict[str, Any]:
    stored = read_stored(listing)
    try:
        before = {name: str(stored["rows"][name]) for name in splits}
        bad = {
            name: [
                {"row": int(e["row"]), "id": str(e["id"]), "problem": str(e["problem"])} for e in stored[name]
            ]
            for name in splits
        }
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{listing} is not a valid file of a run ({type(error).__name__}: {error}).",
            hint="Restore a copy of the file, or start again in another --output.",
        ) from error
    changed = [name for name, rows in splits.items() if fingerprint(rows) != before[name]]
    if changed:
        raise DataError(
            f"The rows of {' and '.join(changed)} have changed since the run started.",
            hint="Restore the data set, or start again in another --output.",
        )
    return bad


def fingerprint(rows: datasets.Dataset) -> str:
    """A hash that changes with any row: its label, id, group and the like, and its picture.

    A picture in a table contributes all its bytes; one in its own file only name and size, for speed.
    """
    digest = hashlib.sha256()
    for batch in rows.with_format("arrow").iter(batch_size=100):
        for row in batch.to_pylist():
            image = row.pop("image")
            data = image and image["bytes"]
            if image and data is None:
                path = Path(image["path"])
                row["file"] = [path.name, path.stat().st_size if path.is_file() else None]
            digest.update(json.dumps(row, sort_keys=True, allow_nan=False).encode())
            digest.update(hashlib.sha256(data or b"").digest())
    return digest.hexdigest()


def _unreadable(rows: datasets.Dataset, *, what: str) -> list[dict[str, Any]]:
    """Decode every picture once; return one ``{"row", "id", "problem"}`` for each unreadable one."""

    def problem(row: int) -> str | None:
        try:
            read_image(picture_bytes(rows[row]))
        except (ImageError, OSError) as error:
            return str(error)
        return None

    own, quiet = own_rows(len(rows)), not is_main()
    with ThreadPoolExecutor() as pool:
        checks: Iterable[str | None] = pool.map(problem, own)
        bar = tqdm(checks, total=len(own), desc=f"check {what}", unit="picture", disable=quiet)
        problems = gather_rows(len(rows), list(bar))
    bad = [
        {"row": row, "id": rows[row]["id"], "problem": text}
        for row, text in enumerate(problems)
        if text is not None
    ]
    if bad and not quiet:
        for entry in bad[:_SHOWN]:
            tqdm.write(f"unreadable in {what}: {entry['id']}: {entry['problem']}")
        if len(bad) > _SHOWN:
            tqdm.write(f"unreadable in {what}: {len(bad) - _SHOWN} more")
        tqdm.write(f"{len(bad)} of {len(rows)} pictures of {what} are unreadable and left out.")
    return bad

"""``push-data``: upload a data set as parquet shards, a card and a hash manifest to the Hub."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from huggingface_hub import DatasetCard
from tqdm import tqdm

from model import hub
from model.errors import DataError, ImageError
from model.files import read_text, write_text
from train.data import manifest
from train.data.columns import NO_LABEL
from train.data.splits import class_names, load_split, picture_bytes, split_names
from train.report.tables import markdown_table

SHARD_BYTES = 256_000_000
"""A new shard starts when the pictures of one reach this size, bytes."""

ROW_GROUP = 100
"""Pictures in memory at a time."""

_TEXTS = ("id", "source", "group", "diagnosis")
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def push_data(*, data: str, repo_id: str, notes: str, public: bool = False) -> hub.Upload:
    """Upload every split of a data set in one commit.

    The pictures are uploaded byte for byte, each with its label, id, source, group and skin type, but without
    local folder names. The shards are first written to a temporary folder, which needs as much space as the
    data set.

    Args:
        data: folder or Hub id.
        repo_id: ``ORG/NAME``, created if needed.
        notes: a Markdown file, with ``license`` in its front matter and a heading "Sources".
        public: make the repository public.

    Raises:
        DataError: the notes do not state sources and licence, or the data set is not valid.
        HubError: the Hub refuses.
    """
    given = _read_notes(Path(notes))
    names = class_names(data)
    with tempfile.TemporaryDirectory(prefix="push-data-") as temporary:
        folder = Path(temporary)
        splits = split_names(data)
        lines = [line for split in splits for line in _write_split(data, split, names, folder)]
        manifest.write(folder / manifest.FILE, lines)
        manifest.verify(folder / manifest.FILE, {split: _stored(folder, split, names) for split in splits})
        write_text(folder / "README.md", _card(given, repo_id, lines, names))
        files: dict[str, Path | bytes] = {
            file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()
        }
        return hub.upload(
            repo_id,
            files,
            kind="dataset",
            message=f"Upload {len(lines)} pictures",
            private=not public,
            replaces=["data/*"],
        )


def _write_split(data: str, split: str, names: Sequence[str], folder: Path) -> list[manifest.Entry]:
    rows = load_split([data], split, labels=names or None, strict=False)
    schema = _features(names).arrow_schema
    lines: list[manifest.Entry] = []
    shards: list[Path] = []
    writer, size = None, 0
    (folder / "data").mkdir(exist_ok=True)
    bar = tqdm(total=len(rows), desc=f"write {split}", unit="picture")
    try:
        for start in range(0, len(rows), ROW_GROUP):
            batch = [
                _stored_row(row, names, data, split)
                for row in rows.select(range(start, min(start + ROW_GROUP, len(rows))))
            ]
            if writer is None or size >= SHARD_BYTES:
                if writer is not None:
                    writer.close()
                shards.append(folder / "data" / f"{split}-{len(shards):05d}.parquet")
                writer, size = pq.ParquetWriter(shards[-1], schema), 0
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
            size += sum(len(row["image"]["bytes"]) for row in batch)
            lines += [_line(split, row, names) for row in batch]
            bar.update(len(batch))
    finally:
        bar.close()
        if writer is not None:
            writer.close()
    for number, shard in enumerate(shards):
        shard.rename(shard.with_name(f"{split}-{number:05d}-of-{len(shards):05d}.parquet"))
    return lines


def _features(names: Sequence[str]) -> datasets.Features:
    label = {"label": datasets.ClassLabel(names=list(names))} if names else {}
    texts = {name: datasets.Value("string") for name in _TEXTS}
    return datasets.Features(
        {"image": datasets.Image(), **label, **texts, "skin_type": datasets.Value("int64")}
    )


def _stored_row(row: dict[str, Any], names: Sequence[str], data: str, split: str) -> dict[str, Any]:
    try:
        picture = picture_bytes(row)
    except (ImageError, OSError) as error:
        raise DataError(
            f"The picture {row['id']} of {data} ({split}) cannot be read ({error}).",
            hint="Repair or remove it.",
        ) from error
    label = {"label": None if row["label"] == NO_LABEL else row["label"]} if names else {}
    same = {name: row[name] for name in (*_TEXTS, "skin_type")}
    return {"image": {"bytes": picture, "path": Path(row["id"]).name}, **label, **same}


def _line(split: str, row: dict[str, Any], names: Sequence[str]) -> manifest.Entry:
    number = row.get("label")
    label = "" if number is None else names[number]
    return manifest.entry(split, row["id"], label, row["image"]["bytes"])


def _stored(folder: Path, split: str, names: Sequence[str]) -> Iterator[manifest.Entry]:
    """The manifest lines of the shards."""
    for shard in sorted((folder / "data").glob(f"{split}-?????-of-?????.parquet")):
        with pq.ParquetFile(shard) as file:
            for batch in file.iter_batches(batch_size=ROW_GROUP):
                yield from (_line(split, row, names) for row in batch.to_pylist())


def _read_notes(path: Path) -> DatasetCard:
    example = (
        "Start it with the lines `---`, `license: cc-by-4.0` (or `other`, with `license_name: ...`), `---`; "
        "then state under `## Sources` where the pictures come from, and their terms."
    )
    text = read_text(path)
    try:
        card = DatasetCard(text, ignore_metadata_errors=False)
    except (ValueError, yaml.YAMLError) as error:
        raise DataError(f"{path} has no readable front matter.", hint=example) from error
    if not card.data.get("license"):
        raise DataError(f"The front matter of {path} names no license.", hint=example)
    if not re.search(r"^#+ .*\bsources?\b", card.text, re.IGNORECASE | re.MULTILINE):
        raise DataError(f"{path} has no heading with the word Sources.", hint=example)
    return card


def _card(notes: DatasetCard, repo_id: str, lines: Sequence[manifest.Entry], names: Sequence[str]) -> str:
    splits = list(dict.fromkeys(line.split for line in lines))
    size = next((text for limit, text in _SIZES if len(lines) < limit), "n>1M")
    front = {
        "task_categories": ["image-classification"],
        "size_categories": [size],
        **notes.data.to_dict(),
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": f"data/{split}-*"} for split in splits],
            }
        ],
    }
    title = front.get("pretty_name") or repo_id.partition("/")[2]
    counts = Counter((line.label, line.split) for line in lines)
    table = [
        [label or "no label", *(str(counts[label, split]) for split in splits)]
        for label in (*names, "")
        if any(counts[label, split] for split in splits)
    ]
    table.append(["All", *(str(sum(line.split == split for line in lines)) for split in splits)])
    parts = [
        f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---",
        f"# {title}",
        notes.text.strip(),
        "## Pictures",
        markdown_table(["Class", *splits], table),
        "## Files",
        "`data/` holds parquet shards with the columns `image` (the original file), "
        f"{'`label`, ' if names else ''}`id`, `source`, `group` (related pictures, as of one lesion, "
        "share it), `diagnosis` (in the source's words) and `skin_type` (Fitzpatrick, 1 to 6). "
        f"`{manifest.FILE}` has one line per picture: `split`, `id`, `label` and `sha256`, "
        "the hash of its file. Load a fixed revision:",
        f'```python\ndatasets.load_dataset("{repo_id}", revision="COMMIT")\n```',
    ]
    return "\n\n".join(parts) + "\n"

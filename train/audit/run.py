"""``audit``: check a data set before training on it, and write its hash manifest."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import datasets
from tqdm import tqdm

from model.errors import ConfigError, DataError, ImageError
from model.image import read_image
from train.audit import findings
from train.audit.duplicates import picture_hashes
from train.audit.findings import Picture
from train.audit.label_errors import likely_label_errors, probe_probabilities, read_probabilities
from train.audit.report import TEXTS, defects, write_report
from train.data import manifest
from train.data.columns import NO_LABEL
from train.data.pictures import shown
from train.data.splits import class_names, load_split, picture_bytes, split_names
from train.extras import require
from train.probe import Weights


def audit(
    *,
    data: Sequence[str],
    output: str,
    labels: Sequence[str] = (),
    probabilities: Sequence[str] = (),
    init: str = "",
    backbone: str = "resnet50",
    stride_in_1x1: bool = False,
    device: str = "auto",
    fail_on_defects: bool = False,
) -> None:
    """Write ``audit.md``, ``audit.json`` and ``manifest.csv`` to a folder.

    Args:
        data: folders or Hub ids; audited together, as ``fit`` would train on them.
        output: the folder. It also caches features, so a killed audit can continue.
        labels: class names; None for all of the data sets'.
        probabilities: out-of-fold CSV files from ``predict-split``, to find likely label errors.
        init: instead, initial weights as for ``fit``, for a cross-validated linear probe.
        backbone, stride_in_1x1: as for ``fit``; not needed for a checkpoint.
        device: auto, cpu, cuda or mps.
        fail_on_defects: raise an error at the end if there is a defect.

    Raises:
        ConfigError: an option is wrong, or a package is missing.
        DataError: a data set cannot be loaded, or has defects and ``fail_on_defects`` is set.
    """
    require("imagehash", *(["cleanlab"] if probabilities or init else []), what="The audit")
    if probabilities and init:
        raise ConfigError(
            "Both probabilities and init are given; one of them is expected.",
            hint="Likely label errors come from given probabilities, or from a probe on the weights of init.",
        )
    names = list(labels) or list(dict.fromkeys(name for source in data for name in class_names(source)))
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    parts = [
        (source, split, load_split([source], split, labels=names, strict=False))
        for source in data
        for split in split_names(source)
    ]
    pictures = [picture for part in parts for picture in _scan(*part, names)]
    manifest.write(folder / manifest.FILE, (picture.line for picture in pictures))

    copies = findings.exact_copies(pictures)
    pairs = findings.near_copies(pictures, copies)
    errors = None
    if probabilities:
        errors = likely_label_errors(pictures, read_probabilities(probabilities, pictures))
    elif init:
        rows = datasets.concatenate_datasets([rows for *_, rows in parts])
        related = findings.related(pictures, copies, pairs)
        weights = Weights(init, backbone, stride_in_1x1, device)
        errors = likely_label_errors(pictures, probe_probabilities(folder, rows, pictures, related, weights))
    found = {
        "pictures": len(pictures),
        "counts": findings.counts(pictures),
        "unreadable": [
            {**findings.reference(picture), "problem": picture.problem}
            for picture in pictures
            if picture.problem
        ],
        "copies": [findings.describe_copies(pictures, rows) for rows in copies],
        "near_duplicates": [findings.describe_pair(pictures, pair) for pair in pairs],
        "groups_across_splits": findings.groups_across_splits(pictures),
        "without_label": sum(not picture.line.label for picture in pictures),
        "without_group": sum(picture.group is None for picture in pictures),
        "label_errors": errors,
    }
    write_report(folder, found)
    wrong = {kind: count for kind, count in defects(found).items() if count}
    print(json.dumps({"defects": wrong, "report": str(folder / "audit.md")}, allow_nan=False))
    if wrong and fail_on_defects:
        raise DataError(
            f"The data has defects: {', '.join(f'{count} {TEXTS[kind]}' for kind, count in wrong.items())}.",
            hint=f"{folder / 'audit.md'} names the pictures.",
        )


def _scan(source: str, split: str, rows: datasets.Dataset, labels: Sequence[str]) -> Iterator[Picture]:
    """Read every picture of a split once."""
    name = shown(Path(source).name if Path(source).is_dir() else source)

    def scanned(number: int) -> Picture:
        row = rows[number]
        label = "" if row["label"] == NO_LABEL else labels[row["label"]]
        data, hashes, problem = None, None, None
        try:
            data = picture_bytes(row)
            hashes = picture_hashes(read_image(data))
        except (ImageError, OSError) as error:
            problem = str(error)
        line = manifest.entry(split, row["id"], label, data)
        return Picture(name, line, row["source"], row["group"], problem, hashes)

    with ThreadPoolExecutor() as pool:
        bar = tqdm(
            pool.map(scanned, range(len(rows))),
            total=len(rows),
            desc=f"read {name} {split}",
            unit="picture",
        )
        yield from bar

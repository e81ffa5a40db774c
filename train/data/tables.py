"""Read the tables of public data sets, and the ground truth of challenges."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from model.errors import DataError

ISIC_COLUMNS = ("MEL", "NV", "BCC", "AKIEC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")

_ROMAN = {"i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5, "vi": 6}
_TYPE = re.compile(
    r"(?:fitzpatrick|fst|phototype|skin|type|\s)*(?:(?P<roman>[iv]+)|(?P<number>\d+(?:\.0*)?))"
)
UNSTATED = ("0", "0.0", "-1", "-1.0")
_MISSING = {"", "nan", "none", "null", "na", "n/a", "nat", "<na>", "unknown"}


def known(value: object) -> str | None:
    """A field as stripped text; None if it is empty or means that the value is not known."""
    text = "" if value is None else str(value).strip()
    return None if text.casefold() in _MISSING else text


def skin_type(value: object) -> int | None:
    """Parse a Fitzpatrick skin type, 1 to 6: a number, a text (``3``, ``6.0``) or a Roman numeral (``Type
    IV``).

    None for anything else; ``UNSTATED`` and an empty field mean that the type is not known.
    """
    found = _TYPE.fullmatch((known(value) or "").casefold())
    number = 0 if not found else _ROMAN.get(found["roman"] or "", 0) or float(found["number"] or 0)
    return int(number) if 1 <= number <= 6 else None


def read_table(file: Path, *columns: str) -> Iterator[dict[str, str]]:
    """The rows of a CSV or tab-separated table, one at a time, with stripped values.

    Args:
        file: with a line of column names.
        columns: required names.

    Raises:
        DataError: the file cannot be read, lacks a column, or has a row without the first of them.
    """
    try:
        with open(file, newline="", encoding="utf-8-sig") as lines:
            tabs = "\t" in lines.readline()
            lines.seek(0)
            reader = csv.DictReader(lines, delimiter="\t" if tabs else ",", restval="")
            names = reader.fieldnames or []
            missing = [column for column in columns if column not in names]
            if missing:
                raise DataError(
                    f"{file} has the columns {', '.join(names)}, but not {', '.join(missing)}.",
                    hint="Use the file exactly as downloaded.",
                )
            for row in reader:
                if columns and not row[columns[0]]:
                    raise DataError(
                        f"Line {reader.line_num} of {file} has no {columns[0]}.", hint="Repair or remove it."
                    )
                yield {name: row[name].strip() for name in names}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file} cannot be read ({error}).", hint="Check the path and the file.") from error


class Truth(NamedTuple):
    """One picture in a ground truth.

    Attributes:
        label: in lower case; None if no class is set.
        weight: how much the picture counts in the challenge's score, 0 or more.
    """

    label: str | None
    weight: float


def read_truth(file: Path) -> dict[str, Truth]:
    """The labels of an ISIC ground truth (one column per class) or a table like HAM10000's (``dx``), by id.

    Raises:
        DataError: the file is neither, or a picture appears twice, has several classes or an invalid number.
    """
    header = next(read_table(file), {})
    first, *others = ("image_id", "dx") if "dx" in header else ("image",)
    truths: dict[str, Truth] = {}
    for row in read_table(file, first, *others):
        name = row[first]
        if name in truths:
            raise DataError(f"{file} has {name} twice.", hint="Expected one row per picture.")
        label = row["dx"] if others else _one_hot(row, file)
        truths[name] = Truth(label, number(row.get("score_weight", "1"), name, file))
    if not truths:
        raise DataError(f"{file} has no rows.", hint="Use the file exactly as downloaded.")
    return truths


def _one_hot(row: dict[str, str], file: Path) -> str | None:
    classes = [name for name in ISIC_COLUMNS if name in row and number(row[name], row["image"], file) > 0.5]
    if len(classes) > 1:
        raise DataError(
            f"{file}: {row['image']} is {' and '.join(classes)} at once.", hint="Expected one class per row."
        )
    return classes[0].lower() if classes else None


def number(text: str, name: str, file: Path) -> float:
    """A finite number in the row called ``name``; raises ``DataError`` for anything else."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{file}: {name} has {text!r}.", hint="Expected a number.")
    return value

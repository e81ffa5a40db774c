"""Public data sets for testing only: PAD-UFES-20, DDI and SCIN, as downloaded.

A benchmark is worthless for a model that was trained on it, so each of them has only the split ``test``, and
``refuse_learning`` and ``refuse_rows`` recognise them by their content. ``docs/datasets.md`` says how.
"""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import pyarrow.compute as pc

from model.errors import DataError
from train.data.tables import read_table, skin_type

SPLIT = "test"
LEARNING = ("train", "validation")
"""The splits used for training."""

PAD_LABELS = {"ACK": "ak", "BCC": "bcc", "MEL": "mel", "NEV": "nv", "SCC": "scc", "SEK": "sek"}
DDI_LABELS = ("benign", "malignant")
DDI_TONES = {"12": "I-II", "34": "III-IV", "56": "V-VI"}


class TestSet(NamedTuple):
    """One of the sets.

    Attributes:
        name: for people.
        listing: the table that lists its pictures.
        columns: names that identify this table, and tables derived from it.
        sources: its names in a column ``source``, in lower case without punctuation.
        ids: the pattern of its pictures' names, if it is unique to this set.
        rows: folder → rows with ``id``, ``label``, ``group``, ``source``, ``diagnosis`` and ``skin_type``.
    """

    name: str
    listing: str
    columns: tuple[str, ...]
    sources: tuple[str, ...]
    ids: re.Pattern[str] | None
    rows: Callable[[Path], Iterator[dict[str, Any]]]


class Case(NamedTuple):
    """One contribution to SCIN.

    Attributes:
        pictures: one to three names without extension.
        weights: condition → its share of the dermatologists' votes; they sum to 1.
        skin_type: the median of the dermatologists' estimates (eFST), 1 to 6, the lower of two; or None.
        monk: the graders' estimate of the Monk skin tone (eMST), 1 to 10, from the US pool, else from the
            Indian one; or None.
    """

    pictures: tuple[str, ...]
    weights: Mapping[str, float]
    skin_type: int | None
    monk: int | None

    @property
    def leading(self) -> str:
        """The condition with the largest weight; for equal weights, the alphabetically first."""
        return min(self.weights, key=lambda name: (-self.weights[name], name))


def recognise(folder: Path) -> TestSet | None:
    """The data set whose table is in the folder, if any."""
    for known in TEST_SETS:
        file = folder / known.listing
        if file.is_file():
            try:  # many folders have a metadata.csv; this one is recognised by its columns
                next(read_table(file, *known.columns))
            except (DataError, StopIteration):
                continue
            return known
    return None


def refuse_learning(source: str) -> None:
    """Raise ``DataError`` if a folder is one of these data sets, as downloaded."""
    known = recognise(Path(source))
    if known:
        raise _refused(source, known)


def refuse_rows(source: str, rows: datasets.Dataset) -> None:
    """Raise ``DataError`` for rows of these data sets in another form: parquet, picture folders, the Hub.

    They are recognised by the columns of their table, by a column ``source`` and by pictures' names.

    Args:
        source: folder or Hub id, for the message.
        rows: in the source's own form.
    """
    names: set[str] = set()
    for column in {"id", "source"} & set(rows.column_names):
        feature, values = rows.features[column], rows.unique(column)
        names |= set(
            feature.int2str(values) if isinstance(feature, datasets.ClassLabel) else map(str, values)
        )
    if isinstance(rows.features.get("image"), datasets.Image):
        paths = pc.struct_field(rows.data.table["image"], "path").to_pylist()
        names |= {path for path in paths if path}
    for known in TEST_SETS:
        by_column = set(known.columns) <= set(rows.column_names)
        by_name = any(
            re.sub("[^a-z0-9]", "", name.lower()) in known.sources
            or (known.ids is not None and known.ids.fullmatch(Path(name).stem))
            for name in names
        )
        if by_column or by_name:
            raise _refused(source, known)


def ddi_tones(folder: Path) -> dict[str, str]:
    """Picture → skin tone ``I-II``, ``III-IV`` or ``V-VI``, as rated by two dermatologists."""
    return {
        Path(row["DDI_file"]).stem: _ddi_value(row, "skin_tone", DDI_TONES, folder)
        for row in read_table(folder / "ddi_metadata.csv", "DDI_file", "skin_tone")
    }


def scin_cases(folder: Path) -> dict[str, Case]:
    """The SCIN cases for which dermatologists named a condition, by id.

    Raises:
        DataError: a table cannot be read, or its labels are not as downloaded.
    """
    file = folder / "scin_labels.csv"
    labels = {row["case_id"]: row for row in read_table(file, "case_id", _SCIN_WEIGHTS)}
    cases = {}
    for row in read_table(folder / "scin_cases.csv", *_SCIN_COLUMNS):
        label = labels.get(row["case_id"], {})
        weights = _weights(label.get(_SCIN_WEIGHTS, ""), row["case_id"], file)
        paths = [row.get(f"image_{number}_path", "") for number in (1, 2, 3)]
        pictures = tuple(Path(path).stem for path in paths if path)
        if weights and pictures:
            estimates = (
                skin_type(label.get(f"dermatologist_fitzpatrick_skin_type_label_{number}", "")[-1:])
                for number in (1, 2, 3)  # "FST3"
            )
            seen = [estimate for estimate in estimates if estimate is not None]
            cases[row["case_id"]] = Case(
                pictures, weights, statistics.median_low(seen) if seen else None, _monk(label)
            )
    return cases


def _refused(source: str, known: TestSet) -> DataError:
    return DataError(
        f"{source} is {known.name}, which is for testing only: nothing may be trained or chosen on it.",
        hint=f"Leave it out here. Its one split is called {SPLIT}; docs/benchmarks.md has the commands that "
        "measure with it.",
    )


def _pad_ufes_20(folder: Path) -> Iterator[dict[str, Any]]:
    for row in read_table(folder / "metadata.csv", *_PAD_COLUMNS):
        yield {
            "id": Path(row["img_id"]).stem,
            "label": PAD_LABELS.get(row["diagnostic"], row["diagnostic"]),
            "group": row["patient_id"],
            "source": "pad_ufes_20",
            "diagnosis": row["diagnostic"],
            "skin_type": skin_type(row["fitspatrick"]),
        }


def _ddi(folder: Path) -> Iterator[dict[str, Any]]:
    for row in read_table(folder / "ddi_metadata.csv", *_DDI_COLUMNS):
        malignant = _ddi_value(
            row, "malignant", {"true": True, "1": True, "false": False, "0": False}, folder
        )
        yield {
            "id": Path(row["DDI_file"]).stem,
            "label": DDI_LABELS[malignant],
            "source": "ddi",
            "diagnosis": row.get("disease") or None,
        }


def _scin(folder: Path) -> Iterator[dict[str, Any]]:
    for name, case in scin_cases(folder).items():
        for picture in case.pictures:
            yield {
                "id": picture,
                "label": case.leading,
                "group": name,
                "source": "scin",
                "diagnosis": case.leading,
                "skin_type": case.skin_type,
            }


def _ddi_value(row: dict[str, str], column: str, known: Mapping[str, Any], folder: Path) -> Any:
    value = row[column].lower()
    if value not in known:
        raise DataError(
            f"{folder / 'ddi_metadata.csv'}: {row['DDI_file']} has the {column} {row[column]!r}.",
            hint=f"Expected one of {', '.join(known)}.",
        )
    return known[value]


def _weights(text: str, case: str, file: Path) -> dict[str, float]:
    """Parse ``{'Eczema': 0.69, 'Psoriasis': 0.31}``; no weights for an empty field."""
    try:
        found = ast.literal_eval(text) if text else {}
        weights = {str(name): float(weight) for name, weight in found.items()}
        if any(not 0 <= weight <= 1 for weight in weights.values()):
            raise ValueError("a weight is not in 0 to 1")
    except (ValueError, SyntaxError, TypeError, AttributeError) as error:
        raise DataError(
            f"{file}: the weights of case {case} are {text[:80]!r} ({error}).",
            hint="Expected conditions with shares, such as {'Eczema': 0.7, 'Psoriasis': 0.3}.",
        ) from error
    return {name: weight for name, weight in weights.items() if weight > 0}


def _monk(label: Mapping[str, str]) -> int | None:
    for column in ("monk_skin_tone_label_us", "monk_skin_tone_label_india"):
        digits = re.search(r"\d+", label.get(column, ""))
        if digits and 1 <= int(digits.group()) <= 10:
            return int(digits.group())
    return None


_PAD_COLUMNS = ("img_id", "patient_id", "diagnostic", "fitspatrick")
_DDI_COLUMNS = ("DDI_file", "skin_tone", "malignant")
_SCIN_WEIGHTS = "weighted_skin_condition_label"
_SCIN_COLUMNS = ("case_id", "image_1_path")

TEST_SETS: Sequence[TestSet] = (
    TestSet(
        "PAD-UFES-20",
        "metadata.csv",
        _PAD_COLUMNS,
        ("padufes20", "padufes"),
        re.compile(r"PAT_\d+_\d+_\d+"),
        _pad_ufes_20,
    ),
    TestSet(
        "DDI (Diverse Dermatology Images)",
        "ddi_metadata.csv",
        _DDI_COLUMNS,
        ("ddi", "diversedermatologyimages"),
        None,
        _ddi,
    ),
    TestSet("SCIN", "scin_cases.csv", _SCIN_COLUMNS, ("scin", "skinconditionimagenetwork"), None, _scin),
)

"""``pieces``: healthy skin cut from photographs of conditions, well away from the condition.

Collections of conditions have hardly any healthy skin, and what there is was taken elsewhere, so a network
learns the setting instead of the skin. A piece comes from the same cameras, rooms and people as the
conditions.

A piece is a square without Grad-CAM evidence for the label, with the colours of skin throughout, not redder
than the picture's skin overall, and with little detail beyond shading. Nobody has diagnosed it: check a
contact sheet of each source before training on it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from tqdm import tqdm

from model.checkpoint import find, load
from model.errors import ConfigError, DataError
from model.explain.grad_cam import grad_cam
from model.files import atomic_path
from model.image import read_image
from model.image.preprocess import preprocess
from model.labels import NO_CONDITION
from train.data.rows import open_rows
from train.data.splits import picture_bytes

Floats = NDArray[np.float32]

_SIDES = (0.5, 0.4, 0.32)  # of a piece, as shares of the picture's short side; the largest that fits is taken
_STEPS = 9  # positions tried per direction
_MOST_EVIDENCE = 0.12
_MOST_DETAIL = 4.5  # standard deviation of the lightness minus its smooth part, of 255
_MOST_RED_SPREAD = 3.5  # standard deviation of Cr, of 255
_LEAST_SKIN = 0.97
_LEAST_SKIN_AROUND = 0.3  # of the whole picture
_SMALLEST = 72  # pixels

_THUMBNAIL, _CAPTION, _COLUMNS = 96, 12, 20  # of a contact sheet: pixels, pixels, pieces per row
_FEATURES: dict[str, Any] = {
    "image": datasets.Image(),
    **dict.fromkeys(("id", "diagnosis", "source", "group"), datasets.Value("string")),
    "skin_type": datasets.Value("int64"),
}


class Piece(NamedTuple):
    """A square of a picture: ``box`` in its pixels, ``detail`` as above."""

    box: tuple[int, int, int, int]
    detail: float


def smooth_pieces(picture: Image.Image) -> list[Piece]:
    """Squares that look like smooth skin, the largest first, then the smoothest.

    Args:
        picture: RGB.
    """
    channels = np.asarray(picture.convert("YCbCr"), dtype=np.float64)
    light, blue, red = np.moveaxis(channels, 2, 0)
    skin = (blue > 77) & (blue < 130) & (red > 133) & (red < 175) & (light > 35) & (light < 245)
    if skin.mean() < _LEAST_SKIN_AROUND:
        return []
    usual_red = float(np.median(red[skin]))
    short = min(picture.size)
    blurred = picture.convert("L").filter(ImageFilter.GaussianBlur(short / 20))
    sums = [_summed(values) for values in (skin, red, red**2, (light - np.asarray(blurred)) ** 2)]
    pieces: list[Piece] = []
    for side in (round(share * short) for share in _SIDES):
        if side < _SMALLEST:
            break
        found = []
        for top in np.linspace(0, picture.height - side, _STEPS).astype(int):
            for left in np.linspace(0, picture.width - side, _STEPS).astype(int):
                box = (int(left), int(top), int(left) + side, int(top) + side)
                is_skin, mean, square, detail = (_mean(summed, box) for summed in sums)
                if (
                    is_skin > _LEAST_SKIN
                    and mean <= usual_red + 1
                    and square - mean**2 < _MOST_RED_SPREAD**2
                    and detail < _MOST_DETAIL**2
                ):
                    found.append(Piece(box, detail))
        pieces += sorted(found, key=lambda piece: piece.detail)
    return pieces


def away_from(pieces: Sequence[Piece], evidence: Floats, size: tuple[int, int]) -> Piece | None:
    """The first piece of a picture without evidence for its label, or None.

    Args:
        pieces: from ``smooth_pieces``.
        evidence: Grad-CAM for the label over the whole picture, (h, w), 0 to 1.
        size: width and height of the picture, pixels.
    """
    heat = np.asarray(Image.fromarray(evidence).resize(size, Image.Resampling.BICUBIC))
    for piece in pieces:
        left, top, right, bottom = piece.box
        if heat[top:bottom, left:right].max() < _MOST_EVIDENCE:
            return piece
    return None


def _summed(values: NDArray[Any]) -> NDArray[np.float64]:
    """Summed-area table (Crow 1984): (H, W) → (H + 1, W + 1)."""
    return np.pad(values.astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))


def _mean(summed: NDArray[np.float64], box: tuple[int, int, int, int]) -> float:
    left, top, right, bottom = box
    total = summed[bottom, right] - summed[top, right] - summed[bottom, left] + summed[top, left]
    return float(total) / ((right - left) * (bottom - top))


def cut_pieces(rows: datasets.Dataset, reference: str, labels: Sequence[str]) -> Iterator[dict[str, Any]]:
    """One row per piece, labelled ``Unknown_Normal``; its source is ``pieces_`` plus the picture's source.

    Args:
        rows: from ``open_rows``.
        reference: a checkpoint with the same labels, whose Grad-CAM shows where the condition is.
        labels: class names in the order of the logits.
    """
    loaded = load(reference)
    for record in tqdm(rows, desc="pieces", unit="picture"):
        if labels[record["label"]] == NO_CONDITION:
            continue
        picture = read_image(picture_bytes(record))
        smooth = smooth_pieces(picture)
        if not smooth:
            continue
        batch = torch.from_numpy(preprocess(picture, config=loaded.config))[None]
        with torch.no_grad():
            features = loaded.network.forward_features(batch.to(memory_format=torch.channels_last))
        evidence = grad_cam(loaded.network, features, record["label"])
        piece = away_from(smooth, evidence, picture.size)
        if piece is None:
            continue
        stored = io.BytesIO()
        picture.crop(piece.box).save(stored, "WEBP", quality=90)
        yield {
            "image": {"bytes": stored.getvalue(), "path": None},
            "label": labels.index(NO_CONDITION),
            "id": f"piece of {record['id']}",
            "diagnosis": "healthy skin",
            "source": f"pieces_{record['source']}",
            "skin_type": record["skin_type"],
            "group": record["group"],
        }


def write_pieces(
    *, data: Sequence[str], checkpoint: str, output: str, split: str = "train", max_unreadable: float = 0.01
) -> None:
    """Write ``OUTPUT/SPLIT.parquet``, an ordinary data set, and contact sheets in ``OUTPUT/sheets``.

    Each sheet, ``SPLIT-SOURCE-NUMBER.jpg``, shows up to 400 pieces of one source with their row numbers, from
    0, in the data set.

    Args:
        data, split, max_unreadable: as for ``open_rows``; the classes are those of the checkpoint.
        checkpoint: as for ``cut_pieces``.
        output: a folder, created if needed.

    Raises:
        DataError: the data cannot be used, or no picture has a piece of healthy skin.
        CheckpointError, ConfigError: the checkpoint cannot be used, or has no label ``Unknown_Normal``.
    """
    labels = find(checkpoint).config.labels
    if NO_CONDITION not in labels:
        raise ConfigError(
            f"{checkpoint} has no label {NO_CONDITION} for pieces of healthy skin.",
            hint="Use a checkpoint of the 22 clinical groups.",
        )
    rows = open_rows(data, split, labels=labels, max_unreadable=max_unreadable).rows
    folder = Path(output)
    sheets: dict[str, _Sheets] = {}
    schema = _FEATURES | {"label": datasets.ClassLabel(names=list(labels))}
    count = 0
    with (
        atomic_path(folder / f"{split}.parquet") as partial,
        pq.ParquetWriter(partial, datasets.Features(schema).arrow_schema) as writer,
    ):
        for count, row in enumerate(cut_pieces(rows, checkpoint, labels), 1):
            writer.write_table(pa.Table.from_pylist([row], schema=writer.schema))
            name = f"{split}-{re.sub(r'[^A-Za-z0-9_-]+', '-', row['source'])}"
            sheets.setdefault(row["source"], _Sheets(folder / "sheets", name)).add(row, count - 1)
        if not count:
            raise DataError(
                f"None of the {len(rows)} pictures has a piece of healthy skin that is large enough.",
                hint="Pictures of whole limbs have some; close-ups of a condition have none.",
            )
    for sheet in sheets.values():
        sheet.save()
    print(f"{count} pieces in {folder / f'{split}.parquet'}. Check {folder / 'sheets'} before you use them.")


class _Sheets:
    """The contact sheets of one source: rows of thumbnails; a new sheet starts when one is full."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._number = 1
        self._thumbnails: list[Image.Image] = []

    def add(self, row: dict[str, Any], number: int) -> None:
        """Add a piece to the sheet, with its row number."""
        with Image.open(io.BytesIO(row["image"]["bytes"])) as piece:
            thumbnail = Image.new("RGB", (_THUMBNAIL, _THUMBNAIL + _CAPTION), "white")
            thumbnail.paste(piece.convert("RGB").resize((_THUMBNAIL, _THUMBNAIL)))
        ImageDraw.Draw(thumbnail).text((2, _THUMBNAIL), str(number), fill="black")
        self._thumbnails.append(thumbnail)
        if len(self._thumbnails) == _COLUMNS * _COLUMNS:
            self.save()

    def save(self) -> None:
        """Write the sheet, if it is not empty, and start the next one."""
        if not self._thumbnails:
            return
        width, height = self._thumbnails[0].size
        columns = min(_COLUMNS, len(self._thumbnails))
        sheet = Image.new("RGB", (columns * width, -(-len(self._thumbnails) // columns) * height), "white")
        for place, thumbnail in enumerate(self._thumbnails):
            sheet.paste(thumbnail, (place % columns * width, place // columns * height))
        with atomic_path(self._folder / f"{self._name}-{self._number}.jpg") as partial:
            sheet.save(partial, "JPEG", quality=90)
        self._number, self._thumbnails = self._number + 1, []

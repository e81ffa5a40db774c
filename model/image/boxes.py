"""The structure of HEIC and AVIF files: boxes (ISO/IEC 14496-12, 4.2) and their items (8.11)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from model.errors import ImageError
from model.image.formats import MAX_PARTS


class Property(NamedTuple):
    """A property of an item: its kind, its content, and whether it is essential for showing the item."""

    kind: bytes
    content: bytes
    essential: bool


class Item(NamedTuple):
    """A picture, a tile, a grid of tiles, or anything else.

    Attributes:
        kind: four letters.
        content: its bytes.
        properties: in the order in which they are to be applied.
        parts: numbers of the items that it consists of.
    """

    kind: bytes
    content: bytes
    properties: list[Property]
    parts: list[int]


class Reader:
    """Reads big-endian integers from a range of bytes."""

    def __init__(self, data: bytes, start: int, end: int) -> None:
        self._data, self._at, self._end = data, start, end

    def number(self, size: int) -> int:
        """The next ``size`` bytes as a number; 0 for none."""
        return int.from_bytes(self.take(size), "big")

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes.

        Raises:
            EOFError: there are fewer.
        """
        if size < 0 or self._at + size > self._end:
            raise EOFError
        self._at += size
        return self._data[self._at - size : self._at]

    def is_empty(self) -> bool:
        """Whether nothing is left."""
        return self._at >= self._end

    def rest(self) -> bytes:
        """All bytes that are left."""
        return self.take(self._end - self._at)

    def boxes(self) -> Iterator[tuple[bytes, Reader]]:
        """The boxes in the range: kind and content."""
        count = 0
        while self._end - self._at >= 8:
            count += 1
            check_parts(count)
            start = self._at
            size, kind = self.number(4), self.take(4)
            if size == 1:
                size = self.number(8)
            end = start + size if size else self._end
            if not self._at <= end <= self._end:
                raise EOFError
            yield kind, Reader(self._data, self._at, end)
            self._at = end

    def first_boxes(self) -> dict[bytes, Reader]:
        """The first box of each kind."""
        found: dict[bytes, Reader] = {}
        for kind, content in self.boxes():
            found.setdefault(kind, content)
        return found


class Items:
    """The items of a file.

    Raises:
        KeyError, EOFError, IndexError: a box is missing or damaged, here and in the methods.
        ImageError: more than ``MAX_PARTS`` boxes or items.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._allowed = 3 * len(data)  # items may share bytes: many could hold the whole file
        meta = Reader(data, 0, len(data)).first_boxes()[b"meta"]
        meta.take(4)
        boxes = meta.first_boxes()
        self._inside = boxes[b"idat"].rest() if b"idat" in boxes else b""
        version = boxes[b"pitm"].number(4) >> 24
        self.primary = boxes[b"pitm"].number(4 if version else 2)
        self._kinds = dict(_read_kinds(boxes[b"iinf"]))
        self._places = dict(_read_places(boxes[b"iloc"]))
        self.references = list(_read_references(boxes[b"iref"])) if b"iref" in boxes else []
        boxes = boxes[b"iprp"].first_boxes()
        self._properties = [(kind, content.rest()) for kind, content in boxes[b"ipco"].boxes()]
        self._told = dict(_read_associations(boxes[b"ipma"]))

    def item(self, number: int) -> Item:
        """The item of this number with its bytes."""
        inside, extents = self._places[number]
        source = self._inside if inside else self._data
        self._allowed -= sum(size or len(source) for _, size in extents)
        if self._allowed < 0:
            raise EOFError
        content = b"".join(
            Reader(source, start, len(source)).take(size or max(0, len(source) - start))
            for start, size in extents
        )
        properties = [
            Property(*self._properties[(told & 0x7FFF) - 1], bool(told & 0x8000))
            for told in self._told.get(number, [])
            if told & 0x7FFF
        ]
        parts = [
            to
            for kind, source, targets in self.references
            if (kind, source) == (b"dimg", number)
            for to in targets
        ]
        return Item(self._kinds[number], content, properties, parts)


def _read_kinds(box: Reader) -> Iterator[tuple[int, bytes]]:
    version = box.number(4) >> 24
    box.number(4 if version else 2)
    for _, entry in box.boxes():
        version = entry.number(4) >> 24
        if version >= 2:
            number = entry.number(2 if version == 2 else 4)
            entry.number(2)
            yield number, entry.take(4)


def _read_places(box: Reader) -> Iterator[tuple[int, tuple[bool, list[tuple[int, int]]]]]:
    """Item → whether its bytes are in the ``idat`` box, and the start and size of each piece."""
    version = box.number(4) >> 24
    sizes = box.number(2)
    offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    steps = 0
    for _ in range(box.number(4 if version == 2 else 2)):
        number = box.number(4 if version == 2 else 2)
        method = box.number(2) & 15 if version else 0
        elsewhere = box.number(2)
        base = box.number(base_size)
        extents = []
        for _ in range(box.number(2)):
            steps += 1
            check_parts(steps)
            box.number(index_size if version else 0)
            start = base + box.number(offset_size)
            extents.append((start, box.number(length_size)))
        if not elsewhere and method < 2:
            yield number, (method == 1, extents)


def _read_references(box: Reader) -> Iterator[tuple[bytes, int, list[int]]]:
    size = 4 if box.number(4) >> 24 else 2
    steps = 0
    for kind, entry in box.boxes():
        source, count = entry.number(size), entry.number(2)
        steps += count
        check_parts(steps)
        yield kind, source, [entry.number(size) for _ in range(count)]


def _read_associations(box: Reader) -> Iterator[tuple[int, list[int]]]:
    """Item → the indices of its properties, from 1, plus 0x8000 for essential ones."""
    head = box.number(4)
    version, wide = head >> 24, head & 1
    steps = 0
    for _ in range(box.number(4)):
        number = box.number(4 if version else 2)
        count = box.number(1)
        steps += 1 + count
        check_parts(steps // 8)  # each tile has a few
        told = [box.number(2 if wide else 1) for _ in range(count)]
        yield number, told if wide else [(value & 0x80) << 8 | value & 0x7F for value in told]


def check_parts(steps: int) -> None:
    """Reject a file with so many parts that it would keep a decoder busy.

    Raises:
        ImageError: more than ``MAX_PARTS``.
    """
    if steps > MAX_PARTS:
        raise ImageError(
            "The picture file has more than {most} parts; a few dozen are usual.",
            hint="Open the picture in an image program, save it as JPEG or PNG and try again.",
            values={"most": MAX_PARTS},
        )

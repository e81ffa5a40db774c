"""Rewrite a HEIC or AVIF file so that it holds only its primary picture.

Items may refer to each other in any way: tiles, layers, crops of crops, videos, metadata shared by thousands.
The decoder sees none of that, only a picture or a grid of tiles, alpha of the same kind, and how to show them
(ISO/IEC 23008-12, 6.5 and 6.6.2.3).
"""

from __future__ import annotations

import struct

from model.errors import ImageError
from model.image.boxes import Item, Items, Reader
from model.image.codecs import av1_size, hevc_size
from model.image.formats import FORMATS, MAX_PIXELS_WHOLE
from model.image.profiles import profile_of_code_points

_HEVC, _AV1 = b"hvc1", b"av01"
_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"avif", b"avis")
_BRANDS_OF_EITHER = (b"mif1", b"msf1", b"miaf")
_SHOWN = (b"hvcC", b"av1C", b"ispe", b"pixi", b"irot", b"imir", b"clap", b"auxC")
_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0", b"urn:mpeg:hevc:2015:auxid:1\0")
_MAX_CODED = MAX_PIXELS_WHOLE * 5 // 4
"""Pixels of all tiles together: tiles at the edges extend beyond the picture."""
_SAVE_AGAIN = "Export the picture as JPEG or PNG and try again."


def still_picture(data: bytes) -> tuple[bytes, int, bytes | None]:
    """Extract the primary picture of a HEIC or AVIF file into a file of its own.

    Args:
        data: begins with an ``ftyp`` box; a file other than HEIC or AVIF is returned unchanged.

    Returns:
        ``(data, 1, ICC profile or None)``. The orientation is 1, since rotation is a property in the file and
        not in EXIF.

    Raises:
        ImageError: there is no such picture, it has an unusual structure, or it is damaged.
    """
    if data[8:12] not in _BRANDS + _BRANDS_OF_EITHER:
        return data, 1, None
    try:
        return _rewrite(Items(data))
    except (KeyError, EOFError, IndexError, struct.error):
        raise ImageError(
            "The HEIC or AVIF file holds no still picture, or it is cut off or damaged.", hint=_SAVE_AGAIN
        ) from None


def _rewrite(items: Items) -> tuple[bytes, int, bytes | None]:
    primary = items.item(items.primary)
    written = _Writer()
    main, codec = _add(written, items, primary)
    alpha = _alpha(items)
    if alpha is not None:
        above, _ = _add(written, items, items.item(alpha), codec=codec)
        written.refer(b"auxl", above, [main])
        if any((kind, source) == (b"prem", items.primary) for kind, source, _ in items.references):
            written.refer(b"prem", main, [above])
    return written.file(main, codec=codec), 1, _profile(items, primary)


def _add(written: _Writer, items: Items, item: Item, *, codec: bytes | None = None) -> tuple[int, bytes]:
    """Write an item, and the tiles of a grid; return its new number, and the codec of its pixels."""
    if item.kind != b"grid":
        _check(item, [item], codec or item.kind)
        return written.add(item), item.kind
    if len(set(item.parts)) != len(item.parts) or not item.parts:
        raise _unusual("a tile that is used twice, or no tiles")
    tiles = [items.item(number) for number in item.parts]
    codec = codec or tiles[0].kind
    _check(item, tiles, codec)
    number = written.add(item)
    written.refer(b"dimg", number, [written.add(tile) for tile in tiles])
    return number, codec


def _check(whole: Item, tiles: list[Item], codec: bytes) -> None:
    """Reject pictures that would take too long to decode, whatever size the file declares."""
    if codec not in (_HEVC, _AV1):
        raise _unusual(f"a picture of the kind {codec.decode('latin-1')!r}")
    if codec == _HEVC and "HEIF" not in FORMATS:
        raise ImageError(
            "This is an iPhone HEIC photo, and HEIC cannot be read here: the package pi-heif is missing.",
            hint="Export it as JPEG (iPhone: Settings, Camera, Formats, Most Compatible) or install pi-heif.",
            code="unsupported_format",
        )
    coded = 0
    for tile in tiles:
        if tile.kind != codec:
            raise _unusual("layers or tiles of several kinds")
        if codec == _HEVC:
            width, height = hevc_size(_first(tile, b"hvcC"), tile.content)
        else:
            width, height = av1_size(tile.content)
        coded += width * height
    size = Reader(_first(whole, b"ispe"), 4, 12)
    shown = size.number(4) * size.number(4)
    if max(coded, shown) > _MAX_CODED:
        raise ImageError(
            "The picture has {got} million pixels; at most {most} million are accepted.",
            hint="Save a smaller copy and try again.",
            code="image_too_large",
            values={"got": f"{max(coded, shown) / 1e6:.0f}", "most": f"{MAX_PIXELS_WHOLE / 1e6:.0f}"},
        )


def _alpha(items: Items) -> int | None:
    for kind, source, targets in items.references:
        if kind == b"auxl" and items.primary in targets:
            told = [content[4:] for name, content, _ in items.item(source).properties if name == b"auxC"]
            if any(content.startswith(_ALPHA) for content in told):
                return source
    return None


def _profile(items: Items, primary: Item) -> bytes | None:
    """The ICC profile of the picture or its tiles, or one built from their code points."""
    told = [content for name, content, _ in primary.properties if name == b"colr"]
    if not told and primary.parts:
        told = [content for name, content, _ in items.item(primary.parts[0]).properties if name == b"colr"]
    for content in told:
        if content[:4] in (b"prof", b"rICC"):
            return content[4:]
    for content in told:
        if content[:4] == b"nclx":
            code = Reader(content, 4, len(content))
            return profile_of_code_points(code.number(2), code.number(2))
    return None


def _first(item: Item, kind: bytes) -> bytes:
    return next((content for name, content, _ in item.properties if name == kind), b"")


def _unusual(what: str) -> ImageError:
    return ImageError(
        "The HEIC or AVIF file holds {what}, which photographs never do.",
        hint=_SAVE_AGAIN,
        code="unsupported_format",
        values={"what": what},
    )


class _Writer:
    """Writes a file with a few items (ISO/IEC 14496-12, 8.11), numbered from 1."""

    def __init__(self) -> None:
        self._items: list[Item] = []
        self._references: list[bytes] = []
        self._properties: dict[tuple[bytes, bytes], int] = {}

    def add(self, item: Item) -> int:
        self._items.append(item)
        return len(self._items)

    def refer(self, kind: bytes, source: int, targets: list[int]) -> None:
        self._references.append(
            _box(kind, struct.pack(f">HH{len(targets)}H", source, len(targets), *targets))
        )

    def file(self, primary: int, *, codec: bytes) -> bytes:
        associations = struct.pack(">I", len(self._items))
        for number, item in enumerate(self._items, 1):
            shown = [
                (self._properties.setdefault((kind, content), len(self._properties) + 1), essential)
                for kind, content, essential in item.properties
                if kind in _SHOWN or (kind == b"colr" and content[:4] == b"nclx")
            ]
            associations += struct.pack(">HB", number, len(shown))
            associations += b"".join(struct.pack(">H", i | essential << 15) for i, essential in shown)
        properties = _box(b"ipco", b"".join(_box(kind, content) for kind, content in self._properties))
        infos = b"".join(
            _box(b"infe", struct.pack(">IHH4sx", (2 << 24) + (number != primary), number, 0, item.kind))
            for number, item in enumerate(self._items, 1)
        )
        boxes = [
            _box(b"hdlr", bytes(8) + b"pict" + bytes(13)),
            _box(b"pitm", struct.pack(">IH", 0, primary)),
            _box(b"iinf", struct.pack(">IH", 0, len(self._items)) + infos),
            _box(b"iprp", properties + _box(b"ipma", struct.pack(">I", 1) + associations)),
        ]
        if self._references:
            boxes.append(_box(b"iref", bytes(4) + b"".join(self._references)))
        brand = b"heic" if codec == _HEVC else b"avif"
        head = _box(b"ftyp", brand + bytes(4) + b"mif1miaf" + brand)
        start = len(head) + 12 + sum(map(len, boxes)) + 16 + 14 * len(self._items) + 8
        places = struct.pack(">IHH", 0, 0x4400, len(self._items))
        for number, item in enumerate(self._items, 1):
            places += struct.pack(">HHHII", number, 0, 1, start, len(item.content))
            start += len(item.content)
        boxes.append(_box(b"iloc", places))
        content = b"".join(item.content for item in self._items)
        return head + _box(b"meta", bytes(4) + b"".join(boxes)) + _box(b"mdat", content)


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content

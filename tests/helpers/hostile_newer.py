"""Hostile and odd files of the younger formats (TIFF, AVIF, HEIC), each with its expected answer."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from heif_made import LARGE_HEADER, Item, alpha, box, extent, grid, heif, hevc
from hostile import BROKEN, FORMAT, TOO_LARGE, WORKS, Case
from pictures_made import encode, picture
from tiff_made import directory, tiff

_MEGABYTE = 1 << 20
GREY = np.asarray(picture(mode="L"))
TIFF, TIFF_LZW = encode(picture(), "TIFF"), encode(picture(), "TIFF", compression="tiff_lzw")
AVIF, HEIC = encode(picture(), "AVIF"), heif(hevc())
_GRID = heif(grid(2, 2, 128, 128), *[hevc()] * 4, references=[(b"dimg", 1, [2, 3, 4, 5])])
_ALPHA = heif(hevc(), alpha(), references=[(b"auxl", 2, [1])])
FILES = {"TIFF": TIFF, "TIFF of LZW": TIFF_LZW, "AVIF": AVIF, "HEIC": HEIC, "HEIC grid": _GRID}


def _cut() -> list[Case]:
    return [
        Case(f"{kind} cut after {share:.0%}", BROKEN, lambda d=data, s=share: d[: int(len(d) * s)])
        for kind, data in FILES.items()
        for share in (0.25, 0.5, 0.8)
    ]


def _strips(times: int, *, height: int = 64) -> bytes:
    """A TIFF whose strips all name the same bytes, a megabyte of Deflate that gives nothing."""
    empty = b"\x78\x9c" + b"\0\0\0\xff\xff" * (_MEGABYTE // 5)
    entries = [
        *(
            (256, 4, [64]),
            (257, 4, [height]),
            (258, 3, [8]),
            (259, 3, [8]),
            (262, 3, [1]),
            (277, 3, [1]),
            (278, 4, [1]),
        ),
    ]
    more = [(273, 4, [8] * times), (279, 4, [len(empty)] * times)]
    return directory(entries, [empty], more=more)


def _deflate_bomb() -> bytes:
    entries = [
        *(
            (256, 4, [64]),
            (257, 4, [64]),
            (258, 3, [8]),
            (259, 3, [8]),
            (262, 3, [1]),
            (277, 3, [1]),
            (278, 4, [64]),
        ),
    ]
    return directory(entries, [zlib.compress(bytes(60 * _MEGABYTE), 9)])


def _tiffs() -> list[Case]:
    return [
        Case(
            "TIFF that says 65535 x 65535",
            TOO_LARGE,
            lambda: tiff(GREY, more=[(256, 4, [65535]), (257, 4, [65535])]),
        ),
        Case("TIFF of tiles of 65536 x 65536", TOO_LARGE, lambda: _tile(65536)),
        Case("TIFF of tiles of 0 x 0", BROKEN, lambda: _tile(0)),
        Case("TIFF of 4 billion strips", FORMAT, lambda: _counts(0xFFFFFFFF)),
        Case("TIFF of a million strips", FORMAT, lambda: tiff(GREY, more=[(273, 4, [8] * 1_000_000)])),
        Case("TIFF whose 64 strips are the same megabyte", BROKEN, lambda: _strips(64)),
        Case("TIFF of one strip that decodes to nothing", BROKEN, lambda: _strips(1, height=64)),
        Case("TIFF whose Deflate gives 60 MB too much", WORKS, _deflate_bomb),
        Case("TIFF with strips beyond its end", BROKEN, lambda: tiff(GREY, more=[(273, 4, [1 << 31])])),
        Case("TIFF with a directory beyond its end", BROKEN, lambda: b"II*\0\xff\xff\xff\xff" + TIFF[8:]),
        Case("TIFF of 65535 entries", BROKEN, lambda: b"II*\0\x08\0\0\0\xff\xff" + bytes(12 * 65535)),
        Case(
            "TIFF with a megabyte of EXIF and XMP",
            WORKS,
            lambda: tiff(GREY, more=[(700, 1, bytes(_MEGABYTE))]),
        ),
        Case("TIFF with an ICC profile of 4 GB", WORKS, lambda: _counts(0xFFFFFFFF, tag=34675, kind=1)),
        Case("TIFF of JPEG", FORMAT, lambda: encode(picture(), "TIFF", compression="jpeg")),
        Case("TIFF of floats", FORMAT, lambda: encode(picture(mode="F"), "TIFF")),
        Case("TIFF of 64 samples", FORMAT, lambda: tiff(GREY, more=[(277, 3, [64])])),
        Case("TIFF of 5 million pages", WORKS, lambda: TIFF + bytes(5_000_000)),
        Case("BigTIFF", FORMAT, lambda: b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0" + bytes(64)),
        Case("TIFF of one row a strip", WORKS, lambda: _rows(4500)),
    ]


def _tile(side: int) -> bytes:
    entries = [(256, 4, [64]), (257, 4, [64]), (258, 3, [8]), (259, 3, [1]), (262, 3, [1]), (277, 3, [1])]
    return directory([*entries, (322, 4, [side]), (323, 4, [side])], [bytes(4096)], tags=(324, 325))


def _counts(count: int, *, tag: int = 273, kind: int = 4) -> bytes:
    """A TIFF one of whose entries says that it has so many values."""
    data = tiff(GREY, more=[(tag, kind, [8] * 5)])
    entry = data.index(struct.pack("<HHI", tag, kind, 5))
    return data[: entry + 4] + struct.pack("<I", count) + data[entry + 8 :]


def _rows(height: int) -> bytes:
    entries = [
        (256, 4, [1000]),
        (257, 4, [height]),
        (258, 3, [8]),
        (259, 3, [1]),
        (262, 3, [1]),
        (277, 3, [1]),
    ]
    return directory([*entries, (278, 4, [1])], [bytes(1000)] * height)


def _large(content: bytes = b"\0\0\0\x03\x28\x01\x80") -> Item:
    """A picture that the file calls 64 x 64 and whose own header says 8192 x 8192."""
    return Item(b"hvc1", content, (extent(64, 64), (b"hvcC", LARGE_HEADER)))


def _several(times: int) -> bytes:
    item = hevc()
    return heif(Item(item.kind, item.content * times, item.properties))


def _metadata(items: int, size: int) -> bytes:
    """A picture with Exif items, each of them about every one of as many pictures."""
    pictures = [hevc()] * items
    exif = [Item(b"Exif", bytes(size))]
    return heif(*pictures, *exif, references=[(b"cdsc", items + 1, range(1, items + 1))])


def _avif(old: bytes, new: bytes) -> bytes:
    assert old in AVIF
    return AVIF.replace(old, new)


def _avif_large() -> bytes:
    """An AVIF that says 64 x 64 and whose pixels' own header says 8192 x 8192."""
    header = int("00011" + "00000" + "1100" * 2 + f"{8191:013b}" * 2 + "0" * 20, 2).to_bytes(8, "big")
    pixels = b"\x0a\x08" + header + b"\x32\x04" + bytes(4)
    return heif(Item(b"av01", pixels, (extent(64, 64), (b"av1C", b"\x81\0\x0c\0"))), brand=b"avif")


def _stills() -> list[Case]:
    size = struct.pack(">II", 64, 48)
    tiles = [hevc()] * 2
    film = box(b"ftyp", b"hevc\0\0\0\0hevcmsf1") + box(b"moov", bytes(60))
    return [
        Case("HEIC grid", WORKS, lambda: _GRID),
        Case("HEIC with alpha", WORKS, lambda: _ALPHA),
        Case("HEIC of 10 bits", WORKS, lambda: heif(hevc("10"))),
        Case("HEIC called mif1", WORKS, lambda: heif(hevc(), brand=b"mif1")),
        Case("HEIC of 8192 x 8192 that says 64 x 64", TOO_LARGE, lambda: heif(_large())),
        Case("HEIC that says 65535 x 65535", TOO_LARGE, lambda: heif(_sized(65535))),
        Case("HEIC of 200 pictures in one", BROKEN, lambda: _several(200)),
        Case(
            "HEIC grid of one tile, 1000 times",
            FORMAT,
            lambda: heif(grid(40, 25, 2560, 1600), hevc(), references=[(b"dimg", 1, [2] * 1000)]),
        ),
        Case(
            "HEIC grid that is its own tile",
            FORMAT,
            lambda: heif(grid(1, 1, 64, 64), references=[(b"dimg", 1, [1])]),
        ),
        Case(
            "HEIC grid of grids",
            FORMAT,
            lambda: heif(
                grid(1, 1, 64, 64),
                grid(1, 1, 64, 64),
                hevc(),
                references=[(b"dimg", 1, [2]), (b"dimg", 2, [3])],
            ),
        ),
        Case(
            "HEIC grid without its tiles",
            BROKEN,
            lambda: heif(grid(2, 1, 128, 64), hevc(), references=[(b"dimg", 1, [2, 9])]),
        ),
        Case(
            "HEIC grid that is larger than its tiles",
            BROKEN,
            lambda: heif(grid(2, 1, 4000, 4000), *tiles, references=[(b"dimg", 1, [2, 3])]),
        ),
        Case("HEIC of layers", FORMAT, lambda: heif(Item(b"iovl", bytes(20), (extent(64, 64),)))),
        Case(
            "HEIC of uncompressed pixels",
            FORMAT,
            lambda: heif(Item(b"unci", bytes(12288), (extent(64, 64),))),
        ),
        Case("HEIC without a picture", BROKEN, lambda: heif(hevc(), primary=7)),
        Case("HEIC whose Exif of 4 MB is about 1000 pictures", WORKS, lambda: _metadata(1000, 4 * _MEGABYTE)),
        Case("HEIC of 5000 pictures", BROKEN, lambda: _metadata(5000, 10)),
        Case("HEIC film", BROKEN, lambda: film),
        Case("HEIC of 4 million boxes", BROKEN, lambda: HEIC[:28] + box(b"free", b"") * 500_000),
        Case(
            "HEIC of nothing but its start", BROKEN, lambda: b"\0\0\0\x18ftypheic\0\0\0\0heicmif1" + bytes(40)
        ),
        Case(
            "HEIC whose box is longer than the file",
            BROKEN,
            lambda: HEIC[:28] + b"\xff\xff\xff\xffmeta" + HEIC[36:],
        ),
        Case("HEIC of noise", WORKS, lambda: heif(_noise())),
        Case(
            "HEIC with an ICC profile of garbage",
            WORKS,
            lambda: heif(hevc("8", (b"colr", b"prof" + b"\xff" * 5000))),
        ),
        Case("AVIF with alpha", WORKS, lambda: encode(picture(mode="RGBA"), "AVIF")),
        Case("grey AVIF", WORKS, lambda: encode(picture(mode="L"), "AVIF")),
        Case(
            "animated AVIF",
            WORKS,
            lambda: encode(picture(), "AVIF", save_all=True, append_images=[picture()]),
        ),
        Case(
            "AVIF that says 30000 x 30000", TOO_LARGE, lambda: _avif(size, struct.pack(">II", 30000, 30000))
        ),
        Case("AVIF of 8192 x 8192 that says 64 x 64", TOO_LARGE, _avif_large),
        Case("AVIF called HEIC", WORKS, lambda: _avif(b"ftypavif", b"ftypheic")),
        Case("AVIF with its pixels twice", BROKEN, lambda: _twice()),
    ]


def _sized(side: int) -> Item:
    item = hevc()
    return Item(item.kind, item.content, (extent(side, side), *item.properties[1:]))


def _noise() -> Item:
    item = hevc()
    noise = np.random.default_rng(0).bytes(len(item.content) - 8)
    return Item(item.kind, item.content[:8] + noise, item.properties)


def _twice() -> bytes:
    """An AVIF whose item has its pixels two times."""
    start = AVIF.index(b"mdat") + 4
    pixels = AVIF[start:]
    length = struct.pack(">I", len(pixels))
    return AVIF[:start].replace(length, struct.pack(">I", 2 * len(pixels))) + pixels * 2


CASES = (*_cut(), *_tiffs(), *_stills())

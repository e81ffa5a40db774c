"""Hostile and odd picture files, all made by code, each with its expected answer."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

from pictures_made import adam7, encode, picture, png, png_chunk
from PIL import Image

WORKS = "works"
TOO_LARGE, BROKEN, FORMAT = "image_too_large", "invalid_image", "unsupported_format"
SMALL, NARROW = "image_too_small", "image_too_narrow"


class Case(NamedTuple):
    """``data()`` makes the bytes; ``expected`` is ``works`` or the code of the `ImageError`."""

    name: str
    expected: str
    data: Callable[[], bytes]


def _after_header(extra: bytes) -> bytes:
    """Chunks put into a PNG behind its IHDR."""
    return PNG[:33] + extra + PNG[33:]


def _in_jpeg(extra: bytes) -> bytes:
    """Segments put into a JPEG behind its start."""
    return JPEG[:2] + extra + JPEG[2:]


def _segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def _in_gif(extra: bytes) -> bytes:
    """Blocks put into a GIF before its first frame."""
    start = 13 + 3 * 2 ** (GIF[10] % 8 + 1)
    return GIF[:start] + extra + GIF[start:]


def _exif(orientation: int) -> bytes:
    return b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01" + struct.pack(">HHI", orientation, 0, 0)


def _exif_bomb(tags: int, size: int) -> bytes:
    """A directory whose every entry names the same ``size`` bytes of the block."""
    entries = b"".join(struct.pack("<HHII", tag, 7, size, 8) for tag in range(1, tags + 1))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", tags) + entries + bytes(size)


def _with(data: bytes, place: int, new: bytes) -> bytes:
    return data[:place] + new + data[place + len(new) :]


def _scans(times: int, side: int) -> bytes:
    """A progressive JPEG that asks for its last pass again and again."""
    whole = encode(Image.new("RGB", (side, side), (9, 99, 200)), "JPEG", progressive=True)
    last = whole[whole.rindex(b"\xff\xda") : -2]
    return whole[:-2] + last * times + b"\xff\xd9"


def _frames(kind: str, **options: object) -> bytes:
    first, *rest = [Image.new("RGB", (48, 48), colour) for colour in ("red", "blue", "lime")]
    return encode(first, kind, save_all=True, append_images=rest, **options)


def _bmp(width: int, height: int, bits: int = 24) -> bytes:
    """A BMP that says it has this size and holds next to nothing."""
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, width, height, 1, bits, 0, 0, 0, 0, 0, 0)


JPEG, PNG, GIF = (encode(picture(), kind) for kind in ("JPEG", "PNG", "GIF"))
WEBP, BMP = encode(picture(), "WEBP"), encode(picture(), "BMP")
PROGRESSIVE = encode(picture(), "JPEG", progressive=True)
_FILES = {"JPEG": JPEG, "PNG": PNG, "GIF": GIF, "WebP": WEBP, "BMP": BMP}
_MEGABYTE = 1 << 20


def _cut() -> list[Case]:
    """Cut off in the header, in the middle and before the end."""
    return [
        Case(f"{kind} cut after {share:.0%}", BROKEN, lambda d=data, s=share: d[: int(len(d) * s)])
        for kind, data in _FILES.items()
        for share in (0.25, 0.5, 0.8)
    ]


def _foreign() -> list[Case]:
    """What is no picture of an accepted format, though some of it is one that Pillow can open."""
    texts = {
        "one byte": b"\xff",
        "zeros": bytes(4096),
        "text": b"hello, I am a photo.jpg",
        "HTML": b"<!doctype html><script>alert(1)</script>",
        "SVG": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'><circle r='9'/></svg>",
        "SVG with an entity bomb": b"<!DOCTYPE s [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><svg>&b;</svg>",
        "ZIP": b"PK\3\4" + bytes(60),
        "PDF": b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n",
        "EPS, which Pillow hands to Ghostscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run",
        "PSD": b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 64, 64, 8, 3) + bytes(20),
        "ELF": b"\x7fELF\2\1\1" + bytes(60),
        "pickle": b"\x80\4c__builtin__\neval\n(X\1\0\0\0\x61tR.",
        "MP4": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(40),
        "XPM": b'/* XPM */\nstatic char *a[] = {"64 64 1 1", "a c #000"};',
        "signature of PNG with line ends changed": PNG.replace(b"\r\n", b"\n", 1),
        "WebP that is a WAVE sound": WEBP.replace(b"WEBP", b"WAVE", 1),
        "JPEG behind a blank": b" " + JPEG,
    }
    others = {kind: encode(picture(), kind) for kind in ("ICO", "PPM", "TGA", "PCX", "JPEG2000", "DDS")}
    return [Case(name, FORMAT, lambda d=data: d) for name, data in {**texts, **others}.items()]


def _bombs() -> list[Case]:
    """Small files that ask for much memory or time."""
    comment = b"!\xfe\1a\0"
    text = png_chunk(b"tEXt", b"a\0")
    bomb = zlib.compress(bytes(60 * _MEGABYTE), 9)
    lossless = encode(picture(), "WEBP", lossless=True)
    large_exif = _exif_bomb(3000, _MEGABYTE)
    pieces = [large_exif[at : at + 65000] for at in range(0, len(large_exif), 65000)]
    return [
        Case("PNG of 13000 x 13000", TOO_LARGE, lambda: png(13_000, 13_000, depth=1, colour=0, rows=b"")),
        Case(
            "PNG of 2147483647 x 2147483647",
            TOO_LARGE,
            lambda: png(2**31 - 1, 2**31 - 1, depth=8, colour=6, rows=b""),
        ),
        Case("PNG of 5500 x 5500", TOO_LARGE, lambda: png(5500, 5500, depth=16, colour=0, rows=b"")),
        Case("GIF with a canvas of 65535 x 65535", TOO_LARGE, lambda: _with(GIF, 6, b"\xff\xff\xff\xff")),
        Case(
            "GIF whose frame is larger than its canvas",
            TOO_LARGE,
            lambda: _with(GIF, GIF.index(b",\0\0\0\0") + 5, b"\xff\x7f\xff\x7f"),
        ),
        Case("WebP that says 16384 x 16384", TOO_LARGE, lambda: _with(lossless, 21, b"\xff\xff\xff\x0f")),
        Case("BMP that says 30000 x 30000", TOO_LARGE, lambda: _bmp(30_000, 30_000)),
        Case("JPEG that says 65500 x 65500", TOO_LARGE, lambda: _jpeg_of(65_500, 65_500)),
        Case("JPEG that says 60 megapixels and has none", WORKS, lambda: _jpeg_of(8000, 7500)),
        Case("zTXt bomb of 60 MB", WORKS, lambda: _after_header(png_chunk(b"zTXt", b"a\0\0" + bomb))),
        Case("iTXt bomb of 60 MB", WORKS, lambda: _after_header(png_chunk(b"iTXt", b"a\0\1\0\0\0" + bomb))),
        Case("iCCP bomb of 60 MB", WORKS, lambda: _after_header(png_chunk(b"iCCP", b"a\0\0" + bomb))),
        Case(
            "IDAT with 60 MB too much",
            WORKS,
            lambda: png(40, 40, depth=8, colour=0, rows=bytes(60 * _MEGABYTE)),
        ),
        Case("PNG of 300,000 text chunks", BROKEN, lambda: _after_header(text * 300_000)),
        Case("PNG of 300,000 empty IDAT", BROKEN, lambda: _after_header(png_chunk(b"IDAT", b"") * 300_000)),
        Case("JPEG of 1,000,000 empty segments", BROKEN, lambda: _in_jpeg(_segment(0xE5, b"") * 1_000_000)),
        Case("JPEG with 4 MB of fill bytes", BROKEN, lambda: _in_jpeg(b"\xff" * 4 * _MEGABYTE)),
        Case("GIF of 800,000 comments", BROKEN, lambda: _in_gif(comment * 800_000)),
        Case(
            "GIF of one comment in 800,000 blocks",
            BROKEN,
            lambda: _in_gif(b"!\xfe" + b"\1a" * 800_000 + b"\0"),
        ),
        Case("EXIF bomb of gigabytes in a PNG", WORKS, lambda: _after_header(png_chunk(b"eXIf", large_exif))),
        Case(
            "EXIF bomb of gigabytes in a JPEG",
            WORKS,
            lambda: _in_jpeg(b"".join(_segment(0xE1, b"Exif\0\0" + p) for p in pieces)),
        ),
        Case("EXIF bomb of gigabytes in a WebP", WORKS, lambda: encode(picture(), "WEBP", exif=large_exif)),
        Case(
            "EXIF directory that names itself",
            WORKS,
            lambda: encode(
                picture(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\1\0\x69\x87\4\0\1\0\0\0\x08\0\0\0\x08\0\0\0"
            ),
        ),
        Case("progressive JPEG of 13,000 passes", BROKEN, lambda: _scans(13_000, 256)),
        Case("large progressive JPEG of 110 passes", BROKEN, lambda: _scans(100, 3000)),
    ]


def _jpeg_of(width: int, height: int) -> bytes:
    frame = JPEG.index(b"\xff\xc0")
    return _with(JPEG, frame + 5, struct.pack(">HH", height, width))


def _odd_but_fine() -> list[Case]:
    """What a person would expect to be read."""
    apng = [Image.new("RGB", (48, 48), colour) for colour in ("red", "blue")]
    cases = {
        "CMYK JPEG": lambda: encode(picture(mode="CMYK"), "JPEG"),
        "YCCK JPEG": lambda: encode(picture(mode="CMYK"), "JPEG").replace(
            b"Adobe\0d\0\0\0\0\0", b"Adobe\0d\0\0\0\0\2"
        ),
        "progressive JPEG": lambda: PROGRESSIVE,
        "JPEG with restart markers": lambda: encode(picture(), "JPEG", restart_marker_blocks=1),
        "JPEG with odd subsampling": lambda: encode(picture(63, 47), "JPEG", subsampling=2),
        "grey JPEG": lambda: encode(picture(mode="L"), "JPEG"),
        "MPO of three frames": lambda: _frames("MPO"),
        "palette PNG": lambda: encode(picture(mode="P"), "PNG"),
        "1-bit PNG": lambda: encode(picture(mode="1"), "PNG"),
        "16-bit grey PNG": lambda: png(40, 40, depth=16, colour=0, rows=bytes(40 * 81)),
        "16-bit RGBA PNG": lambda: png(40, 40, depth=16, colour=6, rows=bytes(40 * 321)),
        "grey PNG with alpha": lambda: encode(picture(mode="LA"), "PNG"),
        "interlaced PNG": adam7,
        "APNG": lambda: encode(apng[0], "PNG", save_all=True, append_images=apng[1:]),
        "animated WebP": lambda: _frames("WEBP"),
        "animated GIF": lambda: _frames("GIF"),
        "lossless WebP with alpha": lambda: encode(picture(mode="RGBA"), "WEBP", lossless=True),
        "top-down BMP": lambda: _bmp(40, -40) + bytes(4800),
        "BMP with a palette": lambda: encode(picture(mode="P"), "BMP"),
        "interlaced GIF": lambda: encode(picture(), "GIF", interlace=1),
        "ICC profile of garbage in a JPEG": lambda: encode(picture(), "JPEG", icc_profile=b"\xff" * 200_000),
        "ICC profile of garbage in a PNG": lambda: encode(picture(), "PNG", icc_profile=b"garbage"),
        "XMP of half a megabyte in a WebP": lambda: encode(picture(), "WEBP", xmp=b"<x" * 250_000),
        "PNG with a megabyte of text": lambda: _after_header(png_chunk(b"tEXt", b"a\0" + b"b" * _MEGABYTE)),
        "trailing garbage": lambda: JPEG + b"\xff\xd8\xff" * 5000,
        "JPEG and ZIP in one": lambda: JPEG + b"PK\3\4" + bytes(60) + b"PK\5\6" + bytes(18),
        "GIF and script in one": lambda: GIF + b"=1;alert(1)",
        "PNG and HTML in one": lambda: _after_header(png_chunk(b"tEXt", b"a\0<script>alert(1)</script>")),
        "BMP that lies about its file size": lambda: _with(BMP, 2, b"\xff\xff\xff\xff"),
        "EXIF orientation 99": lambda: encode(picture(), "JPEG", exif=_exif(99)),
        "EXIF in the wrong byte order": lambda: encode(
            picture(), "JPEG", exif=_exif(6).replace(b"MM", b"II")
        ),
        "narrowest allowed": lambda: encode(picture(640, 32), "PNG"),
        **{
            f"EXIF orientation {n}": lambda n=n: encode(picture(), "JPEG", exif=_exif(n)) for n in range(1, 9)
        },
    }
    return [Case(name, WORKS, data) for name, data in cases.items()]


def _damaged() -> list[Case]:
    entropy = JPEG.index(b"\xff\xda") + 14
    huffman = JPEG.index(b"\xff\xc4")
    quantise = JPEG.index(b"\xff\xdb")
    return [
        Case("nothing", "empty_image", lambda: b""),
        Case("PNG of 0 x 0", BROKEN, lambda: png(0, 0, depth=8, colour=2, rows=b"")),
        Case("PNG of no colour type there is", BROKEN, lambda: png(40, 40, depth=8, colour=5, rows=b"")),
        Case("PNG of 40 x 40 without rows", BROKEN, lambda: png(40, 40, depth=8, colour=2, rows=b"")),
        Case("PNG with a wrong checksum", BROKEN, lambda: _with(PNG, 29, b"\0\0\0\0")),
        Case(
            "PNG whose pixels are no deflate", BROKEN, lambda: _with(PNG, PNG.index(b"IDAT") + 4, bytes(40))
        ),
        Case("PNG with a chunk of 4 GB", BROKEN, lambda: _after_header(b"\xff\xff\xff\xfftEXta\0b")),
        Case("PNG without IHDR", BROKEN, lambda: PNG[:8] + PNG[33:]),
        Case("JPEG with a broken Huffman table", BROKEN, lambda: _with(JPEG, huffman + 5, b"\xff" * 16)),
        Case("JPEG without a quantisation table", BROKEN, lambda: _with(JPEG, quantise + 1, b"\xe5")),
        Case("JPEG of 12 bits", BROKEN, lambda: _with(JPEG, JPEG.index(b"\xff\xc0") + 4, b"\x0c")),
        Case(
            "JPEG of arithmetic coding that is none",
            WORKS,
            lambda: _with(JPEG, JPEG.index(b"\xff\xc0") + 1, b"\xc9"),
        ),
        Case("JPEG of 0 x 0", BROKEN, lambda: _jpeg_of(0, 0)),
        Case("JPEG with its start twice", BROKEN, lambda: _in_jpeg(b"\xff\xd8")),
        Case("JPEG with a segment of length 0", BROKEN, lambda: _in_jpeg(b"\xff\xe5\0\0")),
        Case("JPEG with noise for pixels", WORKS, lambda: _with(JPEG, entropy, b"\x55\xaa" * 40)),
        Case("JPEG that is only its start", BROKEN, lambda: b"\xff\xd8\xff"),
        Case("GIF with an empty extension", BROKEN, lambda: _in_gif(b"!\xf9\0")),
        Case("GIF of 0 x 0, its frame larger", WORKS, lambda: _with(GIF, 6, bytes(4))),
        Case("GIF without a frame", BROKEN, lambda: GIF[: 13 + 3 * 2 ** (GIF[10] % 8 + 1)] + b";"),
        Case("WebP with a broken header", TOO_LARGE, lambda: _with(WEBP, 26, b"\xff" * 30)),
        Case("WebP that lies about its length", BROKEN, lambda: _with(WEBP, 4, b"\xff\xff\xff\x7f")),
        Case("BMP of a negative width", TOO_LARGE, lambda: _bmp(-40, 40)),
        Case("BMP of 40 x 40 without pixels", BROKEN, lambda: _bmp(40, 40)),
        Case("BMP of 5 bits a pixel", BROKEN, lambda: _bmp(40, 40, bits=5)),
        Case("strip of one row", SMALL, lambda: encode(picture(9000, 1), "PNG")),
        Case("strip of one column", SMALL, lambda: encode(picture(1, 9000), "BMP")),
        Case("single pixel", SMALL, lambda: encode(picture(1, 1), "GIF")),
        Case("ribbon", NARROW, lambda: encode(picture(700, 34), "JPEG")),
    ]


CASES = (*_cut(), *_foreign(), *_bombs(), *_odd_but_fine(), *_damaged())

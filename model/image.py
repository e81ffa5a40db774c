"""Bytes to a safe RGB picture: the only code that decodes an image, for training and serving alike."""

from __future__ import annotations

import io
import warnings

import numpy as np
from PIL import Image, UnidentifiedImageError

from model.container import MAX_SCANS_OF_LARGEST, count_scans, exif_orientation, strip
from model.errors import ImageError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
MAX_BYTES = 20 * 1024 * 1024
MAX_PIXELS = 64 * 1024 * 1024
MAX_PIXELS_WHOLE = 24 * 1024 * 1024
"""For all but JPEG, the only one that can be decoded at a reduced scale; a WebP takes 20 bytes a pixel."""
MIN_SIDE = 32
MAX_ASPECT = 20

# Every decoder at once, or the first threads to open a picture would race to register them.
Image.init()
# Pillow warns of damaged metadata and of sizes that `read_image` refuses anyway. To silence that only around
# a call would not be safe in threads.
warnings.filterwarnings("ignore", module=r"PIL\.")

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Pillow calls a file of one of its formats unknown where the header is damaged.
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a")

_FORMAT_HINT = "Save the picture as JPEG, PNG or WebP and try again."


def read_image(data: bytes, *, target_side: int | None = None) -> Image.Image:
    """Decodes a picture as a person would expect to see it.

    The EXIF rotation is applied, the first frame of an animation is taken, transparency is laid on white,
    16-bit grey is scaled to 8 bits. The result carries no metadata; that of a JPEG or PNG is taken off before
    the file is decoded.

    Args:
        data: an encoded picture of one of ``FORMATS``, at most ``MAX_BYTES``.
        target_side: if given, a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size as long as both sides
            keep at least this many pixels, which saves most of the decoding time.

    Returns:
        A picture of mode RGB.

    Raises:
        ImageError: with the codes ``empty_image``, ``image_too_large``, ``unsupported_format``,
            ``invalid_image``, ``image_too_small`` or ``image_too_narrow``.
    """
    if not data:
        raise ImageError(
            "The picture is empty (0 bytes).", hint="Choose a photo and send it again.", code="empty_image"
        )
    if len(data) > MAX_BYTES:
        raise ImageError(
            f"The picture has {len(data) / 1e6:.1f} MB; at most {MAX_BYTES / 1e6:.0f} MB are accepted.",
            hint="Save a smaller copy and try again.",
            code="image_too_large",
        )
    try:
        bare, orientation = strip(data)
        image = Image.open(io.BytesIO(bare), formats=FORMATS)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        if data.startswith(_SIGNATURES) or data[8:12] == b"WEBP":
            raise _broken(error) from None
        raise ImageError(
            f"The {len(data)} bytes are not a JPEG, PNG, WebP, GIF or BMP picture.",
            hint=_FORMAT_HINT,
            code="unsupported_format",
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_many_pixels("far too many pixels", MAX_PIXELS) from None
    except Exception as error:
        raise _broken(error) from None
    with image:
        _check_size(*image.size, most=MAX_PIXELS if image.format == "JPEG" else MAX_PIXELS_WHOLE)
        if image.format == "JPEG":
            _check_scans(bare, *image.size)
        else:
            orientation = exif_orientation(image.info.get("exif", b"")) if orientation == 1 else orientation
        try:
            if target_side is not None:
                image.draft("RGB", (target_side, target_side))
            image.load()
            return _plain_rgb(image, _TURNS.get(orientation))
        except Exception as error:
            raise _broken(error) from None


def _check_size(width: int, height: int, *, most: int) -> None:
    if width * height > most:
        raise _too_many_pixels(f"{width} x {height} pixels", most)
    if min(width, height) < MIN_SIDE:
        raise ImageError(
            f"The picture has {width} x {height} pixels; each side needs at least {MIN_SIDE}.",
            hint="Take the photo again, closer and in full size.",
            code="image_too_small",
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ImageError(
            f"The picture has {width} x {height} pixels; a side may be at most {MAX_ASPECT} times the other.",
            hint="Crop the picture to the part of the skin that matters.",
            code="image_too_narrow",
        )


def _check_scans(data: bytes, width: int, height: int) -> None:
    # The largest picture's work is the measure; a small picture's passes cost something too.
    allowed = MAX_SCANS_OF_LARGEST * MAX_PIXELS // max(width * height, 1_000_000)
    if data.count(b"\xff\xda") > allowed and count_scans(data, at_most=allowed) > allowed:
        raise ImageError(
            f"The JPEG asks for over {allowed} passes over {width} x {height} pixels; about ten are usual.",
            hint="Open the picture in an image program, save it as an ordinary JPEG and try again.",
        )


def _too_many_pixels(got: str, most: int) -> ImageError:
    return ImageError(
        f"The picture has {got}; at most {most / 1e6:.0f} million are accepted.",
        hint="Save a smaller copy and try again.",
        code="image_too_large",
    )


def _broken(error: Exception) -> ImageError:
    return ImageError(
        f"The picture cannot be decoded ({type(error).__name__}); it may be cut off or damaged.",
        hint=_FORMAT_HINT,
    )


def _plain_rgb(image: Image.Image, turn: Image.Transpose | None) -> Image.Image:
    if turn is not None:
        image = image.transpose(turn)
    if image.mode.startswith("I"):
        # Pillow's own conversion clips 16-bit grey at 255 instead of scaling it. 257 x 255 = 65535.
        grey = np.asarray(image).clip(0, 65535).astype(np.uint32)
        image = Image.fromarray(((grey + 128) // 257).astype(np.uint8))
    if image.mode in ("P", "PA", "LA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode == "RGBA":
        plain = Image.new("RGB", image.size, "white")
        plain.paste(image, mask=image.getchannel("A"))
        return plain
    plain = image.convert("RGB")  # a copy, even of RGB
    plain.info.clear()
    return plain

"""Decode bytes to a safe RGB picture: the only decoder, for training and serving alike."""

from __future__ import annotations

import warnings

from PIL import Image, ImageFile, UnidentifiedImageError

from model.errors import ImageError
from model.image.colour import to_srgb
from model.image.container import MAX_SCANS_OF_LARGEST, Bare, count_scans, exif_orientation, strip
from model.image.deep import eight_bits, without_colour
from model.image.formats import (
    MAX_ASPECT,
    MAX_BYTES,
    MAX_PIXELS,
    MAX_PIXELS_WHOLE,
    MIN_SIDE,
    names,
    open_picture,
)

# Pillow warns of damaged metadata and of sizes that `read_image` rejects anyway. Silencing it only around a
# call would not be thread-safe.
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

# Pillow calls a file with a damaged header an unknown format.
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")

_FORMAT_HINT = "Save the picture as JPEG, PNG or WebP and try again."


def read_image(data: bytes, *, target_side: int | None = None) -> Image.Image:
    """Decode a picture the way a viewer would show it.

    The EXIF rotation is applied. Colours are converted to sRGB from the ICC profile, or from the colour
    metadata of PNG, HEIC and AVIF. The first frame of an animation, the first page of a TIFF and the main
    picture of a HEIC or AVIF are taken. Transparent pictures are composited on white, 16 bits are scaled to
    8. The result has no metadata; except for WebP, GIF and BMP, it is stripped before the file is decoded.

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
        raise ImageError("This file is empty (0 bytes).", hint="Choose another photo.", code="empty_image")
    if len(data) > MAX_BYTES:
        raise ImageError(
            "The picture has {got} MB; at most {most} MB are accepted.",
            hint="Save a smaller copy and try again.",
            code="image_too_large",
            values={"got": f"{len(data) / 1e6:.1f}", "most": f"{MAX_BYTES / 1e6:.0f}"},
        )
    try:
        bare = strip(data)
        image = open_picture(bare.data)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        if data.startswith(_SIGNATURES) or data[8:12] == b"WEBP":
            raise _broken(error) from None
        raise ImageError(
            "We can't open this kind of file: it is not a {names} picture.",
            hint=_FORMAT_HINT,
            code="unsupported_format",
            values={"names": names()},
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_many_pixels(
            "The picture has far too many pixels; at most {most} million are accepted.", MAX_PIXELS
        ) from None
    except Exception as error:
        raise _broken(error) from None
    with image:
        _check_size(*image.size, most=MAX_PIXELS if image.format == "JPEG" else MAX_PIXELS_WHOLE)
        if image.format == "JPEG":
            _check_scans(bare.data, *image.size)
        try:
            _load(image, target_side)
            return _plain_rgb(image, bare)
        except (OSError, ValueError) as error:
            if image.format != "JPEG":
                raise _broken(error) from None
            unfinished = error
        except Exception as error:
            raise _broken(error) from None
    try:
        with _without_end(bare.data, target_side) as image:
            return _plain_rgb(image, bare)
    except Exception:
        raise _broken(unfinished) from None


def _load(image: ImageFile.ImageFile, target_side: int | None) -> None:
    if target_side is not None:
        image.draft("RGB", (target_side, target_side))
    image.load()
    if image.format == "PNG" and image.info.get("default_image"):
        image.seek(1)  # `strip` kept the default image, which is not part of the animation
        image.load()


def _without_end(data: bytes, target_side: int | None) -> ImageFile.ImageFile:
    """Open a JPEG that has all its pixels but lacks the end marker.

    The decoder would silently fill in missing pixels. If the picture is complete, though, it does not matter
    what follows the last byte.
    """
    whole = data[:-1] if data.endswith(b"\xff") else data
    images = [open_picture(whole + filling * 64 + b"\xff\xd9") for filling in (b"\0", b"\x55")]
    for image in images:
        _load(image, target_side)
    if images[0].tobytes() != images[1].tobytes():
        raise OSError("cut off")
    return images[0]


def _check_size(width: int, height: int, *, most: int) -> None:
    if width * height > most:
        raise _too_many_pixels(
            "The picture has {width} x {height} pixels; at most {most} million are accepted.",
            most,
            width=width,
            height=height,
        )
    if min(width, height) < MIN_SIDE:
        raise ImageError(
            "The picture has {width} x {height} pixels; each side needs at least {least}.",
            hint="Take the photo again, closer and at full size.",
            code="image_too_small",
            values={"width": width, "height": height, "least": MIN_SIDE},
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ImageError(
            "The picture has {width} x {height} pixels; a side may be at most {most} times the other.",
            hint="Crop the picture to the area of skin that matters.",
            code="image_too_narrow",
            values={"width": width, "height": height, "most": MAX_ASPECT},
        )


def _check_scans(data: bytes, width: int, height: int) -> None:
    # The work for the largest picture sets the limit; the scans of a small picture cost something too.
    allowed = MAX_SCANS_OF_LARGEST * MAX_PIXELS // max(width * height, 1_000_000)
    if data.count(b"\xff\xda") > allowed and count_scans(data, at_most=allowed) > allowed:
        raise ImageError(
            "The JPEG asks for over {allowed} scans of {width} x {height} pixels; about ten are usual.",
            hint="Open the picture in an image program, save it as an ordinary JPEG and try again.",
            values={"allowed": allowed, "width": width, "height": height},
        )


def _too_many_pixels(message: str, most: int, **values: int) -> ImageError:
    return ImageError(
        message,
        hint="Save a smaller copy and try again.",
        code="image_too_large",
        values={**values, "most": f"{most / 1e6:.0f}"},
    )


def _broken(error: Exception) -> ImageError:
    return ImageError(
        "This file seems cut off or damaged ({kind}).",
        hint=_FORMAT_HINT,
        values={"kind": type(error).__name__},
    )


def _plain_rgb(image: Image.Image, bare: Bare) -> Image.Image:
    orientation, profile = bare.orientation, bare.profile or image.info.get("icc_profile")
    if orientation == 1 and image.format in ("WEBP", "AVIF"):
        orientation = exif_orientation(image.info.get("exif") or b"")
    if image.format == "PNG" and "transparency" in image.info and image.mode != "P":
        image, profile = without_colour(image, bare.data, profile)
    elif "transparency" in image.info:
        image = image.convert("RGBA")
    else:
        image, profile = eight_bits(image, bare.data, profile)
    if image.format == "BMP" and image.mode == "RGBA" and image.getchannel("A").getextrema() == (0, 0):
        image = image.convert("RGB")  # Windows programs leave the fourth byte at 0 without meaning alpha
    image = to_srgb(image, profile)
    if image.mode in ("P", "PA", "LA", "La", "RGBa"):
        image = image.convert("RGBA")
    if image.mode == "RGBA":
        plain = Image.new("RGB", image.size, "white")
        plain.paste(image, mask=image.getchannel("A"))
    else:
        plain = image.convert("RGB")  # a copy, even of RGB
        plain.info.clear()
    turn = _TURNS.get(orientation)
    return plain if turn is None else plain.transpose(turn)

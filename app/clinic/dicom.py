"""DICOM in: the one colour picture of a clinical photograph, a dermoscopy or a secondary capture.

What comes out is a JPEG or PNG for ``model.image.read_image``, whose bounds then hold as for every other
picture. Only the elements that are named here are kept: for a prediction none about the patient, for a report
those that tie it to the study. Nothing of a file is logged.
"""

from __future__ import annotations

import contextlib
import io
import logging
import struct
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom import uid
from pydicom.encaps import get_frame
from pydicom.pixels import convert_color_space, pixel_array

from model.errors import ImageError
from model.image import MAX_BYTES
from model.image.formats import MAX_PARTS, MAX_PIXELS_WHOLE

KINDS = {
    uid.VLPhotographicImageStorage: "VL Photographic Image",
    uid.DermoscopicPhotographyImageStorage: "Dermoscopic Photography Image",
    uid.SecondaryCaptureImageStorage: "Secondary Capture Image",
    uid.MultiFrameTrueColorSecondaryCaptureImageStorage: "Multi-frame True Color Secondary Capture Image",
}
"""The SOP classes that are read."""

# What these say of odd values quotes them, names of patients too.
for package in ("pydicom", "highdicom"):
    logging.getLogger(package).setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module=rf"{package}\.")

_UNCOMPRESSED = (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian)
_JPEG_LS = tuple(uid.JPEGLSTransferSyntaxes)
_JPEG_2000 = (uid.JPEG2000Lossless, uid.JPEG2000)
_COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")
_HINT = "Send one colour photograph as DICOM, or the picture itself as JPEG or PNG."

_IDENTITY = ("SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID")
_PICTURE = (
    *_IDENTITY,
    *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "NumberOfFrames"),
    *("ICCProfile", "PixelData"),
)
_STUDY = (
    *("StudyInstanceUID", "SeriesInstanceUID", "StudyID", "StudyDate", "StudyTime", "AccessionNumber"),
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
)
_MAX_READS = 100_000
"""Each element takes a read or two; photographs have some hundred, also with long sequences."""


class _Counted(io.BytesIO):
    """A file that ends the reading of millions of tiny elements, which take fifty times its own size."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > _MAX_READS:
            raise ValueError("too many elements")
        return super().read(size)


def is_dicom(data: bytes) -> bool:
    """Whether a file begins as part 10 of the standard says."""
    return data[128:132] == b"DICM"


def read_dicom(data: bytes) -> bytes:
    """Takes the picture out of a DICOM file.

    Args:
        data: a file for which ``is_dicom`` is true.

    Returns:
        The picture as JPEG or PNG.

    Raises:
        ImageError: ``image_too_large``, ``invalid_image`` or ``unsupported_format``: damaged, too large, of
            another kind, not in colour, of several frames, or compressed in a way that is not read.
    """
    with _as_image_error():
        found = _read(data, _PICTURE)
        _check(found)
        return _picture(found)


def picture_in(data: bytes) -> bytes:
    """The picture in a DICOM file; any other data as it is.

    Raises:
        ImageError: as for ``read_dicom``.
    """
    return read_dicom(data) if is_dicom(data) else data


def read_study(data: bytes) -> pydicom.Dataset:
    """Reads what ties a report to the study of a DICOM file: UIDs, dates, accession number, and the patient's
    identifier, name, birth date and sex; what the file lacks is empty.

    Raises:
        ImageError: ``image_too_large``, ``invalid_image`` or ``unsupported_format``: damaged, or without the
            UIDs that a report has to name.
    """
    with _as_image_error():
        if not is_dicom(data):
            raise _unsupported("has no DICOM header")
        found = _read(data, (*_IDENTITY, *_STUDY))
        for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
            if not uid.UID(found[keyword].value).is_valid:
                raise ValueError("no UID")
        for keyword in _STUDY:
            if keyword not in found:
                setattr(found, keyword, None)
        for element in found:  # pydicom converts a value where it is first asked for
            element.value  # noqa: B018
        return found


@contextlib.contextmanager
def _as_image_error() -> Iterator[None]:
    try:
        yield
    except ImageError:
        raise
    except Exception as error:  # A damaged file can make pydicom raise almost anything.
        raise ImageError(
            f"The DICOM file is damaged ({type(error).__name__}).",
            hint="Export it again and send it anew.",
            code="invalid_image",
        ) from None


def _read(data: bytes, keywords: Sequence[str]) -> pydicom.Dataset:
    if len(data) > MAX_BYTES:
        raise ImageError(
            f"The DICOM file has {len(data) / 1e6:.1f} MB; at most {MAX_BYTES / 1e6:.0f} MB are accepted.",
            hint="Export it compressed (JPEG or JPEG 2000) or smaller.",
            code="image_too_large",
        )
    # pydicom inflates the whole data set before anything of it can be checked, however large it becomes.
    if uid.DeflatedExplicitVRLittleEndian.encode() in data:
        raise _unsupported("is deflated as a whole, which is not read")
    return pydicom.dcmread(
        _Counted(data), specific_tags=list(keywords), stop_before_pixels="PixelData" not in keywords
    )


def _check(found: pydicom.Dataset) -> None:
    kind = found.get("SOPClassUID")
    if kind not in KINDS:
        named = uid.UID(kind).name if kind else "of an unknown kind"
        raise _unsupported(f"is a {named[:64]}; read are: {', '.join(KINDS.values())}")
    if "PixelData" not in found:
        raise _unsupported("has no picture in it")
    photometric = found.PhotometricInterpretation
    if photometric not in _COLOURS:
        grey = " (a grey picture)" if photometric.startswith("MONOCHROME") else ""
        raise _unsupported(f"is {photometric[:16]}{grey}; colour pictures are read: {', '.join(_COLOURS)}")
    if (frames := int(found.get("NumberOfFrames") or 1)) != 1:
        raise _unsupported(f"has {frames} frames; one is expected")
    if found.SamplesPerPixel != 3 or found.BitsAllocated not in (8, 16):
        raise _unsupported(
            f"has {found.SamplesPerPixel} samples of {found.BitsAllocated} bits a pixel; "
            "3 of 8 or 16 are expected"
        )
    _check_size(int(found.Columns), int(found.Rows))


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS_WHOLE:
        raise ImageError(
            f"The picture has {width} x {height} pixels; at most {MAX_PIXELS_WHOLE / 1e6:.0f} million are "
            "accepted.",
            hint="Export a smaller copy.",
            code="image_too_large",
        )


def _picture(found: pydicom.Dataset) -> bytes:
    syntax = found.file_meta.TransferSyntaxUID
    profile = found.get("ICCProfile")
    if syntax == uid.JPEGBaseline8Bit:
        return _marked(_frame(found), found, profile)
    if syntax in _JPEG_2000:
        with Image.open(io.BytesIO(_frame(found))) as image:
            if image.format != "JPEG2000":
                raise ValueError("no JPEG 2000")
            _check_size(*image.size)
            image.load()
            return _png(_in_rgb(np.asarray(image), found), profile)
    if syntax == uid.RLELossless:
        _check_runs(found)
    elif syntax in _JPEG_LS:
        _check_size(*_size_in_jpeg_ls(_frame(found)))
    elif syntax not in _UNCOMPRESSED:
        raise _unsupported(f"is compressed as {uid.UID(syntax).name}, which is not read")
    return _png(_in_rgb(pixel_array(found, raw=True), found), profile)


def _frame(found: pydicom.Dataset) -> bytes:
    if found.PixelData.count(b"\xfe\xff\x00\xe0") > MAX_PARTS:
        raise ValueError("too many fragments")
    return get_frame(found.PixelData, 0, number_of_frames=1)


def _in_rgb(values: NDArray[Any], found: pydicom.Dataset) -> NDArray[np.uint8]:
    """Samples (H, W, 3) as the file holds them, in 8 bits of RGB."""
    if values.ndim != 3 or values.shape[2] != 3:
        raise ValueError("no colour picture")
    if values.dtype != np.uint8:
        values = (values.astype(np.float32) * (255 / ((1 << int(found.BitsStored)) - 1))).round()
        values = values.clip(0, 255).astype(np.uint8)
    photometric = found.PhotometricInterpretation
    # The codec undoes YBR_RCT and YBR_ICT itself.
    if photometric in ("YBR_FULL", "YBR_FULL_422"):
        values = convert_color_space(values, "YBR_FULL", "RGB")
    return np.ascontiguousarray(values)


def _png(values: NDArray[np.uint8], profile: bytes | None) -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG", compress_level=1, icc_profile=profile)
    return file.getvalue()


def _marked(frame: bytes, found: pydicom.Dataset, profile: bytes | None) -> bytes:
    """A JPEG that says itself how its colours are meant, where only the data set did."""
    if not frame.startswith(b"\xff\xd8\xff"):
        raise ValueError("no JPEG")
    head = frame[: frame.find(b"\xff\xda")]
    added = b""
    if b"JFIF\0" not in head and b"Adobe" not in head:
        transform = 0 if found.PhotometricInterpretation == "RGB" else 1
        added += b"\xff\xee" + struct.pack(">H", 14) + b"Adobe\0\x64\0\0\0\0" + bytes([transform])
    if profile and b"ICC_PROFILE\0" not in head:
        parts = [profile[start : start + 65519] for start in range(0, len(profile), 65519)]
        for number, part in enumerate(parts, 1):
            body = b"ICC_PROFILE\0" + bytes([number, len(parts)]) + part
            added += b"\xff\xe2" + struct.pack(">H", len(body) + 2) + body
    return frame[:2] + added + frame[2:]


def _size_in_jpeg_ls(frame: bytes) -> tuple[int, int]:
    """Width and height that a JPEG-LS picture says itself; the decoder would make room for them unasked."""
    place = 2
    while frame[place] == 0xFF:
        kind, length = frame[place + 1], int.from_bytes(frame[place + 2 : place + 4], "big")
        if kind == 0xF7:
            height, width, samples = struct.unpack(">HHB", frame[place + 5 : place + 10])
            if samples != 3:
                raise ValueError("no colour picture")
            return width, height
        place += 2 + length
    raise ValueError("no JPEG-LS")


def _check_runs(found: pydicom.Dataset) -> None:
    """Refuses run lengths that unpack to more than the picture: two bytes can stand for 128."""
    frame = _frame(found)
    count, *starts = struct.unpack("<16L", frame[:64])
    most = int(found.Rows) * int(found.Columns)
    ends = [*starts[1:count], len(frame)]
    for start, end in zip(starts[:count], ends, strict=True):
        place, unpacked = start, 0
        while place < end - 1:
            code = frame[place]
            place += code + 2 if code < 128 else 2 if code > 128 else 1
            unpacked += code + 1 if code < 128 else 257 - code if code > 128 else 0
            if unpacked > most + 1:
                raise ValueError("runs longer than the picture")


def _unsupported(what: str) -> ImageError:
    return ImageError(f"The DICOM file {what}.", hint=_HINT, code="unsupported_format")

"""DICOM files as cameras and archives write them, made from a small picture."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pydicom
from PIL import Image
from pydicom import uid
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate

PATIENT = "Nobody^Test"


def dicom(
    picture: Image.Image, syntax: str = uid.ExplicitVRLittleEndian, *, colours: str = "RGB", **changes: Any
) -> bytes:
    """A clinical photograph as a DICOM file.

    Args:
        picture: its pixels.
        syntax: transfer syntax.
        colours: photometric interpretation in which the pixels are stored.
        changes: attributes that are set as they are, last.
    """
    found = pydicom.Dataset()
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    found.SOPClassUID = uid.VLPhotographicImageStorage
    for name in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        setattr(found, name, uid.generate_uid())
    found.PatientName, found.PatientID, found.Modality = PATIENT, "4711", "XC"
    values = np.asarray(picture)
    found.Rows, found.Columns = values.shape[:2]
    found.SamplesPerPixel, found.PlanarConfiguration = 3, 0
    found.BitsAllocated = found.BitsStored = 8
    found.HighBit, found.PixelRepresentation = 7, 0
    found.PhotometricInterpretation = colours
    syntax = uid.UID(syntax)
    if syntax in (uid.JPEGBaseline8Bit, uid.JPEG2000, uid.JPEG2000Lossless):
        frame = _encoded(picture, syntax, colours)
        found.PixelData = encapsulate([frame])
        found["PixelData"].is_undefined_length = True
        found.file_meta.TransferSyntaxUID = syntax
    elif syntax.is_encapsulated and syntax != uid.DeflatedExplicitVRLittleEndian:
        found.PixelData = values.tobytes()
        found.compress(syntax)
    else:
        found.PixelData = _stored(picture, colours)
        found["PixelData"].VR = "OB"
        found.file_meta.TransferSyntaxUID = syntax
    for name, value in changes.items():
        setattr(found, name, value)
    file = io.BytesIO()
    pydicom.dcmwrite(file, found, enforce_file_format=True)
    return file.getvalue()


def _encoded(picture: Image.Image, syntax: str, colours: str) -> bytes:
    file = io.BytesIO()
    if syntax == uid.JPEGBaseline8Bit:
        picture.save(file, "JPEG", quality=95, keep_rgb=colours == "RGB")
        return _without_markers(file.getvalue())
    picture.save(file, "JPEG2000", irreversible=syntax == uid.JPEG2000, no_jp2=True, mct=1)
    return file.getvalue()


def _without_markers(data: bytes) -> bytes:
    """Without the segments in which a JPEG says how its colours are meant; archives often drop them."""
    place, kept = 2, data[:2]
    while data[place + 1] != 0xDA:
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        kept += b"" if data[place + 1] in (0xE0, 0xEE) else data[place:end]
        place = end
    return kept + data[place:]


def _stored(picture: Image.Image, colours: str) -> bytes:
    if colours == "RGB":
        return np.asarray(picture).tobytes()
    values = np.asarray(picture.convert("YCbCr"))
    if colours == "YBR_FULL":
        return values.tobytes()
    pairs = values.reshape(values.shape[0], -1, 2, 3).astype(int)
    chroma = pairs[..., 1:].mean(axis=2).round().astype(int)
    return np.concatenate([pairs[..., 0], chroma], axis=-1).astype(np.uint8).tobytes()

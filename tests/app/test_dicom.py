"""DICOM files become the pictures that a person would see in them, or are refused with the reason."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pydicom
import pytest
from conftest import make_picture
from dicom_made import PATIENT, dicom
from PIL import Image, ImageCms
from profiles_made import rgb_profile
from pydicom import uid
from pydicom.encaps import encapsulate

from app.clinic.dicom import is_dicom, read_dicom, read_study
from model.errors import ImageError
from model.image import read_image

PICTURE = make_picture(96, 72).convert("RGB")


def seen(data: bytes) -> Image.Image:
    return read_image(read_dicom(data))


def error(data: bytes) -> float:
    """Mean difference from the picture, of 255."""
    got = np.asarray(seen(data), float)
    return float(np.abs(got - np.asarray(PICTURE, float)).mean())


@pytest.mark.parametrize(
    ("syntax", "colours", "most"),
    [
        (uid.ExplicitVRLittleEndian, "RGB", 0),
        (uid.ImplicitVRLittleEndian, "RGB", 0),
        (uid.ExplicitVRBigEndian, "RGB", 0),
        (uid.ExplicitVRLittleEndian, "YBR_FULL", 1),
        (uid.ExplicitVRLittleEndian, "YBR_FULL_422", 4),
        (uid.RLELossless, "RGB", 0),
        (uid.JPEGLSLossless, "RGB", 0),
        (uid.JPEG2000Lossless, "YBR_RCT", 0),
        (uid.JPEG2000, "YBR_ICT", 4),
        (uid.JPEGBaseline8Bit, "YBR_FULL_422", 4),
        (uid.JPEGBaseline8Bit, "RGB", 4),
    ],
)
def test_every_way_to_store_a_picture_shows_it(syntax: str, colours: str, most: float) -> None:
    data = dicom(PICTURE, syntax, colours=colours)
    assert is_dicom(data)
    assert error(data) <= most


def test_planes_one_after_another() -> None:
    planes = np.asarray(PICTURE).transpose(2, 0, 1).tobytes()
    assert error(dicom(PICTURE, PlanarConfiguration=1, PixelData=planes)) == 0


def test_twelve_bits_of_sixteen() -> None:
    deep = (np.asarray(PICTURE, np.float32) * 4095 / 255).round().astype(np.uint16)
    data = dicom(PICTURE, BitsAllocated=16, BitsStored=12, HighBit=11, PixelData=deep.tobytes())
    assert error(data) < 0.5


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.JPEGBaseline8Bit])
def test_the_colour_profile_of_the_data_set_counts(syntax: str) -> None:
    profile = rgb_profile("Display P3")
    source = ImageCms.createProfile("sRGB")
    wide = ImageCms.profileToProfile(PICTURE, source, ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    assert wide is not None
    assert error(dicom(wide, syntax, ICCProfile=profile)) < 2
    assert error(dicom(wide, syntax)) > 2, "the profile makes a difference"


def test_a_report_gets_what_ties_it_to_the_study_and_nothing_else_of_the_patient() -> None:
    data = dicom(PICTURE, PatientComments="afraid of needles", PatientSex="F")
    found = read_study(data)
    assert found.StudyInstanceUID == pydicom.dcmread(io.BytesIO(data)).StudyInstanceUID
    assert (found.PatientName, found.PatientSex, found.PatientBirthDate) == (PATIENT, "F", None)
    assert "PixelData" not in found
    assert "PatientComments" not in found


def test_millions_of_tiny_elements_are_not_read() -> None:
    many = struct.pack("<HH2sH", 0x0010, 0x4000, b"LT", 0) * 150_000
    sequence = struct.pack("<HH2sHL", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)
    sequence += struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF) + many
    data = dicom(PICTURE)
    place = data.index(struct.pack("<HH2s", 0x0010, 0x0010, b"PN"))
    for read in (read_dicom, read_study):
        with pytest.raises(ImageError, match="damaged"):
            read(data[:place] + sequence + data[place:])


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"SOPClassUID": uid.CTImageStorage}, "CT Image Storage"),
        ({"PhotometricInterpretation": "MONOCHROME2"}, "MONOCHROME2"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "PALETTE COLOR"),
        ({"NumberOfFrames": 3}, "3 frames"),
        ({"SamplesPerPixel": 1}, "1 samples"),
        ({"BitsAllocated": 32}, "32 bits"),
    ],
)
def test_what_is_no_single_colour_picture_is_refused_by_name(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ImageError, match=named) as refused:
        read_dicom(dicom(PICTURE, **changes))
    assert refused.value.code == "unsupported_format"
    assert PATIENT not in str(refused.value)


def test_a_data_set_that_would_have_to_be_inflated_first_is_refused() -> None:
    with pytest.raises(ImageError, match="deflated"):
        read_dicom(dicom(PICTURE, uid.DeflatedExplicitVRLittleEndian))


def test_no_size_that_a_file_claims_is_believed() -> None:
    with pytest.raises(ImageError, match="65535 x 65535") as refused:
        read_dicom(dicom(PICTURE, Rows=65535, Columns=65535))
    assert refused.value.code == "image_too_large"
    large = pydicom.dcmread(io.BytesIO(dicom(PICTURE, uid.JPEGLSLossless)))
    frame = bytearray(pydicom.encaps.get_frame(large.PixelData, 0, number_of_frames=1))
    place = frame.index(b"\xff\xf7") + 5
    frame[place : place + 4] = struct.pack(">HH", 65535, 65535)
    with pytest.raises(ImageError, match="65535 x 65535"):
        read_dicom(dicom(PICTURE, uid.JPEGLSLossless, PixelData=encapsulate([bytes(frame)])))


def test_runs_longer_than_the_picture_are_refused() -> None:
    segment = b"\x81\0" * 5000
    head = struct.pack("<16L", 3, 64, 64 + len(segment), 64 + 2 * len(segment), *[0] * 12)
    data = dicom(PICTURE, uid.RLELossless, PixelData=encapsulate([head + segment * 3]))
    with pytest.raises(ImageError, match="damaged"):
        read_dicom(data)


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.RLELossless, uid.JPEGBaseline8Bit])
def test_a_damaged_file_is_refused_or_read_and_never_more(
    syntax: str, caplog: pytest.LogCaptureFixture
) -> None:
    colours = "YBR_FULL_422" if syntax == uid.JPEGBaseline8Bit else "RGB"
    whole, random = dicom(PICTURE, syntax, colours=colours), np.random.default_rng(0)
    refusals = []
    for length in random.integers(132, len(whole), 30):
        damaged = bytearray(whole[: int(length)])
        damaged[int(random.integers(132, len(damaged)))] ^= 0xFF
        try:
            seen(bytes(damaged))
        except ImageError as problem:
            refusals.append(str(problem))
    assert refusals
    assert PATIENT not in "".join(refusals) + caplog.text

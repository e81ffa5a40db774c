"""DICOM files as one body, as STOW-RS sends them, and back."""

from __future__ import annotations

import io

import pydicom

TYPE = 'multipart/related; type="application/dicom"; boundary=a-study'


def body(*files: bytes) -> bytes:
    parts = [b"--a-study\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n" for file in files]
    return b"".join([*parts, b"--a-study--\r\n"])


def parts(content_type: str, data: bytes) -> list[bytes]:
    assert content_type.startswith('multipart/related; type="application/dicom"; boundary=')
    boundary = content_type.rpartition("boundary=")[2].encode()
    first, *found, last = (b"\r\n" + data).split(b"\r\n--" + boundary)
    assert (first, last.strip()) == (b"", b"--")
    return [part.partition(b"\r\n\r\n")[2] for part in found]


def datasets(content_type: str, data: bytes) -> list[pydicom.FileDataset]:
    return [pydicom.dcmread(io.BytesIO(part)) for part in parts(content_type, data)]

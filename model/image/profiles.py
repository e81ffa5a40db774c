"""Builds small ICC profiles for formats that describe their colours in another way.

ICC.1:2001-04 (version 2.4): three primaries or grey, and one tone curve.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.errors import ImageError

Chromaticities = tuple[float, ...]
"""x and y of red, green, blue and white: eight numbers."""

PRIMARIES, CURVES = (b"rXYZ", b"gXYZ", b"bXYZ"), (b"rTRC", b"gTRC", b"bTRC")
MAX_TAGS = 100
"""The most tags of a profile that is used."""
_D65 = (0.3127, 0.3290)
SRGB: Chromaticities = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, *_D65)
_D50_XYZ = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])

# ITU-T H.273, tables 2 and 3: code points of HEIC, AVIF and PNG's cICP. Code points that are not listed count
# as sRGB, and so do the transfer curves of television, whose pictures are meant for the same screens.
_PRIMARIES: dict[int, Chromaticities] = {
    4: (0.67, 0.33, 0.21, 0.71, 0.14, 0.08, 0.310, 0.316),
    5: (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, *_D65),
    6: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *_D65),
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *_D65),
    11: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.314, 0.351),
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *_D65),
}
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
_HDR = {16: "PQ", 18: "HLG"}


def profile_of_code_points(primaries: int, transfer: int) -> bytes | None:
    """The profile for a pair of H.273 code points; None for sRGB and unknown ones.

    Raises:
        ImageError: the picture is stored for HDR screens only.
    """
    if transfer in _HDR:
        raise ImageError(
            "The picture is stored for HDR screens ({kind}), not as an ordinary photo.",
            hint="Export it as JPEG, or switch HDR off in the camera, and try again.",
            code="unsupported_format",
            values={"kind": _HDR[transfer]},
        )
    if primaries not in _PRIMARIES and transfer not in _GAMMAS:
        return None
    return make_profile(_PRIMARIES.get(primaries, SRGB), gamma=_GAMMAS.get(transfer))


def make_profile(chromaticities: Chromaticities | None, *, gamma: float | None) -> bytes | None:
    """Build a profile for RGB with these primaries and this white point, or for grey.

    Args:
        chromaticities: None for grey.
        gamma: linear light is the value, 0 to 1, to this power; None for the curve of sRGB.

    Returns:
        None if the primaries span no colour space.
    """
    curve = _curve(gamma)
    if chromaticities is None:
        tags = [(b"kTRC", curve)]
    else:
        matrix = _to_xyz(chromaticities)
        if matrix is None:
            return None
        tags = [(name, _xyz(matrix[:, i])) for i, name in enumerate(PRIMARIES)]
        tags += [(name, curve) for name in CURVES]
    return profile_of_tags(b"GRAY" if chromaticities is None else b"RGB ", tags)


def profile_of_tags(space: bytes, tags: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Build a display profile with these tags (name and content) and a white point.

    Args:
        space: of the colours, four letters.
    """
    tags = [*tags, (b"wtpt", _xyz(_D50_XYZ))]
    table, body, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, content in tags:
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = struct.pack(">I4x4s4s4s4s", start + len(body), b"\2\x40\0\0", b"mntr", space, b"XYZ ")
    header += struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _xyz(_D50_XYZ)[8:] + bytes(48)
    return header + table + body


def tags_of(profile: bytes) -> dict[bytes, bytes]:
    """The tags of a profile whose content is within the profile."""
    found: dict[bytes, bytes] = {}
    count = min(int.from_bytes(profile[128:132], "big"), MAX_TAGS)
    for at in range(132, min(132 + 12 * count, len(profile) - 11), 12):
        name, start, size = struct.unpack_from(">4sII", profile, at)
        found.setdefault(name, profile[start : start + size])
    return found


def srgb_curve() -> bytes:
    """The tone curve of sRGB, as a tag."""
    return _curve(None)


def _to_xyz(chromaticities: Chromaticities) -> NDArray[np.float64] | None:
    """RGB → XYZ, its white adapted to D50 by Bradford's matrix; None if there is no such matrix."""
    x, y = np.asarray(chromaticities, float).reshape(4, 2).T
    if (y < 1e-4).any():
        return None
    columns = np.stack([x / y, np.ones(4), (1 - x - y) / y])
    primaries, white = columns[:, :3], columns[:, 3]
    if abs(np.linalg.det(primaries)) < 1e-6:
        return None
    scale = _D50_XYZ_CONE / (_BRADFORD @ white)
    adapt = np.linalg.inv(_BRADFORD) @ np.diag(scale) @ _BRADFORD
    matrix = adapt @ (primaries * np.linalg.solve(primaries, white))
    return matrix if np.isfinite(matrix).all() and np.abs(matrix).max() < 100 else None


_D50_XYZ_CONE = _BRADFORD @ _D50_XYZ


def _xyz(values: NDArray[np.float64]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(float(value) * 65536) for value in values))


def _curve(gamma: float | None) -> bytes:
    numbers = np.linspace(0, 1, 1024)
    light = _srgb_light(numbers) if gamma is None else numbers**gamma
    return b"curv\0\0\0\0" + struct.pack(">I", 1024) + np.round(light * 65535).astype(">u2").tobytes()


def _srgb_light(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    # IEC 61966-2-1
    return np.where(numbers <= 0.04045, numbers / 12.92, ((numbers + 0.055) / 1.055) ** 2.4)

"""The true size of HEVC and AV1 pictures, from their own headers: the container may say otherwise."""

from __future__ import annotations

from model.errors import ImageError
from model.image.boxes import Reader, check_parts


class _Bits:
    """Reads bits from bytes, the highest first."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        """The next bits as a number.

        Raises:
            EOFError: there are fewer.
        """
        self._left -= count
        if self._left < 0:
            raise EOFError
        return self._value >> self._left & (1 << count) - 1

    def exponential(self) -> int:
        """An Exp-Golomb number (ITU-T H.265, 9.2)."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 31:
                raise EOFError
        return (1 << zeros) - 1 + self.take(zeros)


def hevc_size(configuration: bytes, content: bytes) -> tuple[int, int]:
    """Width and height of one coded HEVC picture, pixels; the largest that its headers have.

    Args:
        configuration: the content of its ``hvcC`` box (ISO/IEC 14496-15, 8.3.3.1).
        content: the picture, NAL units preceded by their lengths.

    Raises:
        EOFError: it is cut off.
        ImageError: more than one picture, or headers among the pixels.
    """
    told = Reader(configuration, 0, len(configuration))
    told.take(21)
    length_size = (told.number(1) & 3) + 1
    sizes = []
    for _ in range(told.number(1)):
        told.number(1)
        for _ in range(told.number(2)):
            unit = told.take(told.number(2))
            if unit[0] >> 1 & 63 == 33:
                sizes.append(_sequence_size(unit[2:256]))
            check_parts(len(sizes) * 100)
    units = Reader(content, 0, len(content))
    pictures = steps = 0
    while not units.is_empty():
        steps += 1
        check_parts(steps)
        unit = units.take(units.number(length_size))
        kind = unit[0] >> 1 & 63
        if 32 <= kind <= 34:
            raise _several("headers among its pixels")
        pictures += kind < 32 and unit[2] >> 7
    if pictures != 1 or not sizes:
        raise _several(f"{pictures} pictures where one is expected")
    return max(width for width, _ in sizes), max(height for _, height in sizes)


def _sequence_size(header: bytes) -> tuple[int, int]:
    """ITU-T H.265, 7.3.2.2 and 7.3.3, up to the size."""
    bits = _Bits(header.replace(b"\0\0\3", b"\0\0"))
    bits.take(4)
    layers = bits.take(3)
    bits.take(1 + 96)
    flags = [(bits.take(1), bits.take(1)) for _ in range(8 if layers else 0)][:layers]
    for profile, level in flags:
        bits.take(88 * profile + 8 * level)
    bits.exponential()
    if bits.exponential() == 3:
        bits.take(1)
    return bits.exponential(), bits.exponential()


def av1_size(content: bytes) -> tuple[int, int]:
    """Width and height of one coded AV1 picture, pixels; the largest that its headers have.

    Args:
        content: the picture, a series of OBUs (AV1 specification, 5.3).

    Raises:
        EOFError: it is cut off.
        ImageError: more than one picture.
    """
    units = Reader(content, 0, len(content))
    sizes, pictures, steps = [], 0, 0
    while not units.is_empty():
        steps += 1
        check_parts(steps)
        head = units.number(1)
        if head & 4:
            units.number(1)
        unit = units.take(_leb128(units)) if head & 2 else units.rest()
        kind = head >> 3 & 15
        if kind == 1:
            sizes.append(_sequence_size_of_av1(unit[:64]))
        pictures += kind in (3, 6)
    if pictures != 1 or not sizes:
        raise _several(f"{pictures} pictures where one is expected")
    return max(width for width, _ in sizes), max(height for _, height in sizes)


def _leb128(units: Reader) -> int:
    value = 0
    for i in range(8):
        byte = units.number(1)
        value |= (byte & 127) << 7 * i
        if not byte & 128:
            return value
    raise EOFError


def _sequence_size_of_av1(header: bytes) -> tuple[int, int]:
    """AV1 specification, 5.5.1, up to the size."""
    bits = _Bits(header)
    bits.take(3 + 1)
    if bits.take(1):
        bits.take(5)
    else:
        if bits.take(1):
            raise _several("a video's timing")
        delays = bits.take(1)
        for _ in range(bits.take(5) + 1):
            bits.take(12)
            if bits.take(5) > 7:
                bits.take(1)
            if delays and bits.take(1):
                bits.take(4)
    wide, high = bits.take(4) + 1, bits.take(4) + 1
    return bits.take(wide) + 1, bits.take(high) + 1


def _several(what: str) -> ImageError:
    return ImageError(
        "The HEIC or AVIF picture has {what}; it may be a video or damaged.",
        hint="Export the picture as JPEG or PNG and try again.",
        values={"what": what},
    )

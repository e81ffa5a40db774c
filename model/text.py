"""Text from outside: files in any encoding, names that are not UTF-8, and JSON."""

from __future__ import annotations

import codecs
import json
import os
from typing import Any

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def decoded(data: bytes) -> str:
    """Decode a text file, with ``\\n`` line ends: UTF-8 or UTF-16, with or without a byte order mark, else
    cp1252.

    Anything else still gives a text, with U+FFFD for bytes that have no meaning.
    """
    if data.startswith(_UTF16):
        text = data.decode("utf-16", "replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("cp1252", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def printable(name: str) -> str:
    """Make a file's name valid UTF-8; a byte that is not becomes ``\\xff``, four characters."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def parse_json(data: bytes) -> Any:
    """Parse a JSON file; UTF-8, with or without a byte order mark.

    Raises:
        ValueError: it is not JSON, or it is ambiguous: an object has a duplicate name, or the values are
            nested too deeply.
    """
    try:
        return json.loads(data.decode("utf-8-sig"), object_pairs_hook=_once)
    except RecursionError:
        raise ValueError("its values are nested too deeply") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} appears twice in one object")
    return values

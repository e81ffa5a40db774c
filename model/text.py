"""Texts that others wrote: files in any encoding, names that are no UTF-8, and JSON."""

from __future__ import annotations

import codecs
import json
import os
from typing import Any

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def decoded(data: bytes) -> str:
    """A text file's content, lines ended by ``\\n``: UTF-8 or UTF-16, a byte order mark or none, else cp1252.

    What is none of these still gives a text, with U+FFFD where a byte means nothing.
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
    """A file's name as UTF-8 can hold it; a byte that is no UTF-8 becomes ``\\xff``, four characters."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def parse_json(data: bytes) -> Any:
    """What a JSON file holds; UTF-8, with or without a byte order mark.

    Raises:
        ValueError: it is no JSON, or nothing that could be relied upon: a name stands twice in an object, or
            the values are nested too deeply to be read.
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
        raise ValueError(f"{twice!r} stands twice in one object")
    return values

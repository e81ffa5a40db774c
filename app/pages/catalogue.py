"""Collect the sentences that people read and bring the catalogues up to date: ``python -m app.pages.catalogue``.

A sentence that is new stands in each ``locales/*.po`` with an empty translation; one that is gone is removed.
"""

from __future__ import annotations

from pathlib import Path

from babel.messages import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from app.pages.language import ENGLISH, LOCALES, NAMES, condition_messages

_ROOT = Path(__file__).resolve().parents[2]
_FOLDERS = ("app", "model/image")
_METHODS = [("**.py", "python"), ("**.html", "jinja2")]
_OPTIONS = {"**.html": {"trim_blocks": "true", "lstrip_blocks": "true"}}
_KEYWORDS: dict[str, tuple[int, ...] | None] = {"_": None, "N_": None, "ngettext": (1, 2), "gettext": None}


def collect() -> Catalog:
    """All sentences: of the code and templates, and of the conditions."""
    catalogue = Catalog(charset="utf-8")
    for folder in _FOLDERS:
        found = extract_from_dir(_ROOT / folder, _METHODS, _OPTIONS, _KEYWORDS, strip_comment_tags=True)
        for file, _line, message, _comments, context in found:
            catalogue.add(message, locations=[(f"{folder}/{file}", 0)], context=context)
    for message in condition_messages():
        catalogue.add(message, locations=[("model/labels.py", 0)])
    return catalogue


def read(language: str) -> Catalog:
    """The catalogue of a language as it is stored; empty if there is none yet."""
    path = LOCALES / f"{language}.po"
    if not path.exists():
        return Catalog(locale=language, charset="utf-8")
    with open(path, "rb") as file:
        return read_po(file, locale=language)


def update() -> None:
    """Bring the stored catalogues up to date; translations are kept, and none is guessed."""
    collected = collect()
    for language in NAMES:
        if language == ENGLISH:
            continue
        stored, updated = read(language), Catalog(locale=language, charset="utf-8", fuzzy=False)
        for message in collected:
            if message.id:
                known = stored.get(message.id)
                string = known.string if known and known.id == message.id else ""
                updated.add(message.id, string, locations=message.locations)
        with open(LOCALES / f"{language}.po", "wb") as file:
            write_po(file, updated, width=100, sort_output=False, omit_header=False, include_lineno=False)


if __name__ == "__main__":
    update()

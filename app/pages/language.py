"""The languages of the pages: which one is used, and the texts in it.

The sentences in the code are English and are their own message ids, with placeholders by name:
``_("It could be {names}.", names=...)``.
The catalogues are ``locales/*.po``; ``python -m app.pages.catalogue`` collects the sentences into them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import datetime
from pathlib import Path
from typing import Any

from babel.dates import format_date
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_percent
from babel.support import NullTranslations, Translations
from markupsafe import Markup, escape

from model import labels
from model.labels import Condition

ENGLISH = "en"
NAMES = {"en": "English", "hi": "हिन्दी", "mr": "मराठी"}
"""The code of each language (BCP 47) → its own name for itself."""

LOCALES = Path(__file__).with_name("locales")

COOKIE = "language"
"""The name of the cookie that remembers a choice; its value is a key of ``NAMES``."""
COOKIE_SECONDS = 365 * 24 * 3600
QUERY = "lang"
"""The name of the query parameter by which a page's links choose a language."""

_current: ContextVar[str] = ContextVar("language", default=ENGLISH)


def current() -> str:
    """The language in use, a key of ``NAMES``; English unless ``use`` or ``begin`` said otherwise."""
    return _current.get()


def begin(language: str) -> None:
    """Use a language from here on, in this context: one request."""
    _current.set(language)


@contextlib.contextmanager
def use(language: str) -> Iterator[None]:
    """Use a language within a ``with`` block."""
    token = _current.set(language)
    try:
        yield
    finally:
        _current.reset(token)


def choose(*, asked: str | None = None, remembered: str | None = None, accepted: str | None = None) -> str:
    """Choose the language of a page.

    Args:
        asked: the value of the query parameter, which counts most.
        remembered: the value of the cookie.
        accepted: the header ``Accept-Language``.
    """
    for code in (asked, remembered):
        if code in NAMES:
            return code
    return negotiate(accepted)


def negotiate(accepted: str | None) -> str:
    """The language that a header ``Accept-Language`` prefers; English where it names none of ours.

    A range matches a language that it begins with, so that ``hi-IN`` asks for Hindi (RFC 4647, 3.4, lookup);
    of several, the one with the highest weight wins, and the first of those with the same (RFC 9110, 12.5.4).
    """
    weights: dict[str, float] = {}
    for entry in (accepted or "").split(","):
        tag, *options = (part.strip().lower() for part in entry.split(";"))
        weight = _weight(options)
        code = ENGLISH if tag == "*" else tag.partition("-")[0]
        if code in NAMES and weight > weights.get(code, 0.0):
            weights[code] = weight
    return max(weights, key=weights.__getitem__, default=ENGLISH)


def _weight(options: list[str]) -> float:
    for option in options:
        name, _, value = option.partition("=")
        if name.strip() == "q":
            try:
                return min(1.0, max(0.0, float(value)))
            except ValueError:
                return 0.0
    return 1.0


def gettext(message: str, /, **values: object) -> str:
    """The message in the language in use, with the values in place of ``{name}``."""
    text = _translations(current()).gettext(message) if message else ""
    return text.format(**values) if values else text


def ngettext(one: str, several: str, number: int, /, **values: object) -> str:
    """The message for a number of things, which is also the value of ``{number}``."""
    return _translations(current()).ngettext(one, several, number).format(number=number, **values)


def html_gettext(message: str, /, **values: object) -> Markup:
    """As ``gettext``, for templates: text and values are escaped, values that are HTML are kept."""
    text = escape(gettext(message))
    return text.format(**values) if values else text


def html_ngettext(one: str, several: str, number: int, /, **values: object) -> Markup:
    """As ``ngettext``, for templates."""
    return escape(_translations(current()).ngettext(one, several, number)).format(number=number, **values)


def N_(message: str) -> str:
    """Mark a sentence for the catalogue that is translated later, where it is shown."""
    return message


def percent(share: float, *, places: int = 0) -> str:
    """Format a share from 0 to 1 as per cent, in the manner of the language in use."""
    return format_percent(share, "0" + ("." + "0" * places if places else "") + "%", locale=current())


def date(when: datetime) -> str:
    """Format a day in the manner of the language in use; in English as in ISO 8601."""
    return format_date(when, "yyyy-MM-dd" if current() == ENGLISH else "long", locale=current())


def condition(name: str) -> Condition:
    """The texts about a label in the language in use; as ``model.labels.condition`` otherwise."""
    return _condition(name, current())


@functools.lru_cache(maxsize=512)
def _condition(name: str, language: str) -> Condition:
    english = labels.condition(name)
    with use(language):
        changed: dict[str, Any] = {field: gettext(getattr(english, field)) for field in _CONDITION_TEXTS}
        others = tuple(
            dataclasses.replace(other, title=gettext(other.title), how_to_tell=gettext(other.how_to_tell))
            for other in english.confused_with
        )
    return dataclasses.replace(english, **changed, confused_with=others)


_CONDITION_TEXTS = ("title", "in_a_sentence", "summary", "what_it_is", "looks_like", "when_to_be_seen")


def condition_messages() -> Iterator[str]:
    """Every text about a label that is shown to people."""
    unknown = labels.condition("")
    for entry in (*labels.CONDITIONS, *labels.DERMOSCOPY, *labels.LESIONS, unknown):
        yield from filter(None, (getattr(entry, field) for field in _CONDITION_TEXTS))
        for other in entry.confused_with:
            yield from (other.title, other.how_to_tell)
    yield from labels.URGENCY.values()


@functools.cache
def _translations(language: str) -> NullTranslations:
    if language == ENGLISH:
        return NullTranslations()
    compiled = io.BytesIO()
    with open(LOCALES / f"{language}.po", "rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return Translations(compiled)

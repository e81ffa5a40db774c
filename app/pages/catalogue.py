"""Collect the sentences that people read into the catalogues: ``python -m app.pages.catalogue``.

A sentence that is new stands in each ``locales/*.po`` without a translation; one that is gone is removed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from babel.messages import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from app.pages.language import ENGLISH, LOCALES, NAMES, condition_messages
from model.image.quality import WORDS

_ROOT = Path(__file__).resolve().parents[2]
_FOLDERS = ("app/pages", "app/web", "app/gradio_ui", "app/private")
# Errors that visitors may see on a page.
_ERRORS = (
    *("model/image", "app/queue.py", "app/predictor.py", "app/prediction.py", "app/pages/batch.py"),
    *("app/web/errors.py", "app/web/gate.py", "app/web/pages.py", "app/web/review.py", "app/web/upload.py"),
    *("app/gradio_ui/uploads.py", "app/gradio_ui/views.py"),
)
_ERROR = re.compile(r"(Image|Config|Request|SkinDiseaseNet|Overloaded|Computation)Error|_too_many_pixels")
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
    for place in _ERRORS:
        path = _ROOT / place
        for source in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            for message in _error_messages(ast.parse(source.read_text(encoding="utf-8"))):
                catalogue.add(message, locations=[(source.relative_to(_ROOT).as_posix(), 0)])
    for pair in WORDS.values():
        for message in pair:
            catalogue.add(message, locations=[("model/image/quality.py", 0)])
    for message in condition_messages():
        catalogue.add(message, locations=[("model/labels.py", 0)])
    return catalogue


def _error_messages(module: ast.Module) -> Iterator[str]:
    """The message and the hint of each ``...Error(message, hint=...)``, if they are constants."""
    constants = {
        target.id: statement.value
        for statement in module.body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and _ERROR.fullmatch(node.func.id):
            for given in [*node.args[:1], *(word.value for word in node.keywords if word.arg == "hint")]:
                text = constants.get(given.id) if isinstance(given, ast.Name) else given
                if isinstance(text, ast.Constant) and " " in str(text.value):
                    yield str(text.value)


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

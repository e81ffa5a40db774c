"""The frame of the Gradio pages: header, navigation and layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from markupsafe import Markup

from app.pages import render

SEVERAL, LEARN, ABOUT = "several", "learn", "about"
"""Addresses of the pages, relative so that they work under a proxy's prefix."""

_START = "./"
_PAGES = (("", "Check a photo"), (SEVERAL, "Several photos"), (LEARN, "Learn"), (ABOUT, "About"))

_HERE = Path(__file__).parent
_TEMPLATES = render.environment(_HERE / "templates")

# Gradio has its own rules for headings, lists and tables: they are reverted inside the parts of a page. The
# rules of `app.pages` are nested, which makes them specific enough to override both.
_STYLE = """{colours}
.sdn .html-container :not(svg, svg *) {{ all: revert; }}
.sdn.sdn.sdn {{
{style}
}}"""


def head_html() -> str:
    """Script and style for the head of every page, loaded before anything happens on it."""
    colours, style = (_text(render.FOLDER / name) for name in render.STYLES)
    scripts = (_text(_HERE / "gradio.js"), _text(render.FOLDER / render.SCRIPT))
    styled = f"<style>{_STYLE.format(colours=colours, style=style)}</style>"
    return "".join(f"<script>{script}</script>" for script in scripts) + styled


def part(html: str = "", **options: Any) -> gr.HTML:
    """Wrap a part of a page so that the style sheet of ``app.pages`` applies."""
    return gr.HTML(html, elem_classes="sdn", apply_default_css=False, **options)


def top(current: str) -> Markup:
    """The header of a page; ``current`` is its path."""
    return render.top(_START, [(path or _START, name, path == current) for path, name in _PAGES])


def title(words: str, lead: str) -> Markup:
    """A page's main heading, and a sentence below it."""
    return _render("title.html", title=words, lead=lead)


def tips(*, one: bool) -> Markup:
    """Tips before a photo is sent (``one``: a single photo) and, hidden, the messages for what can go
    wrong."""
    return _render("tips.html", one=one, notice=render.notice())


def answered(answer: Markup, *, picture: str | None = None) -> Markup:
    """A result, beside the picture if that could be read."""
    return _render("answered.html", answer=answer, picture=picture, notice=render.notice())


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def _render(template: str, **values: object) -> Markup:
    return Markup(_TEMPLATES.get_template(template).render(values))

"""What stands around the answers on the Gradio pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from markupsafe import Markup

from app.pages import render

SEVERAL, LEARN, ABOUT = "several", "learn", "about"
"""Addresses of pages. Relative, so that they work under a proxy's prefix."""

_START = "./"
_PAGES = (("", "Look"), (SEVERAL, "Several"), (LEARN, "Learn"), (ABOUT, "About"))

_HERE = Path(__file__).parent
_TEMPLATES = render.environment(_HERE / "templates")

# Gradio has rules of its own for headings, lists, tables: they are taken back inside the parts of a page. The
# rules of `app.pages` are nested, which gives them the rank to stand above both.
_STYLE = """{colours}
.sdn .html-container :not(svg, svg *) {{ all: revert; }}
.sdn.sdn.sdn {{
{style}
}}"""


def head_html() -> str:
    """Script and style for the head of every page, where they miss nothing that happens on it."""
    colours, style = (_text(render.FOLDER / name) for name in render.STYLES)
    scripts = (_text(_HERE / "gradio.js"), _text(render.FOLDER / render.SCRIPT))
    styled = f"<style>{_STYLE.format(colours=colours, style=style)}</style>"
    return "".join(f"<script>{script}</script>" for script in scripts) + styled


def part(html: str = "", **options: Any) -> gr.HTML:
    """A part of a page, as the style sheet of ``app.pages`` has it."""
    return gr.HTML(html, elem_classes="sdn", apply_default_css=False, **options)


def top(current: str) -> Markup:
    """The head of a page; ``current`` is its path."""
    return render.top(_START, [(path or _START, name, path == current) for path, name in _PAGES])


def title(words: str, lead: str) -> Markup:
    """A page's first-level heading, and a sentence under it."""
    return _render("title.html", title=words, lead=lead)


def tips(*, one: bool) -> Markup:
    """What to know before a picture is sent, ``one`` or several; and, hidden, what can go wrong."""
    return _render("tips.html", one=one, notice=render.notice())


def answered(answer: Markup, *, picture: str | None = None) -> Markup:
    """An answer beside the picture, where that could be read."""
    return _render("answered.html", answer=answer, picture=picture, notice=render.notice())


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def _render(template: str, **values: object) -> Markup:
    return Markup(_TEMPLATES.get_template(template).render(values))

"""The frame of the Gradio pages: header, navigation and layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from markupsafe import Markup

from app.pages import render
from app.pages.language import N_

SEVERAL, LEARN, ABOUT = "several", "learn", "about"
"""Addresses of the pages, relative so that they work under a proxy's prefix."""

_START = "./"
WAY = render.Way(
    address="gradio_api/upload", report="report", start=_START, several=SEVERAL, learn=LEARN, relayed=True
)
"""How photos come in: they are uploaded, and an event of the page asks for the answer."""

PAGES = (
    ("", N_("Check a photo")),
    (SEVERAL, N_("Several photos")),
    (LEARN, N_("Learn")),
    (ABOUT, N_("About")),
)
"""Address of each page and its name."""

SCRIPTS = "scripts"
"""The address of the scripts of ``app.pages``."""

_HERE = Path(__file__).parent
# Gradio has its own rules for headings, lists and tables: they are reverted inside the parts of a page. The
# rules of `app.pages` are nested, which makes them specific enough to override both.
_STYLE = """{colours}
.sdn .html-container :not(svg, svg *) {{ all: revert; }}
.sdn.sdn.sdn {{
{style}
}}
@media print {{
footer:not(.bottom) {{ display: none !important; }}
}}
@page {{ margin: 12mm; }}"""


def head_html() -> str:
    """Script and style for the head of every page, loaded before anything happens on it."""
    colours, *styles = (_text(render.FOLDER / name) for name in render.STYLES)
    scripts = (_text(_HERE / "gradio.js"), _text(render.FOLDER / render.SCRIPT))
    style = _STYLE.format(colours=colours, style="\n".join(styles))
    own = "".join(f"<script>{script}</script>" for script in scripts)
    return f'{own}<script type="module" src="{SCRIPTS}/picker.js"></script><style>{style}</style>'


def part(html: str = "", **options: Any) -> gr.HTML:
    """Wrap a part of a page so that the style sheet of ``app.pages`` applies."""
    return gr.HTML(html, elem_classes="sdn", apply_default_css=False, **options)


def top(current: str) -> Markup:
    """The header of a page; ``current`` is its path."""
    return render.top(_START, [(path or _START, name, path == current) for path, name in PAGES])


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")

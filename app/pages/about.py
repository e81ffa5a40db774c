"""Convert the model card to safe HTML, for the page about the model."""

from __future__ import annotations

import re
from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

_FRONT_MATTER = re.compile(r"\A\ufeff?---[ \t]*\r?\n.*?^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)

# On a narrow screen a table scrolls on its own, so it must be reachable with the keyboard.
_TABLE = '<div class="card-table" role="region" aria-label="A table of the model card" tabindex="0"><table>\n'


def about_html(card: str) -> str:
    """Convert a model card's Markdown, without its front matter, to HTML that is safe to embed.

    Raw HTML in the card is shown as text, links with a scheme that runs code stay text, and a picture becomes
    a link, so that the page loads nothing from other servers. Headings move down one level, since the page
    has its own first heading.

    Args:
        card: the text of ``README.md``, which may be empty.
    """
    body = _FRONT_MATTER.sub("", card).strip()
    if not body:
        return "<p>This checkpoint has no model card.</p>"
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    tokens = markdown.parse(body)
    for token in _all(tokens):
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 1)}"
        if token.type == "link_open":
            token.attrSet("rel", "noopener noreferrer")
    markdown.add_render_rule("table_open", lambda *_: _TABLE)
    markdown.add_render_rule("table_close", lambda *_: "</table></div>\n")
    return str(markdown.renderer.render(tokens, markdown.options, {}))


def _all(tokens: Sequence[Token]) -> list[Token]:
    return [inner for token in tokens for inner in (token, *(token.children or []))]

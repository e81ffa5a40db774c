"""What the page about the model says: its test results in plain words, and the model card as safe HTML."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Sequence
from typing import Any

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from app.pages.language import gettext, html_gettext

_FRONT_MATTER = re.compile(r"\A\ufeff?---[ \t]*\r?\n.*?^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)

# On a narrow screen a table scrolls on its own, so it must be reachable with the keyboard.
_TABLE = '<div class="card-table" role="region" aria-label="{label}" tabindex="0"><table>\n'


@dataclasses.dataclass(frozen=True)
class Result:
    """How often a model was right on one data set; shares of its test pictures, 0 to 1.

    Attributes:
        data_set: its name.
        accuracy: the first guess was right.
        top3: one of the first three was; None if it was not measured.
    """

    data_set: str
    accuracy: float
    top3: float | None


def results(card: str) -> list[Result]:
    """The results on test splits that a model card states in its ``model-index``, in order."""
    matter = _FRONT_MATTER.match(card)
    try:
        data: Any = yaml.safe_load(matter.group().strip("\ufeff \r\n").strip("-")) if matter else None
        stated = [result for model in data["model-index"] for result in model["results"]] if data else []
        return [found for entry in stated if (found := _result(entry)) is not None]
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError):
        return []  # a card of another make; its text is shown all the same


def _result(entry: dict[str, Any]) -> Result | None:
    values = {metric["type"]: float(metric["value"]) for metric in entry["metrics"]}
    if "accuracy" not in values or entry["dataset"].get("split", "test") != "test":
        return None
    return Result(str(entry["dataset"]["name"]), values["accuracy"], values.get("top3_accuracy"))


def about_html(card: str) -> str:
    """Convert a model card's Markdown, without its front matter, to HTML that is safe to embed.

    Raw HTML in the card is shown as text, links with a scheme that runs code stay text, and a picture becomes
    a link, so that the page loads nothing from other servers. Headings move down one level, since the page
    has its own first heading. Each section under a heading of the second level is folded.

    Args:
        card: the text of ``README.md``, which may be empty.
    """
    body = _FRONT_MATTER.sub("", card).strip()
    if not body:
        return f"<p>{html_gettext('This checkpoint has no model card.')}</p>"
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    tokens = markdown.parse(body)
    sections = [
        number for number, token in enumerate(tokens) if token.type == "heading_open" and token.tag == "h2"
    ]
    tables = iter(range(1, len(tokens)))
    for token in _all(tokens):
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 1)}"
        if token.type == "link_open":
            token.attrSet("rel", "noopener noreferrer")
    markdown.add_render_rule(
        "table_open", lambda *args: _TABLE.format(label=gettext("Table {number}", number=next(tables)))
    )
    markdown.add_render_rule("table_close", lambda *args: "</table></div>\n")
    bounds = [*sections, len(tokens)]
    parts = [markdown.renderer.render(tokens[: bounds[0]], markdown.options, {})]
    for start, end in itertools.pairwise(bounds):
        heading, text = (
            markdown.renderer.render(piece, markdown.options, {})
            for piece in (tokens[start : start + 3], tokens[start + 3 : end])
        )
        parts.append(f"<details><summary>{heading}</summary>{text}</details>\n")
    return "".join(parts)


def _all(tokens: Sequence[Token]) -> list[Token]:
    return [inner for token in tokens for inner in (token, *(token.children or []))]

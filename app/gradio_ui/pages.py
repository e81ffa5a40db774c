"""What stands around the answers: head and foot of every page, the examples, and the pages to read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

from app.heatmap import preview
from app.pages import wording
from app.pages.about import about_html
from app.pages.examples import Example
from app.predictor import Predictor
from model.labels import URGENCY, Condition, condition

TITLE = "SkinDiseaseNet"
PAGES = (("", "Look"), ("several", "Several"), ("learn", "Learn"), ("about", "About"))
"""Path → name in the navigation, in its order. Relative, so that they work under a proxy's prefix."""

_LOGO = (
    '<svg viewBox="0 0 24 24" aria-hidden="true"><circle cx="12" cy="12" r="9"/>'
    '<circle cx="10" cy="11" r="3"/></svg>'
)


def header_html(current: str, *, heading: str, lead: str) -> str:
    """The top of a page: where one is, where one can go, and the page's heading.

    Args:
        current: the page's path, one of ``PAGES``.
        heading: the one first-level heading.
        lead: a sentence under it, HTML.
    """
    links = "".join(
        f'<a href="{path or "./"}" target="_self"{_current(path == current)}>{name}</a>'
        for path, name in PAGES
    )
    return (
        f'<div class="sdn-top"><a class="sdn-brand" href="./" target="_self">{_LOGO}{TITLE}</a>'
        f'<nav aria-label="Pages">{links}</nav></div>'
        f'<h1>{escape(heading)}</h1><p class="sdn-lead">{lead}</p>'
    )


def _current(here: bool) -> str:
    return ' aria-current="page"' if here else ""


def notice_html() -> str:
    """That no answer is a diagnosis; it stands under the picture."""
    return f'<p class="sdn-notice" role="note">{escape(wording.NOTICE)}</p>'


def footer_html(predictor: Predictor) -> str:
    """What becomes of a picture, which model answers, and what it may be used for."""
    return (
        "<p>Pictures are looked at and then forgotten. Nothing is stored or passed on.</p>"
        f'<p>Model: <a href="about" target="_self">{escape(predictor.id)}</a>. '
        f"Terms of use: {escape(predictor.terms)}.</p>"
    )


def known_html(labels: Sequence[str]) -> str:
    """What the model can tell apart, folded up."""
    titles = "".join(
        f'<li><a href="{learn_address(name)}" target="_self">{escape(condition(name).title)}</a></li>'
        for name in labels
    )
    return f"<details><summary>What it can tell apart</summary><ul>{titles}</ul></details>"


def examples_html(examples: Sequence[Example]) -> str:
    """Pictures to try, as buttons that carry their number, with licence and credit."""
    credits = {(example.credit, example.licence) for example in examples}
    shared = len(credits) == 1
    items = "".join(
        f'<li><button type="button" data-example="{number}">'
        f'<img src="{preview(example.data, side=EXAMPLE_SIDE)}" alt=""><span>{escape(example.title)}</span>'
        f"</button>{'' if shared else _credit(example)}</li>"
        for number, example in enumerate(examples)
    )
    return (
        f"<h2>No photo at hand? Try one of these</h2><ul>{items}</ul>{_credit(examples[0]) if shared else ''}"
    )


EXAMPLE_SIDE = 240
"""The longer side of an example's picture on the page, pixels."""


def _credit(example: Example) -> str:
    return f'<p class="sdn-credit">{escape(example.credit)}, {escape(example.licence)}</p>'


def anchor(name: str) -> str:
    """A label's name as the id of its text on the Learn page."""
    return re.sub(r"[^\w-]", "-", name)


def learn_address(name: str) -> str:
    """Where the text about a label stands."""
    return f"learn#{anchor(name)}"


def learn_html(labels: Sequence[str]) -> str:
    """The text about every label, with a table of contents."""
    about = [condition(name) for name in labels]
    contents = "".join(
        f'<li><a href="{learn_address(one.name)}" target="_self">{escape(one.title)}</a></li>'
        for one in about
    )
    entries = "".join(
        f'<article id="{anchor(one.name)}" aria-labelledby="{anchor(one.name)}-title" tabindex="-1">'
        f'<h2 id="{anchor(one.name)}-title">{escape(one.title)}</h2>'
        f"{how_soon_html(one.urgency)}<p><strong>{escape(one.summary)}</strong></p>"
        f"{condition_html(one, labels, level=3, how_soon=True)}"
        '<p class="sdn-small"><a href="learn#contents" target="_self">Back to the contents</a></p></article>'
        for one in about
    )
    return (
        '<div class="sdn-book"><nav id="contents" aria-labelledby="contents-title" tabindex="-1">'
        f'<h2 id="contents-title">Contents</h2><ul>{contents}</ul></nav><div>{entries}</div></div>'
    )


def how_soon_html(urgency: str, words: str | None = None) -> str:
    """How soon to have it seen, as a few words in a colour."""
    return f'<p class="sdn-soon" data-urgency="{urgency}">{escape(words or URGENCY[urgency])}</p>'


def condition_html(about: Condition, labels: Iterable[str], *, level: int, how_soon: bool = False) -> str:
    """What is known about one condition.

    Args:
        about: the condition.
        labels: of the checkpoint: what stands on the Learn page.
        level: of its headings, 2 to 6.
        how_soon: also say how soon to have it seen.
    """

    def part(title: str, body: str) -> str:
        return f"<h{level}>{title}</h{level}>{body}"

    known = set(labels) - {about.name}
    lookalikes = "".join(
        f"<dt>{_linked(entry.title, entry.name if entry.name in known else None)}</dt>"
        f"<dd>{escape(entry.how_to_tell)}</dd>"
        for entry in about.confused_with
    )
    sources = "".join(
        f'<li><a href="{escape(source.url)}" target="_blank" rel="noopener noreferrer">'
        f"{escape(source.title)}</a></li>"
        for source in about.sources
    )
    return (
        part("What it is", f"<p>{escape(about.what_it_is)}</p>")
        + part("What it looks like", f"<p>{escape(about.looks_like)}</p>")
        + (part("Often confused with", f"<dl>{lookalikes}</dl>") if lookalikes else "")
        + (part("How soon to have it seen", f"<p>{escape(about.when_to_be_seen)}</p>") if how_soon else "")
        + (part("Sources", f"<ul>{sources}</ul>") if sources else "")
    )


def _linked(title: str, name: str | None) -> str:
    if name is None:
        return escape(title)
    return f'<a href="{learn_address(name)}" target="_self">{escape(title)}</a>'


def model_html(predictor: Predictor) -> str:
    """The checkpoint's card."""
    return f'<div class="sdn-card-text">{about_html(predictor.card)}</div>'


def model_lead(predictor: Predictor) -> str:
    """What the page about the model is."""
    return (
        "What it learned from, how well it did where it was tested, and what it cannot do. This is the card "
        f"that travels with the checkpoint <code>{escape(predictor.id)}</code>, revision "
        f"<code>{escape(predictor.revision)}</code>."
    )

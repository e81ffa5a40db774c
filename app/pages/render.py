"""Render predictions and pages as HTML that both front ends embed."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from app.heatmap import jpeg_uri, png_bytes, preview
from app.pages import wording
from app.pages.about import about_html
from app.pages.batch import Outcome, csv_text, json_text, rows
from app.pages.examples import Example
from app.prediction import Prediction
from model.errors import ImageError, SkinDiseaseNetError
from model.labels import URGENCY, condition

FOLDER = Path(__file__).parent
STYLES = ("colours.css", "style.css")
"""The style sheets in this folder, in order; the front ends' own frames use ``colours.css`` as well."""
SCRIPT = "heat.js"
"""The script in this folder, for the heat map of a result."""

TOP = 5
"""How many conditions are listed; the others are folded."""

EXAMPLE_SIDE = 320
"""The longer side of an example's thumbnail, pixels; the model gets the full example."""

THUMBNAIL = 192
"""The longer side of a thumbnail in the table, pixels: twice its size in the style sheet."""


def anchor(name: str) -> str:
    """Turn a label's name into the id of its text on the Learn page."""
    return re.sub(r"[^\w-]", "-", name)


def environment(*folders: Path) -> Environment:
    """Make a Jinja environment for folders of templates: values are escaped, a missing name is an error."""
    made = Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    made.globals |= {"wording": wording, "urgency": URGENCY, "anchor": anchor}
    return made


_TEMPLATES = environment(FOLDER / "templates")


def _render(template: str, **values: object) -> Markup:
    return Markup(_TEMPLATES.get_template(template).render(values))


def answer(prediction: Prediction, *, picture: str, learn: str, start: str | None = None) -> Markup:
    """Render the result for one picture.

    Args:
        prediction: with its heat map.
        picture: the picture itself, as an address or data URI.
        learn: the address of the Learn page.
        start: the address for "Start again"; None for no such link.
    """
    return _render(
        "answer.html",
        prediction=prediction,
        advice=wording.advice(prediction),
        picture=picture,
        heat=_smaller(prediction.heatmap),
        top=TOP,
        learn=learn,
        start=start,
    )


def table(outcomes: Sequence[Outcome], pictures: Sequence[bytes], *, labels: Sequence[str]) -> Markup:
    """Render the results for several pictures, with links that save them; the saved data is in the page.

    Args:
        outcomes: one for each picture.
        pictures: the encoded pictures.
        labels: of the checkpoint.
    """
    thumbnails = [
        None if isinstance(outcome, ImageError) else preview(picture, side=THUMBNAIL)
        for outcome, picture in zip(outcomes, pictures, strict=True)
    ]
    return _render(
        "table.html",
        rows=list(zip(rows(outcomes), thumbnails, strict=True)),
        downloads={
            "skindiseasenet.csv": _data_uri("text/csv", csv_text(outcomes, labels)),
            "skindiseasenet.json": _data_uri("application/json", json_text(outcomes)),
        },
    )


def problem(error: SkinDiseaseNetError, *, retry: bool = False) -> Markup:
    """Render an error in place of a result, with a button to try again if that may help."""
    return _render("problem.html", error=error, retry=retry)


def learn(labels: Sequence[str], *, address: str) -> Markup:
    """Render the text about every label, with a table of contents.

    Args:
        labels: of the checkpoint.
        address: of this page.
    """
    return _render("learn.html", conditions=[condition(name) for name in labels], learn=address)


def about(card: str, *, model_id: str, revision: str) -> Markup:
    """Render the page about a model.

    Args:
        card: its model card, Markdown.
        model_id, revision: of its checkpoint.
    """
    return _render("about.html", card=Markup(about_html(card)), model_id=model_id, revision=revision)


def known(labels: Sequence[str], *, learn: str) -> Markup:
    """Render the labels of a checkpoint, folded; ``learn`` is the address of the Learn page."""
    return _render("known.html", conditions=[condition(name) for name in labels], learn=learn)


def examples(shown: Sequence[Example], *, pictures: Sequence[str]) -> Markup:
    """Render pictures to try, as buttons named ``example`` whose value is their number.

    Args:
        shown: at least one.
        pictures: their addresses or data URIs, of pictures ``EXAMPLE_SIDE`` wide or high.
    """
    return _render("examples.html", examples=shown, pictures=pictures)


def notice() -> Markup:
    """Render the notice that no result is a diagnosis."""
    return _render("notice.html")


def top(start: str, links: Sequence[tuple[str, str, bool]], *, more: str = "") -> Markup:
    """Render the header of every page.

    Args:
        start: the address of the first page.
        links: address, name, and whether it is the current page.
        more: further content of the navigation; text, or HTML as ``Markup``.
    """
    return _render("top.html", start=start, links=links, more=more)


def bottom(model_id: str, *, terms: str, about: str) -> Markup:
    """Render the footer of every page.

    Args:
        model_id: of the checkpoint.
        terms: its terms of use.
        about: the address of the page about it.
    """
    return _render("bottom.html", model_id=model_id, terms=terms, about=about)


def _smaller(heatmap: str | None) -> str | None:
    """Convert a heat map to a JPEG, which loads faster on a phone."""
    if heatmap is None:
        return None
    with Image.open(io.BytesIO(png_bytes(heatmap))) as overlaid:
        return jpeg_uri(overlaid)


def _data_uri(kind: str, text: str) -> str:
    return f"data:{kind};charset=utf-8;base64,{base64.b64encode(text.encode()).decode('ascii')}"

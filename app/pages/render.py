"""Render predictions and pages as HTML that both front ends embed."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from app.heatmap import AREAS, STRENGTH, jpeg_uri, png_bytes, preview
from app.pages import language, wording
from app.pages.about import about_html, results
from app.pages.batch import MAX_BATCH, MAX_BATCH_BYTES, Outcome, csv_text, json_text, rows
from app.pages.examples import Example
from app.pages.language import condition, html_gettext, html_ngettext
from app.prediction import Prediction
from model.errors import ImageError, SkinDiseaseNetError
from model.image import ACCEPT, MAX_BYTES
from model.labels import URGENCY

FOLDER = Path(__file__).parent
STYLES = ("colours.css", "style.css", "photo.css")
"""The style sheets in this folder, in order; the front ends' own frames use ``colours.css`` as well."""
FONT = "fonts/NotoSansDevanagari.woff2"
"""The font of Hindi and Marathi in this folder, fetched by pages in these languages alone (OFL 1.1)."""
SCRIPT = "heat.js"
"""The script in this folder, for the heat map of a result."""

SCRIPTS = FOLDER / "scripts"
"""The modules of the pages that take photos; ``picker.js`` imports the others."""

TOP = 5
"""How many conditions are listed; the others are folded."""

EXAMPLE_SIDE = 320
"""The longer side of an example's thumbnail, pixels; the model gets the full example."""

THUMBNAIL = 192
"""The longer side of a thumbnail in the table, pixels: twice its size in the style sheet."""


DRAWINGS = {
    "Acne": "pimples",
    "Actinic_Keratosis": "rough",
    "Benign_tumors": "bump",
    "Bullous": "blister",
    "Candidiasis": "spots",
    "DrugEruption": "spots",
    "Eczema": "rough",
    "Infestations_Bites": "bites",
    "Lichen": "flat",
    "Lupus": "flush",
    "Moles": "mole",
    "Psoriasis": "scaly",
    "Rosacea": "flush",
    "Seborrh_Keratoses": "waxy",
    "SkinCancer": "uneven",
    "Sun_Sunlight_Damage": "sun",
    "Tinea": "ring",
    "Vascular_Tumors": "vessel",
    "Vasculitis": "purple",
    "Vitiligo": "pale",
    "Warts": "wart",
    "akiec": "rough",
    "bcc": "bump",
    "bkl": "waxy",
    "df": "bump",
    "mel": "uneven",
    "nv": "mole",
    "vasc": "vessel",
    "ak": "rough",
    "scc": "rough",
    "sek": "waxy",
}
"""Label → the kind of change in ``_drawing.html`` that shows what to look for."""


@dataclasses.dataclass(frozen=True)
class Way:
    """The addresses that the pages for photos use; each front end has its own.

    Attributes:
        address: where photos are sent.
        report: where an answer is sent to be returned as a PDF.
        start, several, learn: the pages.
        relayed: whether sending a photo returns only its path, and a later event the answer, as in Gradio.
    """

    address: str
    report: str
    start: str
    several: str
    learn: str
    relayed: bool = False


LANGUAGE = {"wording": wording, "language": language, "_": html_gettext, "ngettext": html_ngettext}
"""What every template needs to speak the language in use."""


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
    made.globals |= {"urgency": URGENCY, "anchor": anchor, "condition_of": condition, **LANGUAGE}
    return made


_TEMPLATES = environment(FOLDER / "templates")


def _render(template: str, **values: object) -> Markup:
    return Markup(_TEMPLATES.get_template(template).render(values))


def answer(prediction: Prediction, *, picture: str, way: Way, photos: int = 1) -> Markup:
    """Render the result for one picture, and what can be done with it.

    Args:
        prediction: with its heat map.
        picture: the picture itself, as a data URI.
        way: the front end's addresses.
        photos: how many the result is of.
    """
    when = datetime.now(timezone.utc)
    card = _render(
        "answer.html",
        prediction=prediction,
        advice=wording.advice(prediction),
        picture=picture,
        **_heat(prediction.heatmap),
        top=TOP,
        learn=way.learn,
        start=way.start,
    )
    return card + _render(
        "take.html",
        prediction=prediction,
        prediction_json=dataclasses.replace(prediction, heatmap=None).dumps(),
        text=wording.plain_text(prediction, when),
        when=when,
        # The card shows the picture only under a heat map.
        picture=picture if prediction.verdict == "rejected" else None,
        way=way,
        photos=photos,
    )


def desk(
    way: Way,
    *,
    labels: Sequence[str],
    examples: Markup | None,
    part: Markup | None = None,
    picture: str | None = None,
    private: str | None = None,
) -> Markup:
    """Render the page for one photo.

    Args:
        way: the front end's addresses.
        labels: of the checkpoint.
        examples: pictures to try, from ``examples``.
        part: the result, if there is one yet.
        picture: to which it belongs, as a data URI.
        private: the address of the page that computes in the browser; None if there is none.
    """
    return _render(
        "desk.html",
        **_picker(way, several=False),
        labels=labels,
        examples=examples,
        known=known(labels, learn=way.learn),
        part=part or "",
        picture=picture,
        private=private,
    )


def several(way: Way, *, part: Markup | None = None) -> Markup:
    """Render the page for several photos; the arguments are those of ``desk``."""
    return _render("several.html", **_picker(way, several=True), part=part or "", picture=None)


def _picker(way: Way, *, several: bool) -> dict[str, object]:
    limits = (MAX_BATCH, MAX_BATCH_BYTES) if several else (1, MAX_BYTES)
    return {
        "way": way,
        "several": several,
        "max_files": limits[0],
        "max_bytes": limits[1],
        "accept": ACCEPT,
        "notice": notice(),
    }


def case(prediction: Prediction, outcomes: Sequence[Outcome], *, picture: str, way: Way) -> Markup:
    """Render the one answer to several pictures of one spot, above their table.

    Args:
        prediction: of all pictures together, with the heat map of one.
        outcomes: one for each picture.
        picture: the one with the heat map, as a data URI.
        way: the front end's addresses.
    """
    return _render(
        "case.html",
        answer=answer(
            prediction, picture=picture, way=dataclasses.replace(way, start=way.several), photos=len(outcomes)
        ),
        count=len(outcomes),
        sentence=wording.case_sentence(outcomes),
    )


def table(
    outcomes: Sequence[Outcome],
    pictures: Sequence[bytes],
    *,
    labels: Sequence[str],
    case: Markup | None = None,
) -> Markup:
    """Render the results for several pictures, with links that save them; the saved data is in the page.

    Args:
        outcomes: one for each picture.
        pictures: the encoded pictures.
        labels: of the checkpoint.
        case: the one answer to all of them, to be shown above.
    """
    thumbnails = [
        None if isinstance(outcome, ImageError) else preview(picture, side=THUMBNAIL)
        for outcome, picture in zip(outcomes, pictures, strict=True)
    ]
    return _render(
        "table.html",
        case=case,
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
    conditions = [condition(name) for name in labels]
    return _render("learn.html", conditions=conditions, kinds=defaultdict(str, DRAWINGS), learn=address)


def about(card: str, *, model_id: str, revision: str, labels: int) -> Markup:
    """Render the page about a model.

    Args:
        card: its model card, Markdown.
        model_id, revision: of its checkpoint.
        labels: how many labels it knows.
    """
    return _render(
        "about.html",
        card=Markup(about_html(card)),
        results=results(card),
        model_id=model_id,
        revision=revision,
        labels=labels,
    )


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
        links: address, name in English, and whether it is the current page.
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


def _heat(heatmap: str | None) -> dict[str, object]:
    """The heat map as a JPEG, which loads faster on a phone, its opacity in per cent, and of how many areas
    it is made."""
    if heatmap is None:
        return {"heat": None}
    with Image.open(io.BytesIO(png_bytes(heatmap))) as overlaid:
        areas = overlaid.info.get(AREAS)
        return {"heat": jpeg_uri(overlaid), "opacity": round(100 * STRENGTH), "areas": areas}


def _data_uri(kind: str, text: str) -> str:
    return f"data:{kind};charset=utf-8;base64,{base64.b64encode(text.encode()).decode('ascii')}"

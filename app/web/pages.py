"""The pages for people. One template renders an answer, with and without JavaScript."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Response, abort, render_template, request, url_for
from markupsafe import Markup

from app.batch import MAX_BATCH, predict_all
from app.heatmap import preview, preview_jpeg
from app.pages import wording
from app.pages.about import about_html
from app.pages.examples import Example
from app.predictor import Predictor
from app.web.answer import render_answer, render_table
from app.web.errors import RequestError
from app.web.openapi import build_document
from app.web.upload import MAX_BATCH_BYTES, read_form_picture, read_form_pictures
from model.image import ACCEPT
from model.labels import URGENCY, condition

EXAMPLE_SIDE = 400
"""The longer side of an example as the page shows it, pixels; what is looked at is the example itself."""

NAVIGATION = (
    ("pages.index", "Look"),
    ("pages.batch", "Several"),
    ("pages.learn", "Learn"),
    ("pages.about", "About"),
    ("pages.docs", "API"),
)


def build_pages(predictor: Predictor, examples: Sequence[Example]) -> Blueprint:
    """The pages to look at pictures, to learn, and about the model and the API.

    Args:
        predictor: answers every picture.
        examples: pictures to try, for a visitor without one.
    """
    pages = Blueprint("pages", __name__)
    document = build_document()
    conditions = [condition(name) for name in predictor.config.labels]
    card = Markup(about_html(predictor.card))
    thumbnails = [preview_jpeg(shown.data, side=EXAMPLE_SIDE) for shown in examples]
    anchors = {name: re.sub(r"[^\w-]", "-", name) for name in predictor.config.labels}

    @pages.app_context_processor
    def common() -> dict[str, Any]:
        return {
            "wording": wording,
            "urgency": URGENCY,
            "navigation": NAVIGATION,
            "examples": examples,
            "model_id": predictor.id,
            "model_revision": predictor.revision,
            "model_terms": predictor.terms,
            "conditions": conditions,
            "anchors": anchors,
            "learn_about": lambda name: url_for("pages.learn", _anchor=anchors[name]),
            "max_batch": MAX_BATCH,
            "max_megabytes": MAX_BATCH_BYTES // 1_000_000,
            "accept": ACCEPT,
        }

    @pages.get("/")
    def index() -> str:
        return render_template("index.html")

    @pages.post("/")
    def answer() -> Response:
        data = chosen.data if (chosen := _chosen_example()) else read_form_picture(request)
        prediction = predictor.predict(data, heatmap=True)
        return render_answer(prediction, picture=preview(data))

    @pages.get("/examples/<int:number>")
    def example(number: int) -> Response:
        if number >= len(examples):
            abort(404)
        return Response(thumbnails[number], mimetype="image/jpeg")

    @pages.get("/batch")
    def batch() -> str:
        return render_template("batch.html")

    @pages.post("/batch")
    def batch_answer() -> Response:
        pictures = read_form_pictures(request)
        return render_table(
            predict_all(predictor.predict, pictures), pictures, labels=predictor.config.labels
        )

    def _chosen_example() -> Example | None:
        """The example whose button was pressed, if it was one."""
        number = request.form.get("example", type=int)
        if "example" not in request.form:
            return None
        if number is None or not 0 <= number < len(examples):
            raise RequestError(
                f"There is no example {request.form['example'][:20]!r}.",
                hint="Choose one of those on the page.",
                code="unknown_example",
            )
        return examples[number]

    @pages.get("/learn")
    def learn() -> str:
        return render_template("learn.html")

    @pages.get("/about")
    def about() -> str:
        return render_template("about.html", card=card)

    @pages.get("/docs")
    def docs() -> str:
        return render_template("docs.html", document=document)

    return pages

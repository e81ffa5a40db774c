"""The pages for people, with and without JavaScript."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Response, abort, render_template, request, url_for

from app.heatmap import preview, preview_jpeg
from app.pages import render, wording
from app.pages.batch import MAX_BATCH, MAX_BATCH_BYTES, predict_all
from app.pages.examples import Example
from app.predictor import Predictor
from app.web.answer import render_part
from app.web.errors import RequestError
from app.web.openapi import build_document
from app.web.upload import read_form_picture, read_form_pictures
from model.image import ACCEPT

NAVIGATION = (
    ("pages.index", "Check a photo"),
    ("pages.batch", "Several photos"),
    ("pages.learn", "Learn"),
    ("pages.about", "About"),
    ("pages.docs", "API"),
)


def build_pages(predictor: Predictor, examples: Sequence[Example], *, private: bool = False) -> Blueprint:
    """Build the pages: check photos, learn, and read about the model and the API.

    Args:
        predictor: predicts every picture.
        examples: pictures to try, for a visitor without one.
        private: whether there is a page that computes in the browser.
    """
    pages = Blueprint("pages", __name__)
    document = build_document()
    labels = predictor.labels
    about_model = render.about(predictor.card, model_id=predictor.id, revision=predictor.revision)
    thumbnails = [preview_jpeg(shown.data, side=render.EXAMPLE_SIDE) for shown in examples]

    @pages.app_context_processor
    def common() -> dict[str, Any]:
        addresses = [(url_for(endpoint), name) for endpoint, name in NAVIGATION]
        here = request.script_root + request.path
        return {
            "render": render,
            "wording": wording,
            "navigation": [(address, name, address == here) for address, name in addresses],
            "model_id": predictor.id,
            "model_terms": predictor.terms,
            "labels": labels,
            "examples": examples,
            "example_pictures": [url_for("pages.example", number=number) for number in range(len(examples))],
            "private": url_for("private.page") if private else None,
            "max_batch": MAX_BATCH,
            "max_bytes": MAX_BATCH_BYTES,
            "accept": ACCEPT,
        }

    @pages.get("/")
    def index() -> str:
        return render_template("index.html")

    @pages.post("/")
    def answer() -> Response:
        data = chosen.data if (chosen := _chosen_example()) else read_form_picture(request)
        prediction, picture = predictor.predict(data, heatmap=True), preview(data)
        part = render.answer(
            prediction, picture=picture, learn=url_for("pages.learn"), start=url_for("pages.index")
        )
        return render_part(part, prediction=prediction, picture=picture)

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
        outcomes = predict_all(predictor.predict, pictures)
        return render_part(render.table(outcomes, pictures, labels=labels))

    def _chosen_example() -> Example | None:
        """The example whose button was pressed; None if it was not an example."""
        number = request.form.get("example", type=int)
        if "example" not in request.form:
            return None
        if number is None or not 0 <= number < len(examples):
            raise RequestError(
                f"There is no example {request.form['example'][:20]!r}.",
                hint="Choose one of the examples on the page.",
                code="unknown_example",
            )
        return examples[number]

    @pages.get("/learn")
    def learn() -> str:
        body = render.learn(labels, address=url_for("pages.learn"))
        return render_template("reading.html", title="Learn", body=body)

    @pages.get("/about")
    def about() -> str:
        return render_template("reading.html", title="About this model", body=about_model)

    @pages.get("/docs")
    def docs() -> str:
        return render_template("docs.html", document=document)

    return pages

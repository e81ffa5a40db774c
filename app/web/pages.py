"""The pages for people, with and without JavaScript."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from flask import Blueprint, Response, abort, render_template, request, url_for
from markupsafe import Markup

from app.case import find_case
from app.heatmap import preview, preview_jpeg
from app.pages import language, render
from app.pages.batch import predict_all
from app.pages.examples import Example
from app.pages.language import N_
from app.pages.report_pdf import posted_report
from app.predictor import Predictor
from app.web.answer import render_part
from app.web.errors import RequestError
from app.web.upload import read_bytes, read_form_picture, read_form_pictures

NAVIGATION = (
    ("pages.index", N_("Check a photo")),
    ("pages.batch", N_("Several photos")),
    ("pages.learn", N_("Learn")),
    ("pages.about", N_("About")),
    ("pages.docs", N_("API")),
)


def build_pages(
    predictor: Predictor,
    examples: Sequence[Example],
    document: dict[str, Any],
    *,
    private: bool = False,
    below: Callable[[], Markup] | None = None,
) -> Blueprint:
    """Build the pages: check photos, learn, and read about the model and the API.

    Args:
        predictor: predicts every picture.
        examples: pictures to try, for a visitor without one.
        document: the OpenAPI document of what every caller gets, as the page about the API shows it.
        private: whether there is a page that computes in the browser.
        below: what follows the answer to a visitor's own picture.
    """
    pages = Blueprint("pages", __name__)
    labels = predictor.labels

    @functools.cache
    def about_model(_language: str) -> Markup:
        return render.about(
            predictor.card, model_id=predictor.id, revision=predictor.revision, labels=len(labels)
        )

    thumbnails = [preview_jpeg(shown.data, side=render.EXAMPLE_SIDE) for shown in examples]

    def way(endpoint: str) -> render.Way:
        return render.Way(
            address=url_for(endpoint),
            report=url_for("pages.report"),
            start=url_for("pages.index"),
            several=url_for("pages.batch"),
            learn=url_for("pages.learn"),
        )

    def desk(part: Markup | None, picture: str | None) -> Markup:
        addresses = [url_for("pages.example", number=number) for number in range(len(examples))]
        to_try = render.examples(examples, pictures=addresses) if examples else None
        alone = url_for("private.page") if private else None
        return render.desk(
            way("pages.answer"), labels=labels, examples=to_try, part=part, picture=picture, private=alone
        )

    def several(part: Markup | None) -> Markup:
        return render.several(way("pages.batch_answer"), part=part)

    @pages.app_context_processor
    def common() -> dict[str, Any]:
        addresses = [(url_for(endpoint), name) for endpoint, name in NAVIGATION]
        here = request.script_root + request.path
        return {
            "render": render,
            "navigation": [(address, name, address == here) for address, name in addresses],
            "model_id": predictor.id,
            "model_terms": predictor.terms,
            "desk": desk,
            "several": several,
        }

    @pages.get("/")
    def index() -> str:
        return render_template("index.html")

    @pages.post("/")
    def answer() -> Response:
        data = chosen.data if (chosen := _chosen_example()) else read_form_picture(request)
        prediction, picture = predictor.predict(data, heatmap=True), preview(data)
        part = render.answer(prediction, picture=picture, way=way("pages.answer"))
        if below is not None and chosen is None:
            part += below()
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
        case = None
        if request.form.get("one_spot") and (
            found := find_case(predictor.predict, predictor.combine, outcomes, pictures)
        ):
            picture = preview(pictures[found.shown])
            case = render.case(found.prediction, outcomes, picture=picture, way=way("pages.batch_answer"))
        return render_part(render.table(outcomes, pictures, labels=labels, case=case))

    @pages.post("/report")
    def report() -> Response:
        sent = {name: read_bytes(file) for name, file in request.files.items()}
        data = posted_report(
            predictor.combine,
            prediction=request.form.get("prediction", ""),
            when=request.form.get("when", ""),
            photos=request.form.get("photos", ""),
            picture=sent.get("picture"),
            heatmap=sent.get("heatmap"),
        )
        return Response(data, mimetype="application/pdf")

    def _chosen_example() -> Example | None:
        """The example whose button was pressed; None if it was not an example."""
        number = request.form.get("example", type=int)
        if "example" not in request.form:
            return None
        if number is None or not 0 <= number < len(examples):
            raise RequestError(
                "There is no example {name}.",
                hint="Choose one of the examples on the page.",
                code="unknown_example",
                values={"name": repr(request.form["example"][:20])},
            )
        return examples[number]

    @pages.get("/learn")
    def learn() -> str:
        body = render.learn(labels, address=url_for("pages.learn"))
        return render_template("reading.html", title=N_("Learn"), body=body)

    @pages.get("/about")
    def about() -> str:
        return render_template(
            "reading.html", title=N_("About this model"), body=about_model(language.current())
        )

    @pages.get("/docs")
    def docs() -> str:
        return render_template("docs.html", document=document)

    return pages

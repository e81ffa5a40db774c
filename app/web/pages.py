"""The pages for people. One template renders an answer, with and without JavaScript."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, render_template, request

from app import wording
from app.heatmap import preview
from app.predictor import Predictor
from app.web.answer import render_answer
from app.web.openapi import build_document
from app.web.upload import read_form_picture
from model.image import FORMATS
from model.labels import condition


def build_pages(predictor: Predictor) -> Blueprint:
    """The page where a picture is looked at, and the page that describes the API."""
    pages = Blueprint("pages", __name__)
    document = build_document()
    titles = [condition(name).title for name in predictor.config.labels]

    @pages.app_context_processor
    def common() -> dict[str, Any]:
        return {
            "wording": wording,
            "model_id": predictor.id,
            "model_terms": predictor.terms,
            "titles": titles,
            "accept": ",".join(f"image/{kind.lower()}" for kind in FORMATS),
        }

    @pages.get("/")
    def index() -> str:
        return render_template("index.html")

    @pages.post("/")
    def answer() -> Response:
        data = read_form_picture(request)
        prediction = predictor.predict(data, heatmap=True)
        return render_answer(prediction, picture=preview(data))

    @pages.get("/docs")
    def docs() -> str:
        return render_template("docs.html", document=document)

    return pages

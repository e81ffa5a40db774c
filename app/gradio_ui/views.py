"""The two pages that check photos: one at a time, and several at once.

Their markup and script are those of the Flask pages (``app/pages``). The script uploads the photos itself and
then triggers an event, whose answer it shows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
from markupsafe import Markup

from app.case import find_case
from app.gradio_ui.frame import WAY, part
from app.gradio_ui.uploads import Uploads
from app.heatmap import preview
from app.pages import language, render
from app.pages.batch import predict_all
from app.pages.examples import Example
from app.prediction import Prediction
from app.predictor import Predictor
from model.errors import ImageError, SkinDiseaseNetError

Look = Callable[..., Prediction]

_ASK = """
element.addEventListener("sdn:asked", (event) => trigger("submit", event.detail));
document.dispatchEvent(new Event("sdn:ready"));
"""
_ANSWERED = """(answer) => {
    document.dispatchEvent(new CustomEvent("sdn:answered", {detail: answer}));
}"""
_FAILED = """() => {
    document.dispatchEvent(new CustomEvent("sdn:failed", {detail: "broken"}));
}"""

_PRIVATE: dict[str, Any] = {"api_visibility": "private"}


def look_page(look: Look, uploads: Uploads, examples: Sequence[Example], labels: Sequence[str]) -> None:
    """Build the page for one photo.

    Args:
        look: predicts from a picture's bytes; also takes whether to draw the heat map, and of which label.
        uploads: the uploaded pictures.
        examples: pictures to try.
        labels: of the checkpoint.
    """

    def show(asked: dict[str, Any]) -> Markup:
        number = asked.get("example")
        if isinstance(number, int) and 0 <= number < len(examples):
            return _answered(examples[number].data)
        (path,) = _paths(asked, most=1)
        with uploads.received(path) as data:
            return _answered(data)

    def _answered(data: bytes) -> Markup:
        prediction, picture = look(data, heatmap=True), preview(data)
        return render.answer(prediction, picture=picture, way=WAY)

    pictures = [preview(example.data, side=render.EXAMPLE_SIDE) for example in examples]
    to_try = render.examples(examples, pictures=pictures) if examples else None
    _page(render.desk(WAY, labels=labels, examples=to_try), show)


def several_page(look: Look, uploads: Uploads, predictor: Predictor) -> None:
    """Build the page for several photos.

    Args:
        look, uploads: as for ``look_page``.
        predictor: combines the predictions of one spot.
    """

    def show(asked: dict[str, Any]) -> Markup:
        pictures = uploads.received_all(_paths(asked))
        outcomes = predict_all(lambda data: look(data, heatmap=False), pictures)
        case = None
        if asked.get("oneSpot") and (found := find_case(look, predictor.combine, outcomes, pictures)):
            picture = preview(pictures[found.shown])
            case = render.case(found.prediction, outcomes, picture=picture, way=WAY)
        return render.table(outcomes, pictures, labels=predictor.labels, case=case)

    _page(render.several(WAY), show)


def _page(markup: Markup, show: Callable[[dict[str, Any]], Markup]) -> None:
    """Build a page, in the language in use, whose script asks ``show``.

    An answer names the ticket of what was asked.
    """
    code = language.current()

    def answer(event: gr.EventData) -> dict[str, Any]:
        asked = event._data if isinstance(event._data, dict) else {}
        with language.use(code):
            try:
                html = show(asked)
            except SkinDiseaseNetError as error:
                html = render.problem(error, retry=not isinstance(error, ImageError))
        return {"ticket": asked.get("ticket"), "html": str(html)}

    page = part(markup, js_on_load=_ASK)
    answered = gr.JSON(visible=False)
    done = page.submit(answer, None, answered, show_progress="hidden", concurrency_id="look", **_PRIVATE)
    done.success(None, answered, None, js=_ANSWERED, **_PRIVATE)
    done.failure(None, None, None, js=_FAILED, **_PRIVATE)


def _paths(asked: dict[str, Any], *, most: int | None = None) -> list[str]:
    paths = asked.get("paths")
    if not isinstance(paths, list) or not paths or (most and len(paths) > most):
        raise ImageError("No picture was sent.", hint="Choose the photo again.", code="no_image")
    return [str(path) for path in paths]

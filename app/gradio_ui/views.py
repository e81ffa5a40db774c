"""The two pages that check photos: one at a time, and several at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from app.gradio_ui.api import uploads_only
from app.gradio_ui.frame import LEARN, answered, part, tips
from app.gradio_ui.uploads import Uploads
from app.heatmap import preview
from app.pages import render, wording
from app.pages.batch import MAX_BATCH, MAX_BATCH_BYTES, predict_all
from app.pages.examples import Example
from app.prediction import Prediction
from model.errors import SkinDiseaseNetError
from model.image import SUFFIXES

Look = Callable[..., Prediction]
_REAR_CAMERA = {"video": {"facingMode": {"ideal": "environment"}}}
# The page scrolls to the top, where the picture is; a screen reader continues at the verdict.
_TO_RESULT = """() => {
    const headline = document.getElementById("verdict");
    if (headline) { headline.focus({preventScroll: true}); window.scrollTo({top: 0}); }
}"""
_PRESS = """element.addEventListener("click", (event) => {
    const pressed = event.target.closest("button[name=example]");
    if (pressed) trigger("click", {number: Number(pressed.value)});
});"""

_PRIVATE: dict[str, Any] = {"api_visibility": "private"}
_SHOWN = (gr.update(visible=False), gr.update(visible=True))


def look_page(look: Look, uploads: Uploads, examples: Sequence[Example], labels: Sequence[str]) -> None:
    """Build the page for one photo; the result replaces the input.

    Args:
        look: predicts from a picture's bytes and whether to draw the heat map.
        uploads: the uploaded pictures.
        examples: pictures to try.
        labels: of the checkpoint.
    """

    def show(image: dict[str, Any] | None) -> list[Any]:
        if image is None:
            return [gr.skip()] * 4
        try:
            with uploads.received(image) as data:
                return _answered(data)
        except SkinDiseaseNetError as error:
            return _refused(error)

    def show_example(event: gr.EventData) -> list[Any]:
        number = getattr(event, "number", None)
        if not isinstance(number, int) or not 0 <= number < len(examples):
            return [gr.skip()] * 4
        try:
            return _answered(examples[number].data)
        except SkinDiseaseNetError as error:
            return _refused(error)

    def _refused(error: SkinDiseaseNetError) -> list[Any]:
        return [None, answered(render.problem(error)), *_SHOWN]

    def _answered(data: bytes) -> list[Any]:
        prediction, picture = look(data, heatmap=True), preview(data)
        answer = render.answer(prediction, picture=picture, learn=LEARN)
        return [None, answered(answer, picture=picture), *_SHOWN]

    def start_again() -> list[Any]:
        return [None, "", gr.update(visible=True), gr.update(visible=False)]

    with gr.Column(elem_id="sdn-start") as start:
        photo = gr.Image(
            type="filepath",
            image_mode=None,
            label="Photo of the skin",
            show_label=False,
            sources=["upload", "webcam", "clipboard"],
            buttons=[],
            height=320,
            placeholder="# Choose a photo\nor drop it here, paste it, or use the camera below",
            webcam_options=gr.WebcamOptions(mirror=False, constraints=_REAR_CAMERA),
            elem_id="sdn-input",
        )
        part(tips(one=True))
        if examples:
            pictures = [preview(example.data, side=render.EXAMPLE_SIDE) for example in examples]
            tried = part(render.examples(examples, pictures=pictures), js_on_load=_PRESS)
        part(render.known(labels, learn=LEARN))
    with gr.Column(visible=False, elem_id="sdn-answer") as answer:
        result = part()
        again = gr.Button("Check another photo", variant="primary", elem_id="sdn-again")
    state = [photo, result, start, answer]
    asked = {"outputs": state, "show_progress_on": photo, "concurrency_id": "look", **_PRIVATE}
    uploads_only(photo)
    photo.input(show, photo, preprocess=False, **asked).then(None, js=_TO_RESULT, **_PRIVATE)
    if examples:
        tried.click(show_example, None, **asked).then(None, js=_TO_RESULT, **_PRIVATE)
    again.click(start_again, None, state, queue=False, show_progress="hidden", **_PRIVATE)


def several_page(look: Look, uploads: Uploads, labels: Sequence[str]) -> None:
    """Build the page for several photos; the arguments are those of ``look_page``."""

    def show(
        files: list[dict[str, Any]] | None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - Gradio requires it
    ) -> list[Any]:
        if not files:
            return [gr.skip(), gr.skip()]
        done = 0

        def look_at_one(data: bytes) -> Prediction:
            nonlocal done
            done += 1
            progress((done, len(pictures)), desc="Analysing the photos", unit="photos")
            return look(data, heatmap=False)

        try:
            pictures = uploads.received_all(files)
            outcomes = predict_all(look_at_one, pictures)
        except SkinDiseaseNetError as error:
            return [None, render.problem(error)]
        return [None, render.table(outcomes, pictures, labels=labels)]

    files = gr.File(
        file_count="multiple",
        file_types=["image", *SUFFIXES],
        label=f"Choose {wording.at_most(MAX_BATCH, MAX_BATCH_BYTES)}",
        height=180,
        elem_id="sdn-files",
    )
    part(tips(one=False))
    table = part()
    uploads_only(files)
    files.upload(
        show,
        files,
        [files, table],
        preprocess=False,
        show_progress_on=table,
        concurrency_id="look",
        **_PRIVATE,
    ).then(None, js=_TO_RESULT, **_PRIVATE)

"""The Gradio page and the API endpoint ``/predict``."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

# Read by Gradio when it is imported: nothing is reported to anyone.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import gradio as gr
from gradio.components import Component

from app import wording
from app.gradio_result import error_html, result_html
from app.gradio_uploads import private_folder, received, sweeping, upload_routes
from app.predictor import Prediction, Predictor
from app.settings import Settings
from model.errors import ConfigError, ImageError
from model.image import MAX_BYTES
from model.labels import NO_CONDITION

try:
    import spaces
except ImportError:
    spaces = None

TITLE = "SkinDiseaseNet"
CSS = Path(__file__).with_name("gradio.css")
SYSTEM_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif")
_REAR_CAMERA = {"video": {"facingMode": {"ideal": "environment"}}}

_TIPS = (
    '<p id="sdn-camera" role="alert" hidden>The camera cannot be used. '
    "Allow it for this page in your browser, or upload a photo instead.</p>"
    f"<p>{wording.BETTER_PHOTO} Your photo is deleted once it has been looked at.</p>"
)

# The page scrolls to its top, where the picture is; a screen reader goes on at the verdict.
_TO_RESULT = """() => {
    const headline = document.querySelector(".sdn-headline");
    if (headline) { headline.focus({preventScroll: true}); window.scrollTo({top: 0}); }
}"""
# Gradio says nothing when the camera is denied: its request for it fails unheard.
_CAMERA_WORD = """() => window.addEventListener("unhandledrejection", (event) => {
    const failed = ["NotAllowedError", "NotFoundError", "NotReadableError", "OverconstrainedError"];
    const word = document.querySelector("#sdn-camera");
    if (word && event.reason && failed.includes(event.reason.name)) word.hidden = false;
})"""
_HEAT_CONTROLS = """element.addEventListener("input", (event) => {
    const layer = element.querySelector(".sdn-layer");
    if (!layer) return;
    const range = element.querySelector("input[type=range]");
    const on = element.querySelector("input[type=checkbox]").checked;
    layer.style.opacity = on ? range.value / 100 : 0;
    range.disabled = !on;
});"""


def build_demo(predictor: Predictor, settings: Settings) -> gr.Blocks:
    """The page and its API; ``serve`` starts it.

    Args:
        predictor: answers.
        settings: what the operator chose.
    """
    folder = private_folder()

    @_on_gpu
    def look(data: bytes, *, heatmap: bool) -> Prediction:
        return predictor.predict(data, heatmap=heatmap)

    def predict(image: dict[str, Any] | None, heatmap: bool = False) -> dict[str, Any]:
        """Looks at one photo of skin. Education and decision support, never a diagnosis.

        Args:
            image: the photo, JPEG, PNG, WebP, GIF or BMP, at most 20 MiB; deleted once it has been read.
            heatmap: also return the heat map, as a data URI.

        Returns:
            The prediction: verdict (condition, uncertain, no_condition or rejected), reason, conditions with
            calibrated probabilities, criteria, prediction_set, checkpoint, timings_ms and heatmap.
        """
        try:
            with received(image, folder) as data:
                return look(data, heatmap=bool(heatmap)).to_json()
        except ImageError as error:
            raise gr.Error(str(error), print_exception=False, title="The picture cannot be used") from None

    def show(image: dict[str, Any] | None) -> list[Any]:
        if image is None:
            return [gr.skip(), gr.skip(), gr.skip(), gr.skip()]
        try:
            with received(image, folder) as data:
                page = result_html(look(data, heatmap=True), data)
        except ImageError as error:
            page = error_html(error)
        return [None, page, gr.update(visible=False), gr.update(visible=True)]

    def start_again() -> list[Any]:
        return [None, "", gr.update(visible=True), gr.update(visible=False)]

    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True) as demo:
        gr.HTML(_header(predictor), elem_id="sdn-header")
        with gr.Column(elem_id="sdn-start") as start:
            photo = gr.Image(
                type="filepath",
                image_mode=None,
                label="Photo of the skin",
                show_label=False,
                sources=["upload", "webcam", "clipboard"],
                buttons=[],
                height=340,
                placeholder="# Choose a photo\nor drop it here, paste it, or use the camera below",
                webcam_options=gr.WebcamOptions(mirror=False, constraints=_REAR_CAMERA),
                elem_id="sdn-input",
            )
            gr.HTML(_TIPS, elem_id="sdn-tips")
        with gr.Column(visible=False, elem_id="sdn-answer") as answer:
            result = gr.HTML(js_on_load=_HEAT_CONTROLS, elem_id="sdn-result")
            again = gr.Button("Look at another photo", variant="primary", elem_id="sdn-again")
        gr.HTML(f"<p>{escape(predictor.describe())}</p>", elem_id="sdn-footer")
        state = [photo, result, start, answer]
        photo.input(
            show, photo, state, preprocess=False, api_visibility="private", show_progress_on=photo
        ).then(None, js=_TO_RESULT, api_visibility="private")
        again.click(start_again, None, state, queue=False, api_visibility="private", show_progress="hidden")
        _uploads_only(photo)
        _api(predict)
    return demo


def serve(demo: gr.Blocks, settings: Settings) -> None:
    """Serves until the process is told to stop.

    Raises:
        ConfigError: the port is taken.
    """
    # As for Ctrl+C: the server closes in good order, and no upload is left behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        demo.launch(**launch_options(settings))
    except OSError as error:
        raise ConfigError(
            f"{settings.host}:{settings.port} cannot be listened on; the port may be taken.",
            hint="Choose another PORT, or correct HOST.",
        ) from error
    print(f"Open http://{settings.host}:{settings.port}", flush=True)
    demo.block_thread()


def launch_options(settings: Settings) -> dict[str, Any]:
    """What ``gr.Blocks.launch`` is to be called with."""
    folder = private_folder()
    return {
        "server_name": settings.host,
        "server_port": settings.port,
        "quiet": True,
        "prevent_thread_lock": True,
        "share": False,
        "ssr_mode": False,
        "mcp_server": False,
        "run_history": False,
        "enable_monitoring": False,
        "max_file_size": MAX_BYTES,
        "footer_links": ["api"],
        "css_paths": CSS,
        "js": _CAMERA_WORD,
        "theme": gr.themes.Base(
            primary_hue="teal",
            neutral_hue="stone",
            font=SYSTEM_FONTS,
            font_mono=("ui-monospace", "monospace"),
        ),
        "app_kwargs": {"routes": upload_routes(folder), "lifespan": lambda app: sweeping(folder)},
    }


def _api(predict: Callable[..., dict[str, Any]]) -> None:
    image = _uploads_only(gr.File(visible=False, label="image"))
    heatmap = gr.Checkbox(visible=False, label="heatmap", value=False)
    answer = gr.JSON(visible=False, label="prediction")
    gr.Button(visible=False).click(predict, [image, heatmap], answer, api_name="predict", preprocess=False)


def _uploads_only(component: Component) -> Component:
    """Keeps Gradio from fetching a picture whose web address was sent instead of a file."""

    async def refuse_addresses(path: str | Path | None) -> str | None:
        if str(path).lower().startswith(("http:", "https:")):
            raise gr.Error(
                "An address was sent; a picture is expected. Download it and send the file.",
                print_exception=False,
            )
        return None if path is None else str(path)

    component.async_move_resource_to_block_cache = refuse_addresses  # type: ignore[method-assign, assignment]
    return component


def _on_gpu(predict: Callable[..., Prediction]) -> Callable[..., Prediction]:
    """Borrows a GPU for each call in a Space that lends them, where the package ``spaces`` is there."""
    return spaces.GPU(predict) if spaces else predict


def _header(predictor: Predictor) -> str:
    known = sum(label != NO_CONDITION for label in predictor.config.labels)
    return (
        f"<h1>{TITLE}</h1>"
        f"<p>Show it a photo of a skin change, and see which of {known} conditions it resembles.</p>"
        f'<p class="sdn-notice" role="note">{wording.NOTICE}</p>'
    )

"""The public endpoint ``/predict``: for `gradio_client`, for plain HTTP, and as a tool over MCP."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from app.gradio_ui.uploads import Uploads
from app.prediction import Prediction
from model.errors import ImageError, SkinDiseaseNetError

_MCP = "/gradio_api/mcp"
# A text, or an upload by `gradio_client.handle_file`, whose schema tells Gradio that it is a file.
_PICTURE = {
    "anyOf": [
        {"type": "string", "description": "the picture as data:image/jpeg;base64,..."},
        {
            "type": "object",
            "description": "an upload",
            "properties": {
                "path": {"type": "string"},
                "meta": {"type": "object", "properties": {"_type": {"const": "gradio.FileData"}}},
            },
        },
    ]
}


def add_api(look: Callable[..., Prediction], uploads: Uploads) -> None:
    """Adds ``/predict`` to the Blocks being built.

    Args:
        look: predicts from a picture's bytes and whether to draw the heat map.
        uploads: the uploaded pictures.
    """

    def predict(image: str, request: gr.Request, heatmap: bool = False) -> Any:
        """Compare one photo of skin with the groups that the model knows. A learning aid, never a diagnosis.

        Args:
            image: the photo (JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC, at most 20 MB) as
                data:image/jpeg;base64,... or as an upload, which is deleted once it has been read. Web
                addresses are not fetched.
            heatmap: also return the heat map, as a data URI.

        Returns:
            The prediction as one JSON object: verdict (condition, uncertain, no_condition or rejected),
            reason, conditions with calibrated probabilities, criteria, malignancy, advice, modality,
            quality, brightness, prediction_set, checkpoint, precision, timings_ms and heatmap.
        """
        try:
            with uploads.received(image) as data:
                answer = look(data, heatmap=bool(heatmap)).to_json()
        except ImageError as error:
            raise gr.Error(str(error), print_exception=False, title="This picture cannot be used") from None
        except SkinDiseaseNetError as error:
            raise gr.Error(str(error), print_exception=False, title="Please try again later") from None
        over_mcp = request.url.path.startswith(_MCP)
        # Gradio would pass an object as Python's repr.
        return json.dumps(answer, allow_nan=False) if over_mcp else answer

    image = uploads_only(gr.File(visible=False, label="image"))
    image.data_model = None
    image.api_info = lambda: _PICTURE  # type: ignore[method-assign]
    heatmap = gr.Checkbox(visible=False, label="heatmap", value=False)
    answer = gr.JSON(visible=False, label="prediction")
    # Not queued, so that Gradio's MCP server calls it directly instead of sending a request to itself.
    gr.Button(visible=False).click(
        predict,
        [image, heatmap],
        answer,
        api_name="predict",
        preprocess=False,
        postprocess=False,
        queue=False,
    )


def uploads_only(component: Component) -> Component:
    """Keep Gradio from fetching a web address that was sent instead of a file."""

    async def refuse_addresses(path: str | Path | None) -> str | None:
        if str(path).lower().startswith(("http:", "https:")):
            raise gr.Error(
                "A web address was sent; a picture is expected. Download it and send the file.",
                print_exception=False,
            )
        return None if path is None else str(path)

    component.async_move_resource_to_block_cache = refuse_addresses  # type: ignore[method-assign, assignment]
    return component

"""The entry point of a Hugging Face Inference Endpoint; `python -m train push --with-handler` uploads it."""

from __future__ import annotations

import base64
import binascii
import io
import math
import os
from typing import Any

from PIL import Image

from app.predictor import Predictor
from model.errors import ConfigError, ImageError
from model.image import MAX_BYTES
from model.image.colour import to_srgb


class EndpointHandler:
    """The handler that the inference toolkit creates once and calls for every request.

    Args:
        path: the model repository's folder, which holds the checkpoint.
    """

    def __init__(self, path: str = "") -> None:
        device = os.environ.get("DEVICE") or "auto"
        self._predictor = Predictor.from_checkpoint(os.path.abspath(path), device=device)
        print(self._predictor.describe(), flush=True)

    def __call__(self, data: dict[str, Any]) -> dict[str, Any]:
        """Answer one request with the same JSON as every other interface.

        Args:
            data: ``inputs``, a picture as bytes, as base64 or as a Pillow image; and, optionally,
                ``parameters`` with ``heatmap`` (true or false) and ``explain`` (a label).

        Raises:
            ImageError, ConfigError: the toolkit answers them with status 400 and their text.
        """
        parameters = data.get("parameters") or {}
        kinds = {"heatmap": bool, "explain": str}
        if not isinstance(parameters, dict) or not all(
            isinstance(value, kinds.get(name, ())) for name, value in parameters.items()
        ):
            raise ConfigError(
                f"The parameters {parameters!r} are not understood.",
                hint="They are heatmap (true or false) and explain (the name of a label).",
            )
        return self._predictor.predict(_encoded(data.get("inputs")), **parameters).to_json()


def _encoded(inputs: object) -> bytes:
    if isinstance(inputs, (bytes, bytearray)):
        return bytes(inputs)
    if isinstance(inputs, str):
        try:
            return base64.b64decode(inputs.partition("base64,")[2] or inputs, validate=True)
        except binascii.Error:
            raise ImageError(
                "The text in inputs is not base64.",
                hint="Send the picture's file in base64.",
                code="not_base64",
            ) from None
    if isinstance(inputs, Image.Image):
        # The toolkit passes a body of type image/* like this: decoded, but not rotated upright.
        picture = to_srgb(inputs, inputs.info.get("icc_profile")).convert("RGB")
        scale = min(1.0, math.sqrt(MAX_BYTES / (4 * picture.width * picture.height)))  # so that the PNG fits
        picture.thumbnail((picture.width * scale, picture.height * scale))
        buffer = io.BytesIO()
        picture.save(buffer, "PNG", compress_level=1, exif=inputs.info.get("exif", b""))
        return buffer.getvalue()
    raise ImageError(
        f"inputs is {type(inputs).__name__}; a picture is expected.",
        hint='Send the file as a body of the type image/jpeg, or {"inputs": "BASE64"}.',
        code="missing_image",
    )

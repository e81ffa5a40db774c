"""The picture that is kept: what can be seen, and nothing else that the file said."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from model.image import read_image

_QUALITY = 95


def stored_picture(data: bytes) -> bytes:
    """An upright sRGB JPEG of full size without metadata: no place, no date, no comment, no name.

    Raises:
        ImageError: the bytes cannot be read safely as a picture.
    """
    picture = Image.fromarray(np.asarray(read_image(data)))  # a copy without what Pillow would write again
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
    return buffer.getvalue()

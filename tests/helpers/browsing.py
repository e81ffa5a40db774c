"""What the tests in a browser share: a photo to upload, and a predictor that keeps what it was sent."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from conftest import encode, make_picture

from app.prediction import Prediction
from app.predictor import Predictor

Open = Callable[..., Any]
Serve = Callable[..., str]

PHOTO = {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": encode(make_picture(320, 240))}
NO_PICTURE = {**PHOTO, "buffer": b"This is not a picture."}

PHONE = {"width": 360, "height": 740}


class Recorder(Predictor):
    """Answers as another predictor does, and keeps what it was sent.

    Args:
        predictor: the other.
        changes: fields of its configuration that differ.
    """

    def __init__(self, predictor: Predictor, **changes: float) -> None:
        self.__dict__.update(copy.copy(predictor).__dict__)
        self.config = dataclasses.replace(predictor.config, **changes)  # type: ignore[arg-type]
        self.received: list[bytes] = []

    def predict(self, data: bytes, **options: Any) -> Prediction:
        self.received.append(data)
        return super().predict(data, **options)


def upload(page: Any, *files: dict[str, Any]) -> None:
    """Chooses files, by default the photo, and waits for what is said about them."""
    page.set_input_files("#image", list(files or (PHOTO,)))
    page.wait_for_selector("#answer #verdict")


def shown(page: Any, what: str = "main") -> str:
    """The text that a visitor sees there."""
    return page.inner_text(what)


def faults(page: Any) -> list[str]:
    """What matters of what axe-core finds, in light and in dark, and what is wider than a phone."""
    found = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found += [
            f"{page.url} {scheme}: {violation['id']} at {[node['target'] for node in violation['nodes'][:3]]}"
            for violation in Axe().run(page).response["violations"]
            if violation["impact"] in ("serious", "critical")
        ]
    width = page.evaluate("document.documentElement.scrollWidth")
    return found if width <= 360 else [*found, f"{page.url} is {width} pixels wide"]

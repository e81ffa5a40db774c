"""Takes the README's screenshots; needs Chromium: ``PYTHONPATH=. python tests/take_screenshots.py``.

Both servers run as a user would start them, on the embedded checkpoint; the picture is drawn here.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from conftest import ROOT, encode, free_port, running
from PIL import Image, ImageFilter
from playwright.sync_api import sync_playwright

SIZE = {"width": 1200, "height": 900}


def draw_skin(width: int = 720, height: int = 560, *, seed: int = 3) -> Image.Image:
    """A patch of skin with an uneven brown spot, from noise and an ellipse: nobody's photograph."""
    random = np.random.default_rng(seed)
    tone = np.array([214, 168, 142], dtype=np.float64)
    texture = np.zeros((height, width))
    for cells, strength in ((6, 12), (24, 6), (160, 5), (400, 4)):
        coarse = random.normal(size=(cells * height // width + 1, cells)).astype(np.float32)
        texture += strength * np.asarray(
            Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        )
    skin = tone + texture[..., None] * np.array([1.0, 0.9, 0.8])
    y, x = np.mgrid[0:height, 0:width]
    angle = np.arctan2(y - height / 2, x - width / 2)
    wobble = 1 + 0.07 * np.sin(3 * angle + 1) + 0.05 * np.sin(7 * angle)
    distance = np.hypot((x - width / 2) / 84, (y - height / 2) / 68) / wobble
    inside = 1 / (1 + np.exp((distance - 1) * 14))
    mole = np.array([98, 62, 46]) + texture[..., None] * 1.6 - 18 * (1 - distance[..., None]).clip(0, 1)
    picture = skin * (1 - inside[..., None]) + mole * inside[..., None]
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.8))


def main(chromium: str = "/usr/bin/chromium") -> None:
    """Writes ``docs/gradio.png`` and ``docs/flask.png``."""
    photo = {"name": "drawing.jpg", "mimeType": "image/jpeg", "buffer": encode(draw_skin(), quality=92)}
    shots = (
        ("gradio", [sys.executable, "space_app.py"], "/", "input[type=file]", ".sdn-headline"),
        ("flask", [sys.executable, "flask_app.py"], "/readyz", "#image", "#answer #verdict"),
    )
    (ROOT / "docs").mkdir(exist_ok=True)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for name, command, ready, field, verdict in shots:
            port, log = free_port(), Path(folder) / f"{name}.log"
            with running(
                command, port=port, log=log, environment={"PORT": str(port)}, ready=ready
            ) as address:
                page = browser.new_page(viewport=SIZE)  # type: ignore[arg-type]
                page.goto(address)
                page.locator(field).first.set_input_files(photo)  # type: ignore[arg-type]
                page.wait_for_selector(verdict, timeout=60_000)
                page.wait_for_timeout(1500)
                page.screenshot(path=ROOT / "docs" / f"{name}.png", full_page=True)
                print(f"docs/{name}.png")
        browser.close()


if __name__ == "__main__":
    main()

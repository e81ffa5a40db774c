"""Screenshots of every page and state: ``PYTHONPATH=.:tests/helpers python tests/take_screenshots.py``.

Needs Chromium. Both servers run as a user would start them, on the embedded checkpoint;
the pictures are drawn by code.
"""

from __future__ import annotations

import dataclasses
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from conftest import ROOT, encode, make_picture
from PIL import Image, ImageFilter
from playwright.sync_api import sync_playwright
from processes import free_port, running

from app.pages import drawn

FOLDER = ROOT / "screenshots"
SETTLE = 700
"""Milliseconds until fonts, pictures and transitions have come to rest."""

LOOKS: dict[str, dict[str, Any]] = {
    "desk": {"viewport": {"width": 1200, "height": 900}, "color_scheme": "light"},
    "phone": {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"},
}


@dataclasses.dataclass(frozen=True)
class Front:
    """A front end: how it is started, its pages, the headline of its answers, and whether it knows keys."""

    name: str
    program: str
    ready: str
    several: str
    pages: tuple[str, ...]
    headline: str
    keys: bool


FRONTS = (
    Front("gradio", "space_app.py", "/", "/several", ("/several", "/learn", "/about"), "#verdict", False),
    Front(
        "flask",
        "flask_app.py",
        "/readyz",
        "/batch",
        ("/batch", "/learn", "/about", "/docs"),
        "#answer #verdict",
        True,
    ),
)


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


def draw() -> dict[str, dict[str, Any]]:
    """The pictures to upload, by the state that they bring about with the embedded checkpoint."""
    skin = draw_skin()
    pictures = {
        "answer": encode(skin, quality=92),
        "uncertain": encode(make_picture(640, 480), quality=92),
        "rejected": encode(drawn.cloth(), quality=92),
        "warned": encode(drawn.darkened(skin), quality=92),
        "unreadable": b"This is not a picture.",
    }
    return {
        name: {"name": "drawing.jpg", "mimeType": "image/jpeg", "buffer": data}
        for name, data in pictures.items()
    }


def photograph(front: Front, address: str, browser: Any) -> None:
    """Every state of a front end: on a desk in light, on a phone in dark."""
    pictures = draw()
    for look, options in LOOKS.items():
        page = browser.new_context(**options).new_page()

        def keep(state: str, look: str = look, page: Any = page) -> None:
            page.wait_for_timeout(SETTLE)
            path = FOLDER / f"{front.name}-{state}-{look}.png"
            page.screenshot(path=path, full_page=True)
            width = page.evaluate("document.documentElement.scrollWidth")
            print(f"{path.relative_to(ROOT)}, {width} pixels wide", flush=True)

        for path in ("/", *front.pages):
            page.goto(address + path)
            keep(path.strip("/") or "start")
        uploads = {name: ("/", [picture]) for name, picture in pictures.items()}
        uploads["several-answered"] = (front.several, list(pictures.values()))
        for state, (path, files) in uploads.items():
            page.goto(address + path)
            page.locator("input[type=file]").first.set_input_files(files)
            page.wait_for_selector(front.headline, timeout=60_000)
            keep(state)
            if state == "answer" and look == "desk":
                page.screenshot(path=ROOT / "docs" / f"{front.name}.png", full_page=True)
        page.context.close()


def photograph_sign_in(front: Front, address: str, browser: Any) -> None:
    """What a visitor without a key sees."""
    for look, options in LOOKS.items():
        page = browser.new_context(**options).new_page()
        page.goto(address)
        page.wait_for_timeout(SETTLE)
        page.screenshot(path=FOLDER / f"{front.name}-sign-in-{look}.png", full_page=True)
        page.context.close()


def main(chromium: str = "/usr/bin/chromium") -> None:
    """Writes ``screenshots/*.png``, which git ignores, and the README's two in ``docs/``."""
    FOLDER.mkdir(exist_ok=True)
    (ROOT / "docs").mkdir(exist_ok=True)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        keys = Path(folder) / "keys.json"
        add = [sys.executable, "-m", "app", "key", "add", "someone", "--file", str(keys)]
        subprocess.run(add, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        asked = {"ACCESS": "keys", "KEYS_FILE": str(keys), "SECRET_KEY": secrets.token_hex(32)}
        for front in FRONTS:
            takes = (({}, photograph), (asked, photograph_sign_in)) if front.keys else (({}, photograph),)
            for environment, take in takes:
                port = free_port()
                server = {"port": port, "log": Path(folder) / "log", "ready": front.ready}
                environment = {"PORT": str(port), **environment}
                with running([sys.executable, front.program], environment=environment, **server) as address:
                    take(front, address, browser)
        browser.close()


if __name__ == "__main__":
    main()

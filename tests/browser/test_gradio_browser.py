"""The Gradio page in a real browser: what a visitor sees, and that nothing is asked of any other machine."""

from __future__ import annotations

import base64
import dataclasses
import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from conftest import encode, make_picture
from PIL import Image
from processes import free_port, running

from app.pages import wording
from model import checkpoint
from model.config import ModelConfig
from model.network import SkinDiseaseNet

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

CHOOSER = "#image"
HEADLINE = "#verdict"
SLOW = 120_000
WIDE_CARD = f"""---
license: other
---
# Strict

    python -m train fit {" ".join(f"--option-{number} {number}" for number in range(20))}

| {" | ".join(f"A-measured-figure-{number}" for number in range(8))} |
|{" --- |" * 8}
| {" | ".join("0.123456789" for number in range(8))} |
"""


@pytest.fixture(scope="module")
def strict(tiny_config: ModelConfig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Address and cache folder of an app whose checkpoint turns every picture down."""
    folder = tmp_path_factory.mktemp("strict")
    config = dataclasses.replace(tiny_config, min_max_probability=0.999, max_normalized_entropy=0.001)
    torch.manual_seed(0)
    checkpoint.save(folder / "checkpoint", SkinDiseaseNet(config), config, card=WIDE_CARD)
    port = free_port()
    environment = {
        "CHECKPOINT": str(folder / "checkpoint"),
        "PORT": str(port),
        "GRADIO_TEMP_DIR": str(folder / "cache"),
    }
    command = [sys.executable, "space_app.py"]
    with running(command, port=port, log=folder / "log", environment=environment, wait=300) as address:
        yield address, folder / "cache"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(encode(make_picture(320, 240)))
    return path


def left(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*") if path.is_file()]


def choose(page: Page, path: Path) -> None:
    page.set_default_timeout(SLOW)
    page.locator(CHOOSER).set_input_files(path)
    page.locator(HEADLINE).wait_for()


def visible(page: Page, text: str) -> int:
    """How often a text is in sight."""
    return page.get_by_text(text).filter(visible=True).count()


def picture(page: Page, selector: str) -> Image.Image:
    """The picture that an <img> holds inside the page."""
    source = page.locator(selector).get_attribute("src") or ""
    assert source.startswith("data:image/")
    return Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))).convert("RGB")


def test_a_photo_gets_a_verdict_and_a_heat_map(
    gradio_address: str, photo: Path, open_page: Callable[..., Page]
) -> None:
    page = open_page("about:blank", viewport={"width": 360, "height": 740}, color_scheme="dark")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(gradio_address)
    page.set_default_timeout(SLOW)
    page.locator(CHOOSER).wait_for(state="attached")
    assert page.locator("main").bounding_box()["width"] <= 360  # type: ignore[index]
    assert visible(page, wording.NOTICE) == 1
    choose(page, photo)

    assert page.locator(".verdict").get_attribute("data-verdict") == "condition"
    assert page.locator(HEADLINE).inner_text().startswith("This looks most like")
    page.wait_for_function(f"document.activeElement === document.querySelector('{HEADLINE}')")
    assert page.get_by_text(wording.VERDICT_TAGS["condition"]).is_visible()
    assert visible(page, wording.NOTICE) == 1
    order = (
        ".small-picture",
        HEADLINE,
        ".card > .ranking",
        ".overlay",
    )
    tops = [page.locator(selector).bounding_box()["y"] for selector in order]  # type: ignore[index]
    assert tops == sorted(tops)
    assert page.locator(".card > .ranking li").count() == 5
    assert page.locator(".ranking li").count() == 22
    assert page.locator(".how-soon").is_visible()
    assert page.get_by_text("Answered in").is_visible()
    assert page.locator("main").bounding_box()["width"] <= 360  # type: ignore[index]
    assert picture(page, ".overlay img >> nth=0").size == (320, 240)

    layer = page.locator("#heat")
    assert picture(page, "#heat").size == (320, 240)
    assert page.evaluate("getComputedStyle(document.querySelector('#heat')).opacity") == "1"
    page.get_by_label("Opacity").fill("30")
    assert layer.evaluate("layer => layer.style.opacity") == "0.5"
    page.get_by_label("Heat map").uncheck()
    assert layer.evaluate("layer => layer.style.opacity") == "0"

    choose(page, photo)
    assert [url for url in asked if not url.startswith((gradio_address, "data:", "blob:"))] == []


def test_a_rejected_photo_is_explained(
    strict: tuple[str, Path], photo: Path, open_page: Callable[..., Page]
) -> None:
    address, cache = strict
    page = open_page(address)
    choose(page, photo)
    assert page.locator(HEADLINE).inner_text() == wording.HEADLINES["rejected"]
    assert page.locator(".fired").count() == 2
    page.get_by_text("Why?").click()
    text = page.locator(".verdict").inner_text().replace("\xa0", " ")
    assert "at least 100% is needed" in text
    assert "Failed" in text
    assert page.get_by_text("hold the camera steady").last.is_visible()
    assert not page.locator(".ranking li").first.is_visible()
    assert page.locator("#heat").count() == 0
    assert left(cache) == []


def test_several_pictures_leave_nothing_on_disk(
    strict: tuple[str, Path], photo: Path, tmp_path: Path, open_page: Callable[..., Page]
) -> None:
    address, cache = strict
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    page = open_page(address + "/several")
    page.set_default_timeout(SLOW)
    page.locator(CHOOSER).set_input_files([photo, broken, photo])
    page.locator(HEADLINE).wait_for()
    assert page.locator(".batch tbody tr").count() == 3
    assert left(cache) == []


def test_a_wide_card_fits_a_phone(strict: tuple[str, Path], open_page: Callable[..., Page]) -> None:
    page = open_page(strict[0] + "/about", viewport={"width": 360, "height": 740})
    page.locator(".card-text").wait_for(timeout=SLOW)
    assert page.locator(".card-table").evaluate("table => table.scrollWidth") > 360
    for part in ("main", ".top", ".about", ".card-text"):
        assert page.locator(part).bounding_box()["width"] <= 360  # type: ignore[index]


def test_a_file_that_is_no_picture_is_named_and_the_next_one_works(
    strict: tuple[str, Path], photo: Path, tmp_path: Path, open_page: Callable[..., Page]
) -> None:
    address, cache = strict
    page = open_page(address)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"<img src=x onerror=alert(1)>")
    choose(page, broken)
    assert "not a JPEG" in page.locator(HEADLINE).inner_text()
    choose(page, photo)
    assert page.locator(HEADLINE).inner_text() == wording.HEADLINES["rejected"]
    assert left(cache) == []


def video(path: Path, frame: Image.Image) -> None:
    """A film of one still, for Chromium's fake camera."""
    luma, blue, red = frame.convert("YCbCr").split()
    half = (frame.width // 2, frame.height // 2)
    data = b"FRAME\n" + luma.tobytes() + blue.resize(half).tobytes() + red.resize(half).tobytes()
    head = f"YUV4MPEG2 W{frame.width} H{frame.height} F10:1 Ip A1:1 C420jpeg\n"
    path.write_bytes(head.encode() + data * 3)


def test_the_camera_is_not_mirrored(
    strict: tuple[str, Path], tmp_path: Path, open_page: Callable[..., Page]
) -> None:
    """The picture in the answer is made by the server, of the bytes that it received."""
    address, cache = strict
    still = Image.new("RGB", (640, 480), (0, 0, 220))
    still.paste((220, 0, 0), (0, 0, 320, 480))
    video(tmp_path / "camera.y4m", still)
    fake = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    page = open_page(
        address, arguments=[*fake, f"--use-file-for-fake-video-capture={tmp_path / 'camera.y4m'}"]
    )
    page.set_default_timeout(SLOW)
    page.get_by_role("button", name="Use the camera").click()
    page.get_by_role("button", name="Take the photo").click()
    page.locator(HEADLINE).wait_for()
    seen = picture(page, "#answer .taken")
    assert seen.size == (640, 480)
    left_red, _, left_blue = seen.getpixel((80, 240))
    right_red, _, right_blue = seen.getpixel((560, 240))
    assert left_red > 150 > left_blue
    assert right_blue > 150 > right_red
    assert left(cache) == []


def test_a_denied_camera_is_said(strict: tuple[str, Path], open_page: Callable[..., Page]) -> None:
    page = open_page(strict[0], arguments=["--use-fake-device-for-media-stream"])
    page.set_default_timeout(SLOW)
    page.get_by_role("button", name="Use the camera").click()
    page.get_by_text("The camera is blocked").last.wait_for()

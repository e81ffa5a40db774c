"""The Gradio app's other pages, its examples, its accessibility, and what happens when the line breaks."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import encode, make_picture
from processes import free_port, running

from app.pages import wording
from model.labels import LABELS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

PHOTO = {"name": "Jane-Doe.jpg", "mimeType": "image/jpeg", "buffer": encode(make_picture(320, 240))}
NO_PHOTO = {**PHOTO, "buffer": b"no picture"}
CHOOSER = "#image"
HEADLINE = "#verdict"
# Of Gradio's own components, which cannot be mended from outside: rule -> where.
NOT_OURS: dict[str, tuple[str, ...]] = {}


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield started
        started.close()


@pytest.fixture
def open_tab(browser: Browser) -> Iterator[Callable[..., Page]]:
    contexts = []

    def opened(address: str, **options: Any) -> Page:
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.set_default_timeout(120_000)
        page.goto(address)
        page.locator("#sdn-footer").wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()


def saved(page: Page, name: str) -> str:
    """What a press on a download link writes into a file."""
    with page.expect_download() as download:
        page.get_by_role("link", name=name).click()
    return Path(download.value.path()).read_text(encoding="utf-8")


def test_several_pictures_become_a_table_that_can_be_saved(
    gradio_address: str, open_tab: Callable[..., Page]
) -> None:
    page = open_tab(gradio_address + "/several", viewport={"width": 360, "height": 740})
    chooser = page.locator(CHOOSER)
    chooser.set_input_files([PHOTO, NO_PHOTO, PHOTO])  # type: ignore[list-item]
    page.locator(HEADLINE).wait_for()
    assert page.locator(HEADLINE).inner_text() == "3 photos"
    rows = page.locator(".batch tbody tr")
    assert [rows.nth(number).get_attribute("data-verdict") for number in range(3)] == [
        "condition",
        "error",
        "condition",
    ]
    assert "not a JPEG" in rows.nth(1).inner_text()
    assert page.locator("main").bounding_box()["width"] <= 360  # type: ignore[index]
    assert "Jane-Doe.jpg" in rows.nth(0).inner_text()
    lines = list(csv.DictReader(io.StringIO(saved(page, "Save as CSV"))))
    answers = json.loads(saved(page, "Save as JSON"))
    assert [line["verdict"] for line in lines] == ["condition", "error", "condition"]
    assert "error" in answers[1]
    top = answers[0]["conditions"][0]
    assert float(lines[0][f"probability_{top['name']}"]) == pytest.approx(top["probability"], abs=1e-6)
    assert lines[0]["file"] == answers[0]["file"] == "Jane-Doe.jpg"

    chooser.set_input_files([NO_PHOTO] * 13)  # type: ignore[list-item]
    page.get_by_text("Too many photos at once").wait_for()


def test_learn_has_every_label_and_about_the_card(gradio_address: str, open_tab: Callable[..., Page]) -> None:
    page = open_tab(gradio_address + "/learn#Vitiligo")
    assert page.locator(".book article").count() == len(LABELS)
    page.wait_for_function("document.activeElement.id === 'Vitiligo'")
    page.wait_for_function("document.querySelector('#Vitiligo').getBoundingClientRect().top < 60")
    for heading in ("What it is", "What it looks like", "When to see a doctor"):
        assert page.get_by_text(heading, exact=True).count() >= len(LABELS)
    page.locator("#contents").get_by_role("link", name="Psoriasis").first.click()
    page.wait_for_function("document.querySelector('#Psoriasis').getBoundingClientRect().top < 60")
    page.get_by_role("link", name="About", exact=True).click()
    page.get_by_role("heading", level=1, name="About this model").wait_for()
    assert page.locator(".card-text").get_by_role("heading", name="Tiny").is_visible()
    assert page.get_by_role("link", name="About", exact=True).get_attribute("aria-current") == "page"


def test_an_example_is_analysed_by_keyboard(gradio_address: str, open_tab: Callable[..., Page]) -> None:
    page = open_tab(gradio_address)
    assert page.get_by_text("Drawn by this program, Apache-2.0").is_visible()
    page.get_by_role("button", name="The small mole, in the dark").focus()
    page.keyboard.press("Enter")
    page.locator(HEADLINE).wait_for()
    assert "The photo is dark" in page.locator(".quality").inner_text()
    assert page.get_by_text("Choose a photo", exact=True).is_visible()


def violations(page: Page) -> dict[str, list[str]]:
    """Rule -> the places that break it seriously, but for those that are not ours."""
    found: dict[str, list[str]] = {}
    for violation in Axe().run(page).response["violations"]:
        if violation["impact"] in ("serious", "critical"):
            places = [str(node["target"][0]) + " " + node["html"][:160] for node in violation["nodes"]]
            allowed = NOT_OURS.get(violation["id"], ())
            mine = [place for place in places if not any(name in place for name in allowed)]
            if mine:
                found[violation["id"]] = mine
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_anyone_out(scheme: Any, gradio_address: str, open_tab: Callable[..., Page]) -> None:
    page = open_tab(gradio_address, color_scheme=scheme)
    assert violations(page) == {}
    page.locator(CHOOSER).set_input_files(PHOTO)  # type: ignore[arg-type]
    page.locator(HEADLINE).wait_for()
    assert violations(page) == {}
    for path in ("several", "learn", "about"):
        page.goto(f"{gradio_address}/{path}")
        page.locator("#sdn-footer").wait_for()
        assert violations(page) == {}, path


def test_a_page_is_dark_where_its_address_says_so(gradio_address: str, open_tab: Callable[..., Page]) -> None:
    """The Hub's pages name their own theme when they frame a Space, whatever the system's is."""
    page = open_tab(gradio_address + "/?__theme=dark", color_scheme="light")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(map(int, re.findall(r"\d+", paper))) < 60
    assert violations(page) == {}


def answer_with(status: int | None, route: Any) -> None:
    """Answers with an HTTP status, or not at all, in place of the server."""
    route.abort() if status is None else route.fulfill(status=status, body="{}")


def test_a_cut_line_and_a_full_queue_are_said_and_the_next_try_works(
    gradio_address: str, open_tab: Callable[..., Page]
) -> None:
    page = open_tab(gradio_address)
    upload, join = "**/gradio_api/upload", "**/gradio_api/queue/join?**"
    troubles = (
        (upload, None, wording.TROUBLE["unreachable"][0]),
        (upload, 413, wording.TOO_LARGE),
        (upload, 500, wording.TROUBLE["broken"][0]),
        (join, 503, wording.TROUBLE["busy"][0]),
    )
    for address, status, trouble in troubles:
        page.route(address, partial(answer_with, status))
        page.locator(CHOOSER).set_input_files(PHOTO)  # type: ignore[arg-type]
        page.get_by_text(trouble).wait_for()
        assert not page.locator(".toast-wrap").is_visible()
        page.unroute(address)
    # Gradio loads the page anew after these.
    for address in (join, "**/gradio_api/queue/data?**"):
        page.route(address, partial(answer_with, None))
        with page.expect_event("load"):
            page.locator(CHOOSER).set_input_files(PHOTO)  # type: ignore[arg-type]
        page.get_by_text(wording.TROUBLE["unreachable"][0]).wait_for()
        page.unroute(address)
    page.locator(CHOOSER).set_input_files(PHOTO)  # type: ignore[arg-type]
    page.locator(".verdict").wait_for()
    assert page.locator(".problem").count() == 0


def throttle(page: Page, upload: int) -> None:
    """Bounds what the browser sends, in bytes a second; -1 for no bound."""
    network = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": upload}
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", network)


def test_a_server_that_starts_anew_during_an_upload_is_said_and_the_next_try_works(
    tiny_checkpoint: Path, tmp_path: Path, open_tab: Callable[..., Page]
) -> None:
    port = free_port()
    environment = {
        "CHECKPOINT": str(tiny_checkpoint),
        "PORT": str(port),
        "GRADIO_TEMP_DIR": str(tmp_path / "cache"),
    }
    options: dict[str, Any] = {"port": port, "environment": environment, "wait": 300}
    command = [sys.executable, "space_app.py"]
    large = {**PHOTO, "buffer": encode(make_picture(1000, 1000), "TIFF")}
    with running(command, log=tmp_path / "first.log", **options) as address:
        page = open_tab(address)
        throttle(page, 50_000)
        with page.expect_request("**/gradio_api/upload"):
            page.locator(CHOOSER).set_input_files(large)  # type: ignore[arg-type]
        page.wait_for_timeout(500)
        assert page.locator(".problem").count() == 0
    page.get_by_text(wording.TROUBLE["unreachable"][0]).wait_for()
    throttle(page, -1)
    with running(command, log=tmp_path / "second.log", **options):
        page.locator(CHOOSER).set_input_files(PHOTO)  # type: ignore[arg-type]
        page.locator(".verdict").wait_for()
        assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []

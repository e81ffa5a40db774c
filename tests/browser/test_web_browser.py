"""The page of a single picture in a real Chromium, with and without JavaScript."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from browsing import NO_PICTURE, PHOTO, Open, Recorder, Serve, shown, upload
from conftest import encode, make_picture

from app.pages import wording
from app.pages.examples import load_examples
from app.predictor import Predictor

pytestmark = pytest.mark.browser


def test_upload_shows_the_answer_and_asks_nobody_else(open_page: Open, flask_address: str) -> None:
    page = open_page("about:blank", viewport={"width": 360, "height": 740})
    asked, complaints = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(flask_address)
    upload(page)

    assert "Acne" in page.inner_html("#answer")
    assert page.locator("#answer .card").count() >= 3
    assert page.evaluate("document.activeElement.id") == "verdict"
    assert page.locator("#preview img").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.input_value("#image") == ""

    # The heat map: there, fainter, off, on again.
    heat = "parseFloat(getComputedStyle(document.getElementById('heat')).opacity)"
    assert page.evaluate(heat) == 1
    page.locator("#heat-strength").focus()
    for _ in range(30):
        page.keyboard.press("ArrowLeft")
    assert page.evaluate(heat) == pytest.approx(0.5)
    page.get_by_label("Heat map").uncheck()
    assert page.evaluate(heat) == 0
    page.get_by_label("Heat map").check()
    assert page.evaluate(heat) == pytest.approx(0.5)
    slider = page.locator("#heat-strength").bounding_box()
    assert slider is not None
    assert slider["height"] >= 44
    sizes = page.evaluate("[...document.querySelectorAll('.overlay img')].map(i => [i.width, i.height])")
    assert sizes[0] == sizes[1]

    # A second picture takes the place of the first.
    upload(page)
    assert page.locator("#verdict").count() == 1
    page.goto(flask_address + "/docs")

    assert {urlsplit(url).hostname for url in asked if not url.startswith(("data:", "blob:"))} == {
        "127.0.0.1"
    }
    assert complaints == []


def test_a_photo_chosen_before_the_script_is_there_is_analysed(open_page: Open, flask_address: str) -> None:
    page = open_page("about:blank")
    held: list[Any] = []
    page.route("**/picker.js", lambda route: held.append(route))
    page.goto(flask_address, wait_until="commit")
    page.set_input_files("#image", PHOTO)
    while not held:
        page.wait_for_timeout(20)
    held[0].continue_()
    page.wait_for_selector("#answer #verdict")
    assert page.is_visible("#preview")


def test_upload_without_javascript(open_page: Open, flask_address: str) -> None:
    page = open_page(flask_address, java_script_enabled=False)
    assert not page.locator("#camera-open").is_visible()
    page.set_input_files("#image", PHOTO)
    page.get_by_role("button", name="Check it").click()
    page.wait_for_selector("#answer #verdict")
    page.wait_for_load_state()  # the style sheet hides what needs the script
    assert page.locator("#preview img").is_visible()
    assert page.locator("#heat").is_visible()
    assert not page.locator("#heat-strength").is_visible()

    page.set_input_files("#image", NO_PICTURE)
    page.get_by_role("button", name="Check it").click()
    page.wait_for_selector(".problem")
    assert "JPEG" in shown(page, ".problem")


def test_a_rejected_picture_is_explained(open_page: Open, serve: Serve, predictor: Predictor) -> None:
    page = open_page(serve(Recorder(predictor, min_max_probability=1.0, max_normalized_entropy=0.0)))
    upload(page)
    assert page.get_attribute(".verdict", "data-verdict") == "rejected"
    assert "daylight" in shown(page, ".verdict")
    assert page.locator(".verdict .fired").count() == 2
    assert not page.locator(".verdict .fired").first.is_visible(), "figures are folded"
    page.get_by_text("Why?").click()
    assert page.locator(".verdict .fired").first.is_visible()
    assert page.locator("#heat").count() == 0
    assert not page.locator(".ranking").first.is_visible()
    page.get_by_text("Show the guesses anyway").click()
    assert page.locator(".ranking").first.is_visible()


def test_drop_and_paste(open_page: Open, serve: Serve, predictor: Predictor) -> None:
    recorder = Recorder(predictor)
    page = open_page(serve(recorder))
    transfer = """async (bytes) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(bytes)], "secret.jpg", {type: "image/jpeg"}));
        return transfer;
    }"""
    for event, key in (("drop", "dataTransfer"), ("paste", "clipboardData")):
        page.evaluate("document.getElementById('answer').replaceChildren()")
        handle = page.evaluate_handle(transfer, list(PHOTO["buffer"]))
        kind = "DragEvent" if event == "drop" else "ClipboardEvent"
        page.evaluate(
            f"(data) => document.body.dispatchEvent("
            f"new {kind}('{event}', {{bubbles: true, cancelable: true, {key}: data}}))",
            handle,
        )
        page.wait_for_selector("#answer #verdict")
    assert recorder.received == [PHOTO["buffer"]] * 2


def test_everything_by_keyboard(open_page: Open, flask_address: str) -> None:
    page = open_page(flask_address)

    def tab(times: int = 1) -> str:
        for _ in range(times):
            page.keyboard.press("Tab")
        return page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()")

    order: list[str] = []
    while "camera-open" not in order and len(order) < 20:
        order.append(tab())
    assert order[:2] == ["Skip to content", "SkinDiseaseNet"]
    assert order[2:7] == ["Check a photo", "Several photos", "Learn", "About", "API"]
    assert order[-2:] == ["image", "camera-open"]
    page.keyboard.press("Shift+Tab")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Space")
    chooser.value.set_files(PHOTO)
    page.wait_for_selector("#answer #verdict")

    # The headline has the focus; from there on everything is a step away.
    assert page.evaluate("document.activeElement.id") == "verdict"
    assert tab().startswith("More about ")
    page.keyboard.press("Enter")
    assert page.get_by_text("What it looks like").is_visible()
    page.keyboard.press("Enter")
    assert tab().startswith("Show ")
    page.keyboard.press("Enter")
    assert page.locator(".ranking").nth(1).is_visible()
    assert tab() == "heat-on"
    page.keyboard.press("Space")
    assert page.evaluate("getComputedStyle(document.getElementById('heat')).opacity") == "0"
    page.keyboard.press("Space")
    assert tab() == "heat-strength"
    page.keyboard.press("Home")
    assert page.input_value("#heat-strength") == "0"


def test_the_answer_comes_in_its_order(open_page: Open, serve: Serve, predictor: Predictor) -> None:
    page = open_page(serve(Recorder(predictor, malignant_from=1.0)))
    upload(page)
    titles = [wording.QUALITY_TITLE, "Closest matches", "Where the model looked"]
    assert page.locator("#answer .card > h3").all_inner_texts() == titles
    assert wording.URGENCY["soon"] not in shown(page, "#answer")
    assert "Answered in" in shown(page, ".time")

    # From a bound on, the labels that may be cancer speak before everything else.
    page = open_page(serve(Recorder(predictor, malignant_from=0.0)))
    upload(page, {**PHOTO, "buffer": encode(make_picture(320, 240).point(lambda value: value // 5))})
    first, *_ = shown(page, ".see-doctor").split("\n")
    assert first == wording.URGENCY["soon"]
    assert "skin cancer" in shown(page, ".see-doctor")
    assert page.locator("#answer .card > h3").all_inner_texts() == titles
    assert "dark" in shown(page, ".quality")


@pytest.mark.parametrize("javascript", [True, False])
def test_an_example_is_analysed(
    open_page: Open, serve: Serve, predictor: Predictor, javascript: bool
) -> None:
    recorder = Recorder(predictor)
    page = open_page(serve(recorder), java_script_enabled=javascript)
    (first, second, *_), row = load_examples(None), page.locator("#examples")
    assert f"{first.credit}, {first.licence}" in row.inner_text()
    assert page.evaluate("document.querySelector('#examples img').naturalWidth") > 0 if javascript else True
    row.get_by_role("button", name=second.title).click()
    page.wait_for_selector("#answer #verdict")
    assert recorder.received == [second.data]
    page.locator("#preview img").wait_for()

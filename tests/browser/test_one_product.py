"""Both front ends as one product, on a phone: the answer on the first screen, and pages to read."""

from __future__ import annotations

from typing import Any

import pytest
from browsing import PHONE, Open, faults

from app.pages.examples import load_examples

pytestmark = pytest.mark.browser

SPOT = {"name": "spot.jpg", "mimeType": "image/jpeg", "buffer": load_examples(None)[0].data}


@pytest.fixture(params=["flask", "gradio"])
def address(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(f"{request.param}_address")


def test_verdict_and_picture_stand_on_a_phones_first_screen(open_page: Open, address: str) -> None:
    page = open_page(address, viewport=PHONE)
    page.locator("input[type=file]").first.set_input_files(SPOT)
    page.wait_for_selector("#verdict")
    page.wait_for_function("document.title.startsWith(document.getElementById('verdict').textContent.trim())")
    page.evaluate("window.scrollTo(0, 0)")
    for part in ("#verdict", ".small-picture", ".verdict .how-soon"):
        box = page.locator(part).first.bounding_box()
        assert box is not None
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= PHONE["height"], part
    assert page.locator(".verdict .points li").count() <= 3
    border = page.evaluate("getComputedStyle(document.querySelector('.verdict .tag')).borderTopWidth")
    assert border == "0px", "a state must not look like a button"


def test_learn_is_searched_and_an_anchor_opens_its_entry(open_page: Open, address: str) -> None:
    page = open_page(f"{address}/learn#Tinea", viewport=PHONE)
    page.wait_for_selector("#Tinea details[open]")
    assert page.locator("#Acne details[open]").count() == 0
    page.get_by_label("Search").fill("l40")
    page.wait_for_selector("#Acne", state="hidden")
    assert page.locator(".entry:visible").get_attribute("id") == "Psoriasis"
    page.get_by_label("Search").fill("no such word")
    page.get_by_text("Nothing found").wait_for()
    page.get_by_label("Search").fill("")
    page.wait_for_selector("#Acne")


def test_about_unfolded_has_no_fault(open_page: Open, address: str) -> None:
    page = open_page(f"{address}/about", viewport=PHONE)
    page.wait_for_selector(".card-text")
    page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    assert faults(page) == []

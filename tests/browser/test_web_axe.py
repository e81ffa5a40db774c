"""Every page and state of the Flask front end, light and dark, on a phone, under axe-core."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from browsing import NO_PICTURE, PHONE, PHOTO, Open, Recorder, Serve, faults, upload
from conftest import encode, make_picture

from app.predictor import Predictor
from app.service.keys import add_key

pytestmark = pytest.mark.browser

DARK = {**PHOTO, "buffer": encode(make_picture(320, 240).point(lambda value: value // 5))}
REJECTS = {"min_max_probability": 1.0, "max_normalized_entropy": 0.0}


def test_axe_sees_a_fault_where_there_is_one(open_page: Open, flask_address: str) -> None:
    page = open_page(flask_address, viewport=PHONE)
    page.evaluate("document.querySelector('label[for=image]').remove()")
    page.evaluate("document.querySelector('.notice').style.color = '#888'")
    page.evaluate("document.querySelector('h1').style.width = '500px'")
    found = " ".join(faults(page))
    assert all(fault in found for fault in ("label", "color-contrast", "pixels wide"))


def test_the_sign_in_page_has_none_either(
    open_page: Open, serve: Serve, predictor: Predictor, tmp_path: Path
) -> None:
    key = add_key(tmp_path / "keys.json", "someone")
    address = serve(predictor, access="keys", keys_file=tmp_path / "keys.json", secret_key="s" * 64)
    page = open_page(address, viewport=PHONE)
    assert page.url.endswith("/sign-in")
    assert faults(page) == []
    page.get_by_label("Your key").fill(key[:-1])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_selector("#wrong")
    assert faults(page) == []
    page.get_by_label("Your key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    upload(page)
    assert faults(page) == []


def test_no_page_and_no_state_has_a_serious_fault(
    open_page: Open, serve: Serve, predictor: Predictor
) -> None:
    address = serve(Recorder(predictor, malignant_from=0.0))
    page = open_page(address, viewport=PHONE)
    found = []

    def check(state: Callable[[], object]) -> None:
        state()
        page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
        found.extend(faults(page))

    for path in ("/", "/batch", "/learn", "/about", "/docs", "/nothing"):
        check(lambda path=path: page.goto(address + path))
    page.goto(address + "/batch")
    check(lambda: upload(page, PHOTO, DARK, NO_PICTURE))
    page.goto(address)
    check(lambda: upload(page, DARK))
    check(lambda: upload(page, NO_PICTURE))
    for changes in ({"uncertain_below": 1.0}, REJECTS):
        page.goto(serve(Recorder(predictor, **changes)))
        check(lambda: upload(page))
    page.route("**/?fragment=1", lambda route: route.abort())
    check(lambda: upload(page))
    assert found == []

"""Hindi and Marathi on a phone, on both front ends: chosen by the browser or the switch, and remembered."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

PHONE = {"width": 360, "height": 740}
TITLES = {"hi": "त्वचा की फ़ोटो जाँचें", "mr": "त्वचेचा फोटो तपासा", "en": "Check a photo of skin"}


@pytest.mark.parametrize("front_end", ["flask_address", "gradio_address"])
def test_the_browser_chooses_the_language_and_the_switch_changes_it_for_good(
    front_end: str, open_page: Callable[..., Page], request: pytest.FixtureRequest
) -> None:
    address: str = request.getfixturevalue(front_end)
    page = open_page(address, locale="mr-IN", viewport=PHONE)

    def greeted(code: str) -> None:
        page.wait_for_function(
            "([code, title]) => document.documentElement.lang === code"
            " && document.querySelector('h1')?.textContent === title",
            arg=[code, TITLES[code]],
        )
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    greeted("mr")
    # Shaped by the font that is shipped, whatever this machine has.
    assert page.evaluate(
        "document.fonts.ready.then(() => document.fonts.check('16px \"Noto Sans Devanagari\"', 'त्व'))"
    )
    page.locator(".languages a[lang=hi]").click()
    greeted("hi")
    page.goto(address)
    greeted("hi")
    page.locator("button[name=example]").first.click()
    page.locator("#verdict").wait_for(timeout=120_000)
    assert not page.locator("#verdict").inner_text().isascii()
    page.locator(".languages a[lang=en]").click()
    greeted("en")

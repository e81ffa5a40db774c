"""Hindi and Marathi in a real browser on a phone, on both front ends: chosen by browser or switch, remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

PHONE = {"width": 360, "height": 740}
TITLES = {"hi": "त्वचा की फ़ोटो जाँचें", "mr": "त्वचेचा फोटो तपासा", "en": "Check a photo of skin"}


@pytest.mark.parametrize("front_end", ["flask_address", "gradio_address"])
def test_the_browser_chooses_the_language_and_the_switch_changes_it_for_good(
    front_end: str, browser: Browser, request: pytest.FixtureRequest
) -> None:
    address: str = request.getfixturevalue(front_end)
    context = browser.new_context(locale="mr-IN", viewport=PHONE)
    page = context.new_page()

    def greeted(code: str) -> None:
        page.wait_for_function(
            "([code, title]) => document.documentElement.lang === code"
            " && document.querySelector('h1')?.textContent === title",
            arg=[code, TITLES[code]],
        )
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    page.goto(address)
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
    context.close()

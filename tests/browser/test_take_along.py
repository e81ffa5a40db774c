"""Answers that are taken along, from the pages of both front ends: as PDF, as text, on paper."""

from __future__ import annotations

from typing import Any

import pytest
from browsing import Open, upload
from pypdf import PdfReader

from app.pages import wording

pytestmark = pytest.mark.browser

FRONT_ENDS = pytest.mark.parametrize("front", ["flask_address", "gradio_address"])


@pytest.fixture
def page(front: str, request: pytest.FixtureRequest, open_page: Open) -> Any:
    address = request.getfixturevalue(front)
    page = open_page(address, permissions=["clipboard-read", "clipboard-write"])
    page.set_default_timeout(60_000)
    page.wait_for_selector("#picker.js")
    upload(page)
    return page


@FRONT_ENDS
def test_an_answer_is_saved_as_pdf_and_copied(page: Any) -> None:
    headline = page.inner_text("#verdict")
    for pictures in (2, 0):
        page.get_by_label(wording.WITH_PICTURE).set_checked(pictures > 0)
        with page.expect_download() as download:
            page.get_by_role("button", name="Save as PDF").click()
        (sheet,) = PdfReader(download.value.path()).pages
        text = " ".join(sheet.extract_text().split())
        assert headline in text
        assert wording.NOTICE in text
        assert "model tiny, revision sha256:" in text
        assert len(sheet.images) == pictures

    page.get_by_role("button", name="Copy").click()
    page.get_by_text(wording.PICKER["copied"], exact=True).last.wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(headline)
    assert wording.NOTICE in copied
    assert copied.count("%") >= 22


@FRONT_ENDS
def test_an_answer_prints_on_one_clean_page(page: Any, tmp_path: Any) -> None:
    page.pdf(path=tmp_path / "printed.pdf", format="A4", print_background=True)
    (sheet,) = PdfReader(tmp_path / "printed.pdf").pages
    text = " ".join(sheet.extract_text().split())
    assert page.inner_text("#verdict") in text
    assert wording.NOTICE in text
    assert "Answered on " in text
    for leftover in ("Choose a photo", "Save as PDF", "Several photos", "Use via API"):
        assert leftover not in text

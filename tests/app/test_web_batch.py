"""Several pictures at once in a real Chromium: the table, and both downloads read back."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from browsing import NO_PICTURE, PHOTO, Open, shown, upload
from conftest import encode, make_picture

from app.pages.batch import MAX_BATCH
from model.labels import LABELS

pytestmark = pytest.mark.browser

OTHER = {**PHOTO, "name": "secret.png", "buffer": encode(make_picture(200, 300, seed=1), "PNG")}


def saved(page: Any, kind: str, folder: Path) -> Path:
    with page.expect_download() as download:
        page.get_by_role("link", name=f"Save as {kind}").click()
    assert download.value.suggested_filename == f"skindiseasenet.{kind.lower()}"
    path = folder / kind
    download.value.save_as(path)
    return path


def check_table(page: Any, folder: Path, *, named: bool) -> None:
    """Two pictures and what is none, in the table and in both files, with names only from the script."""
    assert page.locator("tbody tr").count() == 3
    assert page.locator("tbody img").count() == 2
    assert page.locator("tbody tr").nth(1).locator("li").count() == 3
    assert page.locator("tbody tr").nth(2).get_attribute("data-verdict") == "error"
    assert "JPEG" in page.locator("tbody tr").nth(2).inner_text()

    answers = json.loads(saved(page, "JSON", folder).read_text())
    assert [len(answer.get("conditions", ())) for answer in answers] == [len(LABELS), len(LABELS), 0]
    assert answers[2]["error"]["code"] == "unsupported_format"
    with saved(page, "CSV", folder).open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["verdict"] for line in lines] == [answers[0]["verdict"], answers[1]["verdict"], "error"]
    best = answers[1]["conditions"][0]
    assert float(lines[1][f"probability_{best['name']}"]) == pytest.approx(best["probability"], abs=1e-6)
    for place in (str(lines), str(answers), page.locator("table").inner_text()):
        assert ("secret" in place) == named
    if not named:
        assert "secret" not in page.content()


def test_a_batch_and_its_downloads(open_page: Open, flask_address: str, tmp_path: Path) -> None:
    page = open_page(flask_address + "/batch")
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    upload(page, PHOTO, OTHER, NO_PICTURE)
    assert page.evaluate("document.activeElement.id") == "verdict"
    check_table(page, tmp_path, named=True)

    upload(page, *[PHOTO] * (MAX_BATCH + 1))
    assert f"up to {MAX_BATCH} photos" in shown(page, "#answer")
    upload(page, OTHER)
    assert shown(page, "#verdict") == "1 photo"
    assert complaints == []


def test_a_batch_without_javascript(open_page: Open, flask_address: str, tmp_path: Path) -> None:
    page = open_page(flask_address + "/batch", java_script_enabled=False)
    for count in (MAX_BATCH + 1, 1):
        page.set_input_files("#image", [PHOTO, OTHER, NO_PICTURE] if count == 1 else [PHOTO] * count)
        page.get_by_role("button", name="Check them").click()
        if count > MAX_BATCH:
            page.wait_for_selector(".problem")
            assert f"at most {MAX_BATCH}" in shown(page, ".problem")
    page.wait_for_selector("table")
    check_table(page, tmp_path, named=False)

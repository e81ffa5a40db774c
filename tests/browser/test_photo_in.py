"""How a photo comes in, on the pages of both front ends, in a real Chromium."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import numpy as np
import pytest
from browsing import PHOTO, Open, Recorder, Serve, upload
from conftest import encode, make_picture
from PIL import Image
from profiles_made import rgb_profile

from app.pages import wording
from app.pages.batch import MAX_BATCH
from app.predictor import Predictor
from model.image import read_image

pytestmark = pytest.mark.browser

SEVERAL = {"flask_address": "/batch", "gradio_address": "/several"}
FRONT_ENDS = pytest.mark.parametrize("front", list(SEVERAL))


@pytest.fixture
def address(front: str, request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue(front)


def ready(page: Any) -> Any:
    page.set_default_timeout(60_000)
    page.wait_for_selector("#picker.js")
    return page


def throttle(page: Any, bytes_a_second: float) -> None:
    network = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_a_second}
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", network)


def test_a_large_photo_is_sent_small_upright_and_in_its_colours(
    open_page: Open, serve: Serve, predictor: Predictor
) -> None:
    recorder = Recorder(predictor)
    page = ready(open_page(serve(recorder)))
    picture = Image.new("RGB", (2400, 1800), (230, 60, 40))
    picture.paste((40, 60, 230), (0, 0, 1200, 1800))
    picture.paste(make_picture(600, 600), (900, 600))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned to the right
    exif[0x010E] = "a name"
    profile = rgb_profile("Display P3")
    data = encode(picture, quality=95, exif=exif, icc_profile=profile)
    upload(page, {**PHOTO, "buffer": data})
    (sent,) = recorder.received
    assert b"a name" not in sent
    got = Image.open(io.BytesIO(sent))
    assert (got.format, got.size) == ("JPEG", (1200, 1600))
    expected = read_image(data).resize((120, 160), Image.Resampling.BOX)
    seen = read_image(sent).resize((120, 160), Image.Resampling.BOX)
    difference = np.abs(np.asarray(seen).astype(int) - np.asarray(expected).astype(int))
    assert difference.mean() < 2
    assert np.quantile(difference, 0.99) < 10


def test_what_the_browser_cannot_decode_is_sent_as_it_is(
    open_page: Open, serve: Serve, predictor: Predictor
) -> None:
    recorder = Recorder(predictor)
    page = ready(open_page(serve(recorder)))
    data = encode(make_picture(1900, 1000), "TIFF")
    upload(page, {**PHOTO, "buffer": data})
    assert recorder.received == [data]
    assert not page.is_visible("#preview")


@FRONT_ENDS
def test_progress_is_shown_and_sending_can_be_cancelled(open_page: Open, address: str) -> None:
    page = ready(open_page(address))
    throttle(page, 60_000)
    page.set_input_files("#image", {**PHOTO, "buffer": encode(make_picture(700, 700), "TIFF")})
    page.locator("#status", has_text=re.compile(r"Sending: [1-9]")).wait_for()
    assert page.evaluate("document.getElementById('progress').value") > 0
    page.get_by_role("button", name="Cancel").last.click()
    page.get_by_text(wording.PICKER["cancelled"]).last.wait_for()
    assert not page.is_visible("#sending")
    assert page.locator("#answer > *").count() == 0
    throttle(page, -1)
    upload(page)
    assert page.locator(".verdict").count() == 1


@FRONT_ENDS
def test_too_many_photos_are_not_sent(open_page: Open, front: str, address: str) -> None:
    page = ready(open_page(address + SEVERAL[front]))
    sent: list[str] = []
    page.on("request", lambda request: request.method == "POST" and sent.append(request.url))
    upload(page, *[PHOTO] * (MAX_BATCH + 1))
    assert wording.TOO_MANY in page.inner_text("#answer")
    assert f"up to {MAX_BATCH} photos" in page.inner_text("#answer")
    page.goto(address)
    ready(page)
    drop(page, "drop", 2)
    page.wait_for_selector("#answer .problem")
    assert "one photo at a time" in page.inner_text("#answer")
    assert [url for url in sent if "queue" not in url] == []


def drop(page: Any, event: str, count: int = 1) -> None:
    """Drops or pastes photos."""
    kind, key = {
        "drop": ("DragEvent", "dataTransfer"),
        "paste": ("ClipboardEvent", "clipboardData"),
    }[event]
    page.evaluate(
        f"""([bytes, count]) => {{
            const transfer = new DataTransfer();
            for (let number = 0; number < count; number++)
                transfer.items.add(new File([new Uint8Array(bytes)], "a.jpg", {{type: "image/jpeg"}}));
            const made = new {kind}("{event}", {{bubbles: true, cancelable: true, {key}: transfer}});
            document.body.dispatchEvent(made);
        }}""",
        [list(PHOTO["buffer"]), count],
    )


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_a_photo_is_dropped_or_pasted_on_gradio(open_page: Open, gradio_address: str, event: str) -> None:
    page = ready(open_page(gradio_address))
    drop(page, event)
    page.wait_for_selector("#answer .verdict")


@FRONT_ENDS
def test_photos_of_one_spot_get_one_answer_above_their_table(
    open_page: Open, front: str, address: str
) -> None:
    page = ready(open_page(address + SEVERAL[front]))
    page.get_by_label(wording.ONE_SPOT).check()
    other = {**PHOTO, "name": '=evil, "x".jpg', "buffer": encode(make_picture(300, 300, seed=4))}
    upload(page, PHOTO, other)
    assert page.locator("#answer .case .verdict").count() == 1
    assert page.locator("#answer .batch tbody tr").count() == 2
    assert page.locator(".file-name").all_inner_texts() == [PHOTO["name"], other["name"]]
    with page.expect_download() as download:
        page.get_by_role("link", name="Save as CSV").click()
    with open(download.value.path(), encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["file"] for line in lines] == [PHOTO["name"], "'" + other["name"]]


@FRONT_ENDS
def test_an_answer_outlives_a_reload_and_a_step_back(open_page: Open, address: str) -> None:
    page = ready(open_page(address))
    upload(page)
    headline = page.inner_text("#verdict")
    page.reload()
    page.wait_for_selector("#answer .verdict")
    assert page.inner_text("#verdict") == headline
    page.wait_for_selector("#preview img")
    page.get_by_role("link", name="Learn", exact=True).first.click()
    page.wait_for_selector(".book")
    page.go_back()
    page.wait_for_selector("#answer .verdict")
    page.goto(address)
    ready(page)
    assert page.locator("#answer > *").count() == 0

"""The Flask pages to read and to try, with the labels of any checkpoint."""

from __future__ import annotations

import dataclasses
import re
from html import escape
from pathlib import Path

import pytest
import torch
from conftest import encode, make_picture
from flask.testing import FlaskClient

from app.pages import wording
from app.pages.examples import load_examples
from app.predictor import Predictor
from app.settings import Settings
from app.web import create_app
from app.web.upload import MAX_BATCH_BODY
from model import checkpoint
from model.config import ModelConfig
from model.labels import DERMOSCOPY, LABELS, URGENCY, condition
from model.network import SkinDiseaseNet
from model.runtime.torch import TorchRuntime

JPEG = encode(make_picture())


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", "", page)).replace("&#39;", "'").replace("&amp;", "&")


KIND = "multipart/form-data; boundary=x"


def files(*pictures: bytes) -> dict[str, object]:
    """A form with these files, in memory: werkzeug's own test client would spool a large one to the disk."""
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="secret.jpg"\r\n\r\n'
    body = b"".join(head + data + b"\r\n" for data in pictures)
    return {"data": body + b"--x--\r\n", "content_type": KIND}


def test_every_page_leads_to_every_other(client: FlaskClient) -> None:
    pages = ["/", "/batch", "/learn", "/about", "/docs"]
    for path in pages:
        page = client.get(path).text
        (links,) = re.findall(r'<nav class="pages".*?</nav>', page, re.DOTALL)
        assert re.findall(r'href="([^"]+)"', links) == pages
        assert re.findall(r'href="([^"]+)" aria-current="page"', links) == [path]


def test_every_page_describes_itself_and_has_a_skip_link(client: FlaskClient) -> None:
    for path in ("/", "/batch", "/learn", "/about", "/docs"):
        page = client.get(path).text
        title = re.search(r"<title>(.*?)</title>", page)
        assert title is not None
        assert f'<meta property="og:title" content="{title[1]}">' in page
        assert f'<meta name="description" content="{wording.DESCRIPTION}">' in page
        assert page.index('href="#main"') < page.index("<nav")


def test_the_style_sheets_and_scripts_of_a_page_are_there(client: FlaskClient) -> None:
    asked = re.findall(r'(?:href|src)="(/static/[^"]+)"', client.get("/").text)
    assert {address.rpartition(".")[2] for address in asked} == {"css", "js", "svg"}
    for address in asked:
        with client.get(address) as file:
            assert (address, file.status_code) == (address, 200)


def check_learn(page: str, labels: tuple[str, ...]) -> None:
    """Each label has its whole text, and each link inside the page leads somewhere."""
    assert re.findall(r'<article [^>]*id="([^"]+)"', page) == list(labels)
    text = text_of(page)
    for name in labels:
        about = condition(name)
        codes = (about.codes.icd10, about.codes.icd11, about.codes.snomed_ct)
        assert all(f"<code>{code}</code>" in page for code in codes if code)
        for part in (about.summary, about.what_it_is, about.looks_like, about.when_to_be_seen):
            assert part in text
        assert URGENCY[about.urgency] in text
        assert all(other.how_to_tell in text for other in about.confused_with)
        assert all(f'href="{source.url}"' in page for source in about.sources)
    anchors = set(re.findall(r'id="([^"]+)"', page))
    inside = re.findall(r'href="(?:/learn)?#([^"]+)"', page)
    assert set(inside) <= anchors
    assert set(inside) >= set(labels)


def test_learn_has_every_label(client: FlaskClient) -> None:
    check_learn(client.get("/learn").text, LABELS)


def test_a_checkpoint_with_other_labels_has_its_own_pages(tiny_config: ModelConfig, tmp_path: Path) -> None:
    labels = tuple(entry.name for entry in DERMOSCOPY)
    config = dataclasses.replace(tiny_config, labels=labels)
    torch.manual_seed(0)
    folder = tmp_path / "seven"
    checkpoint.save(folder, SkinDiseaseNet(config), config, card="")
    seven = Predictor.from_checkpoint(str(folder), device="cpu")
    served = create_app(Settings(port=8000), seven).test_client()
    check_learn(served.get("/learn").text, labels)
    assert served.post("/", **files(JPEG)).text.count('class="share"') == len(labels)
    assert "no model card" in served.get("/about").text


def test_an_answer_leads_to_its_entry(client: FlaskClient, predictor: Predictor) -> None:
    name = predictor.predict(JPEG).conditions[0].name
    assert f'href="/learn#{name}"' in client.post("/", **files(JPEG)).text


@pytest.mark.parametrize("rejected", [False, True])
def test_a_page_says_what_cannot_be_ruled_out(tiny_checkpoint: Path, rejected: bool) -> None:
    loaded = checkpoint.load(tiny_checkpoint)
    config = dataclasses.replace(loaded.config, set_quantile=0.94, min_max_probability=float(rejected))
    served = Predictor(dataclasses.replace(loaded, config=config), runtime=TorchRuntime(loaded))
    answer = served.predict(JPEG)
    page = create_app(Settings(port=8000), served).test_client().post("/", **files(JPEG)).text
    assert (wording.SET_TITLE in page) is not rejected
    assert rejected or escape(str(wording.set_sentence(answer))) in page
    for name in () if rejected else answer.prediction_set or ():
        assert f"<dd>{escape(condition(name).summary, quote=False)}".split("'")[0] in page


def test_about_is_the_card(client: FlaskClient, predictor: Predictor) -> None:
    page = client.get("/about").text
    assert "<h2>Tiny</h2>" in page
    assert "states no test results" in page or "times in 10" in page
    assert predictor.revision in page
    assert "license_name" not in page


def test_examples(client: FlaskClient, predictor: Predictor) -> None:
    examples = load_examples(None)
    page = client.get("/").text
    assert page.count('name="example"') == len(examples)
    thumbnail = client.get("/examples/0")
    assert thumbnail.mimetype == "image/jpeg"
    assert client.get(f"/examples/{len(examples)}").status_code == 404
    answered = client.post("/", data={"example": "1"}).text
    best = predictor.predict(examples[1].data)
    assert wording.headline(best) in text_of(answered)
    for wrong in ("x", "-1", str(len(examples))):
        response = client.post("/", data={"example": wrong})
        assert response.status_code == 400
        assert "no example" in response.text


def test_several_pictures(client: FlaskClient) -> None:
    page = client.post("/batch", **files(JPEG, b"no picture"))
    assert page.status_code == 200
    assert re.findall(r'<tr role="row" data-verdict="(\w+)"', page.text)[1] == "error"
    assert "secret" not in page.text
    nothing = client.post("/batch", data={}, content_type=KIND)
    assert nothing.status_code == 400
    assert "Choose a picture first" in nothing.text


def test_several_pictures_have_a_larger_limit_of_their_own(client: FlaskClient) -> None:
    large = encode(make_picture(2000, 1500), "BMP")  # 9 MB
    assert client.post("/batch", **files(large, large, large)).status_code == 200
    assert client.post("/", **files(large + bytes(14_000_000))).status_code == 413
    refused = client.post("/batch", data=bytes(MAX_BATCH_BODY + 1), content_type=KIND)
    assert refused.status_code == 413
    assert "at most 60 MB" in refused.text


def test_a_page_that_failed_for_now_offers_to_try_again(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictor, "predict", None)
    served = create_app(Settings(port=8000), predictor).test_client()
    for path in ("/", "/batch"):
        response = served.post(path, **files(JPEG))
        assert response.status_code == 500
        page = re.sub(r"<template.*?</template>", "", response.text, flags=re.S)
        assert 'id="verdict"' in page
        assert "data-retry" in page

"""English, Hindi and Marathi: each sentence is in both catalogues, each visitor gets the right language."""

from __future__ import annotations

import string
from typing import Any

import pytest
from babel.messages import Message
from conftest import encode, make_picture

from app.pages import catalogue, language, wording
from model.errors import ImageError
from model.image import read_image
from model.labels import condition

LANGUAGES = ("hi", "mr")


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def texts(message: Message) -> list[tuple[str, str]]:
    if isinstance(message.id, str):
        return [(message.id, str(message.string))]
    return [(message.id[-1], text) for text in message.string]


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_sentence_is_translated_and_keeps_its_placeholders(code: str) -> None:
    stored = catalogue.read(code)
    collected = [message.id for message in catalogue.collect() if message.id]
    assert len(collected) > 500
    assert {str(message.id) for message in stored if message.id} == {str(found) for found in collected}
    for message in stored:
        if not message.id:
            continue
        assert not message.fuzzy, message.id
        for english, translated in texts(message):
            assert translated.strip(), english
            assert placeholders(translated) == placeholders(english), english


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("hi-IN,hi;q=0.9,en;q=0.8", "hi"),
        ("en;q=0.1, mr;q=0.5", "mr"),
        ("de, mr;q=0.3, hi;q=0.3", "mr"),
        ("hi;q=0, en", "en"),
        ("fr", "en"),
        ("*", "en"),
        (";;q=,x", "en"),
        (None, "en"),
    ],
)
def test_the_browsers_preferred_language_of_ours_is_chosen(header: str | None, code: str) -> None:
    assert language.negotiate(header) == code


def test_a_choice_counts_more_than_what_is_remembered_and_that_more_than_the_browser() -> None:
    assert language.choose(asked="mr", remembered="hi", accepted="en") == "mr"
    assert language.choose(asked="xx", remembered="hi", accepted="en") == "hi"
    assert language.choose(asked=None, remembered="xx", accepted="mr") == "mr"


def test_the_texts_of_a_condition_are_those_of_the_language_in_use() -> None:
    assert language.condition("Eczema") == condition("Eczema")
    with language.use("hi"):
        assert "एक्ज़िमा" in language.condition("Eczema").title
    assert language.condition("of nobody").title == "of nobody"


def test_an_error_is_told_in_the_language_in_use_with_its_figures() -> None:
    with pytest.raises(ImageError) as raised:
        read_image(b"no picture")
    error = raised.value
    assert wording.error_words(error) == (error.message, error.hint)
    with language.use("mr"):
        message, hint = wording.error_words(error)
    assert "उघडता येत नाही" in message
    assert "JPEG" in message
    assert "पुन्हा प्रयत्न करा" in hint


def test_shares_are_written_in_the_manner_of_the_language() -> None:
    assert wording.percent(0.423) == "42%"
    assert wording.percent(0.001) == "under 1%"
    with language.use("hi"):
        assert wording.percent(0.001) == "1% से कम"


def test_a_page_is_in_the_language_that_was_chosen_and_stays_so(client: Any) -> None:
    assert '<html lang="hi">' in client.get("/", headers={"Accept-Language": "hi"}).text
    chosen = client.get("/learn?lang=mr", headers={"Accept-Language": "hi"})
    assert '<html lang="mr">' in chosen.text
    assert "SameSite=Lax" in chosen.headers["Set-Cookie"]
    assert '<html lang="mr">' in client.get("/about", headers={"Accept-Language": "hi"}).text
    assert wording.UNREVIEWED not in client.get("/about").text
    assert "डॉक्टरांनी तपासलेला नाही" in client.get("/about").text
    assert "या पत्त्यावर काहीही नाही" in client.get("/nowhere").text


def test_the_api_is_english_unless_another_language_is_asked_for(client: Any) -> None:
    def answer(**headers: str) -> Any:
        return client.post(
            "/api/v1/predict", data=encode(make_picture()), content_type="image/jpeg", headers=headers
        ).json

    english, hindi = answer(), answer(**{"Accept-Language": "hi"})
    assert english["reason"].isascii()
    assert not hindi["reason"].isascii()
    assert not hindi["advice"]["how_soon"].isascii()
    assert [entry["title"] for entry in hindi["conditions"]] == [e["title"] for e in english["conditions"]]
    client.get("/?lang=mr")
    assert answer()["reason"] == english["reason"]

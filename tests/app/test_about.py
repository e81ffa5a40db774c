"""The model card as HTML: all of its text, nothing that could run or call elsewhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from app.pages import wording
from app.pages.about import about_html, results

ROOT = Path(__file__).resolve().parents[2]


class Elements(HTMLParser):
    """Which tags, attributes and text a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_embedded_card_is_whole() -> None:
    card = (ROOT / "checkpoints" / "skin22" / "README.md").read_text(encoding="utf-8")
    page = Elements(about_html(card))
    assert "license_name" not in page.text, "the front matter is for programs"
    for words in ("What it is for", "Balanced accuracy", "SkinCancer", "Terms", "Limits"):
        assert words in page.text
    assert page.tags.count("table") >= 3
    assert "h1" not in page.tags
    assert page.tags[0] == "h2"


def test_headings_move_down_and_the_lowest_stays() -> None:
    page = Elements(about_html("# One\n\n## Two\n\n###### Six\n"))
    assert page.tags == ["h2", "details", "summary", "h3", "h6"]


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "text <img src=x onerror=alert(1)> text",
        "[link](javascript:alert(1))",
        "[link](JaVaScRiPt:alert(1))",
        "[link](data:text/html;base64,PHNjcmlwdD4=)",
        "<javascript:alert(1)>",
        "![picture](https://example.org/spy.png)",
        "[a]: javascript:alert(1)\n\n[a]",
        "| <script>alert(1)</script> |\n| --- |\n| <iframe src=x> |",
        "---\nname: x\n---\n<style>body{display:none}</style>",
        '```"><script>alert(1)</script>\ncode\n```',
        "# <svg/onload=alert(1)>",
    ],
)
def test_nothing_in_a_card_runs_or_calls_elsewhere(hostile: str) -> None:
    page = Elements(about_html(hostile))
    assert not {"script", "img", "svg", "iframe", "style", "object", "form"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in ("src", "style")]
    links = [value or "" for name, value in page.attributes if name == "href"]
    assert all(re.match(r"https?://", link) for link in links)


def test_links_give_no_handle_on_this_page() -> None:
    page = Elements(about_html("[DermNet](https://dermnetnz.org/topics/acne)"))
    assert dict(page.attributes) == {
        "href": "https://dermnetnz.org/topics/acne",
        "rel": "noopener noreferrer",
    }


@pytest.mark.parametrize("card", ["", "\n \n", "---\nlicense: mit\n---\n", "---\nlicense: mit\n---"])
def test_an_empty_card_is_said_to_be_missing(card: str) -> None:
    assert "no model card" in about_html(card)


@pytest.mark.parametrize("start", ["---\r\nlicense: mit\r\n---\r\n", "\ufeff---\nlicense: mit\n---\n", ""])
def test_only_front_matter_is_cut(start: str) -> None:
    page = Elements(about_html(f"{start}First\n\n---\n\nSecond\n\n---\n\nThird"))
    assert page.text.split() == ["First", "Second", "Third"]


def test_how_often_it_is_right_comes_from_the_card() -> None:
    card = (ROOT / "checkpoints" / "skin22" / "README.md").read_text(encoding="utf-8")
    stated = re.search(r"type: accuracy\n *value: ([\d.]+)", card)
    assert stated is not None
    first, _ = results(card)
    assert first.accuracy == float(stated[1])
    assert f"about {10 * first.accuracy:.0f} times in 10" in wording.how_often(first)
    changed = card.replace(stated[0], stated[0].replace(stated[1], "0.31"))
    assert "its first guess was right about 3 times in 10" in wording.how_often(results(changed)[0])


@pytest.mark.parametrize(
    "card",
    [
        "",
        "# No front matter",
        "---\n: [\n---\n",
        "---\nmodel-index: 3\n---\n",
        "---\nmodel-index:\n- x\n---\n",
    ],
)
def test_a_card_without_results_claims_none(card: str) -> None:
    assert results(card) == []


def test_each_table_has_a_name_of_its_own() -> None:
    table = "| a |\n| --- |\n| 1 |\n\n"
    page = Elements(about_html(f"{table}## Two\n\n{table}"))
    names = [value for name, value in page.attributes if name == "aria-label"]
    assert len(set(names)) == len(names) == 2


def test_a_table_can_be_reached_by_the_keyboard() -> None:
    page = Elements(about_html("| a | b |\n| --- | --- |\n| 1 | 2 |"))
    assert page.tags[:2] == ["div", "table"]
    assert ("tabindex", "0") in page.attributes

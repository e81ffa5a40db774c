"""The pictures to try: drawn ones show what they say, others come with their credit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import encode, make_picture
from fake_hub import FakeHub

from app.pages.examples import Example, load_examples
from app.predictor import Predictor
from app.settings import EMBEDDED_CHECKPOINT, Settings
from model.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
HEAD = "file_name,title,licence,credit\n"


def folder(path: Path, metadata: str | None, **pictures: bytes) -> str:
    path.mkdir(exist_ok=True)
    if metadata is not None:
        (path / "metadata.csv").write_text(metadata, encoding="utf-8")
    for name, data in pictures.items():
        (path / f"{name}.png").write_bytes(data)
    return str(path)


def test_the_drawn_ones_are_small_and_the_same_every_time() -> None:
    examples = load_examples(None)
    assert examples == load_examples(None)
    assert len({example.title for example in examples}) == len(examples) >= 6
    for example in examples:
        assert len(example.data) < 60_000
        assert (example.licence, example.credit) == ("Apache-2.0", "Drawn by this program")


@pytest.mark.slow
def test_the_drawn_ones_bring_about_answers_of_each_kind_that_drawings_can() -> None:
    predictor = Predictor.from_checkpoint(EMBEDDED_CHECKPOINT, device="cpu")
    answers = {example.title: predictor.predict(example.data) for example in load_examples(None)}
    assert answers["A small round mole"].verdict == "condition"
    assert answers["Pale patches"].verdict == "condition"
    assert answers["Pale patches"].conditions[0].name != answers["A small round mole"].conditions[0].name
    rash = answers["A rash without clear edges"]
    assert (rash.verdict, len(rash.prediction_set or ()) > 5) == ("uncertain", True)
    caution = answers["A mole of several colours"]
    assert caution.malignancy is not None
    assert caution.malignancy.fired
    for title in ("Plain skin, nothing on it", "A landscape, no skin at all"):
        assert answers[title].verdict in ("rejected", "no_condition")
    warned = {title: [warning.name for warning in answer.quality] for title, answer in answers.items()}
    assert {title: names for title, names in warned.items() if names} == {
        "The small mole, in the dark": ["too_dark"]
    }


def test_a_folder_is_read_with_title_licence_and_credit(tmp_path: Path) -> None:
    data = encode(make_picture(), "PNG")
    lines = 'one.png," A spot, close ",CC0 1.0,Somebody\ntwo.png,Zweite,CC BY 4.0,Björn\n'
    path = folder(tmp_path, HEAD + lines, one=data, two=data)
    assert load_examples(path) == (
        Example("A spot, close", data, "CC0 1.0", "Somebody"),
        Example("Zweite", data, "CC BY 4.0", "Björn"),
    )


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        (None, "metadata.csv cannot be read"),
        ("", "0 lines; 1 to 24"),
        (HEAD, "0 lines; 1 to 24"),
        (HEAD + "one.png,t,l,c\n" * 25, "25 lines; 1 to 24"),
        ("file_name,title,credit\none.png,t,c\n", "picture 1: licence is missing"),
        (HEAD + "one.png,t,l,c\none.png,t,, \n", "picture 2: licence, credit is missing"),
        (HEAD + "../one.png,t,l,c\n", "outside its folder"),
        (HEAD + "/one.png,t,l,c\n", "outside its folder"),
        (HEAD + "absent.png,t,l,c\n", "absent.png cannot be used"),
        (HEAD + "text.png,t,l,c\n", "text.png cannot be used"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, metadata: str | None, words: str) -> None:
    path = folder(tmp_path, metadata, one=encode(make_picture(), "PNG"), text=b"text")
    with pytest.raises(ConfigError) as caught:
        load_examples(path)
    assert words in caught.value.message
    assert "EXAMPLES" in caught.value.hint


@pytest.mark.parametrize("reference", ["absent", "org/set", "org/set@", "./absent@1", "/absent", "a/b/c@1"])
def test_a_reference_to_nothing_says_what_is_expected(reference: str) -> None:
    with pytest.raises(ConfigError, match="neither a folder nor a Hub data set with its revision"):
        load_examples(reference)


def test_a_hub_data_set_is_fetched_at_its_revision(tmp_path: Path) -> None:
    """In a process of its own, since the Hub's client reads its address when it is imported."""
    data = encode(make_picture(), "PNG")
    with FakeHub() as hub:
        commit = hub.add(
            "datasets",
            "org/set",
            {
                "metadata.csv": f"{HEAD}pictures/a[1].png,A spot,CC0,Somebody\n".encode(),
                "pictures/a[1].png": data,
                "pictures/large.png": b"never asked for",
            },
        )
        hub.add("datasets", "org/set", {"metadata.csv": b"newer"})
        code = (
            "import sys; from app.pages.examples import load_examples\n"
            "for e in load_examples(sys.argv[1]): print(e.title, e.licence, e.credit, len(e.data))"
        )
        done = [
            subprocess.run(
                [sys.executable, "-c", code, f"org/set@{revision}"],
                cwd=ROOT,
                env=hub.environment(tmp_path),
                capture_output=True,
                text=True,
            )
            for revision in (commit, "0" * 40)
        ]
        assert done[0].stdout == f"A spot CC0 Somebody {len(data)}\n", done[0].stderr
        assert not any("large" in request for request in hub.requests)
        assert f"org/set at revision {'0' * 40} of EXAMPLES cannot be fetched" in done[1].stderr


def test_the_setting() -> None:
    assert Settings.from_environment(default_port=1, environment={}).examples is None
    given = Settings.from_environment(default_port=1, environment={"EXAMPLES": "org/set@1"})
    assert given.examples == "org/set@1"

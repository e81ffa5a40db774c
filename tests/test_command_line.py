"""The command lines as people type them: spelling, lists, help, and one meaning a word."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

import skindiseasenet
from app.__main__ import main as app
from model.command_line import run
from model.errors import DataError
from train.__main__ import COMMANDS
from train.__main__ import main as train
from train.config import TrainConfig


def take(
    name: str,
    *,
    data: Sequence[str],
    max_unreadable: float = 0.01,
    sizes: int | list[int] = 224,
    resume: bool = False,
    labels: Sequence[str] = (),
) -> None:
    """Take what is given.

    Args:
        name: a word.
        data: folders.
        max_unreadable: a share.
        sizes: one or several.
        resume: a switch.
        labels: class names.
    """
    if name == "bad":
        raise DataError("It is bad.", hint="Mend it.")
    TAKEN.update(locals())


TAKEN: dict[str, object] = {}


def given(*words: str) -> dict[str, object]:
    TAKEN.clear()
    assert run({"take": take}, ["take", *words], program="program", about="About.") == 0
    return dict(TAKEN)


@pytest.mark.parametrize(
    "words",
    [
        ["--max-unreadable", "0.5", "--data", "a", "b"],
        ["--max_unreadable=0.5", "--data", '["a", "b"]'],
        ["--data", "[a, b]", "--max-unreadable=0.5"],
    ],
)
def test_dashes_and_underscores_and_every_kind_of_list_mean_the_same(words: list[str]) -> None:
    found = given("word", *words)
    assert (found["max_unreadable"], found["data"]) == (0.5, ["a", "b"])


@pytest.mark.parametrize("value", ["null", "1e3", "a: b", "x::y", "~", "no", "-"])
def test_a_path_is_taken_as_it_stands(value: str) -> None:
    assert given(value, "--data", value)["data"] == [value]
    assert given(value, f"--data={value}")["name"] == value


def test_a_switch_stands_alone_or_says_yes_or_no() -> None:
    assert given("word", "--data", "a", "--resume")["resume"] is True
    assert given("word", "--data", "a", "--resume", "false")["resume"] is False
    assert given("word", "--data", "a")["resume"] is False


def test_one_number_or_several() -> None:
    assert given("word", "--data", "a", "--sizes", "160")["sizes"] == 160
    assert given("word", "--data", "a", "--sizes", "160", "176")["sizes"] == [160, 176]


def test_yaml_has_the_names_of_the_code(tmp_path: Path) -> None:
    file = tmp_path / "options.yaml"
    file.write_text("max_unreadable: 0.25\ndata: [a]\n")
    assert given("word", "--config", str(file))["max_unreadable"] == 0.25
    assert given("word", "--config", str(file), "--max-unreadable", "0.5")["max_unreadable"] == 0.5


def test_help_is_a_page_one_can_read(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        given("--help")
    assert stop.value.code == 0
    page = capsys.readouterr().out
    assert page.startswith("usage: program take NAME --data X ... [options]\n")
    assert "Take what is given." in page
    assert re.search(r"--max-unreadable NUMBER\s+a share\. \(default: 0\.01\)", page)
    assert "_unreadable" not in page


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["take", "word"], 2, "data"),
        (["take", "word", "--data", "a", "--no-such", "1"], 2, "--no-such"),
        (["take", "word", "--data", "a", "--max-unreadable", "much"], 2, "max_unreadable"),
        (["tak"], 2, "Did you mean take?"),
        ([], 2, "Take what is given"),
        (["take", "bad", "--data", "a"], 1, "error: It is bad. Mend it."),
    ],
)
def test_what_is_wrong_is_said(
    words: list[str], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        got = run({"take": take}, words, program="program", about="About.")
    except SystemExit as stop:
        got = int(stop.code or 0)
    assert got == status
    assert said in capsys.readouterr().err


def page_of(main: Callable[[list[str]], int], *words: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stop:
        main([*words, "--help"])
    assert stop.value.code == 0
    return capsys.readouterr().out


TRAINING = (
    "fit evaluate predict ood push push-data audit calibrate card crossval ablate benchmark score pieces"
)


@pytest.mark.parametrize(
    ("main", "name"),
    [*((train, name) for name in TRAINING.split()), (app, "predict"), (app, "score"), (app, "key")],
)
def test_every_documented_command_has_its_page(
    main: Callable[[list[str]], int], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f" {name} " in page_of(main, name, capsys=capsys)


def test_one_program_has_all_commands_and_each_word_one_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    page = page_of(skindiseasenet.main, capsys=capsys)
    assert all(f"\n  {name} " in page for name in [*COMMANDS, "predict", "predict-archive", "key"])
    assert "PICTURES ..." in page_of(skindiseasenet.main, "predict", capsys=capsys)
    assert "--submission" in page_of(skindiseasenet.main, "score", capsys=capsys)
    assert "--split" in page_of(train, "predict", capsys=capsys), "the old name of predict-split"
    assert "--shard-size" in page_of(app, "score", capsys=capsys), "the old name of predict-archive"


def test_every_option_of_a_recipe_is_an_option_of_fit(capsys: pytest.CaptureFixture[str]) -> None:
    page = page_of(train, "fit", capsys=capsys)
    shown = set(re.findall(r"^  --([a-z0-9-]+)", page, flags=re.MULTILINE))
    assert {name.replace("_", "-") for name in vars(TrainConfig())} <= shown


def test_help_needs_no_library_of_training() -> None:
    code = (
        "import sys, skindiseasenet\n"
        "try: skindiseasenet.main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'datasets', 'gradio', 'flask'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize("recipe", ["skin22", "skin22_second"])
def test_the_recipes_of_the_embedded_checkpoint_name_what_is_not_skin(
    recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        train(["fit", "--config", str(ROOT / "train" / "configs" / f"{recipe}.yaml"), "--print-config"])
    assert stop.value.code == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["not_skin"] == ["clothing", "grocery"]
    assert TrainConfig().not_skin == [], "a data set's own sources are no default"

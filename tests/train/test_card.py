"""The model card: it repeats what was measured on this very checkpoint, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from card_made import write_measured
from huggingface_hub import ModelCard

from app.pages.about import about_html
from model.errors import DataError
from train.__main__ import main
from train.report.card import write_card


@pytest.fixture
def measured(tiny_checkpoint: Path, tmp_path: Path) -> dict[str, Path]:
    return write_measured(tiny_checkpoint, tmp_path)


def command(files: dict[str, Path]) -> list[str]:
    return ["card", *(word for name, path in files.items() for word in (f"--{name}", str(path)))]


def test_the_card_states_figures_command_and_terms(measured: dict[str, Path], tmp_path: Path) -> None:
    assert main(command(measured)) == 0
    text = (measured["checkpoint"] / "README.md").read_text()
    assert "| Balanced accuracy | 0.517 (0.400 to 0.600) |" in text
    assert (
        "| Acne | 12 (11) | 0.75 (0.51 to 0.92) | 0.57 (0.38 to 0.74) | 9 of 21 | 0.82 (0.70 to 0.93) |"
        in text
    )
    assert "| SkinCancer | 28 (9) | 16 of 28 | 9 of 12 | 16 of 19 | 0.82 |" in text
    assert "7 of 10 from clothes" in text
    assert r"| clinic\|1 | 40 (20) | 0.62 (0.47 to 0.77) | 0.10 (0.02 to 0.20) | 35 of 38 |" in text
    assert "| 5 | 6 (3) | 3 of 6 | 1 of 6 | 4 of 5 |" in text
    assert "| 0.90 | 0.65 (0.50 to 0.80) | 0.381 |" in text
    assert "Each threshold is chosen on these same pictures" in text
    assert "error 0.043, 0.061 at temperature 1; by source clinic|1 0.044." in text
    assert "Of all answers 0.38 are wrong; of the surest 48%, 0.21 (area" in text
    assert "at 2 of 3 thresholds, from 0.20 to 0.30." in text
    assert "hold the label of 92.1% of the 38 pictures that are not rejected (90% meant), with 1.6" in text
    assert "for 8 of 9 pictures of drawn (test) whose label may be cancer, and for 4 of 31 others" in text
    assert "| Source: clinic\\|1 | 8 of 9 | 0.85 (0.70 to 0.95), n = 31 |" in text
    assert "| the paper's two criteria together | 0.875 / 0.400 | 0.875 |" in text
    assert "the last three fitted on 50 pictures of skin (drawn, train)" in text
    assert "--seed 7" in text
    assert "epoch 1" in text
    assert "Drawn by tests." in text
    assert str(tmp_path) not in text

    card = ModelCard(text)
    assert card.data.license_name == "test-only"
    results = {result.metric_type: result.metric_value for result in card.data.eval_results or []}
    assert results["balanced_accuracy"] == 0.517


def test_the_card_states_the_cross_fitted_figures(measured: dict[str, Path]) -> None:
    config = measured["checkpoint"] / "config.json"
    assert main(command(measured)) == 0
    text = (measured["checkpoint"] / "README.md").read_text()
    for words in (
        "drawn, validation, n = 40",
        "error 0.123 at temperature 1, 0.045 at the fitted one",
        "of the 30 pictures that show a condition 2 rejected or called",
        "66.7% right of the 21 answers not called uncertain",
        "first for 7 of the 9 pictures whose label may be cancer, and for 6 of 31 others; each group of "
        "related pictures counting as one, sensitivity 0.78, specificity 0.85 (0.70 to 0.95);",
        "| All | 7 of 9 | 0.85 (0.70 to 0.95), n = 31 |",
        "true label in 91.4% of 38, 4.2 labels on average (true label in 91.4% of 38, 5.8 labels",
        "| clinic | 39 | 0.124 | 0.046 | 38 | 0.91 | 4.2 |",
        "| atlas | 1 | 0.300 | 0.400 | – | – | – |",
        "| 5 | 6 | 0.83 | 5.5 |",
        "the third criterion is the distance to class means, the best of 2 candidates",
        "AUROC 0.910 on grocery; chosen without a source and measured on it: 0.620 on grocery;",
    ):
        assert words in text
    assert "every label of probability" not in text  # this checkpoint has no sets

    config.write_text(config.read_text().replace('"set_quantile": 1.0', '"set_quantile": 0.97'))
    bare = {name: path for name, path in measured.items() if name in ("checkpoint", "run", "notes")}
    assert main(command(bare)) == 0
    text = (measured["checkpoint"] / "README.md").read_text()
    assert "called uncertain under 0.000, the smallest bound" in text
    assert "every label of probability 0.030 or more" in text
    assert "temperature 1," not in text


def test_what_to_expect_elsewhere_comes_before_what_was_measured_at_home(measured: dict[str, Path]) -> None:
    assert main(command(measured)) == 0
    text = (measured["checkpoint"] / "README.md").read_text()
    assert "a balanced accuracy of about 0.28" in text
    assert "| clinic | 30 | 2 | 0.31 (0.20 to 0.40) |" in text
    assert "| atlas | 9 | 2 | 0.25 |" in text
    assert "Their budget: three epochs on small pictures." in text
    assert 0 < text.index("## Photographs from elsewhere") < text.index("## Measured")

    without = {name: path for name, path in measured.items() if name != "sources"}
    assert main(command(without)) == 0
    assert "elsewhere" not in (measured["checkpoint"] / "README.md").read_text()


def test_the_page_about_the_model_shows_every_table(measured: dict[str, Path]) -> None:
    assert main(command(measured)) == 0
    card = (measured["checkpoint"] / "README.md").read_text()
    page = about_html(card)
    rules = [line for line in card.splitlines() if line.startswith("| ---")]
    assert page.count("<table>") == len(rules) >= 8
    assert "<td>clinic|1</td>" in page
    assert "<h4>drawn, test</h4>" in page


@pytest.mark.parametrize(
    ("content", "said"), [("{", "is not JSON"), ('{"rows": [], "mean": 0.3}', "has no budget")]
)
def test_a_damaged_file_is_named(
    measured: dict[str, Path], capsys: pytest.CaptureFixture[str], content: str, said: str
) -> None:
    measured["sources"].write_text(content)
    assert main(command(measured)) == 1
    assert f"sources.json {said}" in capsys.readouterr().err


def test_figures_of_another_checkpoint_are_refused(
    measured: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    config = measured["checkpoint"] / "config.json"
    config.write_text(config.read_text().replace('"temperature": 0.5', '"temperature": 0.6'))
    assert main(command(measured)) == 1
    assert "was measured on the checkpoint" in capsys.readouterr().err


def test_without_a_run_the_card_keeps_what_it_says_about_training(
    measured: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    without = {name: path for name, path in measured.items() if name != "run"}
    assert main(command(without)) == 1
    assert "no section '## Training'" in capsys.readouterr().err
    assert main(command(measured)) == 0
    before = (measured["checkpoint"] / "README.md").read_text()
    assert main(command(without)) == 0
    assert (measured["checkpoint"] / "README.md").read_text() == before


def test_the_share_of_the_initial_weights_is_told(measured: dict[str, Path]) -> None:
    stored = measured["run"] / "train_config.json"
    for share, told in ((0.0, False), (0.3, True)):
        stored.write_text(json.dumps({**json.loads(stored.read_text()), "init_share": share}))
        assert main(command(measured)) == 0
        text = (measured["checkpoint"] / "README.md").read_text()
        assert ("averaged with the initial weights, which have 30%" in text) is told
        assert ("--init-share 0.3" in text) is told


def test_a_missing_file_is_named(measured: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.json cannot be read"):
        write_card(
            checkpoint=str(measured["checkpoint"]),
            run=str(measured["run"]),
            notes=str(measured["notes"]),
            metrics=[str(tmp_path / "none.json")],
            ood=None,
            calibration=None,
            sources=None,
        )

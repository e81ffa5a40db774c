"""The model card: it repeats what was measured on this very checkpoint, and nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from app.pages.about import about_html
from model.checkpoint import fingerprint
from model.errors import DataError
from train.__main__ import main
from train.report.card import write_card

NOTES = "---\nmodel_name: Tiny\nlicense: other\nlicense_name: test-only\n---\n## Data\n\nDrawn by tests.\n"


@pytest.fixture
def measured(tiny_checkpoint: Path, tmp_path: Path) -> dict[str, Path]:
    """A checkpoint, the run that made it, and figures measured on it, as files."""
    folder = tmp_path / "tiny"
    shutil.copytree(tiny_checkpoint, folder)
    checkpoint = {"id": "tiny", "revision": fingerprint(folder)}
    figures = {
        "checkpoint": checkpoint,
        "data": "drawn",
        "split": "test",
        "n": 40,
        "accuracy": 0.625,
        "balanced_accuracy": 0.517,
        "macro_f1": 0.5,
        "top3_accuracy": 0.81,
        "ece": 0.043,
        "rejected": 0.05,
        "labels": ["Acne", "SkinCancer"],
        "confusion": [[9, 3], [12, 16]],
        "per_class": {
            "Acne": {
                "n": 12,
                "groups": 11,
                "recall": 0.75,
                "precision": 0.4286,
                "specificity": 0.5714,
                "auroc": 0.825,
                "intervals": {
                    "recall": [0.51, 0.92],
                    "precision": None,
                    "specificity": [0.38, 0.74],
                    "auroc": [0.7, 0.93],
                },
            },
            "SkinCancer": {
                "n": 28,
                "groups": 9,
                "recall": 0.5714,
                "precision": 0.8421,
                "specificity": 0.75,
                "auroc": 0.825,
                "intervals": None,
            },
        },
        "per_source": {
            "clinic|1": {
                "n": 40,
                "groups": 20,
                "accuracy": 0.625,
                "interval": [0.47, 0.77],
                "detected": 4,
                "detected_interval": [0.02, 0.2],
            }
        },
        "per_skin_type": {
            "5": {
                "n": 6,
                "groups": 3,
                "accuracy": 0.5,
                "interval": None,
                "detected": 1,
                "detected_interval": None,
            }
        },
        "malignant_sensitivity": [
            {"specificity": 0.9, "threshold": 0.381, "sensitivity": 0.654, "interval": [0.5, 0.8]}
        ],
        "reliability": {
            "bins": [],
            "ece": 0.043,
            "ece_uncalibrated": 0.061,
            "ece_by_source": {"clinic|1": {"n": 40, "ece": 0.044}},
        },
        "risk_coverage": {"coverage": [0.1, 0.48, 1.0], "risk": [0.0, 0.21, 0.375], "aurc": 0.189},
        "decision_curve": {
            "thresholds": [0.1, 0.2, 0.3],
            "net_benefit": [0.2, 0.15, 0.1],
            "treat_all": [0.25, 0.1, 0.05],
        },
        "prediction_sets": {
            "level": 0.9,
            "n": 38,
            "coverage": 0.921,
            "interval": [0.83, 0.98],
            "mean_size": 1.6,
            "per_source": {"clinic|1": {"n": 38, "coverage": 0.921, "interval": None, "mean_size": 1.6}},
            "per_skin_type": {"5": {"n": 5, "coverage": 0.8, "interval": None, "mean_size": 1.8}},
        },
        "malignant_warning": {"malignant": 9, "malignant_warned": 8, "others": 31, "others_warned": 4},
        "intervals": {"accuracy": [0.47, 0.77], "balanced_accuracy": [0.4, 0.6], "top3_accuracy": [0.7, 0.9]},
    }
    detection = {
        "checkpoint": checkpoint,
        "data": "drawn",
        "split": "test",
        "skin": {"n": 30, "detected": 2},
        "sources": {"clothes": {"n": 10, "detected": 7}},
        "detectors": {"dual_criterion": {"clothes": {"auroc": 0.875, "fpr95": 0.4}}},
        "mean_auroc": {"dual_criterion": 0.875},
        "fitted_on": {"data": "drawn", "split": "train", "n": 50},
    }
    sets = {
        "n": 38,
        "coverage": 0.914,
        "mean_size": 4.25,
        "per_source": {"clinic": {"n": 38, "coverage": 0.914, "mean_size": 4.25}},
        "per_skin_type": {"5": {"n": 6, "coverage": 0.83, "mean_size": 5.5}},
    }
    calibration = {
        "checkpoint": checkpoint,
        "data": ["drawn"],
        "split": "validation",
        "n": 40,
        "folds": 5,
        "ece": {
            "before": 0.123,
            "after": 0.045,
            "by_source": {
                "clinic": {"n": 39, "before": 0.124, "after": 0.046},
                "atlas": {"n": 1, "before": 0.3, "after": 0.4},
            },
        },
        "rejected": 0.05,
        "skin": {"n": 30, "detected": 2},
        "not_uncertain": {"n": 21, "accuracy": 0.667},
        "malignant_warning": {"malignant": 9, "malignant_warned": 7, "others": 31, "others_warned": 6},
        "prediction_sets": sets,
        "adaptive_sets": {**sets, "mean_size": 5.75},
        "detector": {
            "name": "distance to class means",
            "auroc": {"distance to class means": {"grocery": 0.91}, "nearest picture": {"grocery": 0.62}},
            "left_out": {"grocery": {"candidate": "nearest picture", "auroc": 0.62}},
        },
    }
    run = tmp_path / "run"
    run.mkdir()
    options = {
        "data": [str(tmp_path / "private" / "set")],
        "init": str(tmp_path / "w.safetensors"),
        "output": str(run),
        "seed": 7,
        "keep": 0.95,
        "uncertain_accuracy": 0.7,
        "epochs": 3,
    }
    history = [
        {"epoch": 1, "balanced_accuracy": 0.4, "seconds": 60},
        {"epoch": 2, "balanced_accuracy": 0.3, "seconds": 60},
    ]
    (run / "train_config.json").write_text(json.dumps(options))
    (run / "epochs.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in history))
    elsewhere = {
        "rows": [
            {"source": "clinic", "n": 30, "classes": 2, "balanced_accuracy": 0.31, "interval": [0.2, 0.4]},
            {"source": "atlas", "n": 9, "classes": 2, "balanced_accuracy": 0.25, "interval": None},
        ],
        "mean": 0.28,
        "budget": "three epochs on small pictures",
    }
    files = {"checkpoint": folder, "run": run, "notes": tmp_path / "notes.md"}
    files["notes"].write_text(NOTES)
    for name, content in (
        ("metrics", figures),
        ("ood", detection),
        ("calibration", calibration),
        ("sources", elsewhere),
    ):
        files[name] = tmp_path / f"{name}.json"
        files[name].write_text(json.dumps(content))
    return files


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
        "first for 7 of the 9 pictures whose label may be cancer, and for 6 of 31 others",
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

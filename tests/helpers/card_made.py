"""What a model card is made of: a checkpoint, its run, and made-up figures that name it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from model.checkpoint import fingerprint

NOTES = "---\nmodel_name: Tiny\nlicense: other\nlicense_name: test-only\n---\n## Data\n\nDrawn by tests.\n"


def reached(malignant: int, others: int) -> dict[str, object]:
    """A ``malignant_warning`` of 9 pictures that may be cancer and 31 others, without its parts."""
    return {
        "malignant": 9,
        "malignant_warned": malignant,
        "others": 31,
        "others_warned": others,
        "sensitivity": malignant / 9,
        "sensitivity_interval": None,
        "specificity": 0.85,
        "specificity_interval": [0.7, 0.95],
    }


def write_measured(tiny_checkpoint: Path, tmp_path: Path) -> dict[str, Path]:
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
                "balanced_accuracy": 0.517,
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
                "balanced_accuracy": 0.5,
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
            "empty_or_single": 0.5,
            "per_source": {"clinic|1": {"n": 38, "coverage": 0.921, "interval": None, "mean_size": 1.6}},
            "per_skin_type": {"5": {"n": 5, "coverage": 0.8, "interval": None, "mean_size": 1.8}},
        },
        "malignant_warning": {
            **reached(8, 4),
            "per_source": {"clinic|1": reached(8, 4)},
            "per_skin_type": {},
        },
        "intervals": {"accuracy": [0.47, 0.77], "balanced_accuracy": [0.4, 0.6], "top3_accuracy": [0.7, 0.9]},
        "unreadable": [],
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
        "aims": {"keep": 0.95, "uncertain_accuracy": 0.7, "malignant_sensitivity": 0.95},
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
        "malignant_warning": {
            **reached(7, 6),
            "per_source": {"clinic|1": reached(7, 6)},
            "per_skin_type": {},
        },
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

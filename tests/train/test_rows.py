"""Checking rows: every command rejects unreadable, unlabelled and changed pictures alike."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest
import yaml
from accelerate.state import AcceleratorState
from datasets_made import make_rows, write_parquet
from runs_made import options
from test_ablation import PLAN, RECIPE
from test_crossval import command as crossval

from model.errors import ConfigError, DataError
from model.labels import LABELS
from train.__main__ import main
from train.audit.run import audit
from train.config import TrainConfig
from train.data.rows import admit, fingerprint, open_rows
from train.data.splits import load_split
from train.finish import fit_checkpoint as fit

FOUR = [*LABELS[:3], "Unknown_Normal"]
SPLITS = ("train", "validation", "test")


def write(folder: Path, rows: list[dict], labels: list[int | None] | None = None) -> Path:
    """The same rows as every split; ``labels`` are numbers as they are stored, -1 included."""
    if labels is None:
        for split in SPLITS:
            write_parquet(folder / f"{split}.parquet", rows, names=FOUR)
        return folder
    types = {"image": datasets.Image(), "label": datasets.ClassLabel(names=FOUR)}
    features = datasets.Features({**types, "source": datasets.Value("string")})
    columns = {name: [row[name] for row in rows] for name in ("image", "source")}
    for split in SPLITS:
        table = datasets.Dataset.from_dict({**columns, "label": labels}, features=features)
        folder.mkdir(parents=True, exist_ok=True)
        table.to_parquet(folder / f"{split}.parquet")
    return folder


def unlabelled(folder: Path) -> Path:
    rows = make_rows(32, labels=FOUR)
    return write(folder, rows, [-1 if row == 5 else FOUR.index(rows[row]["label"]) for row in range(32)])


def unreadable(folder: Path) -> Path:
    rows = make_rows(32, labels=FOUR)
    rows[5]["image"]["bytes"] = b"no picture"
    return write(folder, rows)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of four classes."""
    AcceleratorState._reset_state(reset_partial_state=True)
    folder = tmp_path_factory.mktemp("four")
    data = write(folder / "data", make_rows(32, labels=FOUR))
    return fit(options(data, folder / "run", labels=FOUR))


def words(verb: str, data: Path, checkpoint: Path, output: Path) -> list[str]:
    """A command line that would succeed on data without faults."""
    measured = [verb, f"--checkpoint={checkpoint}", "--split=test", "--device=cpu", f"--output={output}"]
    if verb == "ablate":
        plan = output.parent / "plan.yaml"
        sections = [{"title": "One", "rows": {"plain": {}}}]
        recipe = {**RECIPE, "labels": FOUR, "epochs": 1}
        plan.write_text(yaml.safe_dump({**PLAN, "options": recipe, "sections": sections}))
        found = ["ablate", f"--plan={plan}", "--init=random", f"--output={output}", f"--maps={output}/maps"]
        return [*found, f"--report={output}/table.md", "--data", str(data)]
    if verb == "crossval":
        return [*crossval(data, output, "--epochs", "1"), "--labels", json.dumps(FOUR)]
    if verb == "fit":
        found = ["fit", f"--output={output}", "--init=random", f"--labels={json.dumps(FOUR)}", "--head=pool"]
        found += ["--backbone=test_resnet", "--input_size=32", "--train_size=32", '--trainable=["*"]']
        return [
            *found,
            "--epochs=1",
            "--batch_size=8",
            "--num_workers=0",
            "--device=cpu",
            "--data",
            str(data),
        ]
    if verb == "calibrate":
        copy = output.parent / "checkpoint"
        shutil.copytree(checkpoint, copy)
        return ["calibrate", f"--checkpoint={copy}", "--split=test", "--device=cpu", "--data", str(data)]
    return [*measured, f"--data={data}", *([f"--ood={data}"] if verb == "ood" else [])]


VERBS = ("fit", "crossval", "ablate", "calibrate", "evaluate", "ood")


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("fault", "message"),
    [(unlabelled, "1 of 32 rows of .* have no label"), (unreadable, "1 of 32 pictures of .* are unreadable")],
)
def test_every_command_turns_away_what_it_cannot_use(
    verb: str,
    fault: Callable[[Path], Path],
    message: str,
    checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = words(verb, fault(tmp_path / "data"), checkpoint, tmp_path / "output")
    assert main(line) == 1
    assert re.search(rf"error: {message}", capsys.readouterr().err)


@pytest.mark.parametrize("verb", [*VERBS, "predict"])
def test_every_command_turns_away_what_does_not_match_its_manifest(
    verb: str, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "data", make_rows(32, labels=FOUR))
    audit(data=[str(data)], output=str(tmp_path / "audit"))
    write(data, make_rows(32, labels=FOUR, seed=1))
    manifest = tmp_path / "audit" / "manifest.csv"
    line = words(verb, data, checkpoint, tmp_path / "output")
    if verb == "ablate":
        plan = yaml.safe_load((tmp_path / "plan.yaml").read_text())
        plan["options"]["manifest"] = str(manifest)
        (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan))
    else:
        line.append(f"--manifest={manifest}")
    assert main(line) == 1
    assert "error: The pictures are not those of" in capsys.readouterr().err


def test_predict_matches_a_manifest_without_needing_labels(checkpoint: Path, tmp_path: Path) -> None:
    data = write(tmp_path / "data", make_rows(32, labels=FOUR))
    audit(data=[str(data)], output=str(tmp_path / "audit"))
    line = words("predict", data, checkpoint, tmp_path / "out.csv")
    assert main([*line, f"--manifest={tmp_path / 'audit' / 'manifest.csv'}"]) == 0


@pytest.mark.parametrize("limit", [-0.1, 1.5, float("nan")])
def test_a_limit_that_is_no_share_is_refused(limit: float, tmp_path: Path) -> None:
    write(tmp_path, make_rows(8, labels=FOUR))
    with pytest.raises(ConfigError, match="a share from 0 to 1"):
        open_rows([str(tmp_path)], "test", labels=FOUR, max_unreadable=limit)


def test_a_split_without_a_picture_that_can_be_used_is_refused(tmp_path: Path) -> None:
    rows = make_rows(3, labels=FOUR)
    for row in rows:
        row["image"]["bytes"] = b"no picture"
    write(tmp_path, rows)
    with pytest.raises(DataError, match="No picture in test can be used"):
        open_rows([str(tmp_path)], "test", labels=FOUR, max_unreadable=1)


def test_a_fingerprint_changes_with_a_label_a_group_and_a_picture(tmp_path: Path) -> None:
    def of(rows: list[dict]) -> str:
        write(tmp_path, rows)
        return fingerprint(load_split([str(tmp_path)], "train", labels=FOUR, strict=False))

    rows = make_rows(8, labels=FOUR)
    first = of(rows)
    assert of(make_rows(8, labels=FOUR)) == first
    relabelled, regrouped, redrawn = ([dict(row) for row in rows] for _ in range(3))
    relabelled[0]["label"] = FOUR[3]
    regrouped[0]["group"] = "another"
    redrawn[0]["image"] = make_rows(1, labels=FOUR, seed=5)[0]["image"] | {"path": "0-0.jpg"}
    assert len({first, of(relabelled), of(regrouped), of(redrawn)}) == 4


def test_an_ablation_does_not_learn_from_the_maps_of_pictures_that_have_changed(
    checkpoint: Path, tmp_path: Path
) -> None:
    line = words("ablate", write(tmp_path / "data", make_rows(32, labels=FOUR)), checkpoint, tmp_path / "out")
    assert main(line) == 0
    write(tmp_path / "data", make_rows(32, labels=FOUR, seed=1))
    first = {file: file.stat().st_mtime_ns for file in (tmp_path / "out" / "maps").rglob("*.npy")}
    next((tmp_path / "out").glob("*.json")).unlink()
    assert main(line) == 0
    assert len(list((tmp_path / "out" / "maps").rglob("*.npy"))) == 2 * len(first)


def test_unreadable_pictures_are_skipped_counted_and_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = make_rows(20, labels=FOUR)
    rows[3]["image"]["bytes"] = rows[3]["image"]["bytes"][:200]
    rows[7]["image"]["bytes"] = b"a text renamed"
    rows[9]["image"] = None
    write_parquet(tmp_path / "train.parquet", rows, names=FOUR)
    loaded = load_split([str(tmp_path)], "train", labels=FOUR)
    left, bad = admit(loaded, what="train", max_unreadable=0.15)
    assert list(left["id"]) == [f"0-{row}.jpg" for row in range(20) if row not in (3, 7, 9)]
    assert [(entry["row"], entry["id"]) for entry in bad] == [(3, "0-3.jpg"), (7, "0-7.jpg"), (9, "9")]
    assert json.loads(json.dumps(bad)) == bad
    said = capsys.readouterr()
    assert all(entry["problem"] in said.out + said.err for entry in bad)
    assert "3 of 20 pictures of train are unreadable" in said.out + said.err
    with pytest.raises(DataError, match=r"3 of 20 pictures of train are unreadable; at most 10.0% may be"):
        admit(loaded, what="train", max_unreadable=0.1)


def test_one_unreadable_picture_in_a_hundred_is_let_pass_by_default() -> None:
    assert TrainConfig().max_unreadable == 0.01

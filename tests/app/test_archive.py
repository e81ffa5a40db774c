"""What counts as a picture of an archive: each file once, whatever links and names there are."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import encode, make_picture

from app.__main__ import main
from app.bulk.actor import Scorer, is_scored, result, sent
from app.bulk.archive import Archive, Place
from app.bulk.run import PLAN
from app.predictor import Predictor
from model.checkpoint import fingerprint
from model.errors import CheckpointError

PHOTO = encode(make_picture())


def put(path: Path, data: bytes = PHOTO) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def paths(folder: Path) -> list[str]:
    archive = Archive(Place.parse(str(folder)))
    return [path for shard in archive.shards(size=2, salt="") for path, _ in archive.read(shard)]


def test_links_in_a_circle_lead_nowhere_twice(tmp_path: Path) -> None:
    put(tmp_path / "in" / "a.jpg")
    put(tmp_path / "in" / "deep" / "b.jpg")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "deep" / "up").symlink_to("..")
    (tmp_path / "in" / "self").symlink_to("self")
    assert paths(tmp_path / "in") == ["a.jpg", "deep/b.jpg", "self"]


def test_a_folder_that_is_linked_twice_is_read_once_and_under_its_own_name_where_it_has_one(
    tmp_path: Path,
) -> None:
    put(tmp_path / "elsewhere" / "a.jpg")
    put(tmp_path / "in" / "real" / "b.jpg")
    (tmp_path / "in" / "first").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "second").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "alias").symlink_to("real")
    assert paths(tmp_path / "in") == ["first/a.jpg", "real/b.jpg"]
    (tmp_path / "link").symlink_to(tmp_path / "in")
    assert paths(tmp_path / "link") == ["first/a.jpg", "real/b.jpg"]


def test_what_is_no_file_is_left_out_and_a_broken_link_is_told(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "broken.jpg").symlink_to("nowhere")
    (tmp_path / "linked.jpg").symlink_to("a.jpg")
    archive = Archive(Place.parse(str(tmp_path)))
    read = {path: fetch for shard in archive.shards(size=9, salt="") for path, fetch in archive.read(shard)}
    assert read.keys() == {"a.jpg", "broken.jpg", "linked.jpg"}
    assert read["linked.jpg"]() == PHOTO
    with pytest.raises(OSError, match="No such file"):
        read["broken.jpg"]()


def test_names_that_cameras_give_are_pictures_and_marks_of_programs_are_not(tmp_path: Path) -> None:
    names = ["IMG_1.JPG", "_DSC0002.JPG", "_MG_1.jpg", "_roll/1.jpg"]
    for name in [*names, "_SUCCESS", ".DS_Store", ".thumbs/1.jpg", "__MACOSX/._IMG_1.JPG"]:
        put(tmp_path / name)
    assert paths(tmp_path) == names


def odd_archive(tmp_path: Path) -> Path:
    """Two pictures in a folder whose names are not UTF-8."""
    folder = tmp_path / os.fsdecode(b"in\xff")
    put(folder / os.fsdecode(b"b\xe9.jpg"))
    put(folder / "a.jpg")
    return folder


def score_with(archive: Archive, target: Place, checkpoint: Path, revision: str) -> Scorer:
    return Scorer(archive, target, str(checkpoint), revision, device="cpu", runtime="torch", cores=1)


def scored(folder: Path, output: Path, checkpoint: Path) -> tuple[Archive, Place, Scorer]:
    archive, target = Archive(Place.parse(str(folder))), Place.parse(str(output))
    scorer = score_with(archive, target, checkpoint, fingerprint(checkpoint))
    for shard in archive.shards(size=9, salt=""):
        scorer(sent(shard))
    return archive, target, scorer


def test_names_that_are_no_utf8_are_carried(tmp_path: Path, tiny_checkpoint: Path) -> None:
    scored(odd_archive(tmp_path), tmp_path / "out", tiny_checkpoint)
    rows = pq.read_table(tmp_path / "out").to_pylist()
    assert [row["path"] for row in rows] == ["a.jpg", r"b\xe9.jpg"]
    assert all(row["verdict"] and row["error"] is None for row in rows)


def test_a_row_says_what_a_prediction_says(tmp_path: Path, opinionated: Path) -> None:
    dark = encode(make_picture(seed=5).point(lambda value: value // 8))
    put(tmp_path / "in" / "dark.jpg", dark)
    put(tmp_path / "in" / "note.txt", b"no picture")
    scored(tmp_path / "in", tmp_path / "out", opinionated)
    row, bad = pq.read_table(tmp_path / "out").to_pylist()
    expected = Predictor.from_checkpoint(str(opinionated), runtime="torch").predict(dark)
    assert row["verdict"] == expected.verdict
    assert row["quality"] == [warning.name for warning in expected.quality]
    assert "too_dark" in row["quality"]
    assert expected.malignancy is not None
    assert row["malignancy_probability"] == pytest.approx(expected.malignancy.probability, abs=1e-6)
    assert row["malignancy_fired"] is expected.malignancy.fired
    assert row["prediction_set"] == (expected.prediction_set and list(expected.prediction_set))
    assert bad["error"]
    assert all(value is None for name, value in bad.items() if name not in ("path", "error"))


def test_a_result_that_is_cut_off_or_damaged_is_not_taken_for_one(
    tmp_path: Path, tiny_checkpoint: Path
) -> None:
    put(tmp_path / "in" / "a.jpg")
    archive, target, scorer = scored(tmp_path / "in", tmp_path / "out", tiny_checkpoint)
    (shard,) = archive.shards(size=9, salt="")
    part = Path(result(target, shard).path)
    whole = part.read_bytes()
    assert is_scored(target, shard)
    damaged = bytearray(whole)
    damaged[whole.index(b"a.jpg", 4)] ^= 1
    for data in (b"", whole[:300], bytes(damaged)):
        part.write_bytes(data)
        assert not is_scored(target, shard)
    scorer(sent(shard))
    assert is_scored(target, shard)
    part.unlink()
    assert not is_scored(target, shard)


def test_a_checkpoint_that_changes_on_the_way_ends_the_run(tmp_path: Path, tiny_checkpoint: Path) -> None:
    put(tmp_path / "in" / "a.jpg")
    archive, target = Archive(Place.parse(str(tmp_path / "in"))), Place.parse(str(tmp_path / "out"))
    with pytest.raises(CheckpointError, match="this run began with sha256:0123456789ab"):
        score_with(archive, target, tiny_checkpoint, "sha256:0123456789ab")


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)


@pytest.mark.usefixtures("no_ray")
@pytest.mark.parametrize("damage", [lambda text: text[:40], lambda text: "", lambda text: "[" * 100_000])
def test_a_plan_that_is_cut_off_is_written_anew_and_results_of_another_run_still_refused(
    damage: object, tmp_path: Path, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / "in" / "a.jpg")
    words = ["score", f"--input={tmp_path / 'in'}", f"--output={tmp_path / 'out'}"]
    words += [f"--checkpoint={tiny_checkpoint}", "--device=cpu"]
    plan = tmp_path / "out" / PLAN
    assert main(words) == 1
    whole = plan.read_text()
    plan.write_text(damage(whole))  # type: ignore[operator]
    assert main(words) == 1
    assert "requirements-scale.txt" in capsys.readouterr().err, "it went on as far as it could without Ray"
    assert plan.read_text() == whole
    plan.write_text(damage(whole))  # type: ignore[operator]
    put(tmp_path / "out" / "part-0123456789abcdef.parquet")
    assert main(words) == 1
    assert "results of another run (1 files that this run would not write" in capsys.readouterr().err


def test_an_output_whose_name_is_no_utf8_is_refused(
    tmp_path: Path, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / "in" / "a.jpg")
    words = ["score", "--input", str(tmp_path / "in"), "--output", os.fsdecode(b"out\xff")]
    assert main([*words, f"--checkpoint={tiny_checkpoint}"]) == 1
    assert r"out\xff is not UTF-8" in capsys.readouterr().err

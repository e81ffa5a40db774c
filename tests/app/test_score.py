"""``python -m app predict-archive``: every picture of an archive once, whatever is killed on the way."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT, encode, make_picture
from datasets_made import make_parquet

from app.__main__ import main
from app.bulk.archive import Archive, Place
from app.predictor import Predictor

SHARD = 8


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders, a table as the Hub has them, and what archives hold besides: 404 entries."""
    folder = tmp_path_factory.mktemp("archive") / "in"
    for number in range(300):
        file = folder / f"{number % 3}" / f"{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encode(make_picture(seed=number)))
    (folder / "cut.jpg").write_bytes(encode(make_picture())[:400])
    (folder / "empty.png").touch()
    (folder / "note.txt").write_text("not a picture")
    (folder / "torn.parquet").write_bytes(b"PAR1 torn")
    (folder / ".hidden.jpg").write_bytes(b"left out")
    make_parquet(folder / "table", {"test": 100})
    return folder


def entries(folder: Path) -> list[str]:
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    plain = [str(path) for path in files if not path.name.startswith(".") and path.parent.name != "table"]
    return sorted([*plain, *(f"table/test-00000-of-00001.parquet#{row}" for row in range(100))])


def command(archive: Path, output: Path, checkpoint: Path) -> list[str]:
    words = [sys.executable, "-m", "app", "score", "--input", str(archive), "--output", str(output)]
    words += ["--checkpoint", str(checkpoint), "--device", "cpu", "--actors", "2", "--cores", "1"]
    return [*words, "--shard-size", str(SHARD)]


@contextmanager
def scoring(words: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "RAY_worker_niceness": "0"}
    with open(log, "wb") as errors, open(log.with_suffix(".out"), "wb") as out:
        process = subprocess.Popen(
            words, cwd=ROOT, env=environment, stdout=out, stderr=errors, start_new_session=True
        )
    try:
        yield process
    finally:
        for one in [*psutil.Process(process.pid).children(recursive=True), process] if alive(process) else []:
            one.kill()
        process.wait()


def alive(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is None


def parts(output: Path) -> dict[str, int]:
    """Finished shards and when they were written."""
    return {path.name: path.stat().st_mtime_ns for path in output.glob("part-*.parquet")}


def wait_for(process: subprocess.Popen[bytes], log: Path, what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 200
    while not what():
        assert alive(process), log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.01)


def actors(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    found = psutil.Process(process.pid).children(recursive=True)
    return [child for child in found if "MapWorker" in " ".join(child.cmdline())]


def test_every_picture_comes_once_though_the_driver_and_an_actor_are_killed(
    archive: Path, tiny_checkpoint: Path, predictor: Predictor, tmp_path: Path
) -> None:
    output, log = tmp_path / "out", tmp_path / "log"
    words = command(archive, output, tiny_checkpoint)
    shards = -(-304 // SHARD) + -(-100 // SHARD)

    with scoring(words, log) as process:
        wait_for(process, log, lambda: len(parts(output)) >= 3)
        workers = psutil.Process(process.pid).children(recursive=True)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    # What Ray had started ends by itself once the driver is gone, within its own time.
    for worker in psutil.wait_procs(workers, timeout=5)[1]:
        worker.kill()
    finished = parts(output)
    assert 3 <= len(finished) < shards, "the kill was meant to hit the middle"

    with scoring(words, log) as process:
        wait_for(process, log, lambda: len(parts(output)) >= len(finished) + 3)
        before = actors(process)
        assert len(before) == 2
        before[0].kill()
        assert len(parts(output)) < shards - 4, "the kill was meant to hit the middle"
        process.wait(timeout=200)
    assert process.returncode == 0, log.read_text()
    assert "404/404" in log.read_text()
    assert "Traceback" not in log.read_text()
    assert parts(output).items() >= finished.items(), "a finished shard was done again"
    assert not (output / "_partial").exists()

    table = pq.read_table(output)
    rows = {row["path"]: row for row in table.to_pylist()}
    assert sorted(table["path"].to_pylist()) == entries(archive)
    bad = {path: row["error"] for path, row in rows.items() if row["error"] is not None}
    assert bad.keys() == {"cut.jpg", "empty.png", "note.txt", "torn.parquet"}
    assert "cut off or damaged" in bad["cut.jpg"]
    assert all(rows[path]["verdict"] is None for path in bad)
    answer = json.loads(log.with_suffix(".out").read_text())
    assert answer["unreadable"] == 4
    assert sum(answer.values()) == 404
    stored = pq.read_table(archive / "table" / "test-00000-of-00001.parquet")["image"].to_pylist()
    for path, data in {
        "0/3.jpg": (archive / "0" / "3.jpg").read_bytes(),
        "table/test-00000-of-00001.parquet#97": stored[97]["bytes"],
    }.items():
        expected = predictor.predict(data)
        assert rows[path]["verdict"] == expected.verdict
        for one in expected.conditions:
            assert rows[path][f"probability_{one.name}"] == pytest.approx(one.probability, abs=1e-5)


def score(archive: Path, output: Path, checkpoint: Path, *more: str) -> int:
    return main([*command(archive, output, checkpoint)[3:], *more])


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)


@pytest.mark.usefixtures("no_ray")
def test_without_ray_the_command_names_what_to_install(
    archive: Path, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(archive, tmp_path / "out", tiny_checkpoint) == 1
    assert "requirements-scale.txt" in capsys.readouterr().err


@pytest.mark.usefixtures("no_ray")
def test_results_of_another_archive_are_not_mixed_in(
    tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(encode(make_picture()))
    score(folder, tmp_path / "out", tiny_checkpoint)
    capsys.readouterr()
    assert score(folder, tmp_path / "out", tiny_checkpoint, "--shard-size", "4") == 1
    assert "shard_size was 8 and is 4" in capsys.readouterr().err
    (folder / "a.jpg").write_bytes(encode(make_picture(100, 100)))
    assert score(folder, tmp_path / "out", tiny_checkpoint) == 1
    assert "names or sizes of the pictures" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--input", "nowhere"], "cannot be listed"),
        (["--input", "gopher://x/y"], "cannot be opened"),
        (["--actors", "0"], "--actors is 0"),
        (["--checkpoint", "nowhere"], "no folder nowhere"),
    ],
)
def test_wrong_options_are_named(
    more: list[str],
    message: str,
    archive: Path,
    tiny_checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert score(archive, tmp_path / "out", tiny_checkpoint, *more) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_output_inside_the_input_is_refused(
    archive: Path, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(archive, archive / "scores", tiny_checkpoint) == 1
    assert "lies in the input" in capsys.readouterr().err
    assert not (archive / "scores").exists()


def table_of(file: Path, pictures: list[bytes], *, group: int) -> Archive:
    content = pa.table({"image": [{"bytes": data, "path": None} for data in pictures]})
    pq.write_table(content, file, row_group_size=group, compression="none")
    return Archive(Place.parse(str(file)))


@pytest.mark.parametrize("group", [3, 20, 100])
@pytest.mark.parametrize("size", [1, 7, 50])
def test_shards_of_a_table_hold_every_row_once(group: int, size: int, tmp_path: Path) -> None:
    pictures = [b"picture %d" % number for number in range(41)]
    archive = table_of(tmp_path / "t.parquet", pictures, group=group)
    read = [pair for shard in archive.shards(size=size, salt="") for pair in archive.read(shard)]
    assert [path for path, _ in read] == [f"t.parquet#{row}" for row in range(41)]
    assert [fetch() for _, fetch in read] == pictures


def test_a_table_that_is_damaged_in_the_middle_loses_only_the_rows_that_it_must(tmp_path: Path) -> None:
    file = tmp_path / "t.parquet"
    archive = table_of(file, [b"picture %d" % number * 20 for number in range(20)], group=10)
    content = bytearray(file.read_bytes())
    start = pq.ParquetFile(io.BytesIO(content)).metadata.row_group(1).column(0).data_page_offset
    content[start : start + 40] = b"\xff" * 40
    file.write_bytes(content)
    read = [pair for shard in archive.shards(size=4, salt="") for pair in archive.read(shard)]
    assert [path for path, _ in read] == [f"t.parquet#{row}" for row in range(20)]
    assert read[9][1]().startswith(b"picture 9")
    for _, fetch in read[10:]:
        with pytest.raises(Exception, match="cannot be read from row 1"):
            fetch()


def test_a_table_without_pictures_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"photo": [b"x"]}), tmp_path / "t.parquet")
    with pytest.raises(Exception, match="no column 'image'; its columns are: photo"):
        Archive(Place.parse(str(tmp_path))).shards(size=4, salt="")

"""Hostile and odd files at the decoder, the predictor and a running server: each gets its answer, soon."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import hostile_newer
import pytest
from corpus import CASES
from hostile import BMP, GIF, JPEG, PNG, PROGRESSIVE, WEBP, WORKS, Case
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from app.predictor import Predictor
from model.errors import ImageError
from model.image import read_image
from model.image.container import exif_orientation

ROOT = Path(__file__).resolve().parents[2]
STATUS = {WORKS: 200, "empty_image": 400, "image_too_large": 413, "unsupported_format": 415}
SECONDS, MEGABYTES = 2.0, 600
FILES = {"JPEG": JPEG, "progressive": PROGRESSIVE, "PNG": PNG, "GIF": GIF, "WebP": WEBP, "BMP": BMP}
FILES |= hostile_newer.FILES

READ_ALL = """
import sys
from pathlib import Path
from model.errors import ImageError
from model.image import read_image
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        read_image(path.read_bytes(), target_side=448)
    except ImageError:
        pass
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def test_the_corpus_is_large_and_its_names_differ() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 190


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_each_gets_its_answer_from_the_predictor(case: Case, predictor: Predictor) -> None:
    data = case.data()
    started = time.process_time()
    if case.expected == WORKS:
        assert predictor.predict(data).verdict in ("condition", "uncertain", "no_condition", "rejected")
    else:
        with pytest.raises(ImageError) as caught:
            predictor.predict(data)
        assert caught.value.code == case.expected
        assert caught.value.hint.endswith(".")
    assert time.process_time() - started < SECONDS


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of memory from /proc")
def test_all_together_stay_within_the_memory(tmp_path: Path) -> None:
    for number, case in enumerate(CASES):
        (tmp_path / f"{number:03}").write_bytes(case.data())
    command = [sys.executable, "-c", READ_ALL, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) / 1024 < MEGABYTES


def ask(address: str, data: bytes, **parameters: str) -> tuple[int, dict]:
    """The status and the JSON that the running server answers."""
    request = urllib.request.Request(
        f"{address}/api/v1/predict?{urllib.parse.urlencode(parameters)}",
        data=data,
        headers={"Content-Type": "application/octet-stream"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_each_gets_its_answer_from_a_running_server(flask_address: str) -> None:
    for case in CASES:
        status, answer = ask(flask_address, case.data())
        assert status == STATUS.get(case.expected, 422), case.name
        if case.expected == WORKS:
            assert "verdict" in answer, case.name
        else:
            assert set(answer) == {"error"}, case.name
            assert set(answer["error"]) == {"code", "message", "hint"}, case.name
            assert answer["error"]["code"] == case.expected, case.name
    assert ask(flask_address, JPEG)[0] == 200, "and it still serves"


@settings(max_examples=40, deadline=None)
@given(
    name=st.text(max_size=12), value=st.text(max_size=60), others=st.lists(st.text(max_size=8), max_size=3)
)
def test_any_parameter_gets_an_answer_in_one_of_two_shapes(
    flask_address: str, name: str, value: str, others: list[str]
) -> None:
    for parameters in ({name: value}, {"heatmap": value}, dict.fromkeys(["heatmap", *others], value)):
        status, answer = ask(flask_address, JPEG, **parameters)
        if status == 200:
            assert (answer["heatmap"] is not None) == (parameters.get("heatmap") in ("1", "true"))
        else:
            assert status == 400
            assert answer["error"]["code"] == "invalid_parameter"


@settings(max_examples=150, deadline=None)
@given(data=st.data(), kind=st.sampled_from(sorted(FILES)))
def test_files_cut_and_glued_together_decode_or_are_refused(data: st.DataObject, kind: str) -> None:
    """Pieces of files in any order: what takes metadata off must see no other file than the decoder does."""
    pieces = [FILES[kind]]
    for _ in range(data.draw(st.integers(1, 3))):
        other = FILES[data.draw(st.sampled_from(sorted(FILES)))]
        start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(other))] * 2)))
        place = data.draw(st.integers(0, len(pieces[-1])))
        pieces.append(pieces[-1][:place] + other[start:end] + pieces[-1][place:])
    try:
        image = read_image(pieces[-1])
    except ImageError:
        return
    assert image.mode == "RGB"
    assert not image.info


@settings(max_examples=100, deadline=None)
@given(
    st.binary(max_size=80), st.sampled_from([b"", b"Exif\0\0"]), st.sampled_from([b"II*\0", b"MM\0*", b""])
)
def test_any_block_of_exif_gives_an_orientation(block: bytes, head: bytes, order: bytes) -> None:
    assert 1 <= exif_orientation(head + order + block) <= 8


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_orientation_is_the_one_that_pillow_reads(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Somebody's camera"
    exif[ExifTags.Base.Orientation] = orientation
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExposureTime] = 0.5
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48)).save(buffer, kind, exif=exif)
    with Image.open(buffer) as image:
        assert (
            exif_orientation(image.info["exif"]) == image.getexif()[ExifTags.Base.Orientation] == orientation
        )
    assert read_image(buffer.getvalue()).size == ((48, 64) if orientation > 4 else (64, 48))

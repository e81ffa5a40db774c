"""Coverage-guided fuzzing of the one decoder: ``python tests/fuzz_decoder.py CORPUS -runs=1000000``.

A case fails if `read_image`, asked for a reduced scale as in serving, raises anything but `ImageError`,
returns what is no plain RGB picture, or takes over two seconds of processor time, which other work on the
machine does not stretch as it does ``-timeout``. ``-rss_limit_mb=600`` bounds the memory. A new CORPUS folder
is filled with the small files of ``tests/helpers/corpus.py``.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

with atheris.instrument_imports(include=["PIL", "pi_heif", "model.image"]):
    from model.errors import ImageError
    from model.image import MIN_SIDE, read_image

LARGEST_SEED = "4096"
SECONDS = 2.0
TARGETS = (448, 1024)


def one_case(data: bytes) -> None:
    """Decodes once; libFuzzer calls it."""
    started = time.process_time()
    try:
        picture = read_image(data, target_side=TARGETS[len(data) % 2])
    except ImageError:
        return
    finally:
        taken = time.process_time() - started
        assert taken < SECONDS, f"took {taken:.1f} s"
    assert picture.mode == "RGB"
    assert min(picture.size) >= MIN_SIDE
    assert not picture.info


def main() -> None:
    """Fills a new corpus folder and starts."""
    folders = [Path(word) for word in sys.argv[1:] if not word.startswith("-")]
    if folders and not (folders[0].is_dir() and any(folders[0].iterdir())):
        folders[0].mkdir(parents=True, exist_ok=True)
        # In a process of its own: some of the files take more memory to make than a case may.
        writer = Path(__file__).parent / "helpers" / "corpus.py"
        subprocess.run([sys.executable, str(writer), str(folders[0]), LARGEST_SEED], check=True)
    atheris.Setup(sys.argv, one_case)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

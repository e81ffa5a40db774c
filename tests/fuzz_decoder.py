"""Coverage-guided fuzzing of the one decoder: ``python tests/fuzz_decoder.py CORPUS -runs=1000000``.

libFuzzer's options bound what a case may take: ``-timeout=2`` (s), ``-rss_limit_mb=600``. A case fails if
`read_image` raises anything but `ImageError`, or returns what is no plain RGB picture. A new CORPUS folder is
filled with the small ones of ``tests/hostile.py``; every other call decodes at reduced scale.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

with atheris.instrument_imports(include=["PIL", "model.image", "model.container"]):
    from model.errors import ImageError
    from model.image import MIN_SIDE, read_image

LARGEST_SEED = "4096"


def one_case(data: bytes) -> None:
    """Decodes once; libFuzzer calls it."""
    try:
        picture = read_image(data, target_side=256 if len(data) % 2 else None)
    except ImageError:
        return
    assert picture.mode == "RGB"
    assert min(picture.size) >= MIN_SIDE
    assert not picture.info


def main() -> None:
    """Fills a new corpus folder and starts."""
    folders = [Path(word) for word in sys.argv[1:] if not word.startswith("-")]
    if folders and not (folders[0].is_dir() and any(folders[0].iterdir())):
        folders[0].mkdir(parents=True, exist_ok=True)
        # In a process of its own: some of the files take more memory to make than a case may.
        command = [sys.executable, str(Path(__file__).with_name("hostile.py")), str(folders[0]), LARGEST_SEED]
        subprocess.run(command, check=True)
    atheris.Setup(sys.argv, one_case)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

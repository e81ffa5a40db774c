"""All hostile and odd files.

``python tests/helpers/corpus.py FOLDER LARGEST`` writes those of at most LARGEST bytes, to seed a fuzzer.
"""

from __future__ import annotations

import sys
from pathlib import Path

import hostile
import hostile_newer

CASES = (*hostile.CASES, *hostile_newer.CASES)

if __name__ == "__main__":
    for number, case in enumerate(CASES):
        if len(seed := case.data()) <= int(sys.argv[2]):
            (Path(sys.argv[1]) / f"seed-{number:03}").write_bytes(seed)

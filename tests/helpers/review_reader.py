"""A process that reads all cases of a review queue: ``review_reader.py URL KEY_FILE READER``.

Prints the number of each case after its reading is confirmed.
"""

import sys
from pathlib import Path

from app.review.store import Store


def main(url: str, key_file: str, reader: str) -> None:
    store = Store(url, Path(key_file))
    print("open", flush=True)
    while waiting := store.queue(reader):
        for case in waiting:
            store.read(case.id, reader, "accept")
            print(case.id, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

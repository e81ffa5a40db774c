"""A small Hugging Face Hub on 127.0.0.1: the part of its HTTP API that uploads, lists and downloads.

    with FakeHub() as hub:
        commit = hub.add("datasets", "org/set", {"data/train.parquet": b"..."})
        subprocess.run([...], env=hub.environment(tmp_path))
        hub.files("spaces", "org/demo")

As on the real one: writing needs a token, a private repository is there for its owner alone, binary and large
files travel as LFS objects (in parts, if larger still), an object that has arrived is not asked for again,
and plain git files may have at most 10 MB. ``fake_hub_http.py`` answers the requests.
"""

from __future__ import annotations

import hashlib
import os
import threading
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path

from fake_hub_http import Files, Handler

TOKEN = "hf_test"
GUEST = "hf_guest"


@dataclass
class Repository:
    """Every commit's files; ``main`` is the newest. ``variables`` are those of a Space."""

    commits: dict[str, Files] = field(default_factory=dict)
    main: str = ""
    private: bool = False
    variables: dict[str, str] = field(default_factory=dict)

    def commit(self, files: Files) -> str:
        digest = hashlib.sha1(self.main.encode())
        for path, content in sorted(files.items()):
            digest.update(path.encode() + hashlib.sha1(content).digest())
        self.main = digest.hexdigest()
        self.commits[self.main] = files
        return self.main

    def resolve(self, revision: str) -> str | None:
        revision = self.main if revision == "main" else revision
        return revision if revision in self.commits else None


class FakeHub:
    """The server; it runs in a thread until the block ends.

    Attributes:
        endpoint: its address, for ``HF_ENDPOINT``.
        requests: ``METHOD PATH`` of every request so far.
        cut: how many ``PUT`` of large objects, and ``GET`` of files, break off in the middle.
        refuse_uploads: while true, large objects are refused.
        part_size: larger objects are uploaded in parts of so many bytes.
        tokens: who is who; TOKEN may write everywhere, GUEST nowhere.
    """

    def __init__(self) -> None:
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.objects: Files = {}
        self.requests: list[str] = []
        self.parts: dict[tuple[str, int], bytes] = {}
        self.cut = {"PUT": 0, "GET": 0}
        self.refuse_uploads = False
        self.part_size = 100_000_000
        self.tokens = {TOKEN: "tester", GUEST: "guest"}
        self.lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": self}))
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> FakeHub:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def add(self, kind: str, name: str, files: Files) -> str:
        """Commits these files on top of what the repository holds, made if needed; returns the commit."""
        with self.lock:
            repository = self.repositories.setdefault((kind, name), Repository())
            return repository.commit({**repository.commits.get(repository.main, {}), **files})

    def count(self, request: str) -> int:
        """How many requests so far began like this."""
        return sum(line.startswith(request) for line in self.requests)

    def files(self, kind: str, name: str) -> Files:
        """The files of the repository's newest commit."""
        repository = self.repositories[kind, name]
        return dict(repository.commits[repository.main])

    def environment(self, folder: Path) -> dict[str, str]:
        """A whole environment for a subprocess that knows only this Hub, with its caches in ``folder``."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
        return {
            **kept,
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(folder / "hf"),
            "HF_TOKEN": TOKEN,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }

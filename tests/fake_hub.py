"""A small Hugging Face Hub on 127.0.0.1: the part of its HTTP API that uploads, lists and downloads.

    with FakeHub() as hub:
        commit = hub.add("datasets", "org/set", {"data/train.parquet": b"..."})
        subprocess.run([...], env=hub.environment(tmp_path))
        hub.files("spaces", "org/demo")

As on the real one: writing needs a token, a repository that is not there answers 401 without one, binary and
large files travel as LFS objects, and plain git files may have at most 10 MB.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

Files = dict[str, bytes]
TOKEN = "hf_test"
MAX_PLAIN = 10_000_000
_BINARY = (".safetensors", ".parquet", ".onnx", ".png", ".jpg", ".bin", ".pt", ".npz")

_REPO = r"(?P<name>[^/]+/[^/]+)"
_API = rf"/api/(?P<kind>models|datasets|spaces)/{_REPO}"
_FRONT = rf"/(?:(?P<kind>datasets|spaces)/)?{_REPO}"


@dataclass
class Repository:
    """Every commit's files; ``main`` is the newest."""

    commits: dict[str, Files] = field(default_factory=dict)
    main: str = ""

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
        refuse_uploads: while true, large objects are turned away.
    """

    def __init__(self) -> None:
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.objects: Files = {}
        self.requests: list[str] = []
        self.refuse_uploads = False
        self.lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
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


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: object) -> None:
        pass

    def handle_any(self) -> None:
        url = urlsplit(self.path)
        path, self.query = unquote(url.path), parse_qs(url.query)
        self.body = self._read_body()
        with self.hub.lock:
            self.hub.requests.append(f"{self.command} {path}")
            for method, pattern, answer in _ROUTES:
                found = re.fullmatch(pattern, path)
                if found and self.command in method.split("|"):
                    writes = path.startswith("/api/repos/") or "/preupload/" in path or "/commit/" in path
                    if writes and not self.signed_in:
                        return self.refuse(401, "", "Invalid username or password.")
                    return answer(self, **{k: v for k, v in found.groupdict().items() if v is not None})
        return self.refuse(404, "", f"The fake Hub does not know {self.command} {path}.")

    @property
    def signed_in(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    do_GET = do_HEAD = do_POST = do_PUT = handle_any

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else content)

    def send_json(self, values: object) -> None:
        self.send(200, json.dumps(values).encode(), {"Content-Type": "application/json"})

    def refuse(self, status: int, code: str, message: str, **more: str) -> None:
        headers = {"Content-Type": "application/json", "X-Error-Message": message, "X-Error-Code": code}
        self.send(status, json.dumps({"error": message, **more}).encode(), headers)

    def find(self, kind: str, name: str, revision: str = "main") -> tuple[str, Files] | None:
        """(commit, files); or None, and the refusal is sent."""
        repository = self.hub.repositories.get((kind, name))
        if repository is None:
            self.refuse(404 if self.signed_in else 401, "RepoNotFound", "Repository not found")
            return None
        commit = repository.resolve(revision)
        if commit is None:
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return None
        return commit, repository.commits[commit]

    # Reading

    def info(self, kind: str, name: str, revision: str = "main") -> None:
        if found := self.find(kind, name, revision):
            commit, files = found
            siblings = [{"rfilename": path} for path in sorted(files)]
            self.send_json({"id": name, "sha": commit, "siblings": siblings})

    def tree(self, kind: str, name: str, revision: str, folder: str = "") -> None:
        if found := self.find(kind, name, revision):
            inside = f"{folder}/" if folder else ""
            below = {path: e for path, e in _entries(found[1]).items() if path.startswith(inside)}
            if folder and not below:
                return self.refuse(404, "EntryNotFound", f"{folder} does not exist on {revision}")
            deep = self.query.get("recursive", ["false"])[0].lower() == "true"
            self.send_json([e for path, e in below.items() if deep or "/" not in path[len(inside) :]])

    def paths_info(self, kind: str, name: str, revision: str) -> None:
        if found := self.find(kind, name, revision):
            entries = _entries(found[1])
            wanted = parse_qs(self.body.decode()).get("paths", [])
            self.send_json([entries[path] for path in wanted if path in entries])

    def resolve(self, name: str, revision: str, path: str, kind: str = "models") -> None:
        if not (found := self.find(kind, name, revision)):
            return
        commit, files = found
        if path not in files:
            return self.refuse(404, "EntryNotFound", f"{path} does not exist")
        content = files[path]
        headers = {"X-Repo-Commit": commit, "ETag": f'"{_etag(path, content)}"', "Accept-Ranges": "bytes"}
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not span:
            return self.send(200, content, headers)
        start, end = int(span[1]), min(int(span[2] or len(content) - 1), len(content) - 1)
        headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
        self.send(206, content[start : end + 1], headers)

    # Writing

    def create(self) -> None:
        wanted = json.loads(self.body)
        kind = f"{wanted.get('type', 'model')}s"
        name = f"{wanted.get('organization') or 'tester'}/{wanted['name']}"
        url = f"{self.hub.endpoint}/{'' if kind == 'models' else kind + '/'}{name}"
        if (kind, name) in self.hub.repositories:
            return self.refuse(409, "", "You already created this repo", url=url)
        self.hub.add(kind, name, {".gitattributes": b"*.safetensors filter=lfs\n"})
        self.send_json({"url": url})

    def preupload(self, kind: str, name: str, revision: str) -> None:
        if self.find(kind, name, revision):
            answers = []
            for file in json.loads(self.body)["files"]:
                large = file["path"].endswith(_BINARY) or file["size"] > MAX_PLAIN
                mode = "lfs" if large else "regular"
                answers.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False})
            self.send_json({"files": answers})

    def lfs_batch(self, name: str, kind: str = "models") -> None:
        objects = json.loads(self.body)["objects"]
        for wanted in objects:
            wanted["actions"] = {"upload": {"href": f"{self.hub.endpoint}/lfs/{wanted['oid']}", "header": {}}}
        self.send_json({"transfer": "basic", "objects": objects})

    def lfs_put(self, oid: str) -> None:
        if self.hub.refuse_uploads or hashlib.sha256(self.body).hexdigest() != oid:
            return self.refuse(400, "", "The object is refused.")
        self.hub.objects[oid] = self.body
        self.send(200, b"")

    def commit(self, kind: str, name: str, revision: str) -> None:
        if not (found := self.find(kind, name, revision)):
            return
        files = dict(found[1])
        for line in self.body.splitlines():
            entry = json.loads(line)
            key, value = entry["key"], entry["value"]
            if key == "file":
                files[value["path"]] = base64.b64decode(value["content"])
                if len(files[value["path"]]) > MAX_PLAIN:
                    return self.refuse(400, "", f"{value['path']} has over 10 MB and is no LFS file.")
            elif key == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
            elif key in ("deletedFile", "deletedFolder"):
                files = {path: data for path, data in files.items() if not path.startswith(value["path"])}
        commit = self.hub.repositories[kind, name].commit(files)
        url = f"{self.hub.endpoint}/{'' if kind == 'models' else kind + '/'}{name}/commit/{commit}"
        self.send_json({"success": True, "commitOid": commit, "commitUrl": url, "hookOutput": ""})


_REVISION = r"(?P<revision>[^/]+)"
_ROUTES = (
    ("GET", r"/api/whoami-v2", lambda handler: handler.send_json({"name": "tester", "orgs": []})),
    ("POST", r"/api/repos/create", _Handler.create),
    ("POST", r"/api/validate-yaml", lambda handler: handler.send_json({"warnings": []})),
    ("GET", _API, _Handler.info),
    ("GET", rf"{_API}/revision/{_REVISION}", _Handler.info),
    ("GET", rf"{_API}/tree/{_REVISION}(?:/(?P<folder>.+))?", _Handler.tree),
    ("POST", rf"{_API}/paths-info/{_REVISION}", _Handler.paths_info),
    ("POST", rf"{_API}/preupload/{_REVISION}", _Handler.preupload),
    ("POST", rf"{_API}/commit/{_REVISION}", _Handler.commit),
    ("POST", rf"{_FRONT}\.git/info/lfs/objects/batch", _Handler.lfs_batch),
    ("PUT", r"/lfs/(?P<oid>[0-9a-f]{64})", _Handler.lfs_put),
    ("GET|HEAD", rf"{_FRONT}/resolve/{_REVISION}/(?P<path>.+)", _Handler.resolve),
)


def _etag(path: str, content: bytes) -> str:
    return hashlib.sha256(content).hexdigest() if path.endswith(_BINARY) else _blob_id(content)


def _blob_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _entries(files: Files) -> dict[str, dict[str, object]]:
    """What the tree listing says about every file and folder, by path."""
    entries: dict[str, dict[str, object]] = {}
    for path, content in sorted(files.items()):
        parts = path.split("/")
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth])
            oid = hashlib.sha1(folder.encode()).hexdigest()
            entries[folder] = {"type": "directory", "path": folder, "oid": oid, "size": 0}
        entries[path] = {"type": "file", "path": path, "oid": _blob_id(content), "size": len(content)}
        if path.endswith(_BINARY):
            entries[path]["lfs"] = {"oid": _etag(path, content), "size": len(content), "pointerSize": 130}
    return entries

"""The HTTP side of the small Hub in ``fake_hub.py``: one method a request, one line a route."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from fake_hub import FakeHub

Files = dict[str, bytes]
MAX_PLAIN = 10_000_000
_BINARY = (".safetensors", ".parquet", ".onnx", ".png", ".jpg", ".bin", ".pt", ".npz")

_REPO = r"(?P<name>[^/]+/[^/]+)"
_API = rf"/api/(?P<kind>models|datasets|spaces)/{_REPO}"
_FRONT = rf"/(?:(?P<kind>datasets|spaces)/)?{_REPO}"


class Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: object) -> None:
        pass

    def handle_any(self) -> None:
        url = urlsplit(self.path)
        path, self.query = unquote(url.path), parse_qs(url.query)
        if path.startswith("/lfs/") and self.take_cut():
            self.rfile.read(int(self.headers["Content-Length"]) // 2)
            return self.hang_up()
        self.body = self._read_body()
        with self.hub.lock:
            self.hub.requests.append(f"{self.command} {path}")
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            self.user = self.hub.tokens.get(token)
            if token and self.user is None:
                return self.refuse(401, "", "Invalid credentials in Authorization header")
            for method, pattern, answer in _ROUTES:
                found = re.fullmatch(pattern, path)
                if found and self.command in method.split("|"):
                    if re.match(_WRITES, f"{self.command} {path}") and self.user != "tester":
                        if self.user:
                            return self.refuse(403, "", "You don't have the rights to write here")
                        return self.refuse(401, "", "Invalid username or password.")
                    return answer(self, **{k: v for k, v in found.groupdict().items() if v is not None})
        return self.refuse(404, "", f"The fake Hub does not know {self.command} {path}.")

    def take_cut(self) -> bool:
        with self.hub.lock:
            left = self.hub.cut.get(self.command, 0)
            self.hub.cut[self.command] = max(left - 1, 0)
            return left > 0

    def hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

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

    def send(
        self, status: int, content: bytes, headers: dict[str, str] | None = None, upto: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else content[:upto])

    def send_json(self, values: object) -> None:
        self.send(200, json.dumps(values).encode(), {"Content-Type": "application/json"})

    def refuse(self, status: int, code: str, message: str, **more: str) -> None:
        headers = {"Content-Type": "application/json", "X-Error-Message": message, "X-Error-Code": code}
        self.send(status, json.dumps({"error": message, **more}).encode(), headers)

    def find(self, kind: str, name: str, revision: str = "main") -> tuple[str, Files] | None:
        """(commit, files); or None, and the refusal is sent."""
        repository = self.hub.repositories.get((kind, name))
        if repository is None or (repository.private and self.user != "tester"):
            self.refuse(404 if self.user else 401, "RepoNotFound", "Repository not found")
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
            private = self.hub.repositories[kind, name].private
            self.send_json({"id": name, "sha": commit, "private": private, "siblings": siblings})

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
        if self.command == "GET" and len(content) > 1000 and self.take_cut():
            self.send(200, content, headers, upto=len(content) // 2)
            return self.hang_up()
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
        repository = self.hub.repositories[kind, name]
        repository.private = wanted.get("private") is True or wanted.get("visibility") == "private"
        repository.variables = {item["key"]: item["value"] for item in wanted.get("variables") or []}
        self.send_json({"url": url})

    def preupload(self, kind: str, name: str, revision: str) -> None:
        if found := self.find(kind, name, revision):
            answers = []
            for file in json.loads(self.body)["files"]:
                large = file["path"].endswith(_BINARY) or file["size"] > MAX_PLAIN
                mode = "lfs" if large else "regular"
                answer = {"path": file["path"], "uploadMode": mode, "shouldIgnore": False}
                if (old := found[1].get(file["path"])) is not None:
                    answer["oid"] = _etag(file["path"], old)
                answers.append(answer)
            self.send_json({"files": answers})

    def lfs_batch(self, name: str, kind: str = "models") -> None:
        objects = json.loads(self.body)["objects"]
        for wanted in objects:
            oid, size, limit = wanted["oid"], wanted["size"], self.hub.part_size
            if oid in self.hub.objects:
                continue
            url = f"{self.hub.endpoint}/lfs/{oid}"
            parts = {str(n + 1): f"{url}/{n + 1}" for n in range(-(-size // limit))}
            header = {"chunk_size": str(limit), **parts} if size > limit else {}
            wanted["actions"] = {"upload": {"href": url, "header": header}}
        self.send_json({"transfer": "multipart", "objects": objects})

    def lfs_part(self, oid: str, number: str) -> None:
        self.hub.parts[oid, int(number)] = self.body
        self.send(200, b"", {"ETag": hashlib.md5(self.body).hexdigest()})

    def lfs_object(self, oid: str) -> None:
        """The object itself, or the news that all of its parts are here."""
        content = self.body
        if self.command == "POST":
            parts = sorted(json.loads(self.body)["parts"], key=lambda part: part["partNumber"])
            content = b"".join(self.hub.parts.pop((oid, part["partNumber"])) for part in parts)
        if self.hub.refuse_uploads or hashlib.sha256(content).hexdigest() != oid:
            return self.refuse(400, "", "The object is refused.")
        self.hub.objects[oid] = content
        self.send(200, b"")

    def commit(self, kind: str, name: str, revision: str) -> None:
        if not (found := self.find(kind, name, revision)):
            return
        files = dict(found[1])
        for line in self.body.splitlines():
            entry = json.loads(line)
            key, value = entry["key"], entry["value"]
            if key == "header" and value.get("parentCommit", found[0]) != found[0]:
                return self.refuse(412, "", "A commit has happened since")
            if key == "file":
                files[value["path"]] = base64.b64decode(value["content"])
                if len(files[value["path"]]) > MAX_PLAIN:
                    return self.refuse(400, "", f"{value['path']} has over 10 MB and is no LFS file.")
            elif key == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
            elif key == "deletedFile":
                del files[value["path"]]
        commit = self.hub.repositories[kind, name].commit(files)
        url = f"{self.hub.endpoint}/{'' if kind == 'models' else kind + '/'}{name}/commit/{commit}"
        self.send_json({"success": True, "commitOid": commit, "commitUrl": url, "hookOutput": ""})

    def list_variables(self, kind: str, name: str) -> None:
        if self.find(kind, name):
            variables = self.hub.repositories[kind, name].variables
            self.send_json({key: {"value": value} for key, value in variables.items()})

    def set_variable(self, kind: str, name: str) -> None:
        wanted = json.loads(self.body)
        self.hub.repositories[kind, name].variables[wanted["key"]] = wanted["value"]
        self.list_variables(kind, name)


_WRITES = r"POST /api/(repos/|.*/(preupload|commit|variables))"
_REVISION = r"(?P<revision>[^/]+)"
_ROUTES = (
    ("GET", r"/api/whoami-v2", lambda handler: handler.send_json({"name": "tester", "orgs": []})),
    ("POST", r"/api/repos/create", Handler.create),
    ("POST", r"/api/validate-yaml", lambda handler: handler.send_json({"warnings": []})),
    ("GET", _API, Handler.info),
    ("GET", rf"{_API}/revision/{_REVISION}", Handler.info),
    ("GET", rf"{_API}/tree/{_REVISION}(?:/(?P<folder>.+))?", Handler.tree),
    ("POST", rf"{_API}/paths-info/{_REVISION}", Handler.paths_info),
    ("POST", rf"{_API}/preupload/{_REVISION}", Handler.preupload),
    ("POST", rf"{_API}/commit/{_REVISION}", Handler.commit),
    ("POST", rf"{_FRONT}\.git/info/lfs/objects/batch", Handler.lfs_batch),
    ("PUT|POST", r"/lfs/(?P<oid>[0-9a-f]{64})", Handler.lfs_object),
    ("PUT", r"/lfs/(?P<oid>[0-9a-f]{64})/(?P<number>\d+)", Handler.lfs_part),
    ("GET", rf"{_API}/variables", Handler.list_variables),
    ("POST", rf"{_API}/variables", Handler.set_variable),
    ("GET|HEAD", rf"{_FRONT}/resolve/{_REVISION}/(?P<path>.+)", Handler.resolve),
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

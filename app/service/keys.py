"""API keys: named, stored as hashes, and revocable while the service runs."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import hmac
import os
import re
import secrets
import threading
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path

from model.errors import ConfigError
from model.files import atomic_path

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HASH = re.compile(r"[0-9a-f]{64}")
_HEADER = "# Keys of SkinDiseaseNet, one per line: name, SHA-256 of the key, creation date.\n"


@dataclasses.dataclass(frozen=True)
class Key:
    """A stored key.

    Attributes:
        name: of its holder.
        digest: SHA-256 of the key, 64 hexadecimal digits. A plain hash is enough: slow, salted ones protect
            passwords, which can be guessed; nobody guesses 256 random bits, however fast the hash.
        created: the creation date, as YYYY-MM-DD.
    """

    name: str
    digest: str
    created: str


class KeyStore:
    """The keys in a file; a changed file is read again, so no restart is needed.

    Args:
        path: the file, one key per line: name, hash, date. Lines that start with # are comments.

    Raises:
        ConfigError: the file does not exist or has an invalid line. The methods raise it too: if the file
            cannot be read, nobody gets access.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._keys: tuple[Key, ...] = ()
        self.valid()

    def valid(self) -> tuple[Key, ...]:
        """All keys that are valid now."""
        with self._lock:
            try:
                state = self.path.stat()
                seen = (state.st_mtime_ns, state.st_size, state.st_ino)
                if seen != self._seen:
                    self._keys, self._seen = _parse(self.path.read_text(encoding="utf-8"), self.path), seen
            except (OSError, UnicodeDecodeError) as error:
                self._seen = None
                why = error.strerror if isinstance(error, OSError) else "it is not text"
                raise ConfigError(
                    f"The keys file {self.path} cannot be read ({why}).",
                    hint="Correct KEYS_FILE, or make it with `python -m app key add NAME --file FILE`.",
                    code="keys_unreadable",
                ) from error
            return self._keys

    def find(self, secret: str) -> Key | None:
        """The stored key with this secret, or None. Compares with every key in constant time."""
        digest = _digest(secret)
        found = None
        for key in self.valid():
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found

    def with_digest(self, digest: str) -> Key | None:
        """The stored key with this hash, or None; for sessions."""
        return next((key for key in self.valid() if key.digest == digest), None)


def add_key(path: Path, name: str) -> str:
    """Create a key and add it to the file (created if needed, readable only by its owner).

    Returns:
        The key's text, 256 random bits; it is not stored and cannot be shown again.

    Raises:
        ConfigError: the name is taken or not valid, or the file cannot be read or written.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name[:80]!r} is not a valid key name; up to 64 letters, digits, dots, dashes and underscores "
            "are expected.",
            hint="Name it after the person, the ward or the program that will use it.",
        )
    keys = KeyStore(path).valid() if path.exists() else ()
    if any(key.name == name for key in keys):
        raise ConfigError(
            f"There is a key called {name} already.", hint="Take another name, or revoke that key first."
        )
    secret = "sdn_" + secrets.token_urlsafe(32)
    today = datetime.now(timezone.utc).date().isoformat()
    _write(path, (*keys, Key(name, _digest(secret), today)))
    return secret


def revoke_key(path: Path, name: str) -> None:
    """Remove a key from the file; a running service rejects it and ends its sessions from then on.

    Raises:
        ConfigError: there is no key of that name, or the file cannot be read or written.
    """
    keys = KeyStore(path).valid()
    kept = tuple(key for key in keys if key.name != name)
    if len(kept) == len(keys):
        names = ", ".join(key.name for key in keys) or "none"
        raise ConfigError(f"There is no key called {name!r}.", hint=f"The keys are: {names}.")
    _write(path, kept)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _parse(text: str, path: Path) -> tuple[Key, ...]:
    keys: dict[str, Key] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        fits = len(words) == 3 and _NAME.fullmatch(words[0]) and _HASH.fullmatch(words[1])
        if not fits or words[0] in keys:
            raise ConfigError(
                f"Line {number} of {path} is not a unique name, a SHA-256 in hexadecimal digits and a date.",
                hint="Correct or remove that line; `python -m app key add` writes new ones.",
                code="keys_unreadable",
            )
        keys[words[0]] = Key(*words)
    return tuple(keys.values())


def _write(path: Path, keys: Iterable[Key]) -> None:
    """Replace the file atomically, keeping its mode and owner."""
    if not path.parent.is_dir():
        raise ConfigError(
            f"The keys file {path} cannot be written (there is no folder {path.parent}).",
            hint="Make the folder, or choose another one.",
        )
    before = path.stat() if path.exists() else None
    with atomic_path(path) as written:
        written.touch(mode=before.st_mode & 0o777 if before else 0o600)
        written.write_text(
            _HEADER + "".join(f"{key.name} {key.digest} {key.created}\n" for key in keys), encoding="utf-8"
        )
        if before:
            written.chmod(before.st_mode & 0o777)
            with contextlib.suppress(PermissionError):
                os.chown(written, before.st_uid, before.st_gid)

"""Sessions of signed-in people, shared by all workers: one small file per session."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import time
from pathlib import Path

from app.service.keys import Key
from model.errors import ConfigError

SESSION_SECONDS = 12 * 3600
_DEFAULT = Path("skindiseasenet", "sessions")
_ID = re.compile(r"[0-9a-f]{32}")


class Sessions:
    """The sessions of all workers, and of all servers that share the folder.

    A session lasts as long as its file, which is named by the session's id and holds the hash of its key,
    never the key itself. If the folder is lost, everybody has to sign in again; signed-out sessions stay
    invalid.

    Args:
        folder: created if needed, readable only by its owner; None for the user's cache folder.

    Raises:
        ConfigError: the folder cannot be used. The methods raise it too.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / _DEFAULT
        try:
            self.folder = self.folder.expanduser()
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            usable = os.access(self.folder, os.R_OK | os.W_OK | os.X_OK)
        except (OSError, RuntimeError) as error:  # or there is no home folder
            raise self._unusable(getattr(error, "strerror", str(error))) from error
        if not usable:
            raise self._unusable("it cannot be written")

    def start(self, key: Key) -> str:
        """Start a session; expired ones are deleted.

        Returns:
            Its id, 128 random bits.
        """
        session = secrets.token_hex(16)
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._forget_old()
            descriptor = os.open(self.folder / session, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "w", encoding="ascii") as file:
                file.write(key.digest)
        except OSError as error:
            raise self._unusable(error.strerror) from error
        return session

    def digest(self, session: object) -> str | None:
        """The hash of a session's key; None if there is no such session."""
        if (path := self._path(session)) is None:
            return None
        try:
            with path.open(encoding="ascii") as file:
                age = time.time() - os.fstat(file.fileno()).st_mtime
                return file.read(100) if age < SESSION_SECONDS else None
        except (FileNotFoundError, UnicodeDecodeError):
            return None
        except OSError as error:
            raise self._unusable(error.strerror) from error

    def end(self, session: object) -> None:
        """End a session for all workers, at once; does nothing if it has ended already."""
        if (path := self._path(session)) is not None:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise self._unusable(error.strerror) from error

    def _path(self, session: object) -> Path | None:
        # The value of a cookie: ours, or from another program with the same secret.
        return self.folder / session if isinstance(session, str) and _ID.fullmatch(session) else None

    def _forget_old(self) -> None:
        oldest = time.time() - SESSION_SECONDS
        with os.scandir(self.folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # another worker was first
                    if _ID.fullmatch(entry.name) and entry.stat().st_mtime < oldest:
                        os.unlink(entry.path)

    def _unusable(self, why: str | None) -> ConfigError:
        return ConfigError(
            f"The sessions folder {self.folder} cannot be used ({why}).",
            hint="Set SESSIONS_FOLDER to a folder that the server can write to.",
            code="sessions_unusable",
        )

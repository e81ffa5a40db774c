"""Encryption at rest with the institution's key: Fernet (AES-128-CBC with HMAC-SHA256), with rotation."""

from __future__ import annotations

from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from model.errors import ConfigError
from model.files import atomic_path


class Cipher:
    """Encrypts with the first key of a file, and decrypts with any of them.

    Args:
        path: the file, one Fernet key per line, the newest first.

    Raises:
        ConfigError: the file cannot be read, or a line is not a key.
    """

    def __init__(self, path: Path) -> None:
        self._fernet = MultiFernet([_fernet(line, path) for line in _lines(path)])

    def encrypt(self, data: bytes) -> bytes:
        """Encrypt and sign bytes."""
        return self._fernet.encrypt(data)

    def decrypt(self, token: bytes) -> bytes:
        """Decrypt what ``encrypt`` returned.

        Raises:
            ConfigError: no key of the file fits, or the bytes are damaged.
        """
        try:
            return self._fernet.decrypt(token)
        except InvalidToken as error:
            raise self._no_key() from error

    def renew(self, token: bytes) -> bytes:
        """Encrypt again with the first key.

        Raises:
            ConfigError: as ``decrypt``.
        """
        try:
            return self._fernet.rotate(token)
        except InvalidToken as error:
            raise self._no_key() from error

    def _no_key(self) -> ConfigError:
        return ConfigError(
            "A stored picture cannot be decrypted with the keys of REVIEW_KEY_FILE.",
            hint="Put the earlier key back, on a line below the newest one.",
            code="review_unusable",
        )


def add_key(path: Path) -> int:
    """Put a new key before the others in the file, which is created if needed, readable only by its owner.

    Returns:
        How many keys the file has now.

    Raises:
        ConfigError: the file cannot be read or written.
    """
    lines = [Fernet.generate_key().decode(), *(_lines(path) if path.exists() else [])]
    for line in lines:
        _fernet(line, path)
    try:
        with atomic_path(path) as written:
            written.touch(mode=0o600)
            written.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
    except OSError as error:
        raise _unreadable(path, error.strerror or "it cannot be written") from error
    return len(lines)


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise _unreadable(path, why or "unknown") from error
    if not lines:
        raise _unreadable(path, "it is empty")
    return lines


def _fernet(line: str, path: Path) -> Fernet:
    try:
        return Fernet(line)
    except ValueError as error:  # the line itself is a secret
        raise _unreadable(path, "a line is not a key") from error


def _unreadable(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"The key file of the review queue, {path}, cannot be used ({why}).",
        hint="Make it with `python -m app review key FILE`, and set REVIEW_KEY_FILE to it.",
    )

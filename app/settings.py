"""All settings, read from the environment once."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import ipaddress
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from limits import parse_many

from model.errors import ConfigError
from model.runtime.base import DEVICES, RUNTIMES

logger = logging.getLogger(__name__)

EMBEDDED_CHECKPOINT = str(Path(__file__).resolve().parent.parent / "checkpoints" / "skin22")
MIN_SECRET = 32
"""The shortest secret, characters; half of what ``secrets.token_hex(32)`` gives."""

_NEAR = 0.8
"""Similarity (``difflib``, up to 1) from which a variable counts as a misspelt setting."""

_SECRET_HINT = 'Set SECRET_KEY to what `python -c "import secrets; print(secrets.token_hex(32))"` prints.'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """The operator's settings. Each field is the environment variable of the same name in capitals.

    ``docs/serving.md`` has the defaults and the details.

    Attributes:
        checkpoint: a checkpoint folder, or a Hub repository as ORG/NAME@REVISION.
        host: address to listen on.
        port: port to listen on, 1 to 65535.
        device: auto, cpu, cuda or mps.
        runtime: auto, openvino or torch.
        graph_cache: folder of the graphs exported for OpenVINO; None for the user's cache folder.
        access: open (anyone) or keys (only holders of a key).
        keys_file: the file that ``python -m app key`` writes; needed with access ``keys``.
        secret_key: signs the sessions of the Flask pages; at least 32 characters.
        sessions_folder: where the sessions of the Flask pages are stored; None for the user's cache folder.
        trusted_proxies: number of proxies in front; with 0, their headers are ignored.
        rate_limit: requests with a picture per key, or per address without one; None for no limit.
        rate_limit_storage: where requests are counted, ``memory://`` or a Redis URL.
        workers: processes, each with its own copy of the model.
        max_running: concurrent predictions in one worker.
        max_waiting: predictions that wait for their turn in one worker; further ones get a 503.
        request_seconds: time limit for receiving a request.
        audit_log: file to append audit lines to, ``-`` for the standard output.
        audit_required: whether to withhold a result whose audit line cannot be written.
        examples: a folder or Hub data set with pictures to try, see ``app.pages.examples``; None for drawn
            ones.
    """

    checkpoint: str = EMBEDDED_CHECKPOINT
    host: str = "127.0.0.1"
    port: int
    device: str = "auto"
    runtime: str = "auto"
    graph_cache: Path | None = None
    access: Literal["open", "keys"] = "open"
    keys_file: Path | None = None
    secret_key: str | None = dataclasses.field(default=None, repr=False)
    sessions_folder: Path | None = None
    trusted_proxies: int = 0
    rate_limit: str | None = None
    rate_limit_storage: str = dataclasses.field(default="memory://", repr=False)
    workers: int = 1
    max_running: int = 2
    max_waiting: int = 16
    request_seconds: int = 60
    audit_log: str = "-"
    audit_required: bool = False
    examples: str | None = None

    @classmethod
    def from_environment(cls, *, default_port: int, environment: Mapping[str, str] | None = None) -> Settings:
        """Read the settings; an empty variable counts as not set, and the log warns of misspelt ones.

        Args:
            default_port: used if PORT is not set.
            environment: default ``os.environ``.

        Raises:
            ConfigError: a value is out of range or contradicts another; the message names the variables.
        """
        env = os.environ if environment is None else environment
        _warn_of_misspelt(env)
        device = env.get("DEVICE") or "auto"
        if device not in DEVICES:
            raise ConfigError(
                f"DEVICE is {device!r}; one of {', '.join(DEVICES)} is expected.", hint="Correct DEVICE."
            )
        runtime = env.get("RUNTIME") or "auto"
        if runtime not in RUNTIMES:
            raise ConfigError(
                f"RUNTIME is {runtime!r}; one of {', '.join(RUNTIMES)} is expected.", hint="Correct RUNTIME."
            )
        host = env.get("HOST") or ("0.0.0.0" if env.get("SPACE_ID") else "127.0.0.1")
        if host.startswith("[") and host.endswith("]"):  # as in a URL with an IPv6 address
            host = host[1:-1]
        access, keys_file = _access(env, host)
        settings = cls(
            checkpoint=env.get("CHECKPOINT") or EMBEDDED_CHECKPOINT,
            host=host,
            port=_number(env, "PORT", default_port, 1, 65535),
            device=device,
            runtime=runtime,
            graph_cache=Path(env["GRAPH_CACHE"]) if env.get("GRAPH_CACHE") else None,
            access=access,
            keys_file=keys_file,
            secret_key=env.get("SECRET_KEY") or None,
            sessions_folder=Path(env["SESSIONS_FOLDER"]) if env.get("SESSIONS_FOLDER") else None,
            trusted_proxies=_number(env, "TRUSTED_PROXIES", 0, 0, 9),
            rate_limit=_rate_limit(env),
            rate_limit_storage=_storage(env),
            workers=_number(env, "WORKERS", cls.workers, 1, 256),
            max_running=_number(env, "MAX_RUNNING", cls.max_running, 1, 256),
            max_waiting=_number(env, "MAX_WAITING", cls.max_waiting, 0, 256),
            request_seconds=_number(env, "REQUEST_SECONDS", cls.request_seconds, 1, 600),
            audit_log=env.get("AUDIT_LOG") or "-",
            audit_required=_yes_or_no(env, "AUDIT_REQUIRED"),
            examples=env.get("EXAMPLES") or None,
        )
        settings._check(rate_limit_storage_chosen=bool(env.get("RATE_LIMIT_STORAGE")))
        return settings

    def _check(self, *, rate_limit_storage_chosen: bool) -> None:
        if self.secret_key is not None and len(self.secret_key) < MIN_SECRET:
            raise ConfigError(
                f"SECRET_KEY has {len(self.secret_key)} characters; at least {MIN_SECRET} are expected.",
                hint=_SECRET_HINT,
            )
        if rate_limit_storage_chosen and self.rate_limit is None:
            raise ConfigError(
                "RATE_LIMIT_STORAGE is set, but RATE_LIMIT is off.",
                hint="Set a RATE_LIMIT, or remove RATE_LIMIT_STORAGE.",
            )
        if self.rate_limit_storage != "memory://" and self.secret_key is None:
            raise ConfigError(
                "RATE_LIMIT_STORAGE is a Redis URL, but SECRET_KEY, which hides addresses in it, is not set.",
                hint=_SECRET_HINT,
            )

    def require_open(self) -> None:
        """Check the settings for a front end without support for keys.

        Raises:
            ConfigError: ``access`` is ``keys``.
        """
        if self.access == "keys":
            raise ConfigError(
                "ACCESS is keys, but the Gradio app does not support keys: it is for Spaces and local use.",
                hint="Serve with keys by `make serve`, or let anyone in with ACCESS=open.",
            )

    def require_secret(self) -> str | None:
        """Return ``secret_key``, for a front end that signs sessions with it.

        Raises:
            ConfigError: ``access`` is ``keys`` and it is not set.
        """
        if self.access == "keys" and self.secret_key is None:
            raise ConfigError(
                "ACCESS=keys needs SECRET_KEY, which signs the sessions of the pages; it is not set.",
                hint=_SECRET_HINT,
            )
        return self.secret_key


def is_local(host: str) -> bool:
    """Whether an address to listen on (without brackets) is a loopback address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _warn_of_misspelt(env: Mapping[str, str]) -> None:
    names = {field.name.upper() for field in dataclasses.fields(Settings)}
    for name in env:
        if (
            env[name]
            and name not in names
            and (near := difflib.get_close_matches(name.upper(), names, 1, _NEAR))
        ):
            _warn_once(name, near[0])


@functools.cache  # the settings are read more than once, also in forked processes
def _warn_once(name: str, meant: str) -> None:
    logger.warning("%s is set, but it is not a setting. Did you mean %s?", name, meant)


def _access(env: Mapping[str, str], host: str) -> tuple[Literal["open", "keys"], Path | None]:
    chosen, keys_file = env.get("ACCESS"), env.get("KEYS_FILE")
    if chosen not in (None, "", "open", "keys"):
        raise ConfigError(f"ACCESS is {chosen!r}; open or keys is expected.", hint="Correct ACCESS.")
    if keys_file and chosen != "keys":
        raise ConfigError(
            f"KEYS_FILE is set, but ACCESS is {chosen or 'not set'}: the keys would be ignored.",
            hint="Set ACCESS=keys, or remove KEYS_FILE.",
        )
    if chosen == "keys":
        if not keys_file:
            raise ConfigError(
                "ACCESS is keys, but KEYS_FILE is not set.",
                hint="Set KEYS_FILE to a file that `python -m app key add NAME --file FILE` made.",
            )
        return "keys", Path(keys_file)
    if not chosen and not is_local(host) and not env.get("SPACE_ID"):
        raise ConfigError(
            f"HOST is {host}, which other machines may reach, but ACCESS is not set.",
            hint="Set ACCESS=open to let anyone in, or ACCESS=keys with a KEYS_FILE for `make serve`.",
        )
    return "open", None


def _number(env: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = env.get(name) or str(default)
    if not (text.isascii() and text.isdecimal() and low <= int(text) <= high):
        raise ConfigError(
            f"{name} is {text!r}; a number from {low} to {high} is expected.", hint=f"Correct {name}."
        )
    return int(text)


def _yes_or_no(env: Mapping[str, str], name: str) -> bool:
    text = env.get(name) or "no"
    if text not in ("yes", "no"):
        raise ConfigError(f"{name} is {text!r}; yes or no is expected.", hint=f"Correct {name}.")
    return text == "yes"


def _rate_limit(env: Mapping[str, str]) -> str | None:
    text = env.get("RATE_LIMIT") or "120/minute"
    if text == "off":
        return None
    try:
        parse_many(text)
    except ValueError:
        raise ConfigError(
            f"RATE_LIMIT is {text!r}; a number of requests and a time is expected, or off.",
            hint="Write it as 120/minute, 1000/hour, or both with a semicolon between them.",
        ) from None
    return text


def _storage(env: Mapping[str, str]) -> str:
    text = env.get("RATE_LIMIT_STORAGE") or "memory://"
    try:
        parts = urlsplit(text)
        usable = parts.scheme == "memory" or (
            parts.scheme in ("redis", "rediss") and parts.hostname and parts.port != 0
        )
    except ValueError:
        usable = False
    if not usable:
        # Not quoted, since the URL may contain a password.
        raise ConfigError(
            "RATE_LIMIT_STORAGE is neither memory:// nor a Redis URL.",
            hint="Write it as redis://HOST:PORT/NUMBER, or rediss:// for Redis over TLS.",
        )
    return "memory://" if parts.scheme == "memory" else text

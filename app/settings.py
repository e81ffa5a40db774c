"""All settings, read from the environment once."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import ipaddress
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from limits import parse_many
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, TypeAdapter, model_validator
from pydantic.dataclasses import dataclass

from model.errors import ConfigError
from model.runtime.base import Device, RuntimeName
from model.runtime.precision import PrecisionName
from model.schema import checked, expected

logger = logging.getLogger(__name__)

EMBEDDED_CHECKPOINT = str(Path(__file__).resolve().parent.parent / "checkpoints" / "skin22")
MIN_SECRET = 32
"""The shortest secret, characters; half of what ``secrets.token_hex(32)`` gives."""

_NEAR = 0.8
"""Similarity (``difflib``, up to 1) from which a variable counts as a misspelt setting."""

RATE_LIMIT = "120/minute"
"""What a server limits itself to where nothing is said."""

_SECRET_HINT = 'Set SECRET_KEY to what `python -c "import secrets; print(secrets.token_hex(32))"` prints.'


def _bare(host: str) -> str:
    """Without the brackets of an IPv6 address in a URL."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def _long_enough(text: str) -> str:
    if len(text) < MIN_SECRET:
        raise ConfigError(
            f"SECRET_KEY has {len(text)} characters; at least {MIN_SECRET} are expected.", hint=_SECRET_HINT
        )
    return text


def _several(given: str | tuple[str, ...]) -> tuple[str, ...]:
    if not isinstance(given, str):
        return given
    parts = tuple(part.strip() for part in given.split(","))
    if len(parts) < 2 or not all(parts):
        raise ConfigError(
            f"CHECKPOINTS is {given!r}; at least two checkpoints with commas between them are expected.",
            hint="Write it as checkpoints/skin22,checkpoints/ham10000; one alone goes into CHECKPOINT.",
        )
    return parts


def _split(given: str | tuple[str, ...]) -> tuple[str, ...]:
    if not isinstance(given, str):
        return given
    return tuple(part.strip() for part in given.split(",") if part.strip())


def _database(text: str) -> str:
    if not text.startswith(("sqlite:///", "postgresql://")):
        # Not quoted: such a URL may hold a password.
        raise ConfigError(
            "REVIEW is neither an SQLite file nor a PostgreSQL URL.",
            hint="Write it as sqlite:////FOLDER/FILE or postgresql://USER:PASSWORD@HOST/NAME.",
        )
    return text


def _limits(text: str) -> str | None:
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


def _storage(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme == "memory" or (
            parts.scheme in ("redis", "rediss") and parts.hostname and parts.port != 0
        )
    except ValueError:
        usable = False
    if not usable:
        # Not quoted: such a URL may hold a password.
        raise ConfigError(
            "RATE_LIMIT_STORAGE is neither memory:// nor a Redis URL.",
            hint="Write it as redis://HOST:PORT/NUMBER, or rediss:// where Redis speaks TLS.",
        )
    return "memory://" if parts.scheme == "memory" else text


def _plain(value: Any) -> Any:
    """Pydantic would take ``1_0``, `` 1`` and ``1.0`` for whole numbers too."""
    return value if not isinstance(value, str) or (value.isascii() and value.isdecimal()) else None


PLAIN = BeforeValidator(_plain)
Switch = Annotated[
    bool,
    Field(strict=True),
    BeforeValidator(
        lambda given: {"yes": True, "no": False}.get(given, given),
        json_schema_input_type=Literal["yes", "no"],
    ),
]


def _without(words: str) -> Any:
    """What holds without the variable, where the default says too little."""
    return Field(json_schema_extra={"without": words})


@dataclass(frozen=True, kw_only=True, config=ConfigDict(use_attribute_docstrings=True))
class Settings:
    """What an operator may choose. Each field is the environment variable of the same name in capitals."""

    checkpoint: Annotated[str, _without("the embedded `checkpoints/skin22`")] = EMBEDDED_CHECKPOINT
    """a checkpoint folder, or a Hub repository as `ORG/NAME@REVISION`"""
    checkpoints: Annotated[
        tuple[str, ...],
        BeforeValidator(_several, json_schema_input_type=str),
        _without("`CHECKPOINT` alone"),
    ] = ()
    """checkpoints for different kinds of pictures, with commas between them: the first answers, unless its
    gate says that another one learned from that kind, see [Several checkpoints](#several-checkpoints)
    """
    host: Annotated[str, AfterValidator(_bare), _without("`127.0.0.1`, in a Space `0.0.0.0`")] = "127.0.0.1"
    """address to listen on; IPv6 with or without brackets"""
    port: Annotated[int, Field(ge=1, le=65535), PLAIN, _without("7860 (Gradio), 8000 (Flask)")]
    """port to listen on"""
    device: Device = "auto"
    """what to compute on"""
    runtime: RuntimeName = "auto"
    """what computes the network: `openvino` (the exported graph, on the CPU), `torch` (PyTorch, the
    reference), or `auto`: OpenVINO on a CPU, PyTorch on another device and wherever the graph cannot be had,
    which the log then says
    """
    precision: PrecisionName = "auto"
    """what OpenVINO computes in: `float32`, `bfloat16` (only on a processor that has it), or `auto`: bfloat16
    where the processor has it and a comparison at the first start finds the same answers, see
    [Speed](#speed)
    """
    graph_cache: Annotated[Path | None, _without("`skindiseasenet/graphs` in the user's cache folder")] = None
    """folder of the exported graphs, which nobody but you and root may be able to write to, see
    [Speed](#speed)
    """
    access: Annotated[
        Literal["open", "keys"],
        _without("`open` on this machine's own address and in a Space; elsewhere it must be set"),
    ] = "open"
    """`open`: anyone who reaches the address may ask. `keys`: whoever has a key, which Flask alone asks for:
    Gradio then does not start
    """
    keys_file: Path | None = None
    """where `python -m app key` keeps the keys; goes with `ACCESS=keys`"""
    secret_key: Annotated[str, AfterValidator(_long_enough)] | None = dataclasses.field(
        default=None, repr=False
    )
    """signs the sessions of the Flask pages, and hides addresses in Redis; 32 characters at least. Needed
    with `ACCESS=keys` (Flask) and with Redis
    """
    sessions_folder: Annotated[
        Path | None, _without("`skindiseasenet/sessions` in the user's cache folder")
    ] = None
    """Flask: who is signed in, see [Keys](#keys); goes with `ACCESS=keys`"""
    trusted_proxies: Annotated[int, Field(ge=0, le=9), PLAIN] = 0
    """how many proxies of yours stand in front. Flask believes so many entries of `X-Forwarded-For`, from
    the right; Gradio the last `X-Forwarded-Proto`
    """
    rate_limit: Annotated[Annotated[str, AfterValidator(_limits)] | None, _without(f"`{RATE_LIMIT}`")] = None
    """Flask: posts by key, or by address where there is no valid key; several limits with `;` between them,
    or `off`
    """
    rate_limit_storage: Annotated[str, AfterValidator(_storage)] = dataclasses.field(
        default="memory://", repr=False
    )
    """Flask: where they are counted. In memory each worker counts for itself; `redis://HOST:PORT/0` counts
    for all
    """
    workers: Annotated[int, Field(ge=1, le=256), PLAIN] = 1
    """Flask: processes, each with its own copy of the model"""
    max_running: Annotated[int, Field(ge=1, le=256), PLAIN] = 2
    """predictions at the same time in one worker"""
    max_waiting: Annotated[int, Field(ge=0, le=256), PLAIN] = 16
    """predictions that wait for their turn in one worker; one more is told to try again (Flask: 503 with
    `Retry-After`)
    """
    request_seconds: Annotated[int, Field(ge=1, le=600), PLAIN] = 60
    """in which a request must have arrived; a slower one gets 408 or a closed connection"""
    audit_log: str = "-"
    """file that the audit lines are added to; `-` is the standard output"""
    audit_required: Switch = False
    """Flask: `yes` withholds (503) every answer to a post whose audit line cannot be written"""
    private: Switch = True
    """Flask: `yes` serves `/private`, where the visitor's own browser computes and no photo is sent, see
    [private.md](private.md)
    """
    audit_signals: Switch = False
    """`yes` adds to every audit line the numbers that `python -m app drift` compares, such as the largest
    probability and the brightness; no part of a picture
    """
    clinic: Switch = False
    """Flask: `yes` takes DICOM, and answers in DICOM and FHIR too, see [The clinic](clinic.md); needs the
    packages of `requirements-clinic.txt`
    """
    review: Annotated[str, AfterValidator(_database)] | None = dataclasses.field(default=None, repr=False)
    """Flask: database of the review queue, `sqlite:////FOLDER/FILE` or `postgresql://USER@HOST/NAME`; needs
    `ACCESS=keys`, see [Review](review.md). Without it no picture is ever stored
    """
    review_key_file: Path | None = None
    """encrypts the stored pictures; `python -m app review key` makes it"""
    review_days: Annotated[int, Field(ge=1, le=3650), PLAIN] = 365
    """after so many days a stored picture is deleted"""
    review_readers: Annotated[
        tuple[str, ...], BeforeValidator(_split, json_schema_input_type=str), _without("none")
    ] = ()
    """names of the keys whose holders may read cases, with commas between them"""
    examples: Annotated[str | None, _without("pictures drawn by code")] = None
    """pictures to try: a folder, or a Hub data set as `ORG/NAME@REVISION`, with a `metadata.csv` whose
    columns are `file_name`, `title`, `licence` and `credit`; licence and credit are shown
    """

    @model_validator(mode="wrap")
    @classmethod
    def _in_words(cls, values: Any, check: Any) -> Settings:
        return checked(cls, values, check, named=str.upper)

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
        names = [field.name for field in dataclasses.fields(cls)]
        _warn_of_misspelt(env, [name.upper() for name in names])
        given = {name: env[name.upper()] for name in names if env.get(name.upper())}
        in_space = bool(env.get("SPACE_ID"))
        usual: dict[str, Any] = {
            "host": "0.0.0.0" if in_space else cls.host,
            "port": default_port,
            "rate_limit": RATE_LIMIT,
        }
        settings = cls(**{**usual, **given})
        settings._check(given, in_space=in_space)
        return settings

    def _check(self, given: Mapping[str, str], *, in_space: bool) -> None:
        if "checkpoint" in given and "checkpoints" in given:
            raise ConfigError(
                "CHECKPOINT and CHECKPOINTS are both set; one of them is expected.",
                hint="Remove CHECKPOINT: the first of CHECKPOINTS is the usual one.",
            )
        if self.keys_file and self.access != "keys":
            raise ConfigError(
                f"KEYS_FILE is set, but ACCESS is {given.get('access', 'not set')}: "
                "the keys would not be asked for.",
                hint="Set ACCESS=keys, or remove KEYS_FILE.",
            )
        if self.access == "keys" and not self.keys_file:
            raise ConfigError(
                "ACCESS is keys, but KEYS_FILE is not set.",
                hint="Set KEYS_FILE to a file that `python -m app key add NAME --file FILE` made.",
            )
        if "access" not in given and not is_local(self.host) and not in_space:
            raise ConfigError(
                f"HOST is {self.host}, which other machines may reach, but ACCESS is not set.",
                hint="Set ACCESS=open to let anyone in, or ACCESS=keys with a KEYS_FILE for `make serve`.",
            )
        if "rate_limit_storage" in given and self.rate_limit is None:
            raise ConfigError(
                "RATE_LIMIT_STORAGE is set, but RATE_LIMIT is off.",
                hint="Set a RATE_LIMIT, or remove RATE_LIMIT_STORAGE.",
            )
        if self.rate_limit_storage != "memory://" and self.secret_key is None:
            raise ConfigError(
                "RATE_LIMIT_STORAGE is a Redis URL, but SECRET_KEY, which hides addresses in it, is not set.",
                hint=_SECRET_HINT,
            )

        self._check_review(given)

    def _check_review(self, given: Mapping[str, str]) -> None:
        alone = [name for name in ("review_key_file", "review_days", "review_readers") if name in given]
        if self.review is None and alone:
            raise ConfigError(
                f"{alone[0].upper()} is set, but REVIEW is not: there is no review queue.",
                hint=f"Set REVIEW, or remove {alone[0].upper()}.",
            )
        if self.review is not None and self.access != "keys":
            raise ConfigError(
                "REVIEW is set, but ACCESS is not keys: nobody would know who reads.",
                hint="Set ACCESS=keys, with a key for every reader.",
            )
        if self.review is not None and not self.review_key_file:
            raise ConfigError(
                "REVIEW is set, but REVIEW_KEY_FILE, which encrypts the pictures, is not.",
                hint="Make one with `python -m app review key FILE`.",
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


def _warn_of_misspelt(env: Mapping[str, str], names: Sequence[str]) -> None:
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


def settings_table() -> str:
    """Every setting as the Markdown table of ``docs/serving.md``: variable, value, default and meaning."""
    lines = ["| Variable | Value | Default | Meaning |", "| --- | --- | --- | --- |"]
    for name, field in TypeAdapter(Settings).json_schema()["properties"].items():
        default = field.get("default")
        usual = (
            "none"
            if default is None
            else "`no`"
            if default is False
            else "`yes`"
            if default is True
            else f"`{default}`"
        )
        meaning = " ".join(field["description"].split())
        lines.append(f"| `{name.upper()}` | {expected(field)} | {field.get('without', usual)} | {meaning} |")
    return "\n".join(lines)

"""Every setting, read from the environment once."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

from model.device import DEVICES
from model.errors import ConfigError

EMBEDDED_CHECKPOINT = str(Path(__file__).resolve().parent.parent / "checkpoints" / "skin22")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What an operator may choose. Each field is the environment variable of the same name in capitals.

    Attributes:
        checkpoint: a checkpoint folder, or a Hub repository as ORG/NAME@REVISION; default the embedded one.
        host: address to listen on; default 127.0.0.1, in a Hugging Face Space 0.0.0.0.
        port: port to listen on, 1 to 65535; default 7860 for Gradio, 8000 for Flask.
        device: auto, cpu, cuda or mps; default auto.
    """

    checkpoint: str = EMBEDDED_CHECKPOINT
    host: str = "127.0.0.1"
    port: int
    device: str = "auto"

    @classmethod
    def from_environment(cls, *, default_port: int, environment: Mapping[str, str] | None = None) -> Settings:
        """Reads the settings; an empty variable counts as not set.

        Args:
            default_port: where PORT is not set.
            environment: default ``os.environ``.

        Raises:
            ConfigError: a value is out of range; the message names the variable.
        """
        env = os.environ if environment is None else environment
        port = env.get("PORT") or str(default_port)
        if not port.isdecimal() or not 1 <= int(port) <= 65535:
            raise ConfigError(
                f"PORT is {port!r}; a number from 1 to 65535 is expected.", hint="Correct PORT."
            )
        device = env.get("DEVICE") or "auto"
        if device not in DEVICES:
            raise ConfigError(
                f"DEVICE is {device!r}; one of {', '.join(DEVICES)} is expected.", hint="Correct DEVICE."
            )
        return cls(
            checkpoint=env.get("CHECKPOINT") or EMBEDDED_CHECKPOINT,
            host=env.get("HOST") or ("0.0.0.0" if env.get("SPACE_ID") else "127.0.0.1"),
            port=int(port),
            device=device,
        )

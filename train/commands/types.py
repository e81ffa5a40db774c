"""Types and options that several commands share."""

from __future__ import annotations

import dataclasses
from typing import Literal

Device = Literal["auto", "cpu", "cuda", "mps"]
Challenge = Literal["isic2018", "isic2019"]


@dataclasses.dataclass(frozen=True)
class Reading:
    """How pictures are read, and where they are computed.

    Args:
        device: where to compute.
        max_unreadable: largest share of unreadable pictures.
    """

    device: Device = "auto"
    max_unreadable: float = 0.01


@dataclasses.dataclass(frozen=True)
class Verified(Reading):
    """How pictures are read and verified, and where they are computed.

    Args:
        device: where to compute.
        max_unreadable: largest share of unreadable pictures.
        manifest: hash manifest that the pictures must match.
    """

    manifest: str = ""

"""Types that several commands share."""

from __future__ import annotations

from typing import Literal

Device = Literal["auto", "cpu", "cuda", "mps"]
Challenge = Literal["isic2018", "isic2019"]

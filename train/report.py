"""The model card, written from a run's options and measured figures."""

from __future__ import annotations

from typing import Any

from model.config import ModelConfig


def model_card(
    config: ModelConfig, *, training: dict[str, Any], history: list[dict[str, Any]], metrics: dict[str, Any]
) -> str:
    """Text of the checkpoint's ``README.md``."""
    return "# SkinDiseaseNet\n"

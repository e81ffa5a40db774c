"""Grad-CAM on the map that the head reads: where in the picture the evidence for a class lies."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.config import ModelConfig
from model.explain.cam import evidence
from model.heads import apply_head, create_head
from model.weights import Weights


class HasHead(Protocol):
    """A network, or the part of it after the map."""

    def forward_head(self, features: Tensor) -> Tensor: ...


class CheckpointHead:
    """A checkpoint's head without its backbone.

    Args:
        config: names the head.
        weights: the head's, by their names in it.
        channels: C of its input maps.
    """

    def __init__(self, config: ModelConfig, weights: Weights, *, channels: int) -> None:
        norms = [f"norm.stages.{stage}.weight" for stage in range(config.stages)]
        self._head = create_head(
            config.head,
            channels=[len(weights[norm]) for norm in norms if norm in weights] or [channels],
            classes=len(config.labels),
            hidden_size=config.hidden_size,
            dropout=config.dropout,
        )
        self._head.load_state_dict({name: torch.from_numpy(values) for name, values in weights.items()})
        self._head.eval().requires_grad_(False)

    def forward_head(self, features: Tensor) -> Tensor:
        """The map (B, C, h, w) → uncalibrated logits (B, classes)."""
        return apply_head(self._head, features)


def grad_cam(network: HasHead, features: Tensor, class_index: int) -> NDArray[np.float32]:
    """Grad-CAM (Selvaraju et al. 2017, equations 1 and 2) for one picture.

    Only the head is differentiated, from the map that the forward pass has already computed: no hooks, no
    gradients left on parameters, safe in several threads at once.

    Args:
        network: in eval mode; only its head is used.
        features: the map of one picture, (1, C, h, w).
        class_index: the class to explain.

    Returns:
        Evidence per location, (h, w), scaled to 0..1; all zero if there is no evidence for the class.
    """
    features = features.detach().float().requires_grad_(True)
    # cuDNN's recurrent layers refuse a backward pass in eval mode.
    with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        score = network.forward_head(features)[0, class_index]
        (gradient,) = torch.autograd.grad(score, features)
    return evidence(features.detach().cpu().numpy(), gradient[0].mean(dim=(1, 2)).cpu().numpy())

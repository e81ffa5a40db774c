"""PyTorch as a runtime: on any device, and the reference for the exported graph."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.checkpoint import Checkpoint
from model.explain.grad_cam import grad_cam
from model.runtime.device import trusted_device
from model.runtime.precision import Precision


class TorchRuntime:
    """Runs the network in PyTorch.

    Args:
        checkpoint: whose network is moved to the device.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``; one that computes wrong results is replaced by the
            CPU.
    """

    name = "torch"
    precision: Precision = "float32"

    def __init__(self, checkpoint: Checkpoint, *, device: str = "auto") -> None:
        network = checkpoint.network
        self._device = trusted_device(device, network, size=checkpoint.config.input_size)
        self._network = network.to(self._device).to(memory_format=torch.channels_last)
        self._network.requires_grad_(False)
        self.device = self._device.type

    @torch.no_grad()
    def forward(self, image: NDArray[np.float32]) -> tuple[NDArray[np.float32], Tensor]:
        """One normalised picture (1, 3, S, S) → logits (classes,) and the map (1, C, h, w)."""
        batch = torch.from_numpy(image).to(self._device, memory_format=torch.channels_last)
        features = self._network.forward_features(batch)
        return self._network.forward_head(features)[0].cpu().numpy(), features

    def pooled(self, features: Tensor) -> NDArray[np.float32]:
        """The map (1, C, h, w) averaged over locations, (C,)."""
        return features[0].mean(dim=(1, 2)).cpu().numpy()

    def grad_cam(self, features: Tensor, class_index: int) -> NDArray[np.float32]:
        """Grad-CAM (``model.explain.grad_cam.grad_cam``)."""
        return grad_cam(self._network, features, class_index)

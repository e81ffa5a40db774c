"""Choosing the device, and checking that its results can be trusted."""

from __future__ import annotations

import copy
import warnings

import torch

from model.errors import ConfigError
from model.network import SkinDiseaseNet
from model.runtime.base import DEVICES


def pick_device(name: str = "auto") -> torch.device:
    """``auto`` takes CUDA, then Apple's MPS, then the CPU.

    Raises:
        ConfigError: the name is unknown, or the device is not available.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, available in there.items() if available))
    if name not in there:
        raise ConfigError(f"There is no device {name!r}.", hint=f"The devices are: {', '.join(DEVICES)}.")
    if not there[name]:
        raise ConfigError(
            f"The device {name} was requested, but this machine has none that PyTorch can use.",
            hint="Choose auto or cpu.",
        )
    return torch.device(name)


def trusted_device(name: str, network: SkinDiseaseNet, *, size: int) -> torch.device:
    """As ``pick_device``, but the CPU if Apple's MPS computes wrong results for this network.

    Args:
        name: a name from ``DEVICES``. network, size: as in ``agrees_with_cpu``.
    """
    device = pick_device(name)
    if device.type == "mps" and not agrees_with_cpu(network, device, size=size):
        return torch.device("cpu")
    return device


@torch.inference_mode()
def agrees_with_cpu(network: SkinDiseaseNet, device: torch.device, *, size: int) -> bool:
    """Compare the logits of one synthetic picture on ``device`` with the CPU's; warn if they differ.

    MPS has had wrong recurrent layers; a network that disagrees there must run on the CPU.

    Args:
        network: any mode, any device; unchanged afterwards.
        size: side of the picture, pixels.
    """
    image = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    expected = copy.deepcopy(network).cpu().eval()(image)
    got = copy.deepcopy(network).to(device).eval()(image.to(device)).cpu()
    if torch.allclose(expected, got, atol=1e-2, rtol=1e-2):
        return True
    difference = (expected - got).abs().max().item()
    warnings.warn(
        f"Logits on {device.type} differ from the CPU's by up to {difference:.3g}; computing on the CPU.",
        RuntimeWarning,
        stacklevel=2,
    )
    return False

"""Optimisation: freezing, AdamW's parameter groups, the cosine schedule."""

from __future__ import annotations

from fnmatch import fnmatchcase

import torch
from timm.scheduler import CosineLRScheduler
from torch import nn

from model.errors import ConfigError
from model.network import SkinDiseaseNet
from train.config import TrainConfig
from train.fit.objective import Learner


def freeze(network: SkinDiseaseNet, patterns: list[str]) -> None:
    """Freeze the backbone except for parameters that match a pattern; the head is always trained.

    Args:
        patterns: shell patterns such as ``layer4.*``; ``*`` trains all, an empty list none.

    Raises:
        ConfigError: a pattern matches nothing.
    """
    names = [name for name, _ in network.backbone.named_parameters()]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            parts = sorted({name.split(".")[0] for name in names})
            raise ConfigError(
                f"No backbone parameter matches the pattern {pattern!r}.",
                hint=f"The backbone's parts are: {', '.join(parts)}; write for example {parts[-1]}.*",
            )
    for name, parameter in network.backbone.named_parameters():
        parameter.requires_grad_(any(fnmatchcase(name, pattern) for pattern in patterns))


def train_mode(network: nn.Module) -> None:
    """Set training mode, except for fully frozen modules, whose batch norms keep their statistics."""
    network.train()
    for module in network.modules():
        own = list(module.parameters())
        if own and not any(parameter.requires_grad for parameter in own):
            module.eval()


def create_optimizer(learner: Learner, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW with one learning rate for the heads and one for the backbone; no decay on biases and norms.

    The rates of the backbone's stages fall by ``layer_decay`` from the last to the first (Howard and Ruder
    2018, section 3.2).
    """
    parts: dict[str, list[nn.Parameter]] = {}
    for name, parameter in learner.network.backbone.named_parameters():
        if parameter.requires_grad:
            parts.setdefault(name.split(".")[0], []).append(parameter)
    behind = range(len(parts) - 1, -1, -1)
    rates = [config.backbone_lr * config.layer_decay**stages for stages in behind]
    inside = {id(parameter) for parameter in learner.network.backbone.parameters()}
    heads = [p for p in learner.parameters() if p.requires_grad and id(p) not in inside]
    groups = []
    for trained, lr in [*zip(parts.values(), rates, strict=True), (heads, config.head_lr)]:
        for decay, members in (
            (config.weight_decay, [p for p in trained if p.ndim > 1]),
            (0.0, [p for p in trained if p.ndim <= 1]),
        ):
            if members:
                groups.append({"params": members, "lr": lr, "weight_decay": decay})
    return torch.optim.AdamW(groups)


def create_schedule(
    optimizer: torch.optim.Optimizer, config: TrainConfig, *, steps_per_epoch: int
) -> CosineLRScheduler:
    """Cosine annealing (Loshchilov and Hutter 2017) to zero by steps, after a linear warm-up.

    With ``restarts`` = r there are r + 1 equal cycles that each start at the peak.
    """
    warmup = round(config.warmup_epochs * steps_per_epoch)
    total = max(1, config.epochs * steps_per_epoch - warmup)
    schedule = CosineLRScheduler(
        optimizer,
        t_initial=-(-total // (config.restarts + 1)),
        lr_min=0.0,
        cycle_limit=config.restarts + 1,
        warmup_t=warmup,
        warmup_lr_init=1e-7,
        warmup_prefix=True,
        t_in_epochs=False,
    )
    return schedule

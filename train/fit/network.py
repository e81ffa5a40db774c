"""Build a recipe's network with its initial weights, and its augmentation."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from timm.layers import DropPath
from torch import nn

from model.config import ModelConfig
from model.errors import ConfigError
from model.heads import HEADS, Head
from model.hub import is_reference
from model.image.augment import Transform, train_transform
from model.network import SkinDiseaseNet
from model.weights import check_there
from train.config import TrainConfig
from train.fit.initial import load_backbone_weights, load_network_weights
from train.fit.optim import freeze


def model_config(config: TrainConfig) -> ModelConfig:
    """The configuration of a recipe's network before calibration; does not build the network.

    Raises:
        ConfigError: an option is out of range.
    """
    shared = {field.name for field in dataclasses.fields(ModelConfig)}
    values = {name: value for name, value in dataclasses.asdict(config).items() if name in shared}
    return ModelConfig(**values)


def check_initial(config: TrainConfig) -> None:
    """Check how a recipe's initial weights are given, without fetching them.

    Raises:
        ConfigError: other options contradict them.
        CheckpointError: the file is missing.
    """
    if config.init == "timm" and config.stride_in_1x1:
        raise ConfigError(
            "stride_in_1x1 is set, but timm's ResNet weights were trained with the strides in the 3x3.",
            hint="Add --stride-in-1x1 false, or give weights with the original strides as --init FILE.",
        )
    if config.init_share and not _is_checkpoint(config.init):
        raise ConfigError(
            f"init_share is {config.init_share:g}, but {config.init} is not a checkpoint.",
            hint="Give a checkpoint as --init, to average the trained weights with.",
        )
    if config.init not in ("timm", "random") and not _is_checkpoint(config.init):
        check_there(Path(config.init))


def _is_checkpoint(init: str) -> bool:
    return Path(init).is_dir() or is_reference(init)


def create_network(
    config: TrainConfig, heads: Mapping[str, Head] = HEADS
) -> tuple[ModelConfig, SkinDiseaseNet]:
    """Create the network of a recipe with its initial weights, frozen according to the recipe.

    Args:
        config: the recipe.
        heads: the available heads.

    Raises:
        ConfigError, CheckpointError: an option or the initial weights are wrong.
    """
    check_initial(config)
    built, whole = model_config(config), _is_checkpoint(config.init)
    network = SkinDiseaseNet(built, pretrained=config.init == "timm", heads=heads)
    if whole:
        load_network_weights(network, config.init, labels=config.labels)
    elif config.init not in ("timm", "random"):
        load_backbone_weights(network, config.init)
    if config.drop_path:
        add_drop_path(network.backbone, config.drop_path)
    freeze(network, config.trainable)
    return built, network


def mix_with_initial(network: SkinDiseaseNet, config: TrainConfig) -> None:
    """Interpolate the trained weights with the initial ones, by ``init_share``.

    The mean of two related networks often beats both, above all on pictures from other sources
    (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022).
    """
    if config.init_share == 0:
        return
    initial = create_network(config)[1].state_dict()
    for name, trained in network.state_dict().items():
        if trained.is_floating_point():
            trained.lerp_(initial[name].to(trained), config.init_share)


def add_drop_path(backbone: nn.Module, rate: float) -> None:
    """Enable stochastic depth: the rate grows from 0 at the first residual block to ``rate`` at the last.

    Raises:
        ConfigError: the backbone has no timm blocks that can be skipped.
    """
    blocks = [block for block in backbone.modules() if hasattr(block, "drop_path")]
    if not blocks:
        raise ConfigError(
            f"drop_path is {rate:g}, but {type(backbone).__name__} has no residual blocks that support it.",
            hint="Set drop_path to 0, or use a ResNet of timm.",
        )
    for number, block in enumerate(blocks):
        block.drop_path = DropPath(rate * number / max(1, len(blocks) - 1))


def augmentation(config: TrainConfig, model_config: ModelConfig, *, epoch: int = 0) -> Transform:
    """A recipe's augmentation for an epoch: RGB picture → tensor (3, S, S), S the epoch's size."""
    return train_transform(
        config=model_config,
        size=config.size_of_epoch(epoch),
        min_scale=config.min_scale,
        color_jitter=config.color_jitter,
        white_balance=config.white_balance,
        grayscale=config.grayscale,
        blur=config.blur,
        downscale=config.downscale,
        compress=config.compress,
        erase=config.erase,
        quarter_turns=config.quarter_turns,
    )

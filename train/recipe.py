"""A recipe made real: the network with its initial weights, and the augmentation of its pictures."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from model import checkpoint
from model.config import ModelConfig
from model.errors import ConfigError
from model.hub import is_reference
from model.network import SkinDiseaseNet
from model.transforms import Transform, train_transform
from train.config import TrainConfig
from train.optim import freeze


def create_network(config: TrainConfig) -> tuple[ModelConfig, SkinDiseaseNet]:
    """The network of a recipe with its initial weights, frozen as the recipe says.

    Raises:
        ConfigError, CheckpointError: an option or the initial weights are wrong.
    """
    shared = {field.name for field in dataclasses.fields(ModelConfig)}
    values = {name: value for name, value in dataclasses.asdict(config).items() if name in shared}
    model_config = ModelConfig.from_dict(values)
    if config.init == "timm" and config.stride_in_1x1:
        raise ConfigError(
            "stride_in_1x1 is set, but timm's ResNet weights were trained with the strides in the 3x3.",
            hint="Add --stride_in_1x1 false, or give weights with the original strides as --init FILE.",
        )
    whole = Path(config.init).is_dir() or is_reference(config.init)
    if config.init_share and not whole:
        raise ConfigError(
            f"init_share is {config.init_share:g}, but {config.init} is no checkpoint.",
            hint="Give a checkpoint as --init, whose weights the trained ones can be mixed with.",
        )
    network = SkinDiseaseNet(model_config, pretrained=config.init == "timm")
    if whole:
        checkpoint.load_network_weights(network, config.init, labels=config.labels)
    elif config.init not in ("timm", "random"):
        checkpoint.load_backbone_weights(network, config.init)
    freeze(network, config.trainable)
    return model_config, network


def mix_with_initial(network: SkinDiseaseNet, config: TrainConfig) -> None:
    """Moves trained weights by the share ``init_share`` back to those that the run began with.

    Between two networks of one descent the mean often beats both, on pictures from elsewhere most of all
    (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022).
    """
    if config.init_share == 0:
        return
    initial = create_network(config)[1].state_dict()
    for name, trained in network.state_dict().items():
        if trained.is_floating_point():
            trained.lerp_(initial[name].to(trained), config.init_share)


def augmentation(config: TrainConfig, model_config: ModelConfig) -> Transform:
    """The augmentation of a recipe: RGB picture → tensor (3, train_size, train_size)."""
    return train_transform(
        config=model_config,
        size=config.train_size,
        min_scale=config.min_scale,
        color_jitter=config.color_jitter,
        grayscale=config.grayscale,
        blur=config.blur,
        downscale=config.downscale,
        compress=config.compress,
        erase=config.erase,
        quarter_turns=config.quarter_turns,
    )

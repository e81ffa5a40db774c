"""``SkinDiseaseNet``: a backbone whose last feature maps a head reads as a sequence of spatial tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

from model.config import ModelConfig
from model.errors import ConfigError
from model.heads import HEADS, Head, apply_head, create_head, map_tokens

TORCHVISION_PREFIX = "torchvision/"


class SkinDiseaseNet(nn.Module):
    """The paper's network: picture → map → tokens → head → logits.

    Args:
        config: names the backbone and the head.
        pretrained: load the backbone's ImageNet weights from timm's Hub repository.
        heads: the heads that the config may name.

    Raises:
        ConfigError: a name in the config is unknown, or the backbone has no spatial map, or too few stages.
    """

    def __init__(
        self, config: ModelConfig, *, pretrained: bool = False, heads: Mapping[str, Head] = HEADS
    ) -> None:
        super().__init__()
        self.backbone = _create_backbone(config, pretrained=pretrained)
        self.stages = config.stages
        if config.stride_in_1x1:
            _move_stride_to_1x1(self.backbone)
        with torch.no_grad():
            self.backbone.eval()
            maps = self._maps(torch.zeros(1, 3, config.input_size, config.input_size))
            self.backbone.train()
        self.channels = [stage.shape[1] for stage in maps]
        self.head = create_head(
            config.head,
            channels=self.channels,
            classes=len(config.labels),
            hidden_size=config.hidden_size,
            dropout=config.dropout,
            heads=heads,
        )

    def forward_features(self, images: Tensor) -> Tensor:
        """Normalised RGB (B, 3, H, W) → the map that the head reads (B, C, h, w).

        This is the backbone's last map, preceded along the channels by the maps of the ``stages - 1`` stages
        before it, averaged down to its grid, the earliest first.
        """
        return join_maps(self._maps(images))

    def _maps(self, images: Tensor) -> list[Tensor]:
        if self.stages == 1:
            return [self._last_map(images)]
        if not hasattr(self.backbone, "forward_intermediates"):
            raise ConfigError(
                f"stages is {self.stages}, but {type(self.backbone).__name__} gives its last map only.",
                hint="Use stages 1, or a timm backbone such as resnet50.",
            )
        return self.backbone.forward_intermediates(  # type: ignore[operator]
            images, indices=self.stages, intermediates_only=True
        )

    def _last_map(self, images: Tensor) -> Tensor:
        features = (
            self.backbone(images)
            if isinstance(self.backbone, nn.Sequential)
            else (
                self.backbone.forward_features(images)  # type: ignore[operator]
            )
        )
        if features.ndim == 3:
            features = _tokens_to_map(self.backbone, features, images.shape[-2:])
        elif features.shape[1] != getattr(self.backbone, "num_features", features.shape[1]) and (
            features.shape[-1] == self.backbone.num_features
        ):
            features = features.permute(0, 3, 1, 2)  # (B, h, w, C) → (B, C, h, w), as Swin gives it
        return features

    def tokens(self, features: Tensor) -> Tensor:
        """The map (B, C, h, w) → one token per location, row by row, (B, h * w, C)."""
        return map_tokens(features)

    def forward_head(self, features: Tensor) -> Tensor:
        """The map (B, C, h, w) → uncalibrated logits (B, classes), in float32."""
        return apply_head(self.head, features)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised RGB (B, 3, H, W) → uncalibrated logits (B, classes)."""
        return self.forward_head(self.forward_features(images))


def join_maps(maps: Sequence[Tensor]) -> Tensor:
    """Maps (B, C_i, h_i, w_i), the last one the smallest → one map on its grid, (B, sum of C_i, h, w)."""
    last = maps[-1]
    grid = int(last.shape[2]), int(last.shape[3])  # plain ints, which the exported graph needs
    smaller = [functional.adaptive_avg_pool2d(earlier, grid) for earlier in maps[:-1]]
    return torch.cat([*smaller, last], dim=1) if smaller else last


def _create_backbone(config: ModelConfig, *, pretrained: bool) -> nn.Module:
    name = config.backbone
    if name.startswith(TORCHVISION_PREFIX):
        return _create_torchvision_backbone(name, pretrained=pretrained)
    if not timm.is_model(name):
        close = timm.list_models(f"*{name.split('.')[0][:6]}*")[:8]
        raise ConfigError(
            f"timm has no model called {name!r}.",
            hint=f"Similar names: {', '.join(close) or 'none'}; "
            "timm.list_models() lists all, torchvision/alexnet is taken from torchvision.",
        )
    takes_size = name.startswith(("vit_", "deit", "swin", "beit"))
    options: dict[str, Any] = {"img_size": config.input_size} if takes_size else {}
    backbone = timm.create_model(name, pretrained=pretrained, num_classes=0, global_pool="", **options)
    # Layers after the last map are never run; they would be trained and saved for nothing.
    classifier = str(dict(backbone.pretrained_cfg).get("classifier") or "head")  # type: ignore[arg-type]
    for unused in {classifier.split(".")[0], "pre_logits", "fc_norm"}:
        if isinstance(getattr(backbone, unused, None), nn.Module):
            setattr(backbone, unused, nn.Identity())
    return backbone


def _create_torchvision_backbone(name: str, *, pretrained: bool) -> nn.Module:
    short = name.removeprefix(TORCHVISION_PREFIX)
    known = torchvision.models.list_models(module=torchvision.models)
    if short not in known:
        raise ConfigError(
            f"torchvision has no model called {short!r}.", hint="An example that works: torchvision/alexnet."
        )
    whole = torchvision.models.get_model(short, weights="DEFAULT" if pretrained else None)
    if not isinstance(getattr(whole, "features", None), nn.Sequential):
        raise ConfigError(
            f"torchvision's {short} has no convolutional part called 'features'.",
            hint="Take the model of this family from timm, or torchvision/alexnet.",
        )
    return whole.features


def _tokens_to_map(backbone: nn.Module, tokens: Tensor, size: torch.Size) -> Tensor:
    """A token backbone's output (B, prefix + h * w, C) → (B, C, h, w), without its prefix tokens."""
    tokens = tokens[:, getattr(backbone, "num_prefix_tokens", 0) :]
    patch = getattr(backbone, "patch_embed", None)
    height, width = patch.dynamic_feat_size(tuple(size)) if patch is not None else (0, 0)
    if height * width != tokens.shape[1]:
        raise ConfigError(
            f"The backbone gives {tokens.shape[1]} tokens, which form no map of {height} x {width}.",
            hint="Choose a backbone whose last layer keeps the spatial layout of the picture.",
        )
    return tokens.transpose(1, 2).reshape(tokens.shape[0], -1, height, width)


def _move_stride_to_1x1(backbone: nn.Module) -> None:
    """Moves the stride of each stage's first block from its 3x3 to its first 1x1 convolution."""
    moved = 0
    for block in backbone.modules():
        first, second = getattr(block, "conv1", None), getattr(block, "conv2", None)
        if not (isinstance(first, nn.Conv2d) and isinstance(second, nn.Conv2d) and hasattr(block, "conv3")):
            continue
        if first.kernel_size == (1, 1) and second.stride != (1, 1):
            first.stride, second.stride = second.stride, (1, 1)
            moved += 1
    if not moved:
        raise ConfigError(
            "stride_in_1x1 is set, but the backbone has no bottleneck block with a strided 3x3 convolution.",
            hint="Use it with a ResNet of 50 layers or more, or leave it out.",
        )

"""Classification heads with one interface: tokens (B, N, C) and their grid (h, w) → logits (B, classes)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

from model.errors import ConfigError


class StageNorm(nn.Module):
    """Layer norm for tokens joined from several stages, over each stage's channels separately.

    The maps of a ResNet's stages differ in scale; with one norm the larger would dominate.

    Args:
        channels: of each stage, in order.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.channels = list(channels)
        self.stages = nn.ModuleList(nn.LayerNorm(count) for count in channels)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, N, C) → (B, N, C)."""
        parts = tokens.split(self.channels, dim=2)
        return torch.cat([norm(part) for norm, part in zip(self.stages, parts, strict=True)], dim=2)


def create_norm(channels: Sequence[int]) -> nn.Module:
    """The layer norm before a head: (B, N, C) → (B, N, C), C the sum of ``channels``."""
    return nn.LayerNorm(channels[0]) if len(channels) == 1 else StageNorm(channels)


class PoolHead(nn.Module):
    """Global average pooling and a linear layer: the baseline that the other heads must beat."""

    def __init__(self, *, channels: Sequence[int], classes: int, hidden_size: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(sum(channels), classes)

    def forward(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        return self.classifier(self.dropout(tokens.mean(dim=1)))


class MeanPooling(nn.Module):
    """The average over the sequence, which gives every token a short path to the classifier."""

    def __init__(self, width: int) -> None:
        super().__init__()

    def forward(self, outputs: Tensor) -> Tensor:
        """(B, N, width) → (B, width)."""
        return outputs.mean(dim=1)


class BiLSTMHead(nn.Module):
    """The paper's head: a two-layer bidirectional LSTM reads the tokens row by row.

    Tokens of a single stage are its direct input. Those of several stages are first projected to the width of
    the LSTM's outputs, or most of the head's weights would be in its first input layer.

    Args:
        channels, classes, hidden_size, dropout: as for ``create_head``.
        pooling: creates, from the width of the LSTM's outputs, the module that pools them for the classifier.
    """

    def __init__(
        self,
        *,
        channels: Sequence[int],
        classes: int,
        hidden_size: int,
        dropout: float,
        pooling: Callable[[int], nn.Module] = MeanPooling,
    ) -> None:
        super().__init__()
        self.norm = create_norm(channels)
        several = len(channels) > 1
        width = 2 * hidden_size if several else channels[0]
        self.project = nn.Linear(sum(channels), width) if several else nn.Identity()
        self.lstm = nn.LSTM(
            width, hidden_size, num_layers=2, bidirectional=True, batch_first=True, dropout=dropout
        )
        self.dropout = nn.Dropout(dropout)
        self.pooling = pooling(2 * hidden_size)
        self.classifier = nn.Linear(2 * hidden_size, classes)

    def forward(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        outputs, _ = self.lstm(self.project(self.norm(tokens)))  # (B, N, C) → (B, N, 2 * hidden)
        return self.classifier(self.dropout(self.pooling(outputs)))


class AttentionHead(nn.Module):
    """Multi-head self-attention over the tokens (the paper's first future work).

    A learned query token collects the information, as in ViT (Dosovitskiy et al. 2021). Positions are fixed
    two-dimensional sines and cosines, so any grid fits.
    """

    HEADS = 8

    def __init__(self, *, channels: Sequence[int], classes: int, hidden_size: int, dropout: float) -> None:
        super().__init__()
        width = -(-2 * hidden_size // (4 * self.HEADS)) * 4 * self.HEADS
        self.norm = create_norm(channels)
        self.project = nn.Linear(sum(channels), width)
        self.query = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        layer = nn.TransformerEncoderLayer(
            width, self.HEADS, 2 * width, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, num_layers=2, enable_nested_tensor=False)
        self.final_norm = nn.LayerNorm(width)
        self.classifier = nn.Linear(width, classes)

    def forward(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        x = self.project(self.norm(tokens))  # (B, N, C) → (B, N, width)
        x = x + _grid_positions(grid, x.shape[-1]).to(x)
        # Not len(x): an exported graph would fix the batch size it was traced with.
        x = torch.cat([self.query.expand(x.shape[0], -1, -1), x], dim=1)
        return self.classifier(self.final_norm(self.encoder(x)[:, 0]))


def _grid_positions(grid: tuple[int, int], width: int) -> Tensor:
    """Two-dimensional sine-cosine positions, (1, h * w, width); half of the width per direction."""
    frequencies = 100.0 ** -(torch.arange(width // 4) / (width // 4))  # (width / 4,)
    axes = []
    for steps in grid:
        angles = torch.arange(steps)[:, None] * frequencies
        axes.append(torch.cat([angles.sin(), angles.cos()], dim=1))  # (steps, width / 2)
    height, across = grid
    return torch.cat(
        [axes[0][:, None].expand(-1, across, -1), axes[1][None].expand(height, -1, -1)], dim=-1
    ).reshape(1, height * across, width)


def map_tokens(features: Tensor) -> Tensor:
    """The map (B, C, h, w) → one token per location, row by row, (B, h * w, C)."""
    return features.flatten(2).transpose(1, 2)


def apply_head(head: nn.Module, features: Tensor) -> Tensor:
    """The map (B, C, h, w) → uncalibrated logits (B, classes), in float32."""
    with torch.autocast(features.device.type, enabled=False):
        return head(map_tokens(features.float()), (features.shape[2], features.shape[3]))


Head: TypeAlias = Callable[..., nn.Module]
"""Builds a head from the keyword arguments ``channels``, ``classes``, ``hidden_size`` and ``dropout``."""

HEADS: dict[str, Head] = {"bilstm": BiLSTMHead, "attention": AttentionHead, "pool": PoolHead}


def create_head(
    name: str,
    *,
    channels: Sequence[int],
    classes: int,
    hidden_size: int,
    dropout: float,
    heads: Mapping[str, Head] = HEADS,
) -> nn.Module:
    """Create a head by name.

    Args:
        name: a key of ``heads``.
        channels: of the stages whose maps are joined to tokens; their sum is C.
        classes: number of logits.
        hidden_size: width, if the head has one. dropout: 0 to 1.
        heads: the available ones.

    Raises:
        ConfigError: the name is unknown; the message lists the valid ones.
    """
    if name not in heads:
        raise ConfigError(
            f"There is no head called {name!r}.", hint=f"The heads are: {', '.join(sorted(heads))}."
        )
    return heads[name](channels=channels, classes=classes, hidden_size=hidden_size, dropout=dropout)

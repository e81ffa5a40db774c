"""The heads behind one interface: tokens (B, N, C) and their grid (h, w) in, logits (B, classes) out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from model.errors import ConfigError


class StageNorm(nn.Module):
    """Layer norm of tokens joined from several stages, over each stage's channels by themselves.

    The maps of a ResNet's stages differ in scale; under one norm the larger would drown the other.

    Args:
        channels: of each stage, in the order in which they are joined.
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


class BiLSTMHead(nn.Module):
    """The paper's head: a two-layer bidirectional LSTM reads the tokens row by row.

    Tokens of one stage go into it as they are. Those of several are first projected to the width of the
    LSTM's outputs, or most of the head's weights would be spent on its first input.

    Args:
        channels, classes, hidden_size, dropout: as for ``create_head``.
        pooling: what the classifier sees of the outputs: their ``mean`` over the sequence, which gives every
            token a short path to it; their ``max``; the ``last`` state of either direction; or their mean
            with learned weights (``attention``, as Yang et al. 2016).
        serpentine: read every other row backwards, so that neighbours in the sequence touch in the picture.
    """

    def __init__(
        self,
        *,
        channels: Sequence[int],
        classes: int,
        hidden_size: int,
        dropout: float,
        pooling: Literal["mean", "max", "last", "attention"] = "mean",
        serpentine: bool = False,
    ) -> None:
        super().__init__()
        self.pooling, self.serpentine = pooling, serpentine
        self.norm = create_norm(channels)
        several = len(channels) > 1
        width = 2 * hidden_size if several else channels[0]
        self.project = nn.Linear(sum(channels), width) if several else nn.Identity()
        self.lstm = nn.LSTM(
            width, hidden_size, num_layers=2, bidirectional=True, batch_first=True, dropout=dropout
        )
        self.dropout = nn.Dropout(dropout)
        if pooling == "attention":
            self.score = nn.Linear(2 * hidden_size, 1)
        self.classifier = nn.Linear(2 * hidden_size, classes)

    def forward(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        if self.serpentine:
            tokens = tokens[:, _serpentine(grid)]
        outputs, _ = self.lstm(self.project(self.norm(tokens)))  # (B, N, C) → (B, N, 2 * hidden)
        return self.classifier(self.dropout(self._pool(outputs)))

    def _pool(self, outputs: Tensor) -> Tensor:
        """(B, N, 2 * hidden) → (B, 2 * hidden)."""
        if self.pooling == "max":
            return outputs.amax(dim=1)
        if self.pooling == "last":
            onwards, back = outputs.chunk(2, dim=2)
            return torch.cat([onwards[:, -1], back[:, 0]], dim=1)
        if self.pooling == "attention":
            return (self.score(outputs).softmax(dim=1) * outputs).sum(dim=1)
        return outputs.mean(dim=1)


def _serpentine(grid: tuple[int, int]) -> Tensor:
    """The places of a grid (h, w) in the order in which a serpentine visits them, (h * w,)."""
    order = torch.arange(grid[0] * grid[1]).reshape(grid)
    order[1::2] = order[1::2].flip(1)
    return order.flatten()


class AttentionHead(nn.Module):
    """Multi-head self-attention over the tokens (the paper's first future work).

    A learned query token gathers the answer, as in ViT (Dosovitskiy et al. 2021). Positions are fixed
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
        # Not len(x): an exported graph would keep the number of pictures it was traced with.
        x = torch.cat([self.query.expand(x.shape[0], -1, -1), x], dim=1)
        return self.classifier(self.final_norm(self.encoder(x)[:, 0]))


class ConvLSTMHead(nn.Module):
    """A bidirectional ConvLSTM (Shi et al. 2015) that scans the map row by row, a row being one time step.

    The gates are one-dimensional convolutions along the row; both scans are averaged over the map.
    """

    def __init__(self, *, channels: Sequence[int], classes: int, hidden_size: int, dropout: float) -> None:
        super().__init__()
        self.norm = create_norm(channels)
        self.project = nn.Conv1d(sum(channels), hidden_size, 1)
        self.down = nn.Conv1d(2 * hidden_size, 4 * hidden_size, 3, padding=1)
        self.up = nn.Conv1d(2 * hidden_size, 4 * hidden_size, 3, padding=1)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(2 * hidden_size, classes)

    def forward(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        batch, _, channels = tokens.shape
        rows = self.norm(tokens).reshape(batch * grid[0], grid[1], channels).transpose(1, 2)
        rows = self.project(rows).reshape(batch, grid[0], -1, grid[1])  # (B, h, hidden, w)
        both = torch.cat([_scan(self.down, rows), _scan(self.up, rows.flip(1))], dim=1)
        return self.classifier(self.dropout(both))


def _scan(gates: nn.Conv1d, rows: Tensor) -> Tensor:
    """One ConvLSTM pass over (B, h, hidden, w); returns its outputs averaged over the map, (B, hidden)."""
    state = torch.zeros_like(rows[:, 0])
    memory = torch.zeros_like(state)
    total = torch.zeros_like(state)
    for row in rows.unbind(1):
        i, f, o, g = gates(torch.cat([row, state], dim=1)).chunk(4, dim=1)
        memory = torch.sigmoid(f) * memory + torch.sigmoid(i) * torch.tanh(g)
        state = torch.sigmoid(o) * torch.tanh(memory)
        total = total + state
    return total.mean(dim=2) / rows.shape[1]


def _grid_positions(grid: tuple[int, int], width: int) -> Tensor:
    """Two-dimensional sine-cosine positions, (1, h * w, width); half of the width a direction."""
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
    """The map (B, C, h, w) → one token a place, row by row, (B, h * w, C)."""
    return features.flatten(2).transpose(1, 2)


def apply_head(head: nn.Module, features: Tensor) -> Tensor:
    """The map (B, C, h, w) → uncalibrated logits (B, classes), in float32."""
    with torch.autocast(features.device.type, enabled=False):
        return head(map_tokens(features.float()), (features.shape[2], features.shape[3]))


HEADS: dict[str, Callable[..., nn.Module]] = {
    "bilstm": BiLSTMHead,
    "bilstm_max": partial(BiLSTMHead, pooling="max"),
    "bilstm_last": partial(BiLSTMHead, pooling="last"),
    "bilstm_attention": partial(BiLSTMHead, pooling="attention"),
    "bilstm_serpentine": partial(BiLSTMHead, serpentine=True),
    "attention": AttentionHead,
    "pool": PoolHead,
    "convlstm": ConvLSTMHead,
}


def create_head(
    name: str, *, channels: Sequence[int], classes: int, hidden_size: int, dropout: float
) -> nn.Module:
    """Builds a head by name.

    Args:
        name: a key of ``HEADS``.
        channels: of the stages whose maps are joined to tokens; their sum is C.
        classes: number of logits.
        hidden_size: width, where the head has one. dropout: 0 to 1.

    Raises:
        ConfigError: the name is unknown; the message lists the valid ones.
    """
    if name not in HEADS:
        raise ConfigError(
            f"There is no head called {name!r}.", hint=f"The heads are: {', '.join(sorted(HEADS))}."
        )
    return HEADS[name](channels=channels, classes=classes, hidden_size=hidden_size, dropout=dropout)

"""Heads that measured no better than those in ``model.heads`` (docs/ablations.md, "Heads").

Only ``ablate`` and ``crossval`` use them, so that the measurements can be repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from model.heads import HEADS, BiLSTMHead, Head, create_norm


class MaxPooling(nn.Module):
    """The largest value over the sequence."""

    def __init__(self, width: int) -> None:
        super().__init__()

    def forward(self, outputs: Tensor) -> Tensor:
        """(B, N, width) → (B, width)."""
        return outputs.amax(dim=1)


class LastStates(nn.Module):
    """The last state of each direction."""

    def __init__(self, width: int) -> None:
        super().__init__()

    def forward(self, outputs: Tensor) -> Tensor:
        """(B, N, width) → (B, width)."""
        onwards, back = outputs.chunk(2, dim=2)
        return torch.cat([onwards[:, -1], back[:, 0]], dim=1)


class AttentionPooling(nn.Module):
    """The mean with learned weights (Yang et al. 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Linear(width, 1)

    def forward(self, outputs: Tensor) -> Tensor:
        """(B, N, width) → (B, width)."""
        return (self.score(outputs).softmax(dim=1) * outputs).sum(dim=1)


class SerpentineHead(BiLSTMHead):
    """Reads every other row backwards, so that neighbours in the sequence touch in the picture."""

    def forward(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        order = torch.arange(grid[0] * grid[1]).reshape(grid)
        order[1::2] = order[1::2].flip(1)
        return super().forward(tokens[:, order.flatten()], grid)


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


ABLATION_HEADS: dict[str, Head] = {
    **HEADS,
    "bilstm_max": partial(BiLSTMHead, pooling=MaxPooling),
    "bilstm_last": partial(BiLSTMHead, pooling=LastStates),
    "bilstm_attention": partial(BiLSTMHead, pooling=AttentionPooling),
    "bilstm_serpentine": SerpentineHead,
    "convlstm": ConvLSTMHead,
}

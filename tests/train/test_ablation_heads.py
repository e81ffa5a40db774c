"""The heads that only ablations know: what they compute stays as it was measured."""

from __future__ import annotations

import pytest
import torch

from model.heads import HEADS, create_head
from train.ablate.heads import ABLATION_HEADS

GOLDEN = {
    "bilstm_attention": [-0.41466, 0.40864, 0.88958],
    "bilstm_last": [-0.56338, 0.33793, 0.69662],
    "bilstm_max": [-0.27053, 0.67037, 1.10018],
    "bilstm_serpentine": [-0.44135, 0.3865, 0.87418],
    "convlstm": [0.20521, 1.22333, 2.08183],
}


def wave(*shape: int, phase: float = 0.0) -> torch.Tensor:
    """Numbers from -1 to 1 that look random, by a formula and not by any random generator."""
    steps = torch.arange(int(torch.tensor(shape).prod()), dtype=torch.float64)
    return torch.sin(steps * steps * 0.37 + phase).float().reshape(shape)


def build(name: str) -> torch.nn.Module:
    return create_head(name, channels=[6], classes=3, hidden_size=8, dropout=0.0, heads=ABLATION_HEADS).eval()


@pytest.mark.parametrize("name", sorted(set(ABLATION_HEADS) - set(HEADS)))
def test_logits_of_fixed_weights_stay_what_they_are(name: str) -> None:
    """A change of these numbers makes the table of heads irreproducible."""
    head = build(name)
    with torch.no_grad():
        for number, (_, values) in enumerate(sorted(head.named_parameters())):
            values.copy_(wave(*values.shape, phase=number) * 1.5 / max(1, values[0].numel()) ** 0.5)
        assert head(wave(1, 12, 6), (3, 4))[0].tolist() == pytest.approx(GOLDEN[name], abs=1e-4)


@pytest.mark.parametrize("grid", [(5, 7), (1, 1)])
@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_every_head_takes_any_grid_and_uses_all_its_parameters(name: str, grid: tuple[int, int]) -> None:
    head = build(name).train()
    logits = head(torch.rand(2, grid[0] * grid[1], 6), grid)
    assert logits.shape == (2, 3)
    logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in head.parameters())

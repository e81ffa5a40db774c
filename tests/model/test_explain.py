"""Grad-CAM: where the evidence for a class lies, for every head, without side effects."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from model.config import ModelConfig
from model.explain.grad_cam import grad_cam
from model.heads import HEADS
from model.network import SkinDiseaseNet

GRID = (5, 7)
MARKS = ((2, 3), (1, 5), (4, 0))


def make_network(head: str, *, classes: int = 4, seed: int = 0) -> SkinDiseaseNet:
    torch.manual_seed(seed)
    labels = tuple(f"class {number}" for number in range(classes))
    config = ModelConfig(labels=labels, backbone="resnet18", head=head, hidden_size=8, input_size=64)
    return SkinDiseaseNet(config).eval()


def marked_maps(marks: list[tuple[int, int]], groups: list[int], *, seed: int = 99) -> torch.Tensor:
    """Noisy maps (B, 512, 5, 7), one location of each lit up in one of three groups of channels (3: none)."""
    maps = torch.rand(len(marks), 512, *GRID, generator=torch.Generator().manual_seed(seed))
    for row, ((y, x), group) in enumerate(zip(marks, groups, strict=True)):
        if group < 3:
            maps[row, 128 * group : 128 * (group + 1), y, x] += 4
    return maps


@pytest.fixture(scope="module", params=sorted(HEADS))
def network(request: pytest.FixtureRequest) -> SkinDiseaseNet:
    return make_network(request.param)


@pytest.fixture(scope="module", params=[("attention", 2e-3, 40), ("pool", 1e-2, 60)])
def trained(request: pytest.FixtureRequest) -> SkinDiseaseNet:
    """A network whose head has learnt that a location lit up in group ``k`` is class ``k``, none is class
    3."""
    head, rate, steps = request.param
    network = make_network(head)
    optimizer = torch.optim.Adam(network.head.parameters(), lr=rate)
    generator = torch.Generator().manual_seed(0)
    for step in range(steps):
        labels = torch.randint(0, 4, (16,), generator=generator)
        marks = [divmod(int(place), 7) for place in torch.randint(0, 35, (16,), generator=generator)]
        logits = network.forward_head(marked_maps(marks, labels.tolist(), seed=step))
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(logits, labels).backward()
        optimizer.step()
    return network


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("label", [0, 1, 2])
def test_the_map_of_a_trained_head_peaks_at_the_evidence(
    trained: SkinDiseaseNet, mark: tuple[int, int], label: int
) -> None:
    evidence = grad_cam(trained, marked_maps([mark], [label]), label)
    assert evidence.shape == GRID
    assert np.unravel_index(evidence.argmax(), GRID) == mark
    assert evidence[mark] == pytest.approx(1)
    assert np.median(evidence) < 0.2


@pytest.mark.parametrize("mark", MARKS)
def test_only_a_place_that_holds_something_can_be_evidence(
    network: SkinDiseaseNet, mark: tuple[int, int]
) -> None:
    features = torch.zeros(1, 512, *GRID)
    features[0, :, mark[0], mark[1]] = torch.rand(512, generator=torch.Generator().manual_seed(2))
    maps = [grad_cam(network, features, label) for label in range(4)]
    assert max(evidence[mark] for evidence in maps) == 1
    for evidence in maps:
        evidence[mark] = 0
        assert not evidence.any()


def test_the_map_is_the_one_of_the_definition(network: SkinDiseaseNet) -> None:
    """Equations 1 and 2, with each channel's mean gradient measured by moving that whole channel a little."""
    features = torch.randn(1, 512, *GRID, generator=torch.Generator().manual_seed(1))
    step = 0.01 * torch.eye(512)[:, :, None, None]  # larger ones cross the kinks of a maximum
    with torch.no_grad():
        change = network.forward_head(features + step) - network.forward_head(features - step)
    maps = []
    for label in range(4):
        weights = change[:, label] / 0.02 / (GRID[0] * GRID[1])
        by_hand = torch.einsum("c,chw->hw", weights, features[0]).clamp(min=0)
        assert by_hand.max() > 0
        got = grad_cam(network, features, label)
        assert got == pytest.approx((by_hand / by_hand.max()).numpy(), abs=0.05)
        maps.append(got)
    assert np.abs(maps[0] - maps[1]).max() > 0.2, "each class has a map of its own"


def test_pool_gives_the_class_activation_map() -> None:
    """For global average pooling Grad-CAM is CAM (Selvaraju et al. 2017, section 3.1)."""
    network = make_network("pool")
    features = torch.randn(1, 512, *GRID, generator=torch.Generator().manual_seed(1))
    weight = network.head.classifier.weight.detach()
    for label in range(4):
        by_hand = torch.einsum("c,chw->hw", weight[label], features[0]).clamp(min=0)
        assert by_hand.max() > 0
        got = grad_cam(network, features, label)
        assert got == pytest.approx((by_hand / by_hand.max()).numpy(), abs=1e-5)


def test_where_nothing_speaks_for_the_class_the_map_is_zero() -> None:
    network = make_network("pool")
    with torch.no_grad():
        network.head.classifier.weight[1] = -1.0
    evidence = grad_cam(network, torch.ones(1, 512, *GRID), 1)
    assert evidence.shape == GRID
    assert not evidence.any()


def test_nothing_is_left_behind(network: SkinDiseaseNet) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    features = marked_maps([(2, 3)], [1])
    untouched = features.clone()
    with torch.no_grad():
        inside = grad_cam(network, features, 1)
        assert not torch.is_grad_enabled()
    assert np.array_equal(inside, grad_cam(network, features, 1))
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.equal(features, untouched)
    assert not features.requires_grad
    assert not network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_served_network_whose_parameters_are_frozen_can_be_explained(network: SkinDiseaseNet) -> None:
    features = marked_maps([(2, 3)], [1])
    expected = grad_cam(network, features, 1)
    network.requires_grad_(False)
    try:
        assert np.array_equal(grad_cam(network, features, 1), expected)
    finally:
        network.requires_grad_(True)


def test_threads_at_once_get_the_same_maps(network: SkinDiseaseNet) -> None:
    jobs = [(marked_maps([mark], [label]), label) for mark in MARKS for label in range(4)]
    alone = [grad_cam(network, features, label) for features, label in jobs]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda job: grad_cam(network, *job), jobs * 4))
    for got, expected in zip(together, alone * 4, strict=True):
        assert got == pytest.approx(expected, abs=1e-6)

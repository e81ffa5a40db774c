"""Freezing, learning rates and the schedule."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from model.config import ModelConfig
from model.errors import ConfigError
from model.labels import LABELS
from model.network import SkinDiseaseNet
from train.config import TrainConfig
from train.fit.objective import Learner
from train.fit.optim import create_optimizer, create_schedule, freeze, train_mode

BATCH = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def network() -> SkinDiseaseNet:
    torch.manual_seed(0)
    return SkinDiseaseNet(ModelConfig(labels=LABELS, backbone="resnet18", hidden_size=8, input_size=64))


def trained(network: nn.Module) -> set[str]:
    return {name for name, parameter in network.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize(
    ("patterns", "prefixes"),
    [
        ([], ()),
        (["layer4.*"], ("layer4.",)),
        (["layer3.1.*", "layer4.0.conv?.weight"], ("layer3.1.", "layer4.0.conv1.w", "layer4.0.conv2.w")),
        (["*"], ("",)),
    ],
)
def test_only_what_a_pattern_names_is_trained_and_the_head_always(
    network: SkinDiseaseNet, patterns: list[str], prefixes: tuple[str, ...]
) -> None:
    freeze(network, patterns)
    assert trained(network.head) == {name for name, _ in network.head.named_parameters()}
    backbone = {name for name, _ in network.backbone.named_parameters()}
    assert trained(network.backbone) == {name for name in backbone if name.startswith(prefixes)}


def test_freezing_again_replaces_the_choice(network: SkinDiseaseNet) -> None:
    freeze(network, ["layer3.*"])
    freeze(network, ["layer4.*"])
    assert {name.split(".")[0] for name in trained(network.backbone)} == {"layer4"}


def test_a_pattern_that_matches_nothing_lists_the_parts(network: SkinDiseaseNet) -> None:
    with pytest.raises(ConfigError, match=r"'layer5\.\*'") as refused:
        freeze(network, ["layer4.*", "layer5.*"])
    for part in ("bn1", "conv1", "layer1", "layer2", "layer3", "layer4"):
        assert part in refused.value.hint


def steps(network: SkinDiseaseNet, config: TrainConfig, count: int = 2) -> None:
    optimizer = create_optimizer(Learner(network, diagnoses=0), config)
    for _ in range(count):
        network(BATCH).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()


def test_earlier_stages_are_trained_at_lower_rates(network: SkinDiseaseNet) -> None:
    freeze(network, ["layer2.*", "layer3.*", "layer4.*"])
    config = TrainConfig(head_lr=1e-2, backbone_lr=1e-3, layer_decay=0.5)
    rates = {
        id(parameter): group["lr"]
        for group in create_optimizer(Learner(network, diagnoses=0), config).param_groups
        for parameter in group["params"]
    }
    found = {
        name.split(".")[0]: rates[id(network.backbone.get_parameter(name))]
        for name in trained(network.backbone)
    }
    assert found == {"layer2": 2.5e-4, "layer3": 5e-4, "layer4": 1e-3}
    assert {rates[id(parameter)] for parameter in network.head.parameters()} == {1e-2}
    assert len(rates) == len(trained(network)), "every trained parameter once"


def test_steps_change_what_is_trained_and_nothing_else(network: SkinDiseaseNet) -> None:
    """Frozen batch norms keep their statistics too; those that are trained go on counting."""
    freeze(network, ["layer4.*"])
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    train_mode(network)
    steps(network, TrainConfig(head_lr=1e-2, backbone_lr=1e-2))
    after = network.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    ours = {name for name in before if name.startswith(("backbone.layer4.", "head."))}
    assert changed == ours


def test_frozen_batch_norms_stay_in_eval_mode(network: SkinDiseaseNet) -> None:
    freeze(network, ["layer4.*"])
    for _ in range(2):
        network.eval()
        train_mode(network)
        norms = {n: m for n, m in network.backbone.named_modules() if isinstance(m, nn.BatchNorm2d)}
        assert {name for name, norm in norms.items() if norm.training} == {
            name for name in norms if name.startswith("layer4.")
        }
        assert network.head.training
        assert network.head.dropout.training


def test_with_everything_trained_every_batch_norm_counts(network: SkinDiseaseNet) -> None:
    freeze(network, ["*"])
    train_mode(network)
    assert all(module.training for module in network.modules())


def test_head_and_backbone_have_their_rates_and_norms_and_biases_no_decay(network: SkinDiseaseNet) -> None:
    freeze(network, ["layer4.*"])
    config = TrainConfig(head_lr=0.5, backbone_lr=0.25, weight_decay=0.125)
    optimizer = create_optimizer(Learner(network, diagnoses=0), config)
    assert isinstance(optimizer, torch.optim.AdamW)
    names = {parameter: name for name, parameter in network.named_parameters()}
    seen = set()
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            name = names[parameter]
            norm_or_bias = "bn" in name or "norm" in name or "downsample.1" in name or "bias" in name
            assert group["lr"] == (0.5 if name.startswith("head.") else 0.25), name
            assert group["weight_decay"] == (0.0 if norm_or_bias else 0.125), name
            assert name not in seen
            seen.add(name)
    assert seen == trained(network)


def test_an_all_frozen_backbone_leaves_the_head_to_train(network: SkinDiseaseNet) -> None:
    freeze(network, [])
    optimizer = create_optimizer(Learner(network, diagnoses=3), TrainConfig(head_lr=0.5))
    assert {group["lr"] for group in optimizer.param_groups} == {0.5}


def rates(steps_per_epoch: int = 10, **options: Any) -> list[list[float]]:
    """The learning rates of backbone and head, one pair a step of the whole run."""
    config = TrainConfig(**{"head_lr": 1.0, "backbone_lr": 0.1, **options})
    groups = [
        {"params": [nn.Parameter(torch.zeros(2))], "lr": lr} for lr in (config.backbone_lr, config.head_lr)
    ]
    optimizer = torch.optim.AdamW(groups)
    schedule = create_schedule(optimizer, config, steps_per_epoch=steps_per_epoch)
    result = []
    for step in range(config.epochs * steps_per_epoch):
        schedule.step_update(step)
        optimizer.step()
        result.append([group["lr"] for group in optimizer.param_groups])
    return result


def test_the_rate_rises_in_a_line_and_falls_as_a_cosine_to_the_last_step() -> None:
    run = rates(epochs=5, warmup_epochs=0.8)
    for peak, values in ((0.1, [pair[0] for pair in run]), (1.0, [pair[1] for pair in run])):
        assert len(values) == 50
        assert values[:8] == pytest.approx([peak * step / 8 for step in range(8)], abs=1e-6)
        cosine = [peak * 0.5 * (1 + math.cos(math.pi * step / 42)) for step in range(42)]
        assert values[8:] == pytest.approx(cosine, abs=1e-6)
        assert 0 < values[-1] < 0.002 * peak


def test_without_warm_up_the_first_step_has_the_peak() -> None:
    run = rates(epochs=2, warmup_epochs=0)
    assert run[0] == pytest.approx([0.1, 1.0])


@pytest.mark.parametrize("restarts", [1, 3])
def test_each_restart_returns_to_the_peak_and_falls_as_far(restarts: int) -> None:
    head = [pair[1] for pair in rates(epochs=9, warmup_epochs=1, restarts=restarts)]
    length = 80 // (restarts + 1)
    for start in range(10, 90, length):
        assert head[start] == pytest.approx(1.0)
        assert head[start + length - 1] < 0.01
    assert sum(value == pytest.approx(1.0) for value in head) == restarts + 1


def test_cycles_that_do_not_divide_evenly_still_decay_to_the_end() -> None:
    head = [pair[1] for pair in rates(epochs=1, steps_per_epoch=11, warmup_epochs=0, restarts=1)]
    assert head[6] == pytest.approx(1.0)
    assert all(value > 0 for value in head)
    assert head[-1] < 0.3

"""Tokens from several depths of the backbone."""

from __future__ import annotations

import pytest
import torch
from test_network import make_network, noise

from model.errors import ConfigError

CHANNELS = {"resnet18": [256, 512], "convnext_tiny": [384, 768], "vit_small_patch16_224": [384, 384]}


@pytest.mark.parametrize("backbone", CHANNELS)
def test_the_stages_are_joined_along_the_channels_the_earliest_first(backbone: str) -> None:
    network = make_network(backbone=backbone, stages=2)
    assert network.channels == CHANNELS[backbone]
    images = noise(2, 3, 64, 64)
    with torch.no_grad():
        features = network.forward_features(images)
        earlier, last = network.backbone.forward_intermediates(images, indices=2, intermediates_only=True)
    assert features.shape == (2, sum(CHANNELS[backbone]), *last.shape[2:])
    first = CHANNELS[backbone][0]
    assert torch.equal(features[:, first:], last)
    factor = earlier.shape[-1] // last.shape[-1]
    places = earlier.unflatten(3, (-1, factor)).unflatten(2, (-1, factor))
    assert torch.allclose(features[:, :first], places.mean(dim=(3, 5)), atol=1e-5)


def test_no_stage_drowns_another() -> None:
    """A stage whose map is a thousand times larger changes nothing: each is normalised by itself."""
    network = make_network(stages=2, head="bilstm")
    features = noise(1, 256 + 512, 2, 2)
    louder = features.clone()
    louder[:, :256] *= 1000
    with torch.no_grad():
        assert torch.allclose(network.forward_head(features), network.forward_head(louder), atol=1e-3)


def test_a_network_of_one_stage_keeps_the_names_of_its_weights() -> None:
    names = {name for name, _ in make_network(head="bilstm").head.named_parameters()}
    assert {"norm.weight", "norm.bias"} <= names
    assert not any(name.startswith("project") for name in names)


def test_a_backbone_that_gives_only_its_last_map_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="stages is 2, but Sequential gives its last map only"):
        make_network(backbone="torchvision/alexnet", stages=2)

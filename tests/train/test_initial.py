"""Initial weights: timm's fill the backbone, and what does not fit is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from model.config import ModelConfig
from model.errors import CheckpointError
from model.network import SkinDiseaseNet
from train.fit.initial import load_backbone_weights


@pytest.fixture(scope="module")
def timm_weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    return timm.create_model("test_resnet").state_dict()


@pytest.mark.parametrize("classifier", [True, False])
def test_timm_weights_fill_the_backbone(
    tmp_path: Path, tiny_config: ModelConfig, timm_weights: dict[str, torch.Tensor], classifier: bool
) -> None:
    kept = {k: v for k, v in timm_weights.items() if classifier or not k.startswith("fc.")}
    save_file(kept, tmp_path / "init.safetensors")
    network = SkinDiseaseNet(tiny_config)
    head = {name: value.clone() for name, value in network.head.state_dict().items()}

    load_backbone_weights(network, tmp_path / "init.safetensors")

    for name, value in network.backbone.state_dict().items():
        assert torch.equal(value, timm_weights[name]), name
    assert all(torch.equal(value, head[name]) for name, value in network.head.state_dict().items())


def test_backbone_weights_that_do_not_fit_are_refused(
    tmp_path: Path, tiny_config: ModelConfig, timm_weights: dict[str, torch.Tensor]
) -> None:
    network = SkinDiseaseNet(tiny_config)
    path = tmp_path / "init.safetensors"
    with pytest.raises(CheckpointError, match="is missing"):
        load_backbone_weights(network, path)
    save_file({k: v for k, v in timm_weights.items() if k != "layer2.0.conv1.weight"}, path)
    with pytest.raises(CheckpointError, match=r"lacks 1 tensors of the network, layer2\.0\.conv1\.weight"):
        load_backbone_weights(network, path)
    save_file({**timm_weights, "conv1.0.weight": torch.zeros(16, 1, 3, 3)}, path)
    with pytest.raises(CheckpointError, match=r"conv1\.0\.weight in .* has the shape \(16, 1, 3, 3\)"):
        load_backbone_weights(network, path)

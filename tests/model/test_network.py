"""The network: every tested backbone and head, the order of tokens, and the device check."""

from __future__ import annotations

import pytest
import torch

from model.config import ModelConfig
from model.errors import ConfigError
from model.heads import HEADS, create_head
from model.network import SkinDiseaseNet
from model.runtime.device import agrees_with_cpu, pick_device

# Backbone → smallest input size it takes, channels of its map, length of the map's side at that size.
BACKBONES = {
    "resnet18": (32, 512, 1),
    "resnet50": (64, 2048, 2),
    "vgg16": (32, 512, 1),
    "inception_v3": (75, 2048, 1),
    "convnext_tiny": (32, 768, 1),
    "vit_small_patch16_224": (32, 384, 2),
    "swin_tiny_patch4_window7_224": (64, 768, 2),
    "torchvision/alexnet": (64, 256, 1),
}


def make_config(**changes: object) -> ModelConfig:
    values = {"labels": ("a", "b", "c"), "backbone": "resnet18", "hidden_size": 8, "input_size": 64}
    return ModelConfig(**{**values, **changes})


def make_network(**changes: object) -> SkinDiseaseNet:
    torch.manual_seed(0)
    return SkinDiseaseNet(make_config(**changes)).eval()


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def wave(*shape: int, phase: float = 0.0) -> torch.Tensor:
    """Numbers from -1 to 1 that look random, by a formula and not by any random generator."""
    steps = torch.arange(int(torch.tensor(shape).prod()), dtype=torch.float64)
    return torch.sin(steps * steps * 0.37 + phase).float().reshape(shape)


def fill_by_formula(module: torch.nn.Module) -> None:
    with torch.no_grad():
        for number, (_, values) in enumerate(sorted(module.named_parameters())):
            values.copy_(wave(*values.shape, phase=number) * 1.5 / max(1, values[0].numel()) ** 0.5)


@pytest.fixture(scope="module")
def resnet18() -> SkinDiseaseNet:
    return make_network(head="pool")


# Backbones


@pytest.mark.parametrize("backbone", list(BACKBONES))
def test_every_backbone_gives_a_map_logits_and_gradients(backbone: str) -> None:
    size, channels, side = BACKBONES[backbone]
    network = make_network(backbone=backbone, input_size=size)
    images = noise(2, 3, size, size)

    features = network.forward_features(images)
    logits = network.forward_head(features)

    assert features.shape == (2, channels, side, side)
    assert network.tokens(features).shape == (2, side * side, channels)
    assert logits.shape == (2, 3)
    with torch.no_grad():
        one_by_one = torch.cat([network(images[:1]), network(images[1:])])
    assert torch.allclose(logits, one_by_one, atol=1e-4)
    logits.square().sum().backward()
    unused = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    assert not unused, "training in several processes fails on unused parameters"


@pytest.mark.parametrize("backbone", ["resnet18", "vit_small_patch16_224"])
def test_tokens_are_the_picture_row_by_row(backbone: str) -> None:
    """What is changed in one corner of the picture changes most at the token of that corner."""
    network = make_network(backbone=backbone, input_size=160)
    image = torch.zeros(1, 3, 160, 160)
    with torch.no_grad():
        before = network.tokens(network.forward_features(image))
        side = round(before.shape[1] ** 0.5)
        for row, column in ((0, 0), (0, side - 1), (side - 1, 0), (1, side - 2)):
            marked, step = image.clone(), 160 // side
            marked[..., row * step : (row + 1) * step, column * step : (column + 1) * step] = 3.0
            change = (network.tokens(network.forward_features(marked)) - before).norm(dim=-1)[0]
            assert divmod(int(change.argmax()), side) == (row, column)


def test_a_marked_place_of_the_map_ends_at_its_index(resnet18: SkinDiseaseNet) -> None:
    features = torch.zeros(1, 4, 5, 7)
    features[0, 2, 3, 1] = 1.0
    tokens = resnet18.tokens(features)
    assert tokens.shape == (1, 35, 4)
    assert tokens[0].nonzero().tolist() == [[3 * 7 + 1, 2]]


@pytest.mark.parametrize(("size", "count"), [(224, 49), (384, 144)])
def test_the_number_of_tokens_follows_the_picture(resnet18: SkinDiseaseNet, size: int, count: int) -> None:
    with torch.no_grad():
        assert resnet18.tokens(resnet18.forward_features(noise(1, 3, size, size))).shape[1] == count


def test_an_unknown_backbone_lists_names_that_look_like_it() -> None:
    with pytest.raises(ConfigError, match="resnet51") as caught:
        make_network(backbone="resnet51")
    assert "resnet50" in caught.value.hint
    with pytest.raises(ConfigError, match="lexnet5") as caught:
        make_network(backbone="torchvision/lexnet5")
    assert "torchvision/alexnet" in caught.value.hint
    with pytest.raises(ConfigError, match="resnet18 has no convolutional part"):
        make_network(backbone="torchvision/resnet18")


def test_stride_in_1x1_moves_the_strides_and_nothing_else() -> None:
    usual, moved = (make_network(backbone="resnet50", stride_in_1x1=value) for value in (False, True))
    for network, conv1, conv2 in ((usual, 1, 2), (moved, 2, 1)):
        for stage in (network.backbone.layer2, network.backbone.layer3, network.backbone.layer4):
            assert (stage[0].conv1.stride[0], stage[0].conv2.stride[0]) == (conv1, conv2)
            assert stage[1].conv1.stride == stage[1].conv2.stride == (1, 1)
    shapes = [{name: value.shape for name, value in n.state_dict().items()} for n in (usual, moved)]
    assert shapes[0] == shapes[1]
    for block in usual.backbone.modules():
        if hasattr(block, "bn3"):
            torch.nn.init.ones_(block.bn3.weight)  # timm starts with 0, which leaves the branch out
    moved.load_state_dict(usual.state_dict())
    images = noise(1, 3, 64, 64)
    with torch.no_grad():
        ours, theirs = moved.forward_features(images), usual.forward_features(images)
    assert ours.shape == theirs.shape
    assert not torch.allclose(ours, theirs, atol=1e-3)


def test_stride_in_1x1_is_refused_where_there_is_no_bottleneck() -> None:
    with pytest.raises(ConfigError, match="stride_in_1x1"):
        make_network(stride_in_1x1=True)


# Heads


@pytest.mark.parametrize("grid", [(5, 7), (1, 1), (12, 12)])
@pytest.mark.parametrize("name", sorted(HEADS))
def test_every_head_takes_any_grid_and_uses_all_its_parameters(name: str, grid: tuple[int, int]) -> None:
    head = create_head(name, channels=[6], classes=3, hidden_size=8, dropout=0.0)
    logits = head(noise(2, grid[0] * grid[1], 6), grid)
    assert logits.shape == (2, 3)
    assert torch.isfinite(logits).all()
    logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in head.parameters())


def test_an_unknown_head_lists_the_valid_ones() -> None:
    with pytest.raises(ConfigError, match="lstm3") as caught:
        make_network(head="lstm3")
    for name in ("attention", "bilstm", "pool"):
        assert name in caught.value.hint


GOLDEN = {
    "attention": [6.34727, 2.44549, 1.46067],
    "bilstm": [-0.43474, 0.39233, 0.88147],
    "pool": [-0.02296, 0.54837, 1.77197],
    "network": [-0.92767, -1.0007, -1.93416],
}


@pytest.mark.parametrize("name", sorted(HEADS))
def test_logits_of_fixed_weights_stay_what_they_are(name: str) -> None:
    """A change of these numbers makes every stored checkpoint answer differently."""
    head = create_head(name, channels=[6], classes=3, hidden_size=8, dropout=0.5).eval()
    fill_by_formula(head)
    tokens = wave(1, 12, 6)
    with torch.no_grad():
        assert head(tokens, (3, 4))[0].tolist() == pytest.approx(GOLDEN[name], abs=1e-4)


def test_logits_of_the_whole_network_with_fixed_weights_stay_what_they_are() -> None:
    network = make_network(head="bilstm")
    fill_by_formula(network)
    images = wave(1, 3, 64, 64)
    with torch.no_grad():
        assert network(images)[0].tolist() == pytest.approx(GOLDEN["network"], abs=1e-3)


@pytest.mark.parametrize("name", sorted(HEADS))
def test_only_pooling_ignores_where_things_are(name: str) -> None:
    head = create_head(name, channels=[6], classes=3, hidden_size=8, dropout=0.0).eval()
    fill_by_formula(head)
    tokens = wave(1, 12, 6)
    with torch.no_grad():
        difference = (head(tokens, (3, 4)) - head(tokens.flip(1), (3, 4))).abs().max()
        # The neighbours are others on another grid, although the sequence is the same.
        other_grid = (head(tokens, (3, 4)) - head(tokens, (4, 3))).abs().max()
    assert (difference > 1e-4) == (name != "pool")
    assert (other_grid > 1e-5) == (name == "attention")


def test_under_bfloat16_the_logits_are_float32(resnet18: SkinDiseaseNet) -> None:
    images = noise(2, 3, 64, 64)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        features = resnet18.forward_features(images)
        logits = resnet18(images)
    assert features.dtype == torch.bfloat16
    assert logits.dtype == torch.float32
    with torch.no_grad():
        assert torch.allclose(logits, resnet18(images), atol=0.1)


# Devices


def test_an_unknown_device_lists_the_names() -> None:
    with pytest.raises(ConfigError, match="tpu") as caught:
        pick_device("tpu")
    for name in ("auto", "cpu", "cuda", "mps"):
        assert name in caught.value.hint


def test_auto_takes_what_is_there_and_a_missing_device_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"cuda": False, "mps": True}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there["cuda"])
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: there["mps"])
    assert pick_device().type == "mps"
    assert pick_device("cpu").type == "cpu"
    with pytest.raises(ConfigError, match="cuda was requested"):
        pick_device("cuda")
    there.update(cuda=True)
    assert pick_device().type == "cuda"
    there.update(cuda=False, mps=False)
    assert pick_device().type == "cpu"


def test_the_cpu_agrees_with_itself_and_the_network_is_left_as_it_was() -> None:
    network = make_network().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert agrees_with_cpu(network, torch.device("cpu"), size=64)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


class WrongElsewhere(torch.nn.Module):
    """Answers rightly until it is moved: a stand-in for the copy on a device that computes wrongly."""

    def __init__(self, error: float) -> None:
        super().__init__()
        self.error = error
        self.wrong = False

    def to(self, *arguments: object, **options: object) -> WrongElsewhere:
        self.wrong = True
        return self

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(2, 3)) + (self.error if self.wrong else 0.0)


def test_a_device_that_computes_wrongly_is_noticed() -> None:
    with pytest.warns(RuntimeWarning, match=r"cpu differ from the CPU's by up to 0\.5"):
        assert not agrees_with_cpu(WrongElsewhere(0.5), torch.device("cpu"), size=32)
    with pytest.warns(RuntimeWarning, match="nan"):
        assert not agrees_with_cpu(WrongElsewhere(float("nan")), torch.device("cpu"), size=32)
    assert agrees_with_cpu(WrongElsewhere(1e-5), torch.device("cpu"), size=32)

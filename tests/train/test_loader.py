"""Batches: what is drawn, by whom, and how a picture is changed, as functions of seed and epoch alone."""

from __future__ import annotations

import pickle
import random
from collections import Counter
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from conftest import encode, make_picture
from datasets_made import make_parquet
from torch.utils.data import DataLoader

from model.config import ModelConfig
from model.image import read_image
from model.image.augment import (
    Transform,
    eval_transform,
    train_decode_side,
    train_transform,
)
from model.labels import LABELS
from train.data.loader import (
    Draw,
    Pictures,
    class_weights,
    epoch_batches,
    eval_loader,
    sampling_weights,
    train_loader,
)
from train.data.splits import load_split, picture_bytes

SOME = LABELS[:3]
UNEVEN = np.repeat([0, 1, 2], [900, 90, 10])
ALL_AUGMENTATION = {
    "white_balance": 0.2,
    "min_scale": 0.3,
    "color_jitter": 0.4,
    "grayscale": 0.2,
    "blur": 0.3,
    "downscale": 0.5,
    "compress": 0.5,
    "erase": 0.5,
    "quarter_turns": True,
}


def batches(labels: np.ndarray = UNEVEN, **options: Any) -> list[list[Draw]]:
    how = {
        "sampler_power": options.pop("sampler_power", 0.5),
        "source_power": options.pop("source_power", 0.0),
    }
    sources = options.pop("sources", [None] * len(labels))
    weights = sampling_weights(labels, sources, classes=3, **how)
    return epoch_batches(weights, **{"batch_size": 10, "seed": 0, "epoch": 0, **options})


def flat(parts: list[list[Draw]]) -> list[Draw]:
    return [draw for part in parts for draw in part]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> datasets.Dataset:
    folder = make_parquet(tmp_path_factory.mktemp("loader"), {"train": 12}, labels=SOME)
    return load_split([str(folder)], "train", labels=SOME)


@pytest.fixture(scope="module")
def augment() -> Transform:
    return train_transform(config=ModelConfig(labels=SOME, input_size=64), size=40, **ALL_AUGMENTATION)


@pytest.mark.parametrize("power", [0.0, 0.5])
def test_draws_are_a_function_of_seed_and_epoch(power: float) -> None:
    first = batches(sampler_power=power, seed=3, epoch=2)
    torch.manual_seed(99)
    assert batches(sampler_power=power, seed=3, epoch=2) == first
    others = [batches(sampler_power=power, seed=s, epoch=e) for s, e in ((3, 1), (4, 2), (2, 3))]
    assert all(other != first for other in others)


@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize("power", [0.0, 0.5])
def test_processes_share_out_the_draws_of_a_single_one(world: int, power: float) -> None:
    """The report that processes with a WeightedRandomSampler draw alike is accelerate's issue 2865."""
    one = batches(sampler_power=power, batch_size=8 * world)
    ranks = [batches(sampler_power=power, batch_size=8, rank=r, world=world) for r in range(world)]
    assert [len(rank) for rank in ranks] == [len(one)] * world
    for step, whole in enumerate(one):
        assert flat([rank[step] for rank in ranks]) == whole
    seeds = [{draw.seed for draw in flat(rank)} for rank in ranks]
    assert not set.intersection(*seeds)
    if power == 0:
        assert len({draw.row for rank in ranks for draw in flat(rank)}) == sum(len(flat(r)) for r in ranks)


def test_batches_are_full_and_as_many_as_fit() -> None:
    made = batches(np.zeros(47, dtype=np.int64), batch_size=4, world=3, rank=1)
    assert [len(batch) for batch in made] == [4, 4, 4]
    assert batches(np.zeros(5, dtype=np.int64), batch_size=6) == []


@pytest.mark.parametrize(
    ("power", "shares"),
    [(1.0, np.full(3, 1 / 3)), (0.5, np.sqrt([900, 90, 10]) / np.sqrt([900, 90, 10]).sum())],
)
def test_the_sampler_balances_classes_by_a_power_of_their_size(power: float, shares: np.ndarray) -> None:
    drawn = [draw for epoch in range(20) for draw in flat(batches(sampler_power=power, epoch=epoch))]
    counts = np.bincount(UNEVEN[[draw.row for draw in drawn]], minlength=3)
    spread = np.sqrt(len(drawn) * shares * (1 - shares))
    assert len(drawn) == 20_000
    assert (np.abs(counts - len(drawn) * shares) < 5 * spread).all()
    within = Counter(draw.row for draw in drawn if UNEVEN[draw.row] == 2)
    assert len(within) == 10
    assert max(within.values()) < 1.5 * min(within.values())


def test_within_a_class_the_sampler_balances_sources_and_leaves_the_classes_as_they_are() -> None:
    sources = np.where(np.arange(1000) % 10 < 9, "clinic", "phone")  # nine to one in every class
    sources[990:] = "clinic"
    drawn = [
        draw.row
        for epoch in range(20)
        for draw in flat(batches(sampler_power=0.0, source_power=1.0, sources=sources, epoch=epoch))
    ]
    counts = np.bincount(UNEVEN[drawn], minlength=3)
    assert (np.abs(counts - [18_000, 1_800, 200]) < 5 * np.sqrt([1_800, 1_640, 196])).all()
    for label, share in ((0, 0.5), (1, 0.5), (2, 0.0)):
        own = sources[[row for row in drawn if UNEVEN[row] == label]]
        assert (own == "phone").mean() == pytest.approx(share, abs=0.06)


def test_without_the_sampler_every_row_comes_once() -> None:
    drawn = [draw.row for draw in flat(batches(sampler_power=0.0))]
    assert sorted(drawn) == list(range(1000))
    assert drawn != sorted(drawn)


def test_class_weights() -> None:
    even = class_weights(UNEVEN, classes=4, power=0.0)
    assert even.tolist() == [1, 1, 1, 0]
    inverse = class_weights(UNEVEN, classes=4, power=1.0)
    # n / (classes present * count), as scikit-learn's "balanced".
    assert inverse.tolist() == pytest.approx([1000 / 2700, 1000 / 270, 1000 / 30, 0])
    root = class_weights(UNEVEN, classes=4, power=0.5)
    assert (root[1] / root[0]).item() == pytest.approx(10**0.5)
    assert root[UNEVEN].mean().item() == pytest.approx(1.0)


def loaded(
    rows: datasets.Dataset, transform: Transform, drawn: list[list[Draw]], workers: int
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return list(train_loader(rows, transform, drawn, num_workers=workers, pin=False))


def test_augmentation_is_the_same_with_any_number_of_workers(
    rows: datasets.Dataset, augment: Transform
) -> None:
    drawn = batches(np.asarray(rows["label"]), batch_size=3)
    alone = loaded(rows, augment, drawn, 0)
    assert [images.shape for images, _ in alone] == [(3, 3, 40, 40)] * 4
    assert [numbers.tolist() for _, numbers in alone] == [[draw.row for draw in batch] for batch in drawn]
    for workers in (1, 2):
        for (images, numbers), (same, same_numbers) in zip(
            loaded(rows, augment, drawn, workers), alone, strict=True
        ):
            assert torch.equal(images, same)
            assert torch.equal(numbers, same_numbers)


def test_a_run_that_starts_in_the_middle_of_an_epoch_sees_the_same_pictures(
    rows: datasets.Dataset, augment: Transform
) -> None:
    drawn = batches(np.asarray(rows["label"]), batch_size=3)
    whole, rest = loaded(rows, augment, drawn, 0), loaded(rows, augment, drawn[2:], 2)
    assert all(torch.equal(a[0], b[0]) for a, b in zip(whole[2:], rest, strict=True))


def test_augmentation_differs_between_draws_and_leaves_the_random_state_alone(
    rows: datasets.Dataset, augment: Transform
) -> None:
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    pictures = Pictures(rows, augment)
    drawn = [pictures[Draw(0, seed)][0] for seed in (5, 6, 5)]
    after = random.random(), np.random.random(), torch.rand(1).item()
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    assert after == (random.random(), np.random.random(), torch.rand(1).item())
    assert torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], drawn[1])


def test_loading_leaves_the_random_state_alone(rows: datasets.Dataset, augment: Transform) -> None:
    torch.manual_seed(1)
    loaded(rows, augment, batches(np.asarray(rows["label"]), batch_size=6), 0)
    after = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(after, torch.rand(1))


@pytest.mark.slow
def test_a_spawned_worker_loads_the_same_pictures(rows: datasets.Dataset, augment: Transform) -> None:
    """macOS and Windows start workers by spawning: data set and transform must survive pickling."""
    drawn = batches(np.asarray(rows["label"]), batch_size=6)
    spawned = DataLoader(
        Pictures(rows, augment), batch_sampler=drawn, num_workers=1, multiprocessing_context="spawn"
    )
    for (images, _), (same, _) in zip(spawned, loaded(rows, augment, drawn, 0), strict=True):
        assert torch.equal(images, same)


def test_the_eval_transform_can_be_pickled(rows: datasets.Dataset) -> None:
    pictures = Pictures(rows, eval_transform(config=ModelConfig(labels=SOME, input_size=64)))
    assert torch.equal(pickle.loads(pickle.dumps(pictures))[4][0], pictures[4][0])


def test_the_eval_loader_gives_every_row_once_in_order(rows: datasets.Dataset) -> None:
    config = ModelConfig(labels=SOME, input_size=64)
    transform = eval_transform(config=config)
    loader = eval_loader(rows, config, batch_size=5, num_workers=1)
    images, numbers = (torch.cat(parts) for parts in zip(*loader, strict=True))
    assert numbers.tolist() == list(range(12))
    for image, row in zip(images, rows, strict=True):
        assert torch.equal(image, transform(read_image(picture_bytes(row))))


def test_large_jpegs_are_decoded_small_and_no_crop_is_enlarged(
    rows: datasets.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every crop of 64 px out of a picture of 12 megapixels is still at least 64 px before it is resized."""
    side = train_decode_side(size=64, min_scale=0.35)
    assert 64 < side < 2.1 * 64
    data = encode(make_picture(4000, 3000))
    large = rows.select([0]).map(lambda row: {"image": {"bytes": data, "path": None}})
    seen: list[tuple[int, int]] = []
    options = {**ALL_AUGMENTATION, "min_scale": 0.35}
    transform = train_transform(config=ModelConfig(labels=SOME), size=64, **options)
    picture = Pictures(large, lambda image: seen.append(image.size) or torch.zeros(3), target_side=side)
    picture[0]
    assert seen == [(500, 375)]

    cut = transform.transforms[1].transforms[0]  # type: ignore[attr-defined]
    square = make_picture(side, side)
    random.seed(0)
    sides = [min(cut.get_params(square, cut.scale, cut.ratio)[2:]) for _ in range(500)]
    assert 63 <= min(sides) < 75


@pytest.mark.parametrize("size", [40, 64])
def test_train_transforms_give_the_wanted_size(size: int) -> None:
    transform = train_transform(config=ModelConfig(labels=SOME, input_size=64), size=size, **ALL_AUGMENTATION)
    for seed, (width, height) in enumerate([(300, 40), (40, 300), (64, 64)]):
        image = transform(make_picture(width, height, seed=seed))
        assert (image.shape, image.dtype) == ((3, size, size), torch.float32)

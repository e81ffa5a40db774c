"""Mixup and cutmix."""

from __future__ import annotations

import pytest
import torch

from train.config import TrainConfig
from train.fit.mixing import Mixed, mix

ROWS = torch.arange(8)


def flat(values: torch.Tensor) -> torch.Tensor:
    """One picture a row, (B, 3, 16, 16), all of whose pixels have the row's number."""
    return values.float()[:, None, None, None].expand(-1, 3, 16, 16)


def mixed(seed: int, **options: float) -> Mixed:
    torch.manual_seed(seed)
    return mix(flat(ROWS), ROWS, TrainConfig(**options))  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}])
def test_a_picture_holds_two_rows_in_the_shares_that_the_loss_gives_them(options: dict[str, float]) -> None:
    shares = []
    for seed in range(20):
        images, ((first, share), (second, other)) = mixed(seed, **options)
        assert share + other == pytest.approx(1)
        assert torch.equal(first, ROWS)
        wanted = share * first + other * second
        assert torch.allclose(images.mean(dim=(1, 2, 3)), wanted.float(), atol=1e-4)
        shares.append(share)
    assert len(set(shares)) > 10


def test_cutmix_shows_whole_pixels_and_mixup_none() -> None:
    pasted, (_, (second, _)) = mixed(3, cutmix=1.0)
    for image, row, other in zip(pasted, ROWS, second, strict=True):
        assert set(image.unique().tolist()) <= {float(row), float(other)}
    blended, (_, (second, _)) = mixed(3, mixup=1.0)
    for image, row, other in zip(blended, ROWS, second, strict=True):
        assert len(image.unique()) == 1
        assert row == other or image.unique().item() not in (float(row), float(other))


def test_only_a_share_of_the_batches_is_mixed() -> None:
    kinds = [len(mixed(seed, cutmix=1.0, mix_share=0.5).rows) for seed in range(200)]
    assert 70 < kinds.count(1) < 130


def test_without_the_options_a_batch_stays_as_it_is() -> None:
    images, rows = mixed(0)
    assert torch.equal(images, flat(ROWS))
    assert [(shown.tolist(), share) for shown, share in rows] == [(ROWS.tolist(), 1.0)]


def test_the_random_state_decides_the_mixture() -> None:
    assert torch.equal(mixed(5, mixup=0.4, cutmix=1.0).images, mixed(5, mixup=0.4, cutmix=1.0).images)

"""Weights as safetensors files hold them, checked before they are used; no pickle is ever read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open

from model.errors import CheckpointError

if TYPE_CHECKING:
    import torch

    from model.network import SkinDiseaseNet


def check_there(path: Path) -> None:
    """Raises ``CheckpointError`` if there is no such file."""
    if not path.is_file():
        pickles = sorted(
            file.name for file in path.parent.glob("*") if file.suffix in (".bin", ".pt", ".pth")
        )
        found = (
            f" {', '.join(pickles)} is there, but a pickle can run code when it is opened." if pickles else ""
        )
        raise CheckpointError(
            f"{path} is missing.{found}",
            hint="Weights are read from safetensors files only; convert or refetch.",
        )


def read_weights(path: Path, *, prefix: str = "") -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file whose names start with the prefix, by their names without it.

    Raises:
        CheckpointError: the file is missing, damaged, or not safetensors.
    """
    check_there(path)
    try:
        with safe_open(path, framework="pt") as file:
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118 - no mapping
            return {name.removeprefix(prefix): file.get_tensor(name) for name in names}
    except (SafetensorError, ValueError, OSError) as error:
        raise CheckpointError(
            f"{path} is not a whole safetensors file ({error}).",
            hint="It may be cut off, or a pickle under another name; fetch or convert it again.",
        ) from error


def fitting_weights(path: Path, network: SkinDiseaseNet) -> dict[str, torch.Tensor]:
    """The tensors of a file that has a whole network's, and no others.

    Raises:
        CheckpointError: as for ``read_weights``, or they do not fit the network.
    """
    weights, wanted = read_weights(path), network.state_dict()
    missing = sorted(set(wanted) - set(weights))
    extra = sorted(set(weights) - set(wanted))
    if extra:
        raise CheckpointError(
            f"{path} has {len(extra)} tensors that the network does not have, {extra[0]} first.",
            hint="Config and weights must come from the same run.",
        )
    check_shapes(path, weights, wanted, missing)
    return weights


def check_shapes(
    path: Path, weights: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor], missing: list[str]
) -> None:
    """Raises ``CheckpointError`` if names are missing, or a tensor has another shape than is wanted."""
    if missing:
        raise CheckpointError(
            f"{path} lacks {len(missing)} tensors of the network, {missing[0]} first.",
            hint="Config and weights must come from the same run; fetch the checkpoint again.",
        )
    for name, tensor in weights.items():
        if tensor.shape != wanted[name].shape:
            raise CheckpointError(
                f"{name} in {path} has the shape {tuple(tensor.shape)}, but {tuple(wanted[name].shape)} is "
                "expected from the labels and the sizes in the configuration.",
                hint="Config and weights must come from the same run; check the number of labels.",
            )

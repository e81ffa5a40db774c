"""Weights from safetensors files, checked before they are used; no pickle is ever read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize

from model.errors import CheckpointError

if TYPE_CHECKING:
    import torch

    from model.network import SkinDiseaseNet

Weights = dict[str, NDArray[Any]]

_KINDS = {
    "F16": np.float16,
    "BF16": np.uint16,  # NumPy has no bfloat16; widened below
    "F32": np.float32,
    "F64": np.float64,
    "BOOL": np.bool_,
    "U8": np.uint8,
    "I8": np.int8,
    "I16": np.int16,
    "I32": np.int32,
    "I64": np.int64,
}
_FETCH = "It may be cut off, or a pickle under another name; fetch or convert it again."


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


def read_bytes(path: Path) -> bytes:
    """Read a file's content. It is not memory-mapped, so later changes to the file have no effect.

    Raises:
        CheckpointError: the file is missing or cannot be read.
    """
    check_there(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be read ({error.strerror}).", hint="Check its permissions, and the disk."
        ) from error


def parse_weights(data: bytes, path: Path) -> Weights:
    """Parse the tensors of a safetensors file, by name.

    Args:
        data: the file's content. path: names it in errors.

    Raises:
        CheckpointError: it is damaged, not safetensors, or holds numbers that are not finite, or complex
            numbers or truth values.
    """
    try:
        found = deserialize(data)
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path} is not a whole safetensors file ({error}).", hint=_FETCH) from error
    return {name: _array(f"{name} in {path}", **tensor) for name, tensor in found}


def _array(what: str, *, dtype: str, shape: list[int], data: bytearray) -> NDArray[Any]:
    if dtype not in _KINDS:
        raise CheckpointError(
            f"{what} holds {dtype}; floating-point or whole numbers of up to 64 bits are expected.",
            hint="Convert it to float16 or float32.",
        )
    values: NDArray[Any] = np.frombuffer(data, _KINDS[dtype]).reshape(shape)
    if dtype == "BF16":
        values = (values.astype(np.uint32) << 16).view(np.float32)
    if not _all_finite(values):
        bad = values[~np.isfinite(_as_computed(values))]
        raise CheckpointError(
            f"{what} holds {bad[0]} ({bad.size} of its {values.size} numbers are not finite in float32).",
            hint="The weights are damaged, or training went wrong; fetch or train them again.",
        )
    return values


def _all_finite(values: NDArray[Any]) -> bool:
    if values.dtype == np.float16:  # twice as fast as np.isfinite, and start-up waits for it
        return not ((values.view(np.uint16) & 0x7C00) == 0x7C00).any()
    return values.dtype.kind != "f" or bool(np.isfinite(_as_computed(values)).all())


def _as_computed(values: NDArray[Any]) -> NDArray[Any]:
    """Convert to float32 at most, the precision of the network."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32) if values.dtype == np.float64 else values


def fitted(path: Path, weights: Weights, network: SkinDiseaseNet) -> dict[str, torch.Tensor]:
    """Check a whole network's tensors before they are loaded into it.

    Args:
        path: of their file, for errors.
        weights: from ``parse_weights``.
        network: whose names, shapes and number types they must match exactly.

    Raises:
        CheckpointError: they do not fit the network.
    """
    wanted = network.state_dict()
    if extra := sorted(set(weights) - set(wanted)):
        raise CheckpointError(
            f"{path} has {len(extra)} tensors that the network does not have, {extra[0]} first.",
            hint="Config and weights must come from the same run.",
        )
    return matched(path, weights, wanted, missing=sorted(set(wanted) - set(weights)))


def matched(
    path: Path, weights: Weights, wanted: dict[str, torch.Tensor], *, missing: list[str]
) -> dict[str, torch.Tensor]:
    """The weights as tensors; ``CheckpointError`` if names are missing, or shapes or number types differ."""
    import torch

    if missing:
        raise CheckpointError(
            f"{path} lacks {len(missing)} tensors of the network, {missing[0]} first.",
            hint="Config and weights must come from the same run; fetch the checkpoint again.",
        )
    tensors = {name: torch.from_numpy(values) for name, values in weights.items()}
    for name, tensor in tensors.items():
        if tensor.shape != wanted[name].shape:
            raise CheckpointError(
                f"{name} in {path} has the shape {tuple(tensor.shape)}, but {tuple(wanted[name].shape)} is "
                "expected from the labels and the sizes in the configuration.",
                hint="Config and weights must come from the same run; check the number of labels.",
            )
        if _kind(tensor) != _kind(wanted[name]):
            raise CheckpointError(
                f"{name} in {path} holds {_kind(tensor)}, but the network has {_kind(wanted[name])} there.",
                hint="The file was converted wrongly; fetch or convert it again.",
            )
    return tensors


def _kind(tensor: torch.Tensor) -> str:
    if tensor.is_floating_point():
        return "floating-point numbers"
    return "truth values" if str(tensor.dtype) == "torch.bool" else "whole numbers"


def halved(network: SkinDiseaseNet) -> dict[str, torch.Tensor]:
    """The network's tensors for a checkpoint, on the CPU, with floating-point numbers as float16.

    Raises:
        CheckpointError: a number is not finite, or too large for float16 (over 65504).
    """
    stored = {}
    for name, tensor in network.state_dict().items():
        half = (tensor.half() if tensor.is_floating_point() else tensor).detach().cpu().contiguous()
        if half.is_floating_point() and not half.isfinite().all():
            largest = float(tensor.abs().max())
            raise CheckpointError(
                f"{name} holds {largest:g}; a checkpoint stores finite float16 numbers, of at most 65504.",
                hint="Training went wrong there: lower the learning rates, or start from other weights.",
            )
        stored[name] = half
    return stored

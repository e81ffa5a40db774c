"""Initial weights for a network: of a backbone alone, or of a whole checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from model.checkpoint import WEIGHTS, find
from model.errors import CheckpointError
from model.network import SkinDiseaseNet
from model.weights import fitted, matched, parse_weights, read_bytes


def load_backbone_weights(network: SkinDiseaseNet, path: str | Path) -> None:
    """Load the backbone's weights from a safetensors file: one with timm's names, or that of a checkpoint.

    A classifier or a head in the file is ignored.

    Raises:
        CheckpointError: the file is missing, not safetensors, or lacks weights of the backbone.
    """
    path, prefix = Path(path), "backbone."
    stored = parse_weights(read_bytes(path), path)
    ours = {name.removeprefix(prefix): values for name, values in stored.items() if name.startswith(prefix)}
    wanted = network.backbone.state_dict()
    kept = {name: values for name, values in (ours or stored).items() if name in wanted}
    missing = [name for name in wanted if name not in kept and not name.endswith("num_batches_tracked")]
    network.backbone.load_state_dict(matched(path, kept, wanted, missing=missing), strict=False)


def load_network_weights(network: SkinDiseaseNet, reference: str | Path, *, labels: Sequence[str]) -> None:
    """Load a whole network, head included, from a checkpoint, for further training.

    Args:
        network: with the backbone, head and sizes of the checkpoint.
        reference: a folder, or ``ORG/NAME@REVISION`` on the Hub.
        labels: of the network, in their order.

    Raises:
        CheckpointError: it is not a checkpoint of such a network, or has other labels.
        HubError: the Hub does not provide it.
    """
    checkpoint = find(reference)
    if checkpoint.config.labels != tuple(labels):
        raise CheckpointError(
            f"The checkpoint in {checkpoint.folder} has other labels, or the same in another order.",
            hint="Start from a checkpoint with the same labels, or from backbone weights.",
        )
    network.load_state_dict(fitted(checkpoint.folder / WEIGHTS, checkpoint.weights, network))

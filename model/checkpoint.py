"""The checkpoint folder: ``config.json``, ``model.safetensors`` and a model card; also a Hub repository.

No pickle is ever read or written.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from model import hub
from model.config import ModelConfig
from model.detector import Detector, load_detector
from model.errors import CheckpointError, ConfigError
from model.weights import check_shapes, check_there, fitting_weights, read_weights

# PyTorch and timm take seconds and half a gigabyte; a process that serves an exported graph needs neither,
# so whatever touches weights imports them itself.
if TYPE_CHECKING:
    from model.network import SkinDiseaseNet

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
FILES = (CONFIG, WEIGHTS, CARD)


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint.

    Attributes:
        config: what else a prediction depends on.
        id: the folder's name or the Hub id.
        revision: the Hub commit, or ``fingerprint``.
        folder: where the files lie.
    """

    config: ModelConfig
    id: str
    revision: str
    folder: Path

    @cached_property
    def network(self) -> SkinDiseaseNet:
        """In eval mode, float32, on the CPU; read at the first use.

        Raises:
            CheckpointError: the weights are missing, damaged, not safetensors, or do not fit the config.
        """
        from model.network import SkinDiseaseNet

        try:
            network = SkinDiseaseNet(self.config)
        except ConfigError as error:
            raise CheckpointError(f"{self.folder / CONFIG}: {error.message}", hint=error.hint) from error
        network.load_state_dict(fitting_weights(self.folder / WEIGHTS, network))
        return network.eval()

    @cached_property
    def detector(self) -> Detector | None:
        """The third criterion's, read at the first use; None where the config names none.

        Raises:
            CheckpointError: its file is missing or damaged.
        """
        return load_detector(self.folder / self.config.detector) if self.config.detector else None

    def card(self) -> str:
        """The model card's text, empty if there is none."""
        path = self.folder / CARD
        return path.read_text(encoding="utf-8") if path.is_file() else ""


def save(
    folder: str | Path,
    network: SkinDiseaseNet,
    config: ModelConfig,
    *,
    card: str,
    detector: Detector | None = None,
) -> None:
    """Writes a checkpoint folder with float16 weights.

    The files are written beside it and moved in by renaming, so no reader ever meets a half-written file; a
    crash between the two renames leaves the old folder under a hidden name beside the new one's.

    Args:
        folder: made if needed; the checkpoint's own files in it are replaced.
        network: any mode, any device.
        config: belongs to the network.
        card: text of the model card.
        detector: the one that the config names, if it names one.
    """
    from safetensors.torch import save_file

    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    fresh.chmod(0o755)
    try:
        weights = {
            name: (tensor.half() if tensor.is_floating_point() else tensor).detach().cpu().contiguous()
            for name, tensor in network.state_dict().items()
        }
        save_file(weights, fresh / WEIGHTS, metadata={"format": "pt"})
        (fresh / WEIGHTS).chmod(0o644)  # safetensors leaves it unreadable for other users
        (fresh / CONFIG).write_text(config.to_json(), encoding="utf-8")
        (fresh / CARD).write_text(card, encoding="utf-8")
        if detector is not None:
            detector.save(fresh)
        if folder.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
            os.rename(folder, old / folder.name)
            os.rename(fresh, folder)
            shutil.rmtree(old)
        else:
            os.rename(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def load(reference: str | Path) -> Checkpoint:
    """Loads a checkpoint from a folder or from the Hub.

    Args:
        reference: a folder, or ``ORG/NAME@REVISION`` on the Hub.

    Raises:
        CheckpointError: a file is missing, damaged, not safetensors, or does not fit the others.
        HubError: the Hub does not give it out.
    """
    checkpoint = find(reference)
    checkpoint.network  # noqa: B018 - read now, so that what is broken shows here
    return checkpoint


def find(reference: str | Path) -> Checkpoint:
    """As ``load``, but the weights are not read yet.

    Raises:
        CheckpointError: the folder or its config cannot be used, or there are no weights in it.
    """
    folder, name, commit = _resolve(str(reference))
    config = load_config(folder)
    for file in (WEIGHTS, *_further(folder)):
        check_there(folder / file)
    return Checkpoint(config, name, commit or fingerprint(folder), folder)


def pinned(reference: str) -> str:
    """``ORG/NAME@COMMIT`` for a Hub reference with any revision; other text as it is. Raises ``HubError``."""
    if not hub.is_reference(reference):
        return reference
    _, name, commit = _resolve(reference)
    return f"{name}@{commit}"


def load_config(folder: Path) -> ModelConfig:
    """Reads ``config.json``.

    Raises:
        CheckpointError: it is missing or not a valid configuration.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise CheckpointError(
            f"{folder} has no {CONFIG}; a checkpoint folder holds {CONFIG} and {WEIGHTS}.",
            hint="Point to the folder that training wrote, or fetch the checkpoint again.",
        )
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError("it is not a JSON object")
        return ModelConfig.from_dict(values)
    except (ValueError, TypeError) as error:
        raise CheckpointError(
            f"{path} is not a readable model configuration ({error}).", hint="Fetch the checkpoint again."
        ) from error
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error.message}", hint=error.hint) from error


def fingerprint(folder: Path) -> str:
    """``sha256:`` and twelve digits over all but the card: changes whenever a prediction could."""
    digest = hashlib.sha256()
    for name in (CONFIG, WEIGHTS, *_further(folder)):
        with open(folder / name, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return f"sha256:{digest.hexdigest()[:12]}"


def load_backbone_weights(network: SkinDiseaseNet, path: str | Path) -> None:
    """Fills the backbone from a safetensors file: one with timm's names, or the weights of a checkpoint.

    A classifier or a head in the file is left out.

    Raises:
        CheckpointError: the file is missing, not safetensors, or lacks weights of the backbone.
    """
    weights = read_weights(Path(path), prefix="backbone.") or read_weights(Path(path))
    wanted = network.backbone.state_dict()
    missing = [name for name in wanted if name not in weights and not name.endswith("num_batches_tracked")]
    check_shapes(Path(path), {k: v for k, v in weights.items() if k in wanted}, wanted, missing)
    kept = {name: weights[name].float() for name in wanted if name in weights}
    network.backbone.load_state_dict(kept, strict=False)


def load_network_weights(network: SkinDiseaseNet, reference: str | Path, *, labels: Sequence[str]) -> None:
    """Fills a whole network, head included, from a checkpoint, to be trained further.

    Args:
        network: its backbone, head and sizes are the checkpoint's.
        reference: a folder, or ``ORG/NAME@REVISION`` on the Hub.
        labels: of the network, in their order.

    Raises:
        CheckpointError: it is no checkpoint of such a network, or has other labels.
        HubError: the Hub does not give it out.
    """
    folder = _resolve(str(reference))[0]
    if load_config(folder).labels != tuple(labels):
        raise CheckpointError(
            f"The checkpoint in {folder} has other labels, or the same in another order.",
            hint="Start from a checkpoint with the same labels, or from backbone weights.",
        )
    network.load_state_dict(fitting_weights(folder / WEIGHTS, network))


def files(folder: Path) -> dict[str, Path]:
    """What travels: name → file. The three, and further safetensors files that ``config.json`` names.

    Raises:
        CheckpointError: one of them is not there, or is named by a path out of the folder.
    """
    found = {name: folder / name for name in (*FILES, *_further(folder))}
    missing = [name for name, path in found.items() if not path.is_file()]
    if missing:
        raise CheckpointError(
            f"{folder} lacks {', '.join(missing)}.",
            hint="Publish whole checkpoints; `python -m train card` writes a missing README.md.",
        )
    return found


def _further(folder: Path) -> list[str]:
    """Names of safetensors files that are values in ``config.json``."""
    values = dataclasses.asdict(load_config(folder)).values()
    names = [value for value in values if isinstance(value, str) and value.endswith(".safetensors")]
    if wrong := [name for name in names if Path(name).name != name]:
        raise CheckpointError(
            f"{folder / CONFIG} names {wrong[0]}, which is not a file beside it.",
            hint="Correct the name in the configuration.",
        )
    return names


def _resolve(reference: str) -> tuple[Path, str, str | None]:
    """A reference → (local folder, id, Hub commit or None)."""
    folder = Path(reference)
    if folder.is_dir():
        return folder, folder.resolve().name, None
    name, revision = hub.parse(reference)
    path = hub.download(name, revision, FILES)
    if further := _further(path):
        path = hub.download(name, path.name, [*FILES, *further])
    return path, name, path.name

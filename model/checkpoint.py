"""The checkpoint folder: ``config.json``, ``model.safetensors`` and a model card; also a Hub repository.

No pickle is ever read or written.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from model import hub
from model.config import ModelConfig
from model.decision.drift import Reference, parse_reference
from model.decision.modality import Gate, parse_gate
from model.decision.ood import Detector, parse_detector
from model.errors import CheckpointError, ConfigError
from model.files import atomic_folder
from model.text import decoded, parse_json, printable
from model.weights import Weights, fitted, halved, parse_weights, read_bytes

# PyTorch and timm take seconds and half a gigabyte to import; a process that serves an exported graph needs
# neither, so they are imported only where weights are used.
if TYPE_CHECKING:
    from model.network import SkinDiseaseNet

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
FILES = (CONFIG, WEIGHTS, CARD)


@dataclasses.dataclass(frozen=True, eq=False)
class Checkpoint:
    """A checkpoint, read completely into memory: later changes to its files have no effect.

    Attributes:
        config: everything but the weights that a prediction depends on.
        id: the folder's name or the Hub id. revision: the Hub commit, or ``fingerprint``.
        folder: of the files.
        weights: as stored; finite, but not yet checked against the network.
        detector: of the third criterion; None if the config names none.
        gate: tells clinical photographs from dermoscopy; None if the config names none.
        drift: what drift is measured against; None if the config names none.
        card_file: the model card's bytes, empty if there is none.
        fingerprint: the result of ``fingerprint`` for these files.
    """

    config: ModelConfig
    id: str
    revision: str
    folder: Path
    weights: Weights
    detector: Detector | None
    gate: Gate | None
    drift: Reference | None
    card_file: bytes
    fingerprint: str

    @cached_property
    def network(self) -> SkinDiseaseNet:
        """The network in eval mode, float32, on the CPU; built on first use.

        Raises:
            CheckpointError: the weights do not fit the config, or no network can be built from it.
        """
        from model.network import SkinDiseaseNet

        try:
            network = SkinDiseaseNet(self.config)
        except ConfigError as error:
            raise CheckpointError(f"{self.folder / CONFIG}: {error.message}", hint=error.hint) from error
        except Exception as error:  # timm's errors share no base class
            raise CheckpointError(
                f"{self.folder / CONFIG} describes no network that can be built "
                f"({type(error).__name__}: {' '.join(str(error).split())[:200]}).",
                hint="Correct the backbone, the head or the sizes in it.",
            ) from error
        network.load_state_dict(fitted(self.folder / WEIGHTS, self.weights, network))
        return network.eval()

    def card(self) -> str:
        """The model card's text, empty if there is none."""
        return decoded(self.card_file)


def save(
    folder: str | Path,
    network: SkinDiseaseNet,
    config: ModelConfig,
    *,
    card: str,
    detector: Detector | None = None,
) -> None:
    """Write a checkpoint folder with float16 weights.

    No reader ever sees a half-written one; see ``model.files.atomic_folder``.

    Args:
        folder: made if needed; one that is there is replaced.
        network: any mode, any device.
        config: of the network.
        card: text of the model card.
        detector: the one that the config names, if it names one.

    Raises:
        CheckpointError: a number is not finite, or too large for float16.
        ConfigError: the folder cannot be written; the old one stays.
    """
    from safetensors.torch import save_file

    weights = halved(network)
    with atomic_folder(Path(folder)) as fresh:
        save_file(weights, fresh / WEIGHTS, metadata={"format": "pt"})
        (fresh / WEIGHTS).chmod(0o644)  # safetensors leaves it unreadable for other users
        (fresh / CONFIG).write_text(config.to_json(), encoding="utf-8")
        (fresh / CARD).write_text(card, encoding="utf-8")
        if detector is not None:
            detector.save(fresh)


def load(reference: str | Path) -> Checkpoint:
    """Load a checkpoint from a folder or from the Hub.

    Args:
        reference: a folder, or ``ORG/NAME@REVISION`` on the Hub.

    Raises:
        CheckpointError: a file is missing, damaged, not safetensors, or does not fit the others.
        HubError: the Hub does not provide it.
    """
    checkpoint = find(reference)
    checkpoint.network  # noqa: B018 - read now, so that errors appear here
    return checkpoint


def find(reference: str | Path) -> Checkpoint:
    """Read a checkpoint without building the network, which needs PyTorch.

    Raises:
        CheckpointError: a file is missing or damaged, or its numbers are not finite.
        HubError: the Hub does not provide it.
    """
    folder, name, commit = _resolve(str(reference))
    config, stored = _stored(folder)
    detector, gate, drift = config.detector, config.gate, config.drift
    card, digest = folder / CARD, _fingerprint(stored)
    return Checkpoint(
        config=config,
        id=name,
        revision=commit or digest,
        folder=folder,
        weights=parse_weights(stored[WEIGHTS], folder / WEIGHTS),
        detector=parse_detector(stored[detector], folder / detector) if detector else None,
        gate=parse_gate(stored[gate], folder / gate) if gate else None,
        drift=parse_reference(stored[drift], folder / drift) if drift else None,
        card_file=read_bytes(card) if card.is_file() else b"",
        fingerprint=digest,
    )


def pinned(reference: str) -> str:
    """Resolve a Hub reference to ``ORG/NAME@COMMIT``; other text is returned unchanged. Raises
    ``HubError``."""
    if not hub.is_reference(reference):
        return reference
    _, name, commit = _resolve(reference)
    return f"{name}@{commit}"


def load_config(folder: Path) -> ModelConfig:
    """Read ``config.json``.

    Raises:
        CheckpointError: it is missing or not a valid configuration.
    """
    return _parse_config(folder / CONFIG, _config_file(folder))


def _config_file(folder: Path) -> bytes:
    if not (folder / CONFIG).is_file():
        raise CheckpointError(
            f"{folder} has no {CONFIG}; a checkpoint folder holds {CONFIG} and {WEIGHTS}.",
            hint="Point to the folder that training wrote, or fetch the checkpoint again.",
        )
    return read_bytes(folder / CONFIG)


def _parse_config(path: Path, data: bytes) -> ModelConfig:
    try:
        values = parse_json(data)
        if not isinstance(values, dict):
            raise ValueError("it is not a JSON object")
        return ModelConfig(**values)
    except (ValueError, TypeError) as error:
        raise CheckpointError(
            f"{path} is not a readable model configuration ({error}).", hint="Fetch the checkpoint again."
        ) from error
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error.message}", hint=error.hint) from error


def fingerprint(folder: Path) -> str:
    """``sha256:`` and twelve digits over all files but the card; changes whenever a prediction could."""
    return _fingerprint(_stored(folder)[1])


def _stored(folder: Path) -> tuple[ModelConfig, dict[str, bytes]]:
    """Read the configuration and every file that a prediction depends on (file name → content), each once."""
    data = _config_file(folder)
    config = _parse_config(folder / CONFIG, data)
    return config, {
        CONFIG: data,
        **{name: read_bytes(folder / name) for name in (WEIGHTS, *_further(config))},
    }


def _fingerprint(stored: dict[str, bytes]) -> str:
    digest = hashlib.sha256()
    for data in stored.values():
        digest.update(data)
    return f"sha256:{digest.hexdigest()[:12]}"


def files(folder: Path) -> dict[str, Path]:
    """The files to publish: name → file. Configuration, weights, card, and, if any, detector, gate and drift.

    Raises:
        CheckpointError: one of them is missing, or the configuration cannot be used.
    """
    found = {name: folder / name for name in (*FILES, *_further(load_config(folder)))}
    missing = [name for name, path in found.items() if not path.is_file()]
    if missing:
        raise CheckpointError(
            f"{folder} lacks {', '.join(missing)}.",
            hint="Publish whole checkpoints; `python -m train card` writes a missing README.md.",
        )
    return found


def _further(config: ModelConfig) -> list[str]:
    """Further files that ``config.json`` names; ``ModelConfig`` makes sure that they lie beside it."""
    return [name for name in (config.detector, config.gate, config.drift) if name]


def _resolve(reference: str) -> tuple[Path, str, str | None]:
    """A reference → (local folder, id, Hub commit or None)."""
    folder = Path(reference)
    if os.path.isdir(folder):
        return folder, printable(folder.resolve().name), None
    name, revision = hub.parse(reference)
    path = hub.download(name, revision, FILES)
    if further := _further(load_config(path)):
        path = hub.download(name, path.name, [*FILES, *further])
    return path, name, path.name

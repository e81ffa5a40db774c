"""Whether a graph may be computed in bfloat16: where the processor has it, and the answers stay the same.

bfloat16 halves the memory that a number takes and keeps 8 bits of its mantissa. On a processor that
multiplies it natively (AVX512-BF16, AMX) the network takes between a quarter and a half of the time.
"""

from __future__ import annotations

import json
import logging
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from model.config import ModelConfig
from model.decision.calibration import softmax
from model.errors import ConfigError
from model.files import write_json
from model.runtime.engine import compile_graph
from model.runtime.graph_store import IMAGES, LOGITS, distrust

Array = NDArray[np.floating]

Precision = Literal["float32", "bfloat16"]
PrecisionName = Literal["auto", "float32", "bfloat16"]
PRECISIONS: tuple[PrecisionName, ...] = get_args(PrecisionName)
PICTURES = 64
MEAN_CHANGE = 0.02
"""How far the distributions may move on the average, as total variation, 0 to 1."""
CLEAR_LEAD = 0.05
"""From this lead of the best label over the second on, bfloat16 must name the same label."""

logger = logging.getLogger(__name__)


def choose_precision(asked: str, graph: Path, core: Any, config: ModelConfig) -> Precision:
    """``float32`` or ``bfloat16`` for a graph on this processor.

    Args:
        asked: a name from ``PRECISIONS``.
        graph: the exported file; what the comparison found is kept beside it.
        core: OpenVINO's.
        config: the checkpoint's.

    Raises:
        ConfigError: bfloat16 was asked for, and the processor does not have it.
    """
    if asked == "float32":
        return "float32"
    native = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if asked == "bfloat16" and not native:
        raise ConfigError(
            f"The processor ({core.get_property('CPU', 'FULL_DEVICE_NAME')}) does not compute in bfloat16.",
            hint="Choose the precision auto or float32.",
        )
    return "bfloat16" if native and (asked == "bfloat16" or _holds(graph, core, config)) else "float32"


def _holds(graph: Path, core: Any, config: ModelConfig) -> bool:
    """Whether bfloat16 answers as float32 does, on made pictures; measured once for a processor."""
    place = {
        "processor": core.get_property("CPU", "FULL_DEVICE_NAME"),
        "capabilities": sorted(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
        "openvino": version("openvino"),
    }
    file = graph.with_suffix(".bfloat16.json")
    if (found := _read(file)) is not None and found["place"] == place:
        return bool(found["holds"])
    logger.info("Comparing bfloat16 with float32 on %d made pictures, once.", PICTURES)
    images = made_images(config, PICTURES)
    reference, other = (_probabilities(graph, core, config, images, name) for name in PRECISIONS[1:])
    measured = compare(reference, other)
    if not measured["holds"]:
        logger.warning("bfloat16 changes the answers, so float32 computes: %s", measured)
    if distrust(graph.parent) is None:
        try:
            write_json(file, {"place": place, **measured})
        except ConfigError as error:
            logger.info("%s Every start compares anew.", error.message)
    return bool(measured["holds"])


def _probabilities(graph: Path, core: Any, config: ModelConfig, images: list[Array], precision: str) -> Array:
    compiled = compile_graph(core, graph, config, precision=precision, threads=0)
    logits = [compiled({IMAGES: image[None]})[LOGITS][0].copy() for image in images]
    return softmax(np.stack(logits), config.temperature)


def compare(reference: Array, other: Array) -> dict[str, Any]:
    """What another precision changes.

    Args:
        reference: probabilities in float32, (N, classes).
        other: of the same pictures, (N, classes).

    Returns:
        ``pictures``; ``mean_change``, the mean total variation; ``same_label``, the share with the same most
        probable label; ``holds``, whether both are small enough (near ties may go either way).
    """
    first, second = np.sort(reference, axis=1)[:, :-3:-1].T
    same = reference.argmax(axis=1) == other.argmax(axis=1)
    change = np.abs(reference - other).sum(axis=1) / 2
    return {
        "pictures": len(reference),
        "mean_change": float(change.mean()),
        "same_label": float(same.mean()),
        "holds": bool((same | (first - second < CLEAR_LEAD)).all() and change.mean() <= MEAN_CHANGE),
    }


def made_images(config: ModelConfig, count: int) -> list[Array]:
    """Normalised pictures (3, S, S), a little like skin: tones, shades, spots, grain. Always the same."""
    side, random = config.input_size, np.random.default_rng(0)
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (config.mean, config.std))
    light, dark = (
        np.array(tone, np.float32)[:, None, None] for tone in ((0.93, 0.8, 0.72), (0.3, 0.2, 0.16))
    )
    rows, columns = np.mgrid[:side, :side].astype(np.float32) / side
    images = []
    for _ in range(count):
        image = light + (dark - light) * random.uniform(0, 1)
        for cells in (2, 8, 32):
            coarse = random.normal(0, 0.06, (3, cells, cells)).astype(np.float32)
            steps = np.arange(side) * cells // side
            image = image + coarse[:, steps][:, :, steps]
        for _ in range(random.integers(0, 6)):
            (y, x), radius = random.uniform(0, 1, 2), random.uniform(0.02, 0.3)
            spot = np.exp(-((((rows - y) ** 2 + (columns - x) ** 2) / radius**2) ** 2))
            image = image + spot * random.uniform(-0.4, 0.3, (3, 1, 1))
        image = np.clip(image + random.normal(0, 0.02, image.shape), 0, 1)
        images.append(((image - mean) / std).astype(np.float32))
    return images


def _read(file: Path) -> dict[str, Any] | None:
    if distrust(file.parent) is not None:
        return None
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and {"place", "holds"} <= set(found) else None

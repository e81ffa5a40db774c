"""``ModelConfig``: everything besides the weights that a prediction depends on; mirrors ``config.json``."""

from __future__ import annotations

import dataclasses
import json
import re
import reprlib
from typing import Any

from model.errors import ConfigError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_KINDS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "str": (str, "a text"),
    "int": (int, "a whole number"),
    "bool": (bool, "true or false"),
    "tuple[str, ...]": ((list, tuple), "a list"),
    "tuple[float, float, float]": ((list, tuple), "a list"),
}
_RANGES: dict[str, tuple[float, float]] = {
    "temperature": (1e-6, 1e6),
    "crop_pct": (0.1, 1.0),
    "dropout": (0.0, 0.95),
    "min_max_probability": (0.0, 1.0),
    "max_normalized_entropy": (0.0, 1.0),
    "max_unusualness": (0.0, 1.0),
    "max_not_skin": (0.0, 1.0),
    "uncertain_below": (0.0, 1.0),
    "malignant_from": (0.0, 1.0),
    "set_quantile": (0.0, 1.0),
    "stages": (1, 4),
    "input_size": (32, 2048),
    "hidden_size": (1, 8192),
}
_FILE = re.compile(r"(?!model\.)[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}\.safetensors")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The content of a checkpoint's ``config.json``.

    Attributes:
        labels: class names in the order of the logits.
        backbone: a timm model name, or ``torchvision/NAME``.
        head: a name from ``model.heads.HEADS``.
        stages: how many of the backbone's last stages the head reads: 1 for its last map, as in the paper;
            2, of a ResNet, for ``layer3`` and ``layer4``.
        hidden_size: width of the head (per direction for the BiLSTM).
        dropout: dropout rate of the head, 0 to 1.
        stride_in_1x1: ResNet strides in the first 1x1 convolution of a stage (He et al. 2015, "v1")
            rather than in its 3x3 convolution (timm's default, "v1.5").
        input_size: side of the square the network sees, pixels.
        crop_mode: ``center`` keeps the aspect ratio and uses the centre square; ``squash`` uses the whole
            picture, resized to a square.
        crop_pct: share of each side of the resized picture that is used, 0 to 1.
        interpolation: ``bilinear`` or ``bicubic``.
        mean, std: RGB normalisation of values in 0..1.
        temperature: the logits are divided by it (Guo et al. 2017), above 0.
        min_max_probability: rejected below this largest calibrated probability, 0 to 1.
        max_normalized_entropy: rejected above this entropy over log K, 0 to 1.
        detector: file with the statistics of the third and fourth criterion, in the same folder; empty for
            none.
        max_unusualness: rejected above this share of validation pictures of conditions that are less unusual,
            0 to 1.
        max_not_skin: rejected above this score for a picture that does not show skin, see
            ``model.decision.rejection.not_skin``, 0 to 1.
        uncertain_below: accepted but called uncertain below this largest probability, 0 to 1.
        malignant_from: if the labels that may be cancer reach this summed calibrated probability, the advice
            to see a doctor comes first, 0 to 1; 1 means never.
        set_quantile: conformal quantile of the prediction sets, see ``model.decision.conformal``, 0 to 1; 1,
            which would rule nothing out, means no prediction sets.
        format_version: of the layout of this file.
    """

    labels: tuple[str, ...]
    backbone: str = "resnet50"
    head: str = "bilstm"
    stages: int = 1
    hidden_size: int = 256
    dropout: float = 0.3
    stride_in_1x1: bool = False
    input_size: int = 224
    crop_mode: str = "center"
    crop_pct: float = 1.0
    interpolation: str = "bicubic"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    temperature: float = 1.0
    min_max_probability: float = 0.0
    max_normalized_entropy: float = 1.0
    detector: str = ""
    max_unusualness: float = 1.0
    max_not_skin: float = 1.0
    uncertain_below: float = 0.0
    malignant_from: float = 1.0
    set_quantile: float = 1.0
    format_version: int = 1

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            kind, expected = _KINDS.get(str(field.type), (object, ""))
            value = getattr(self, field.name)
            if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
                raise _wrong(field.name, value, expected)
        for name in ("labels", "mean", "std"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        names = set(self.labels)
        if len(names) < 2 or len(names) != len(self.labels) or not all(map(_is_name, names)):
            raise ConfigError(
                f"labels holds {len(self.labels)} names, {len(names)} of them different; "
                "at least two different names are needed, all of them printable.",
                hint="List every class once.",
            )
        for name, (low, high) in _RANGES.items():
            if not _is_number(getattr(self, name), low, high):
                raise _wrong(name, getattr(self, name), f"a number from {low:g} to {high:g}")
        for name, low in (("mean", 0.0), ("std", 1e-6)):
            values = getattr(self, name)
            if len(values) != 3 or not all(_is_number(value, low, 1.0) for value in values):
                raise _wrong(name, values, f"a list of three numbers from {low:g} to 1")
        if self.interpolation not in ("bilinear", "bicubic"):
            raise _wrong("interpolation", self.interpolation, "bilinear or bicubic")
        if self.crop_mode not in ("center", "squash"):
            raise _wrong("crop_mode", self.crop_mode, "center or squash")
        if self.detector and not _FILE.fullmatch(self.detector):
            raise _wrong("detector", self.detector, "the name of a .safetensors file beside it")
        if self.format_version != 1:
            raise ConfigError(
                f"format_version is {self.format_version}; this program reads version 1.",
                hint="Update the program, or fetch a checkpoint that was written for it.",
            )

    def to_json(self) -> str:
        """The text of ``config.json``."""
        return json.dumps(dataclasses.asdict(self), indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelConfig:
        """Build a config from parsed JSON; unknown and missing keys are errors.

        Raises:
            ConfigError: a key is unknown, ``labels`` is missing, or a value is out of range.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ConfigError(
                f"The model configuration has unknown keys: {reprlib.repr(unknown)}.",
                hint=f"The known keys are: {', '.join(sorted(known))}.",
            )
        if "labels" not in values:
            raise ConfigError("The model configuration has no labels.", hint="Add the list of class names.")
        return cls(**values)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value.isprintable()


def _is_number(value: object, low: float, high: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high


def _wrong(name: str, value: object, expected: str) -> ConfigError:
    return ConfigError(
        f"{name} is {reprlib.repr(value)}; {expected} is expected.",
        hint=f"Correct {name} in the configuration.",
    )

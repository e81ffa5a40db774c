"""``ModelConfig``: everything besides the weights that a prediction depends on; mirrors ``config.json``."""

from __future__ import annotations

import dataclasses
import json
import re
import reprlib
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic.dataclasses import dataclass

from model.errors import ConfigError
from model.schema import Share, checked

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Positive = Annotated[float, Field(ge=1e-6, le=1)]
Listed = Field(strict=False)  # JSON has lists, and a configuration tuples

_FILE = re.compile(r"(?!model\.)[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}\.safetensors")


@dataclass(frozen=True, kw_only=True, config=ConfigDict(strict=True, extra="forbid", allow_inf_nan=False))
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
        gate: file of the head that tells dermoscopy from clinical photographs, in the same folder; empty for
            none.
        drift: file with the signals that drift is measured by, in the same folder; empty for none.
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

    labels: Annotated[tuple[str, ...], Listed]
    backbone: str = "resnet50"
    head: str = "bilstm"
    stages: Annotated[int, Field(ge=1, le=4)] = 1
    hidden_size: Annotated[int, Field(ge=1, le=8192)] = 256
    dropout: Annotated[float, Field(ge=0, le=0.95)] = 0.3
    stride_in_1x1: bool = False
    input_size: Annotated[int, Field(ge=32, le=2048)] = 224
    crop_mode: Literal["center", "squash"] = "center"
    crop_pct: Annotated[float, Field(ge=0.1, le=1)] = 1.0
    interpolation: Literal["bilinear", "bicubic"] = "bicubic"
    mean: Annotated[tuple[Share, Share, Share], Listed] = IMAGENET_MEAN
    std: Annotated[tuple[Positive, Positive, Positive], Listed] = IMAGENET_STD
    temperature: Annotated[float, Field(ge=1e-6, le=1e6)] = 1.0
    min_max_probability: Share = 0.0
    max_normalized_entropy: Share = 1.0
    detector: str = ""
    gate: str = ""
    drift: str = ""
    max_unusualness: Share = 1.0
    max_not_skin: Share = 1.0
    uncertain_below: Share = 0.0
    malignant_from: Share = 1.0
    set_quantile: Share = 1.0
    format_version: int = 1

    @model_validator(mode="wrap")
    @classmethod
    def _in_words(cls, values: Any, check: Any) -> ModelConfig:
        return checked(cls, values, check, named=str, place=" in the model configuration")

    @field_validator("labels")
    @classmethod
    def _different(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        names = set(labels)
        if len(names) < 2 or len(names) != len(labels) or not all(map(str.isprintable, names)):
            raise ConfigError(
                f"labels holds {len(labels)} names, {len(names)} of them different; "
                "at least two different names are needed, all of them printable texts.",
                hint="List every class once.",
            )
        return labels

    @field_validator("detector", "gate", "drift")
    @classmethod
    def _beside_it(cls, file: str, info: ValidationInfo) -> str:
        if file and not _FILE.fullmatch(file):
            raise ConfigError(
                f"{info.field_name} is {reprlib.repr(file)}; "
                "the name of a .safetensors file beside it is expected.",
                hint=f"Correct {info.field_name} in the model configuration.",
            )
        return file

    @field_validator("format_version")
    @classmethod
    def _readable(cls, format_version: int) -> int:
        if format_version != 1:
            raise ConfigError(
                f"format_version is {format_version}; this program reads version 1.",
                hint="Update the program, or fetch a checkpoint that was written for it.",
            )
        return format_version

    def to_json(self) -> str:
        """The text of ``config.json``."""
        return json.dumps(dataclasses.asdict(self), indent=2, allow_nan=False) + "\n"

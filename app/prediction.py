"""``Prediction``: the result for one picture, the same for every interface."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from model.decision.malignancy import Malignancy
from model.decision.modality import Modality
from model.decision.rejection import Criterion, Verdict
from model.errors import ConfigError
from model.image.quality import QualityWarning
from model.labels import URGENCY
from model.runtime.precision import Precision
from model.schema import CheckpointId, Share


@dataclasses.dataclass(frozen=True)
class RankedCondition:
    """A label, its title for people, and its calibrated probability."""

    name: str
    title: str
    probability: Share


class Timings(TypedDict):
    """How long each stage took, milliseconds."""

    decode: float
    transform: float
    forward: float
    total: float


class AdviceWords(TypedDict):
    """What to do. `caution`, to be shown right beside `how_soon`, names the labels that may be cancer and
    cannot be ruled out; null where there is none.
    """

    urgency: Annotated[str, Field(json_schema_extra={"enum": list(URGENCY)})]
    how_soon: str
    caution: str | None
    text: str


@dataclasses.dataclass(frozen=True)
class Seen:
    """What kind of picture was sent: the more probable one, which the checkpoint learned from, and one or two
    sentences where that is something else.
    """

    name: Modality
    probability: Share
    expected: Modality
    message: str | None


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The answer to one picture. A learning aid, never a diagnosis."""

    __pydantic_config__ = ConfigDict(use_attribute_docstrings=True)

    verdict: Verdict
    """Whether a condition can be named at all."""
    reason: str
    """One plain sentence."""
    conditions: tuple[RankedCondition, ...]
    """All labels, most probable first; the calibrated probabilities sum to 1."""
    criteria: tuple[Criterion, ...]
    """The rejection rule: `rejected` where one of them fired. `unusualness`, there where the checkpoint has a
    detector, is the share of photos of skin conditions that are more like those which the model learned from;
    `not_skin` adds the odds of `Unknown_Normal` to it.
    """
    malignancy: Malignancy | None
    """The summed probability of the labels that may be cancer; where it fired, the advice to see a doctor
    stands first. Null where the checkpoint has no such label.
    """
    quality: tuple[QualityWarning, ...]
    """What about the photo could be better. A warning: there is still a result."""
    brightness: Share
    """The mean luminance of the photo, 0 (black) to 1 (white)."""
    prediction_set: tuple[str, ...] | None
    """Names that cannot be ruled out, most probable first; null for a rejected picture, or where the
    checkpoint has no such sets.
    """
    checkpoint: CheckpointId
    precision: Precision
    """What the network was computed in."""
    timings_ms: Timings
    advice: AdviceWords
    """What to do, in words for people."""
    modality: Seen | None
    """What kind of picture it looks like, and which the checkpoint learned from; where they differ, the
    message says so. Null where the checkpoint cannot tell.
    """
    heatmap: str | None
    """The picture with the evidence laid over it, a data:image/png URI; null unless it was asked for."""

    def to_json(self) -> dict[str, Any]:
        """Convert to plain dicts, lists, numbers and strings for ``json.dumps``."""
        return _PREDICTION.dump_python(self, mode="json")

    def dumps(self) -> str:
        """Convert to JSON text, for ``loads``."""
        return _PREDICTION.dump_json(self).decode()

    @staticmethod
    def loads(text: str | bytes) -> Prediction:
        """Read what ``dumps`` wrote.

        Raises:
            ConfigError: it is something else.
        """
        try:
            return _PREDICTION.validate_json(text)
        except ValidationError as error:
            raise ConfigError(
                "The text is no prediction: {problem}.",
                hint="Check the photo again.",
                code="no_prediction",
                values={"problem": error.errors(include_url=False)[0]["msg"]},
            ) from None


_PREDICTION = TypeAdapter(Prediction)

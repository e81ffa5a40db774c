"""What the HTTP API answers beside predictions, as types; the OpenAPI document is made from them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from app.prediction import Prediction
from model.labels import URGENCY
from model.runtime.precision import Precision
from model.schema import CheckpointId


class Label(TypedDict):
    """One label, in words for people."""

    name: str
    title: str
    summary: str
    urgency: Annotated[str, Field(json_schema_extra={"enum": list(URGENCY)})]
    urgency_text: str
    malignant: bool


class Labels(TypedDict):
    """The labels that the checkpoint knows."""

    labels: list[Label]
    checkpoint: CheckpointId


class Status(TypedDict):
    """A word on the process."""

    status: str


class Loaded(TypedDict):
    """A checkpoint, and what it is computed in."""

    checkpoint: CheckpointId
    precision: Precision


class Ready(Status, Loaded):
    """A word on the process, the checkpoint that usually answers, and the others where there are any."""

    others: list[Loaded]


class Fault(TypedDict):
    """What went wrong: a stable word for programs, what was got and what was expected, and what to do."""

    code: str
    message: str
    hint: str


class Error(TypedDict):
    """Every answer but the right one."""

    error: Fault


class CaseAnswer(TypedDict):
    """One answer to several pictures of the same spot: the averages of their probabilities, and what follows
    from them. `pictures` are the answers, or errors, of each, in order; errors are left out of the average.
    """

    answer: Prediction
    pictures: list[Prediction | Error]

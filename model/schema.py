"""Pydantic's types in our words: what a field expects, and the error where a value is not that."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from model.errors import ConfigError

T = TypeVar("T")

Share = Annotated[float, Field(ge=0, le=1)]

_KINDS = {
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "path": "a path",
    "string": "a text",
}


class CheckpointId(TypedDict):
    """A checkpoint: its name, and the commit or digest of its files."""

    id: str
    revision: str


def expected(schema: Mapping[str, Any]) -> str:
    """What a JSON schema asks for: ``a number from 0 to 1``, ``auto, cpu, cuda or mps``, ``a text``."""
    if "anyOf" in schema:
        return " or ".join(expected(one) for one in schema["anyOf"] if one.get("type") != "null")
    if "enum" in schema:
        *others, last = schema["enum"]
        return f"{', '.join(others)} or {last}"
    if schema["type"] == "array":
        items = schema.get("prefixItems", [schema.get("items")])
        count = f" of {len(items)} values" if "prefixItems" in schema else ""
        return f"a list{count}, each {expected(items[0])}"
    span = f" from {schema['minimum']:g} to {schema['maximum']:g}" if "minimum" in schema else ""
    return _KINDS[schema.get("format", schema["type"])] + span


def checked(
    kind: type, values: Any, check: Callable[[Any], T], *, named: Callable[[str], str], place: str = ""
) -> T:
    """The whole of a wrap validator of a dataclass whose fields are keywords.

    Args:
        kind: the dataclass.
        values, check: as pydantic hands them to the validator.
        named: a field's name → its name for people.
        place: where the value is to be corrected, such as `` in the configuration``.

    Raises:
        ConfigError: a value is not what its field expects, or a field is missing or unknown.
    """
    try:
        return check(values)
    except ValidationError as error:
        field, given = str(error.errors()[0]["loc"][0]), values.kwargs or {}
        name, fields = named(field), TypeAdapter(kind).json_schema()["properties"]
        if field not in fields:
            wrong, hint = f"{reprlib.repr(name)} is unknown{place}", "The known names are: "
            hint += ", ".join(map(named, fields))
        elif field not in given:
            wrong, hint = f"{name} is missing{place}", f"Add {name}"
        else:
            wrong = f"{name} is {reprlib.repr(given[field])}; {expected(fields[field])} is expected"
            hint = f"Correct {name}{place}"
        raise ConfigError(f"{wrong}.", hint=f"{hint}.") from None

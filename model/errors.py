"""The exception hierarchy. Every front end shows the three fields of an error and nothing else."""

from __future__ import annotations

from collections.abc import Mapping


class SkinDiseaseNetError(Exception):
    """An error that a person can act on.

    Args:
        message: what was got and what was expected, one sentence, with ``{name}`` for each of the values.
        hint: what to do about it, one sentence, likewise.
        code: a stable snake_case word for programs.
        values: what stands in place of the names. A message for visitors of a page names its values
            rather than holding them, since pages translate ``template`` and ``hint_template``.
    """

    code = "error"

    def __init__(
        self, message: str, *, hint: str, code: str | None = None, values: Mapping[str, object] | None = None
    ) -> None:
        self.template, self.hint_template, self.values = message, hint, dict(values or {})
        self.message = message.format(**self.values) if values else message
        self.hint = hint.format(**self.values) if values else hint
        super().__init__(self.message)
        if code is not None:
            self.code = code

    def __reduce__(self) -> tuple[object, ...]:
        # Pickle rebuilds exceptions from positional arguments only, and ZeroGPU pickles them between
        # processes.
        return (_rebuild, (type(self), self.template, self.hint_template, self.code, self.values))

    def __str__(self) -> str:
        return f"{self.message} {self.hint}"

    def to_json(self) -> dict[str, dict[str, str]]:
        """The error as JSON: ``{"error": {"code", "message", "hint"}}``."""
        return {"error": {"code": self.code, "message": self.message, "hint": self.hint}}


def _rebuild(
    kind: type[SkinDiseaseNetError], message: str, hint: str, code: str, values: dict[str, object]
) -> SkinDiseaseNetError:
    return kind(message, hint=hint, code=code, values=values)


class ImageError(SkinDiseaseNetError):
    """The bytes are not a picture that can be read safely."""

    code = "invalid_image"


class CheckpointError(SkinDiseaseNetError):
    """A checkpoint folder or Hub repository cannot be used as it is."""

    code = "invalid_checkpoint"


class HubError(SkinDiseaseNetError):
    """The Hugging Face Hub refused a request, or cannot be reached."""

    code = "hub_error"


class ConfigError(SkinDiseaseNetError):
    """A setting, an option or a name is wrong."""

    code = "invalid_config"


class ExportError(SkinDiseaseNetError):
    """A network cannot be exported to a graph, or the graph cannot be run."""

    code = "export_failed"


class ComputationError(SkinDiseaseNetError):
    """The network's output is not finite, so there is no result for the picture."""

    code = "no_finite_answer"


class DataError(SkinDiseaseNetError):
    """A data set cannot be used as it is."""

    code = "invalid_data"

"""The exception hierarchy. Every front end shows the three fields of an error and nothing else."""

from __future__ import annotations


class SkinDiseaseNetError(Exception):
    """An error that a person can act on.

    Args:
        message: what was got and what was expected, one sentence.
        hint: what to do about it, one sentence.
        code: a stable snake_case word for programs.
    """

    code = "error"

    def __init__(self, message: str, *, hint: str, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code

    def __reduce__(self) -> tuple[object, ...]:
        # Pickle rebuilds exceptions from positional arguments only, and ZeroGPU pickles them between
        # processes.
        return (_rebuild, (type(self), self.message, self.hint, self.code))

    def __str__(self) -> str:
        return f"{self.message} {self.hint}"

    def to_json(self) -> dict[str, dict[str, str]]:
        """The error as JSON: ``{"error": {"code", "message", "hint"}}``."""
        return {"error": {"code": self.code, "message": self.message, "hint": self.hint}}


def _rebuild(kind: type[SkinDiseaseNetError], message: str, hint: str, code: str) -> SkinDiseaseNetError:
    return kind(message, hint=hint, code=code)


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

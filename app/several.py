"""Several checkpoints in one server: the kind of picture decides which of them answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from app.pages.language import gettext
from app.pages.wording import ANSWERED_BY
from app.prediction import Prediction
from app.predictor import AUTO, Predictor
from app.settings import Settings
from model.decision.modality import SURE
from model.errors import ConfigError


class SeveralPredictors(Predictor):
    """Predictors of different kinds of pictures behind the interface of one; the first is the usual one.

    Args:
        members: at least two. Each has a gate, and no two learned from the same kind.

    Raises:
        ConfigError: they do not meet that.
    """

    def __init__(self, members: Sequence[Predictor]) -> None:
        usual = members[0]
        self.config, self.id, self.revision = usual.config, usual.id, usual.revision
        self.folder, self.card, self.runtime = usual.folder, usual.card, usual.runtime
        self._detector, self._gate, self.drift = usual._detector, usual._gate, usual.drift
        self._members = tuple(members)
        without = [member.id for member in members if member.expects is None]
        if without:
            raise ConfigError(
                f"CHECKPOINTS names {', '.join(without)}, which cannot tell a photo from dermoscopy.",
                hint="Run `python -m train gate` for it first, or serve it alone, by CHECKPOINT.",
            )
        by_kind = {member.expects: member for member in members}
        if len(by_kind) < len(members) or len({member.id for member in members}) < len(members):
            kinds = ", ".join(f"{member.id} ({member.expects})" for member in members)
            raise ConfigError(
                f"CHECKPOINTS names {kinds}; one checkpoint for each kind of picture is expected.",
                hint="Leave one out, or give each folder a name of its own.",
            )
        self._by_kind = by_kind

    @property
    def members(self) -> tuple[Predictor, ...]:
        """The predictors, the usual one first."""
        return self._members

    def describe(self) -> str:
        """The lines of all of them."""
        return "\n".join(member.describe() for member in self.members)

    def predict(
        self, data: bytes, *, heatmap: bool = False, explain: str | None = None, checkpoint: str = AUTO
    ) -> Prediction:
        """As ``Predictor.predict``, by the checkpoint that suits the picture or that was asked for.

        The usual one answers, unless its gate says that the picture is of a kind which another one learned
        from, with a probability of ``SURE`` at least; the answer then says so.

        Args:
            data, heatmap, explain: as for ``Predictor.predict``.
            checkpoint: an id, or ``auto``.
        """
        chosen = self.named(checkpoint)
        answer = chosen.predict(data, heatmap=heatmap, explain=explain)
        seen = answer.modality
        if checkpoint != AUTO or seen is None or seen.probability < SURE or seen.name == seen.expected:
            return answer
        other = self._by_kind.get(seen.name)
        if other is None:
            return answer
        answer = other.predict(data, heatmap=heatmap, explain=explain)
        told = dataclasses.replace(seen, expected=seen.name, message=gettext(ANSWERED_BY[seen.name]))
        return dataclasses.replace(answer, modality=told)


def from_settings(settings: Settings, *, streams: int = 1) -> Predictor:
    """Load what ``CHECKPOINTS`` names, otherwise what ``CHECKPOINT`` does; the arguments are those of
    ``Predictor.from_settings``.

    Raises:
        CheckpointError, ConfigError, ExportError: they cannot be used as they are.
    """
    members = [
        Predictor.from_settings(dataclasses.replace(settings, checkpoint=reference), streams=streams)
        for reference in settings.checkpoints or (settings.checkpoint,)
    ]
    return members[0] if len(members) == 1 else SeveralPredictors(members)

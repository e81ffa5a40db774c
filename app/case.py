"""Several pictures of one spot as one case: one answer beside those to the single pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from app.pages.batch import Outcome
from app.prediction import Prediction


@dataclasses.dataclass(frozen=True)
class Case:
    """One answer to several pictures.

    Attributes:
        prediction: the answer, with the heat map of one picture.
        shown: the number of that picture, from 0: the one that speaks most for the answer.
    """

    prediction: Prediction
    shown: int


def find_case(
    predict: Callable[..., Prediction],
    combine: Callable[[Sequence[Prediction]], Prediction],
    outcomes: Sequence[Outcome],
    pictures: Sequence[bytes],
    *,
    heatmap: bool = True,
) -> Case | None:
    """Combine the predictions of pictures of one spot, see ``Predictor.combine``.

    Args:
        predict, combine: of the ``Predictor`` that made the predictions.
        outcomes: one per picture; errors are left out.
        pictures: the encoded pictures, for the heat map.
        heatmap: whether to make it, which analyses one picture again.

    Returns:
        None if no picture could be read, or different checkpoints answered for them.
    """
    read = {n: outcome for n, outcome in enumerate(outcomes) if isinstance(outcome, Prediction)}
    if len({outcome.checkpoint["id"] for outcome in read.values()}) != 1:
        return None
    combined = combine(list(read.values()))
    top = combined.conditions[0].name
    shown = max(read, key=lambda n: next(r.probability for r in read[n].conditions if r.name == top))
    if heatmap:
        evidence = predict(pictures[shown], heatmap=True, explain=top, checkpoint=combined.checkpoint["id"])
        combined = dataclasses.replace(combined, heatmap=evidence.heatmap)
    return Case(combined, shown)

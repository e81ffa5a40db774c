"""Drift of a service: the signals of its predictions, a window of the latest ones, and a report in words."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

from app.prediction import Prediction
from model.decision.drift import LARGE, MODERATE, SMALLEST, Reference, Signals, counted
from model.errors import ConfigError

WINDOW = 1000
"""How many of the latest predictions of a worker the gauges compare with the reference."""

EVERY = 50
"""After so many predictions the gauges are computed again."""

NAMES = {
    "max_probability": "the largest probability",
    "normalized_entropy": "the spread of the guesses",
    "unusualness": "how unusual the pictures are",
    "brightness": "the brightness of the pictures",
}
"""The numbers in words."""


@dataclasses.dataclass(frozen=True)
class Change:
    """How one signal changed.

    Attributes:
        name: of a number, or of a word as ``verdict: rejected``.
        before, after: medians of a number, shares of a word.
        psi: from 0 upwards; of a word, that of all words of its kind.
        ks, p: of the Kolmogorov-Smirnov test, for numbers.
    """

    name: str
    before: float
    after: float
    psi: float
    ks: float | None = None
    p: float | None = None


def signals(prediction: Prediction) -> Signals:
    """What drift is measured by, of one prediction."""
    numbers: dict[str, float] = {
        one.name: one.value
        for one in prediction.criteria
        if one.name in ("max_probability", "normalized_entropy", "unusualness")
    }
    words: dict[str, list[str]] = {
        "verdict": [prediction.verdict],
        "quality": [warning.name for warning in prediction.quality],
    }
    return Signals({**numbers, "brightness": prediction.brightness}, words)


class Window:
    """The latest predictions of a process; safe to use from several threads.

    Args:
        reference: of the checkpoint.
        show: gets the PSI of every signal, by name, after every ``EVERY`` predictions.
    """

    def __init__(self, reference: Reference, show: Callable[[dict[str, float]], None]) -> None:
        self._reference, self._show = reference, show
        self._latest: deque[Signals] = deque(maxlen=WINDOW)
        self._count = 0
        self._lock = threading.Lock()

    def add(self, seen: Signals) -> None:
        """Add one prediction."""
        with self._lock:
            self._latest.append(seen)
            self._count += 1
            if len(self._latest) < SMALLEST or self._count % EVERY:
                return
            window = list(self._latest)
        self._show(self._reference.psi(window))


def logged(path: Path, *, since: str | None, revision: str) -> Iterator[Signals]:
    """Read the signals in an audit log that was written with ``AUDIT_SIGNALS=yes``.

    Args:
        path: of the log; lines that are no audit lines are skipped.
        since: a date or time as in ISO 8601, UTC; None for all lines.
        revision: of the checkpoint: predictions of others do not count.

    Raises:
        ConfigError: it cannot be read, or ``since`` is not a time.
    """
    try:
        start = None if since is None else datetime.fromisoformat(since).isoformat()
    except ValueError:
        raise ConfigError(
            f"since is {since!r}; a date such as 2026-11-01 is expected.", hint="Correct --since."
        ) from None
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                yield from _of_line(line, start, revision)
    except OSError as error:
        raise ConfigError(
            f"The audit log {path} cannot be read ({error.strerror}).", hint="Correct the path."
        ) from error


def _of_line(line: str, start: str | None, revision: str) -> list[Signals]:
    try:
        entry = json.loads(line)
        if entry["checkpoint"]["revision"] != revision or (start and entry["time"] < start):
            return []
        return [Signals(dict(one["numbers"]), dict(one["words"])) for one in entry["signals"]]
    except (ValueError, KeyError, TypeError):
        return []


def compare(reference: Reference, window: Sequence[Signals]) -> list[Change]:
    """Compare a window of predictions with a checkpoint's reference; the largest change first.

    Raises:
        ConfigError: there are fewer than ``SMALLEST``, or SciPy is not installed.
    """
    if len(window) < SMALLEST:
        raise ConfigError(
            f"There are {len(window)} predictions; at least {SMALLEST} are needed to compare.",
            hint="Take a longer time.",
        )
    try:
        from scipy.stats import ks_2samp
    except ImportError:
        raise ConfigError(
            "The comparison needs SciPy, which is not installed.", hint="Run `pip install scipy`."
        ) from None
    psi, before, after, found = reference.psi(window), reference.counts, counted(window), []
    for column, name in enumerate(reference.names):
        was = reference.numbers[:, column]
        now = np.array([one.numbers[name] for one in window if name in one.numbers])
        if len(now):
            tested = ks_2samp(was, now)
            medians = float(np.median(was)), float(np.median(now))
            found.append(Change(name, *medians, psi[name], float(tested.statistic), float(tested.pvalue)))
    for name in sorted({*before, *after}):
        shares = before.get(name, 0) / len(reference.numbers), after.get(name, 0) / len(window)
        found.append(Change(name, *shares, psi[name.partition(": ")[0]]))
    return sorted(found, key=lambda change: -change.psi)


def report(changes: Sequence[Change], *, pictures: int) -> str:
    """A table of the changes in words, for people."""
    lines = [f"{pictures} predictions compared with the checkpoint's validation pictures:", ""]
    for change in changes:
        tested = "" if change.ks is None else f", KS {change.ks:.2f} (p {change.p:.2g})"
        lines.append(f"{_level(change.psi):9} PSI {change.psi:.2f}{tested}: {_sentence(change)}")
    lines += ["", conclusion(changes)]
    return "\n".join(lines)


def conclusion(changes: Sequence[Change]) -> str:
    """One sentence on what to do."""
    worst = max(change.psi for change in changes)
    if worst < MODERATE:
        return "Nothing has changed that these figures show."
    if worst < LARGE:
        return "Something has changed a little. Compare again with more predictions."
    return (
        "Something has changed a lot: look at recent pictures, cameras and software, and measure the model "
        "on a hundred of your own pictures with known diagnoses."
    )


def _level(psi: float) -> str:
    return "" if psi < MODERATE else "moderate" if psi < LARGE else "large"


def _sentence(change: Change) -> str:
    if change.ks is None:
        kind, _, word = change.name.partition(": ")
        return f"{kind} “{word}” is {change.after:.1%} of the predictions; it was {change.before:.1%}."
    return f"{NAMES.get(change.name, change.name)}: median {change.after:.2f}; it was {change.before:.2f}."

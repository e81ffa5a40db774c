"""Distribute work over the processes of a launcher, and gather results without duplicates.

Accelerate knows the processes; without a launcher there is only one, which does everything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object

from model.errors import SkinDiseaseNetError

Result = TypeVar("Result")


def own_device(device: torch.device) -> torch.device:
    """The device of this process, of the given kind: under a launcher each process has its own GPU."""
    return PartialState(cpu=device.type == "cpu").device


def is_main() -> bool:
    """Whether this is the main process, which writes and prints."""
    return PartialState().is_main_process


def wait_for_everyone() -> None:
    """Wait until every process has reached this point."""
    PartialState().wait_for_everyone()


def own_rows(count: int) -> range:
    """The rows, out of ``count``, of this process: every n-th, so that the shares are alike."""
    state = PartialState()
    return range(state.process_index, count, state.num_processes)


def gather_rows(count: int, results: Sequence[Result]) -> list[Result]:
    """Gather the results of all processes for their ``own_rows``, in row order, in every process."""
    pairs = gather_object(list(zip(own_rows(count), results, strict=True)))
    return [result for _, result in sorted(pairs, key=lambda pair: pair[0])]


def on_main(work: Callable[[], Result]) -> Result:
    """Make a call in the main process only; return its result, or raise its error, in every process.

    Raises:
        SkinDiseaseNetError: that the call raises.
    """
    outcome: list[Any] = [None, None]
    if is_main():
        try:
            outcome[0] = work()
        except SkinDiseaseNetError as error:
            outcome[1] = error
    broadcast_object_list(outcome)
    if outcome[1] is not None:
        raise outcome[1]
    return outcome[0]

"""Work that is dealt out to the processes of a launcher, and gathered without duplicates.

Accelerate knows the processes; without a launcher there is one, and it does everything.
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
    """The device of this process, of the given kind: under a launcher each process has a GPU of its own."""
    return PartialState(cpu=device.type == "cpu").device


def is_main() -> bool:
    """Whether this is the one process that writes and prints."""
    return PartialState().is_main_process


def wait_for_everyone() -> None:
    """Returns once every process has come this far."""
    PartialState().wait_for_everyone()


def own_rows(count: int) -> range:
    """The rows, out of ``count``, that fall to this process: every n-th, so that the shares are alike."""
    state = PartialState()
    return range(state.process_index, count, state.num_processes)


def gather_rows(count: int, results: Sequence[Result]) -> list[Result]:
    """What all processes have for their ``own_rows``, in the order of the rows, the same in every process."""
    pairs = gather_object(list(zip(own_rows(count), results, strict=True)))
    return [result for _, result in sorted(pairs, key=lambda pair: pair[0])]


def on_main(work: Callable[[], Result]) -> Result:
    """What a call gives in the main process, which alone makes it, in every process; its error likewise.

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

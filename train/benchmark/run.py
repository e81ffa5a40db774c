"""``benchmark``: run a public benchmark and write its metrics."""

from __future__ import annotations

from pathlib import Path

from model.errors import ConfigError
from model.files import write_json
from train.benchmark.task import Task
from train.benchmark.yardsticks import YARDSTICKS
from train.probe import Weights
from train.report.tables import markdown_table, with_interval


def benchmark(
    *,
    name: str,
    data: str,
    checkpoint: str,
    output: str,
    backbone: str,
    stride_in_1x1: bool,
    device: str,
    max_unreadable: float,
    splits: str | None = None,
) -> None:
    """Write ``OUTPUT/metrics.json`` and print its main metrics as a Markdown table.

    Args:
        name: a key of ``YARDSTICKS``.
        data: its data set.
        checkpoint: a checkpoint; a linear probe also accepts weights, as ``fit --init``.
        output: a folder; it caches the features of a probe, so a killed run can continue.
        backbone, stride_in_1x1: as for ``fit``; not needed for a checkpoint.
        device: auto, cpu, cuda or mps.
        max_unreadable: largest share of unreadable pictures, 0 to 1.
        splits: a folder for the fitzpatrick17k protocols as data sets for ``fit`` and ``evaluate``.

    Raises:
        ConfigError, CheckpointError, DataError: an option, the checkpoint or the data set is wrong.
    """
    if splits is not None and name != "fitzpatrick17k":
        raise ConfigError(
            f"--splits was given for {name}.", hint="Only fitzpatrick17k has parts that are trained on."
        )
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    weights = Weights(checkpoint, backbone, stride_in_1x1, device)
    table, metrics = YARDSTICKS[name](Task(data, folder, weights, max_unreadable, splits))
    about = {"benchmark": name, "data": Path(data).name, "weights": Path(checkpoint).name}
    write_json(folder / "metrics.json", {**about, "table": [line._asdict() for line in table], **metrics})
    rows = [
        (line.what, about["weights"], line.n, line.metric, with_interval(line.value, line.interval, digits=3))
        for line in table
    ]
    print(markdown_table(("Benchmark", "Weights", "n", "Measure", "Value"), rows))

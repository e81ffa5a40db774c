"""How fast an archive is scored, against the bare network: ``python -m benchmarks.score --input TABLE``.

One run on one machine. In every round the bare forward on one core, ``app score`` with one actor of one core,
and with two, take turns on the same pictures; ratios are taken within a round. The rate of ``score`` is that
of its steady state: from its first finished shard to its last, as an archive makes the start insignificant.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq

from app.settings import EMBEDDED_CHECKPOINT
from benchmarks.table import machine, spread
from model.checkpoint import find
from model.runtime.export import graph_name

SHARD = 8


def bare_rate(checkpoint: str, cache: Path, seconds: float) -> float:
    """Pictures a second of the network alone on one core."""
    words = [sys.executable, "-m", "benchmarks.bare", "forward", "--checkpoint", checkpoint]
    words += ["--graph", str(cache / graph_name(find(checkpoint))), "--seconds", str(seconds)]
    return json.loads(subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout)["rate"]


def score_rate(source: str, checkpoint: str, actors: int) -> float:
    """Pictures a second between the first finished shard of each actor and the last shard."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "scores"
        words = [sys.executable, "-m", "app", "score", "--input", source, "--output", str(output)]
        words += ["--checkpoint", checkpoint, "--device", "cpu", "--runtime", "openvino"]
        words += ["--actors", str(actors), "--cores", "1", "--shard-size", str(SHARD)]
        subprocess.run(words, stdout=subprocess.DEVNULL, check=True)
        ends = sorted(path.stat().st_mtime for path in output.glob("part-*.parquet"))
    # The last shard may be short and the last actor alone: both ends are left out.
    steady = ends[actors - 1 : len(ends) - actors]
    return SHARD * (len(steady) - 1) / (steady[-1] - steady[0])


def main() -> None:
    """Measures, prints a Markdown table, and writes the figures as JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", required=True, type=Path, help="parquet table with a column image")
    parser.add_argument("--checkpoint", default=EMBEDDED_CHECKPOINT)
    parser.add_argument("--pictures", type=int, default=320, help="taken from the table's start")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="of the bare forward in a round")
    parser.add_argument("--output", type=Path, help="JSON file")
    options = parser.parse_args()
    started, rounds = time.monotonic(), []
    with tempfile.TemporaryDirectory() as cache:
        source = f"{cache}/pictures.parquet"
        pq.write_table(pq.read_table(options.input, columns=["image"])[: options.pictures], source)
        for number in range(options.rounds):
            one = {"bare": bare_rate(options.checkpoint, Path(cache), options.seconds)}
            one["one"] = score_rate(source, options.checkpoint, 1)
            one["two"] = score_rate(source, options.checkpoint, 2)
            rounds.append(one)
            print(f"round {number + 1}: {one}", file=sys.stderr)
    rates = {name: spread([one[name] for one in rounds]) for name in rounds[0]}
    ratios = {
        "one actor over the bare forward": spread([one["one"] / one["bare"] for one in rounds]),
        "two actors over one": spread([one["two"] / one["one"] for one in rounds]),
    }
    figures = {
        "machine": machine(),
        "rounds": rounds,
        "rates": rates,
        "ratios": ratios,
        "seconds": time.monotonic() - started,
    }
    if options.output:
        options.output.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    names = {"bare": "bare forward, one core", "one": "score, one actor", "two": "score, two actors"}
    print("| Measure | Median (quartiles) | Wanted |\n| --- | --- | --- |")
    for name, value in rates.items():
        print(f"| {names[name]}, pictures a second | {_cell(value)} | |")
    for (name, value), wanted in zip(ratios.items(), ("at least 0.85", "at least 1.8"), strict=True):
        print(f"| {name} | {_cell(value)} | {wanted} |")


def _cell(value: dict[str, float]) -> str:
    return f"{value['median']:.2f} ({value['q1']:.2f} to {value['q3']:.2f})"


if __name__ == "__main__":
    main()

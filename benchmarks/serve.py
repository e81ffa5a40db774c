"""How fast it serves, against what one would build instead: ``make bench``.

One run on one machine, about twenty minutes. Everything that is compared takes turns, round by round, so that
a machine that slows down slows all of them; ratios are taken within a round, and medians and quartiles over
the rounds. Each server first shows which of a few sizings suits it, and runs in its best one. The load comes
from a process on the same cores, the same for all. One server is awake at a time: the others are stopped.

    python -m benchmarks.serve --output docs/bench_serve.json --readme docs/speed.md
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.pictures import phone_jpeg
from benchmarks.servers import CANDIDATES, Server
from benchmarks.table import machine, summary, table, write_between_markers
from model.checkpoint import find
from model.runtime.base import available_cores
from model.runtime.export import graph_name

CLIENTS = 16
RUNTIMES = ("openvino", "onnxruntime", "torch")
LOAD = 0.7
"""Share of a server's own largest throughput at which its tail latency is measured."""
TURNS = 3
"""How often each sizing and each runtime is tried before the best is chosen."""


def forward_variants(cores: int) -> dict[str, dict[str, Any]]:
    """The bare network: each runtime with all cores on one picture, and with one core a picture."""
    variants: dict[str, dict[str, Any]] = {}
    for runtime in RUNTIMES:
        variants[f"{runtime}, 1 x {cores}"] = {"runtime": runtime, "threads": cores, "streams": 1}
        variants[f"{runtime}, {cores} x 1"] = {"runtime": runtime, "threads": cores, "streams": cores}
    return variants


def call(module: str, *arguments: object, **options: object) -> Any:
    """Runs ``python -m benchmarks.MODULE`` and reads the JSON that it prints."""
    flags = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments), *flags]
    # As app/__init__.py has it; these import NumPy before that.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def load(server: Server, seconds: float, *more: str, **options: object) -> dict[str, float]:
    """Load on a server: answers a second, failures, and its latencies' percentiles in milliseconds."""
    with server.awake():
        got = call("load", *more, port=server.port, path=server.path, seconds=seconds, **options)
    latencies = np.asarray(got["latencies"] or [float("nan")]) * 1e3
    p50, p99 = np.percentile(latencies, [50, 99])
    return {
        "rate": got["rate"],
        "p50": float(p50),
        "p99": float(p99),
        "failed": got["failed"],
        "n": len(latencies),
    }


def choose(
    environment: dict[str, str], seconds: float, say: Any, running: list[Server]
) -> tuple[list[Server], dict[str, Any]]:
    """Starts every server in each of its sizings, and keeps the one with the highest throughput running.

    They take turns, so that a machine that slows down for a while does not choose. Whatever is started is
    added to ``running``, for the caller to stop, come what may.
    """
    candidates: dict[str, list[Server]] = {}
    for name, sizings in CANDIDATES.items():
        for sizing in sizings:
            server = Server(name, sizing, environment)
            running.append(server)
            server.start()
            load(server, 1.0, clients=CLIENTS)  # warm
            candidates.setdefault(name, []).append(server)
    tried: dict[str, list[dict[str, float]]] = {}
    for _ in range(TURNS):
        for server in running:
            tried.setdefault(server.words, []).append(load(server, seconds, clients=CLIENTS))

    def rate(server: Server) -> float:
        return float(np.median([got["rate"] for got in tried[server.words]]))

    for server in running:
        say(f"{server.words}: {rate(server):.2f}/s")
    chosen = [max(servers, key=rate) for servers in candidates.values()]
    for server in running:
        if server not in chosen:
            server.stop()
    return chosen, tried


def choose_runtime(common: dict[str, Any], threads: int, seconds: float) -> str:
    """The runtime whose forward is the fastest with so many threads on one picture; they take turns."""
    took: dict[str, list[float]] = {runtime: [] for runtime in RUNTIMES}
    for _ in range(TURNS):
        for runtime in RUNTIMES:
            got = call("bare", "forward", **common, runtime=runtime, threads=threads, seconds=seconds)
            took[runtime].append(got["ms"])
    return min(RUNTIMES, key=lambda runtime: np.median(took[runtime]))


def one_round(
    number: int, servers: list[Server], runtimes: dict[int, str], common: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """Each thing once: the bare network, the predictor, every server under full load, ours at part load.

    ``runtimes`` names the runtime that ``predict`` is measured against, by its number of threads.
    """
    result: dict[str, Any] = {"forward": {}, "predict": {}, "closed": {}}
    for name, variant in forward_variants(available_cores()).items():
        result["forward"][name] = call("bare", "forward", **common, **variant, seconds=seconds / 3)
    for threads, runtime in runtimes.items():
        timed = call("bare", "predict", **common, runtime=runtime, threads=threads, seconds=seconds / 2)
        result["predict"][f"{threads} threads"] = {**timed, "runtime": runtime}
    turn = number % len(servers)
    for server in servers[turn:] + servers[:turn]:
        result["closed"][server.name] = load(server, seconds, clients=CLIENTS)
    ours = servers[0]
    rate = LOAD * result["closed"][ours.name]["rate"]
    result["steady"] = load(ours, seconds, rate=rate, seed=number)
    result["poisson"] = load(ours, seconds, "--poisson", rate=rate, seed=number)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--checkpoint", default="checkpoints/skin22")
    parser.add_argument("--output", type=Path, help="JSON file for all figures")
    parser.add_argument("--readme", type=Path, help="file whose table between the markers is replaced")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement under load")
    parser.add_argument("--quick", action="store_true", help="to see that it works; the figures mean nothing")
    options = parser.parse_args()
    rounds, seconds = (2, 1.5) if options.quick else (options.rounds, options.seconds)
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - started:6.0f} s  {text}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        photo, graphs = Path(folder, "phone.jpg"), Path(folder, "graphs")
        photo.write_bytes(phone_jpeg())
        say(f"a photo of 12 megapixels, {photo.stat().st_size / 1e6:.1f} MB; exporting the graph")
        checkpoint = str(Path(options.checkpoint).resolve())
        subprocess.run(
            [sys.executable, "-m", "model.runtime.export", checkpoint, "--output", graphs],
            check=True,
            stdout=2,
        )
        graph = graphs / graph_name(find(checkpoint))
        environment = {
            **os.environ,
            "CHECKPOINT": checkpoint,
            "GRAPH_CACHE": str(graphs),
            "BENCH_GRAPH": str(graph),
        }
        common = {"checkpoint": checkpoint, "graph": graph, "photo": photo}
        running: list[Server] = []
        try:
            servers, tried = choose(environment, seconds / 3, say, running)
            runtimes = {
                threads: choose_runtime(common, threads, seconds / 6)
                for threads in sorted({1, available_cores()})
            }
            say(f"the fastest runtime by its threads: {runtimes}")
            done = []
            for number in range(rounds):
                done.append(one_round(number, servers, runtimes, common, seconds))
                rates = ", ".join(f"{name} {got['rate']:.2f}/s" for name, got in done[-1]["closed"].items())
                say(f"round {number + 1} of {rounds}: {rates}")
            resident = servers[0].resident_megabytes()
            starts = []
            for _ in range(rounds):
                servers[0].stop()
                servers[0].start()
                starts.append(servers[0].start_seconds)
        finally:
            for server in running:
                server.stop()
        memory = call("bare", "memory", **common)
    figures = {
        "machine": machine(),
        "quick": options.quick,
        "sizings": {server.name: server.sizing.words for server in servers},
        "tried": tried,
        "rounds": done,
        "start_s": starts,
        "resident_mb": resident,
        "memory": memory,
    }
    figures["summary"] = summary(figures, ours=servers[0].name)
    text = table(figures)
    print(text)
    if options.output:
        options.output.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if options.readme:
        write_between_markers(options.readme, text)
    say("done")


if __name__ == "__main__":
    main()

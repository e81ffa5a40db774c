"""The service under more than it can do, for a while: ``python benchmarks/soak.py --minutes 10``.

Starts ``gunicorn flask_app:app`` as ``make serve`` does, finds how many predictions a second it sustains
(clients that each wait for their answer), then offers twice as many a second, answered or not. Meanwhile it
counts statuses, and watches memory and open files of all the processes; then it waits for the latency.

Passes if every status was 200 or 503, no process was lost, memory and open files stayed flat, and ten seconds
after the load the latency was at most 1.5 times what it was before. Writes a JSON file; the exit status is 1
if it did not pass.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
MAX_GROWTH = 0.05
"""Share by which the line through the memory may rise over the second half, when pools are warm."""
MAX_MORE_FILES = 8
"""By which the line through the open files may rise; a leak of one a request would be thousands."""
BACK_TO_NORMAL = 1.5


def picture() -> bytes:
    """A JPEG of 1200 x 900 pixels, as a phone's messenger sends them."""
    coarse = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((1200, 900), Image.Resampling.BICUBIC).save(buffer, "JPEG")
    return buffer.getvalue()


class Load:
    """Sends one picture at a time or many, and remembers statuses and latencies."""

    def __init__(self, port: int) -> None:
        self.port, self.data = port, picture()

    def send(self) -> tuple[int, float]:
        """Status (0: the connection failed) and seconds."""
        began = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("POST", "/api/v1/predict", self.data, {"Content-Type": "image/jpeg"})
            answer = connection.getresponse()
            answer.read()
            status = answer.status
        except (OSError, http.client.HTTPException):
            status = 0
        finally:
            connection.close()
        return status, time.perf_counter() - began

    def latency(self, number: int = 7) -> float:
        """Median seconds of one request after the other."""
        return statistics.median(self.send()[1] for _ in range(number))

    def sustainable(self, seconds: float, clients: int) -> float:
        """Answers a second that ``clients`` get who each wait for the last one before they send the next."""
        until = time.perf_counter() + seconds

        def client(_: int) -> int:
            answered = 0
            while time.perf_counter() < until:
                answered += self.send()[0] == 200
            return answered

        with ThreadPoolExecutor(clients) as pool:
            return sum(pool.map(client, range(clients))) / seconds

    def offer(self, rate: float, seconds: float) -> tuple[Counter[int], list[float]]:
        """Sends ``rate`` requests a second, whatever comes back; statuses, and latencies if answered."""
        statuses: Counter[int] = Counter()
        latencies: list[float] = []
        lock = threading.Lock()

        def one() -> None:
            status, took = self.send()
            with lock:
                statuses[status] += 1
                if status == 200:
                    latencies.append(took)

        began = time.perf_counter()
        with ThreadPoolExecutor(256) as pool:
            for number in range(max(1, int(rate * seconds))):
                time.sleep(max(0.0, began + number / rate - time.perf_counter()))
                pool.submit(one)
                if number % max(1, int(10 * rate)) == 0:
                    print(f"  {time.perf_counter() - began:5.0f} s: {dict(statuses)}", flush=True)
        return statuses, latencies


class Watch(threading.Thread):
    """Samples memory (bytes) and open files of a process and all below it, once a second."""

    def __init__(self, process: psutil.Process) -> None:
        super().__init__(daemon=True)
        self._process, self._stop_asked = process, threading.Event()
        self.samples: list[dict[str, float]] = []
        self.processes: set[int] = set()

    def run(self) -> None:
        began = time.perf_counter()
        while not self._stop_asked.wait(1):
            try:
                family = [self._process, *self._process.children(recursive=True)]
                self.processes |= {process.pid for process in family}
                self.samples.append(
                    {
                        "seconds": time.perf_counter() - began,
                        "bytes": sum(process.memory_info().rss for process in family),
                        "files": sum(process.num_fds() for process in family),
                    }
                )
            except psutil.Error:
                continue  # one ended just now; its successor is counted as one more process

    def stop(self) -> None:
        self._stop_asked.set()
        self.join()

    def growth(self) -> tuple[float, float]:
        """The rise of the line through the second half: of memory, as a share of it, and of files."""
        half = self.samples[len(self.samples) // 2 :]
        times = np.array([sample["seconds"] for sample in half])
        rises = []
        for name in ("bytes", "files"):
            values = np.array([sample[name] for sample in half])
            slope = np.polyfit(times, values, 1)[0] if len(half) > 1 else 0.0
            rises.append(float(slope * (times[-1] - times[0])))
        return rises[0] / float(np.mean([sample["bytes"] for sample in half])), rises[1]


def soak(load: Load, process: psutil.Process, *, minutes: float, probe: float) -> dict[str, Any]:
    """Runs it all against a service that is up; returns the report, with ``failures`` as sentences."""
    load.sustainable(min(5, probe), 4)  # warms it up
    before = load.latency()
    rate = load.sustainable(probe, 4)
    print(
        f"{rate:.1f} predictions/s sustained, {1e3 * before:.0f} ms alone. Offering twice that.",
        flush=True,
    )
    watch = Watch(process)
    expected = 1 + len(process.children(recursive=True))
    watch.start()
    statuses, latencies = load.offer(2 * rate, 60 * minutes)
    watch.stop()
    ended = time.perf_counter()
    while (after := load.latency(3)) > BACK_TO_NORMAL * before and time.perf_counter() - ended < 10:
        pass
    recovered = time.perf_counter() - ended
    memory, files = watch.growth()
    bad = {status: number for status, number in statuses.items() if status not in (200, 503)}
    checks = {
        f"statuses other than 200 and 503: {bad}": bool(bad),
        "nothing was answered": statuses[200] == 0,
        f"{len(watch.processes) - expected} processes were replaced": len(watch.processes) != expected,
        f"memory rose by {memory:.1%} in the second half": memory > MAX_GROWTH,
        f"open files rose by {files:.1f} in the second half": files > MAX_MORE_FILES,
        f"latency was {1e3 * after:.0f} ms ten seconds after the load": after > BACK_TO_NORMAL * before,
    }
    return {
        "minutes": minutes,
        "sustained_per_second": rate,
        "offered_per_second": 2 * rate,
        "statuses": {str(status): number for status, number in sorted(statuses.items())},
        "latency_ms": {
            "before": 1e3 * before,
            "during_median": 1e3 * statistics.median(latencies) if latencies else None,
            "during_p95": 1e3 * float(np.percentile(latencies, 95)) if latencies else None,
            "after": 1e3 * after,
        },
        "seconds_until_normal": recovered,
        "memory_growth_share": memory,
        "open_files_growth": files,
        "samples": watch.samples,
        "failures": [sentence for sentence, failed in checks.items() if failed],
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--probe", type=float, default=20, help="seconds to find the sustained rate in")
    parser.add_argument("--output", type=Path, default=Path(tempfile.gettempdir()) / "soak.json")
    options = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # As `make serve`, but without a rate limit, since all of the load comes from one address.
    environment = {
        **os.environ,
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "RATE_LIMIT": "off",
    }
    log = options.output.with_suffix(".log")
    with open(log, "wb") as output:
        command = [sys.executable, "-m", "gunicorn", "flask_app:app"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    load = Load(port)
    try:
        deadline = time.monotonic() + 180
        while load.send()[0] != 200:
            if process.poll() is not None or time.monotonic() > deadline:
                print(f"error: the service did not start; {log} says why.", file=sys.stderr)
                return 1
            time.sleep(0.5)
        report = soak(load, psutil.Process(process.pid), minutes=options.minutes, probe=options.probe)
    finally:
        process.terminate()
        process.wait(90)
    options.output.write_text(json.dumps(report, indent=1))
    print(json.dumps({name: value for name, value in report.items() if name != "samples"}, indent=1))
    verdict = "failed: " + "; ".join(report["failures"]) if report["failures"] else "passed"
    print(f"Soak of {options.minutes:g} minutes {verdict}. Samples: {options.output}")
    return int(bool(report["failures"]))


if __name__ == "__main__":
    sys.exit(main())

"""A load generator in a process of its own: ``python -m benchmarks.load``, figures as JSON on the output.

It shares the machine's cores with the server, the same for every server, so it is kept lean: requests are
bytes made once, connections stay open, and of an answer only status and length are read.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time

from benchmarks.pictures import small_jpeg

PICTURES = 24
BOUNDARY = b"benchmark-boundary"


def build_requests(path: str) -> list[bytes]:
    """Whole HTTP requests, each with another picture in the multipart field ``image``."""
    requests = []
    for seed in range(PICTURES):
        part = b'Content-Disposition: form-data; name="image"; filename="a.jpg"\r\n'
        part += b"Content-Type: image/jpeg\r\n\r\n"
        body = b"--" + BOUNDARY + b"\r\n" + part + small_jpeg(seed) + b"\r\n--" + BOUNDARY + b"--\r\n"
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n"
            f"Content-Type: multipart/form-data; boundary={BOUNDARY.decode()}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        requests.append(head.encode() + body)
    return requests


class Connection:
    """One keep-alive connection; opened again if the server closed it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> int:
        """Sends a request and reads its whole answer; returns the status, 0 if the connection broke."""
        try:
            if self.streams is None or self.streams[0].at_eof():  # the server ended it while it was idle
                self.streams = await asyncio.open_connection("127.0.0.1", self.port)
            reader, writer = self.streams
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0]))
            if b"connection: close" in head:
                writer.close()
                self.streams = None
            return int(head.split(b" ", 2)[1])
        except (OSError, asyncio.IncompleteReadError, ValueError):
            self.streams = None
            return 0


async def closed_loop(port: int, requests: list[bytes], clients: int, seconds: float) -> dict[str, object]:
    """Each client sends its next request when it has the answer to the last one."""
    end = time.perf_counter() + seconds
    latencies: list[float] = []
    failed = 0

    async def client(number: int) -> None:
        nonlocal failed
        connection, turn = Connection(port), number
        while (start := time.perf_counter()) < end:
            status = await connection.ask(requests[turn % len(requests)])
            turn += clients
            if status != 200:
                failed += 1
                await asyncio.sleep(0.05)
            else:
                latencies.append(time.perf_counter() - start)

    started = time.perf_counter()
    await asyncio.gather(*(client(number) for number in range(clients)))
    return {
        "rate": len(latencies) / (time.perf_counter() - started),
        "latencies": latencies,
        "failed": failed,
    }


async def open_loop(
    port: int, requests: list[bytes], rate: float, seconds: float, *, poisson: bool, seed: int
) -> dict[str, object]:
    """Requests come at their own times, whether or not earlier ones are answered.

    A latency counts from the time at which the request was due, so waiting in the generator counts as well.
    """
    clock = random.Random(seed)
    idle: list[Connection] = []
    latencies: list[float] = []
    failed = 0

    async def one(request: bytes, due: float) -> None:
        nonlocal failed
        connection = idle.pop() if idle else Connection(port)
        status = await connection.ask(request)
        idle.append(connection)
        if status == 200:
            latencies.append(time.perf_counter() - due)
        else:
            failed += 1

    started = due = time.perf_counter()
    tasks = []
    while due < started + seconds:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(requests[len(tasks) % len(requests)], due)))
        due += clock.expovariate(rate) if poisson else 1 / rate
    await asyncio.gather(*tasks)
    return {
        "rate": len(latencies) / (time.perf_counter() - started),
        "latencies": latencies,
        "failed": failed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--clients", type=int, default=16, help="closed loop, unless --rate is given")
    parser.add_argument("--rate", type=float, help="open loop: requests a second")
    parser.add_argument("--poisson", action="store_true", help="at random times rather than evenly spaced")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    requests = build_requests(options.path)
    if options.rate is None:
        loop = closed_loop(options.port, requests, options.clients, options.seconds)
    else:
        loop = open_loop(
            options.port, requests, options.rate, options.seconds, poisson=options.poisson, seed=options.seed
        )
    print(json.dumps(asyncio.run(loop)))


if __name__ == "__main__":
    main()

"""What each way to more processes costs a request: one process, front processes, Ray.

    python benchmarks/scaling.py [--requests 60] [--seconds 5]

The three servers run at the same time, on the same bundle and the CPU, and get the same requests in
turn, so what else the machine does meets all alike. Printed for each: the median latency of one
client with small and larger images, and with a file of 256 KiB that is refused, so that no network
runs; the refusals per second that eight clients get; processor time of one; memory of all
processes. Ray has one replica, behind its HAProxy.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
from fronts import ROOT, Server, photograph, serving

CLIENTS = 8
REFUSED = b"\0" * 2**18


def latency_ms(servers: dict[str, Server], body: bytes, requests: int) -> dict[str, float]:
    """Return the median latency of one client, asking the servers in turn."""
    found: dict[str, list[float]] = {name: [] for name in servers}
    for number in range(requests + 4):
        for name, server in servers.items():
            begun = time.perf_counter()
            server.http.post("/segment", content=body)
            if number >= 4:  # an engine may prepare for each size
                found[name].append(1000 * (time.perf_counter() - begun))
    return {name: statistics.median(values) for name, values in found.items()}


def per_second(server: Server, seconds: float) -> tuple[float, float]:
    """Return the refusals per second of all clients, and the processor time of one in ms."""
    counts = [0] * CLIENTS
    end = time.perf_counter() + seconds

    def send(number: int) -> None:
        with httpx.Client(base_url=server.http.base_url, timeout=60) as client:
            while time.perf_counter() < end:
                assert client.post("/segment", content=REFUSED).status_code == 400
                counts[number] += 1

    before = server.seconds()
    threads = [threading.Thread(target=send, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = sum(counts)
    return total / seconds, 1000 * (server.seconds() - before) / total


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--bundle", type=Path, default=ROOT / "models" / "pretrained" / "nuclei")
    given = parser.parse_args()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ways = {
        "one process": serving(given.bundle, 1),
        "two fronts and an owner": serving(given.bundle, 2),
        "Ray, one replica": serving(given.bundle, None, "--ray", "--port", str(port)),
    }
    with ExitStack() as stack:
        servers = {name: stack.enter_context(way) for name, way in ways.items()}
        bodies = (REFUSED, photograph(64, 64), photograph(512, 512))
        columns = [latency_ms(servers, body, given.requests) for body in bodies]
        print("| | refused, ms | 64 x 64, ms | 512 x 512, ms | refused/s | CPU, ms | MiB |")
        print("| --- | --: | --: | --: | --: | --: | --: |")
        for name, server in servers.items():
            rate, cpu_ms = per_second(server, given.seconds)
            shown = " | ".join(f"{column[name]:.1f}" for column in columns)
            memory = sum(sum(values) for values in server.memory().values())
            print(f"| {name} | {shown} | {rate:.0f} | {cpu_ms:.2f} | {memory} |", flush=True)


if __name__ == "__main__":
    main()

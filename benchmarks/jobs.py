"""Jobs over HTTP: the server's processor time and peak memory, a fresh server for each line.

    python benchmarks/jobs.py [--engine ENGINE] IMAGE|MEGAPIXELS QUERY...
    python benchmarks/jobs.py --engine openvino 100 "mode=tiled&format=png" "mode=tiled&format=tiff"

A number makes a square image of that size, the one of `benchmarks/huge.py`. Memory is the server's
largest resident set (`VmHWM`), with Python, torch and the network in it; seconds are of the
processor, from the upload to the end of the job, so that other work on the machine disturbs them
little.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from huge import write_image

ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def serving(state: str, engine: str) -> Iterator[tuple[httpx.Client, int]]:
    """Run a server of its own with the shipped bundle `aerial`."""
    settings = {"BUNDLES": ROOT / "models/pretrained/aerial", "SHIPPED_BUNDLES": 0}
    settings |= {"STATE_FOLDER": state, "ENGINE": engine, "DEVICE": "cpu"}
    env = os.environ | {f"MASKZOO_{key}": str(value) for key, value in settings.items()}
    command = [sys.executable, "-m", "maskzoo", "serve", "--port", "0"]
    process = subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    try:
        url = next(line for line in process.stdout if "listening" in line).split()[-1]
        with httpx.Client(base_url=url, timeout=600) as client:
            while client.get("/readyz").status_code != 200:
                time.sleep(0.2)
            yield client, process.pid
    finally:
        process.terminate()
        process.wait(300)
        process.stdout.close()


def peak_bytes(process: int) -> int:
    """Return the largest resident set of a process so far."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def processor_s(process: int) -> float:
    """Return the processor time of a process so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(image: Path, query: str, engine: str) -> str:
    """Send one job, wait for it, and return a line of the table."""
    with tempfile.TemporaryDirectory() as state, serving(state, engine) as (client, process):
        before, start = peak_bytes(process), processor_s(process)
        with image.open("rb") as body:
            answer = client.post(f"/jobs?{query}", content=body)
        answer.raise_for_status()
        job = answer.json()["id"]
        while (found := client.get(f"/jobs/{job}").json())["state"] in ("queued", "running"):
            time.sleep(0.5)
        spent = processor_s(process) - start
        size = (found["result_bytes"] or 0) / 2**20
        error = (found["error"] or {}).get("title", "")
        return (
            f"{query:<40} {found['state']:<7} {spent:>7.1f} s  idle {before / 2**20:>5.0f} MiB  "
            f"peak {peak_bytes(process) / 2**20:>5.0f} MiB  result {size:>6.1f} MiB  {error}"
        )


def main() -> None:
    """Print one line for each query."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("image", help="a file, or megapixels")
    parser.add_argument("queries", nargs="+", metavar="QUERY")
    parser.add_argument("--engine", default="torch")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        image = Path(given.image)
        if not image.exists():
            image = Path(folder) / "huge.tif"
            write_image(image, round((float(given.image) * 1e6) ** 0.5))
        for query in given.queries:
            print(measure(image, query, given.engine), flush=True)


if __name__ == "__main__":
    main()

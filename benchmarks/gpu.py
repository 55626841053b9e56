"""Everything about a GPU in one run of at most eight minutes, written to docs/gpu.md.

    python benchmarks/gpu.py [--parts network,service] [--out build/benchmarks/gpu]
    python benchmarks/gpu.py --device cpu --quick     # tiny sizes: does every line run?
    python benchmarks/gpu.py --render rows.jsonl      # only write the page from an earlier run

Each part (`on_gpu/`) runs in a process of its own, within its own time, and writes each row as soon
as it is measured to rows.jsonl in `--out`. So a part that fails, hangs or is late costs its own
later rows and no others. The page is written anew after each part, into `--out` too.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from on_gpu import compiled, memory, network, predictor, service, step, zoo
from on_gpu.setup import ROOT, Row, Setup, reason
from page import DOCS, about, put

_GRACE_S = 10  # after a part's time, until it is ended
_END_S = 20  # in which a part that is ended ends its servers
_START_S = 15  # of a part: torch is imported and the device opened
_WHOLE_S = 450


@dataclass(frozen=True)
class Part:
    """A part of the page.

    Args:
        measure: yields its rows.
        text: makes a table of them.
        seconds: after which it begins nothing new.
    """

    measure: Callable[[Setup], Iterator[Row]]
    text: Callable[[list[Row]], str]
    seconds: float


PARTS = {  # the most important first: the whole time may end before the last
    "network": Part(network.measure, network.text, 60),
    "compiled": Part(compiled.measure, compiled.text, 100),
    "service": Part(service.measure, service.text, 130),
    "step": Part(step.measure, step.text, 70),
    "predictor": Part(predictor.measure, predictor.text, 15),
    "memory": Part(memory.measure, memory.text, 20),
    "zoo": Part(zoo.measure, zoo.text, 55),
}


def measure_part(name: str, setup: Setup) -> None:
    """Measure one part in this process, and append its rows to the file."""
    begin = time.monotonic()
    try:
        for row in PARTS[name].measure(setup):
            _add(setup.out, {"part": name, **row})
    except Exception as error:  # what was measured is kept, and the page says what went wrong
        _add(setup.out, {"part": name, "failed": reason(error)})
    _add(setup.out, {"part": name, "seconds": round(time.monotonic() - begin, 1)})


def _add(out: Path, row: Row) -> None:
    line = json.dumps(row)
    print(line, flush=True)
    with (out / "rows.jsonl").open("a") as file:
        file.write(line + "\n")


def run_part(name: str, options: argparse.Namespace, seconds: float) -> None:
    """Measure one part in a process of its own; kill it with its children if it hangs."""
    command = [sys.executable, __file__, "--part", name, "--seconds", str(seconds)]
    command += ["--device", options.device, "--out", str(options.out)]
    command += ["--quick"] if options.quick else []
    paths = filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    if options.quick:
        environment["TORCH_COMPILE_DISABLE"] = "1"  # it takes minutes, and is torch's
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        code = process.wait(_START_S + seconds + _GRACE_S)
        if code:
            _add(options.out, {"part": name, "failed": f"ended with {code}"})
    except subprocess.TimeoutExpired:
        _add(options.out, {"part": name, "failed": f"ended after {seconds:.0f} s"})
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a part that still runs; the one with servers ends these first."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_END_S)
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def machine(device: str) -> str:
    """Return the device, the processor and the versions as one line."""
    words = about("torch", "segmentation-models-pytorch")
    if device != "cuda":
        return f"no GPU; {words}"
    found = torch.cuda.get_device_properties(0)
    return f"{found.name}, {found.total_memory >> 30} GiB, CUDA {torch.version.cuda}; {words}"


def write_page(rows: list[Row], page: Path) -> None:
    """Put a table for each part that has rows into the page."""
    headline = next((str(row["machine"]) for row in rows if "machine" in row), "")
    for name, part in PARTS.items():
        mine = [row for row in rows if row.get("part") == name]
        measured = [row for row in mine if not {"failed", "seconds"} & row.keys()]
        if not mine:
            continue
        failed = [f"It failed: {row['failed']}." for row in mine if "failed" in row]
        tables = [part.text(measured)] if measured else []
        put(page, name, "\n\n".join([headline + ".", *tables, *failed]))


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a run."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def main() -> None:
    """Measure the parts one after the other, or one of them, or only write the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="tiny sizes; docs/gpu.md stays")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "benchmarks" / "gpu")
    parser.add_argument("--render", type=Path, metavar="ROWS")
    parser.add_argument("--part", choices=tuple(PARTS), help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.render:
        write_page(read_rows(options.render), DOCS / "gpu.md")
        return
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("torch finds no CUDA device here; --device cpu --quick tries the script itself")
    options.out.mkdir(parents=True, exist_ok=True)
    if options.part:
        device = torch.device("cuda:0" if options.device == "cuda" else "cpu")
        until = time.monotonic() + options.seconds
        measure_part(options.part, Setup(device, options.quick, options.out, until))
        return
    begin = time.monotonic()
    (options.out / "rows.jsonl").write_text("")
    shutil.rmtree(options.out / "bundles", ignore_errors=True)
    _add(options.out, {"machine": machine(options.device)})
    page = options.out / "gpu.md"
    shutil.copyfile(DOCS / "gpu.md", page)
    for name in options.parts.split(","):
        left = _WHOLE_S - (time.monotonic() - begin) - _START_S
        if left < 10:
            _add(options.out, {"part": name, "failed": "no time was left for it"})
        else:
            run_part(name, options, min(PARTS[name].seconds, left))
        write_page(read_rows(options.out / "rows.jsonl"), page)
    if not options.quick:
        shutil.copyfile(page, DOCS / "gpu.md")
    print(f"{time.monotonic() - begin:.0f} s; the page: {page}")


if __name__ == "__main__":
    main()

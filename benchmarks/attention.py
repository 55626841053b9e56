"""Memory and time of attention over positions: the plain variant against ours.

    python benchmarks/attention.py [--height 128] [--width 256] [--repeats 3] [--blocks 8 32 128]

Prints a Markdown table. Every row is measured in its own process: extra memory is the peak of the
resident set above what it was with the inputs in place; time is the least of the repeats, of the
clock and of the processor (the sum over its threads, which other work on the machine disturbs
less). The plain variant is the one of the papers' code: product, softmax, product.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from maskzoo.models.network import attention

MIB = 2**20


def main() -> None:
    """Measure one variant, or every variant and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--height", type=int, default=128)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--channels", type=int, default=512, help="width of the values")
    parser.add_argument("--attention-channels", type=int, default=64, help="of queries and keys")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--blocks", type=int, nargs="*", default=[], help="block sizes in MiB")
    parser.add_argument("--variant", help="measure only this variant and print JSON")
    options = parser.parse_args()
    if options.variant:
        print(json.dumps(measure(options)))
        return
    variants = ["ours", "fused", "ours, exported graph"]
    variants += [f"ours, blocks of {size} MiB" for size in options.blocks]
    print_head(options)
    base = in_a_process("plain")
    print_row("plain", base, base)
    for variant in variants:
        print_row(variant, in_a_process(variant), base)


def in_a_process(variant: str) -> dict[str, float]:
    """Return the measurement of one variant, made by this script in a process of its own."""
    command = [sys.executable, *sys.argv, "--variant", variant]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout)


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Return peak extra memory in bytes, seconds and processor seconds of one variant."""
    attend = choose(options.variant)
    length = options.height * options.width
    torch.manual_seed(0)
    widths = (options.attention_channels, options.attention_channels, options.channels)
    query, key, value = (torch.randn(1, width, length) for width in widths)
    best = {"bytes": 0.0, "seconds": float("inf"), "cpu_seconds": float("inf")}
    with torch.inference_mode():
        attend(query[:, :, :256], key[:, :, :256], value[:, :, :256])
        before = resident()
        for _ in range(options.repeats):
            clock, processor = time.perf_counter(), time.process_time()
            attend(query, key, value)
            best["seconds"] = min(best["seconds"], time.perf_counter() - clock)
            best["cpu_seconds"] = min(best["cpu_seconds"], time.process_time() - processor)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    best["bytes"] = max(0, peak - before)
    return best


def choose(variant: str) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Return the function of a variant by its name in the table."""
    if variant == "plain":
        return plain
    if variant == "fused":
        return fused
    if variant.startswith("ours, blocks of "):
        attention.BLOCK_BYTES = int(variant.split()[3]) * MIB
    ours = attention.Attention()
    if variant == "ours, exported graph":
        attention.set_attention_mode(ours, "graph")
    return ours


def plain(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """The papers' variant."""
    weights = torch.bmm(query.transpose(1, 2), key).softmax(dim=2)
    return torch.bmm(value, weights.transpose(1, 2))


def fused(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Torch's kernel for processors, which needs queries and keys as wide as the values."""
    missing = value.shape[1] - query.shape[1]
    heads = [
        F.pad(tensor.transpose(1, 2), (0, extra)).contiguous().unsqueeze(1)
        for tensor, extra in ((query, missing), (key, missing), (value, 0))
    ]
    return F.scaled_dot_product_attention(*heads, scale=1.0).squeeze(1).transpose(1, 2)


def resident() -> int:
    """Return the resident set in bytes (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def print_head(options: argparse.Namespace) -> None:
    """Print what is measured, and on what."""
    length = options.height * options.width
    print(
        f"{options.height} x {options.width} positions, queries and keys of "
        f"{options.attention_channels} channels, values of {options.channels}; "
        f"one map of weights is {length**2 * 4 / MIB:.0f} MiB; "
        f"{processor()}, {torch.get_num_threads()} threads; "
        f"torch {torch.__version__}, Python {platform.python_version()}; "
        f"{datetime.now(UTC):%Y-%m-%d}\n"
    )
    print("| variant | extra memory, MiB | of plain | seconds | of plain | processor seconds |")
    print("|---|---:|---:|---:|---:|---:|")


def print_row(variant: str, row: dict[str, float], base: dict[str, float]) -> None:
    """Print one variant's measurement beside the plain variant's."""
    print(
        f"| {variant} | {row['bytes'] / MIB:.0f} | 1/{base['bytes'] / max(1, row['bytes']):.0f} "
        f"| {row['seconds']:.2f} | {row['seconds'] / base['seconds']:.2f} "
        f"| {row['cpu_seconds']:.2f} |",
        flush=True,
    )


def processor() -> str:
    """Return the processor's name and what its vector units are."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"


if __name__ == "__main__":
    main()

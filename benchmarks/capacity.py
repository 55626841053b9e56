"""What a number of images per second takes, from what was measured: docs/capacity.md.

    python benchmarks/capacity.py                            # prints the tables
    python benchmarks/capacity.py --write                    # puts them into docs/capacity.md
    python benchmarks/capacity.py --core 0.03 --gpu 2.50     # with prices of yours, a hour

The time of a core for one image is a fixed part and one for each megapixel, fitted to the images
per second that docs/peers.md has for three sizes; the network alone likewise, to docs/engines.md.
What is left is the work around the network, which a machine with a GPU does on its cores. Nothing
was measured on more than one machine: the tables say what to expect if nothing else is in the way.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "capacity.md"
SIZES = {"256 x 256": 0.065536, "512 x 512": 0.262144, "1920 x 1080": 2.0736}  # megapixels
RATES = (10, 1_000, 100_000)
LOAD = 0.7  # of what a machine can do: for peaks, a machine that is away, and the 99th percentile
JPEG_KB, PNG_KB = 448 / 2.0736, 19 / 2.0736  # a megapixel; docs/engines.md, "Around the network"
SECONDS_A_DAY = 86_400
CORES_OF_MACHINE = 16


@dataclass(frozen=True)
class Line:
    """Seconds for one image: `fixed_s + megapixel_s * megapixels`."""

    fixed_s: float
    megapixel_s: float

    def seconds(self, megapixels: float) -> float:
        """Return the seconds for one image."""
        return self.fixed_s + self.megapixel_s * megapixels


@dataclass(frozen=True)
class Device:
    """What a GPU was measured to do for one network at 512 x 512.

    Args:
        network: images per second of the network alone, in its best batch.
        service: of the whole service, then.
    """

    network: float
    service: float

    def seconds(self, megapixels: float) -> float:
        """Return the seconds of the GPU for one image, in proportion to its pixels."""
        return megapixels / SIZES["512 x 512"] / self.network


H200 = Device(network=1156, service=117)
"""DeepLabV3+ on a ResNet-50: docs/gpu.md, "What there is to beat"."""


@dataclass(frozen=True)
class Prices:
    """Dollars an hour: inputs, not facts."""

    core: float = 0.04
    gpu: float = 4.00


def fit(megapixels: Sequence[float], seconds: Sequence[float]) -> Line:
    """Fit a line to times by least squares of the relative errors."""
    size, time = np.asarray(megapixels), np.asarray(seconds)
    weighted = np.stack([np.ones_like(size), size], axis=1) / time[:, None]
    fixed, slope = np.linalg.lstsq(weighted, np.ones_like(time), rcond=None)[0]
    return Line(float(fixed), float(slope))


def section(text: str, name: str) -> str:
    """Return what a benchmark has written into a page."""
    return text.split(f"<!-- {name} -->")[1].split(f"<!-- end {name} -->")[0]


def put(text: str, name: str, content: str) -> str:
    """Return a page with other content between two marks."""
    before, _, rest = text.partition(f"<!-- {name} -->")
    return (
        f"{before}<!-- {name} -->\n{content}<!-- end {name} -->"
        + rest.partition(f"<!-- end {name} -->")[2]
    )


def rates(page: str, section_name: str, server: str) -> dict[str, float]:
    """Return images per second by size, of docs/peers.md."""
    found = {}
    for part in section(page, section_name).split("\n**")[1:]:
        size = part.partition("**")[0].partition(", ")[2]
        row = re.search(rf"^\| {re.escape(server)} \| ([\d.]+) \(", part, re.MULTILINE)
        if size in SIZES and row:
            found[size] = float(row[1])
    return found


def network_times(page: str, bundle: str, column: str) -> tuple[list[float], list[float]]:
    """Return megapixels and seconds of a network alone, of docs/engines.md."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section(page, "engines").splitlines()
        if line.startswith("|")
    ]
    place = next(row.index(f"{column}, ms") for row in rows if f"{column}, ms" in row)
    ours = [row for row in rows if row[0] == bundle and "²" in row[1]]
    sides = [int(row[1].rstrip("²")) for row in ours]
    return [side * side / 1e6 for side in sides], [float(row[place]) / 1e3 for row in ours]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def number(value: float) -> str:
    """Return a number with two digits that mean something."""
    if value >= 100:
        digits = math.floor(math.log10(value)) - 1
        return f"{round(value, -digits):,.0f}".replace(",", " ")
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"


def fit_table(measured: dict[str, float], line: Line, cores: int) -> str:
    """Return what the fitted line says beside what was measured."""
    rows = []
    for size, rate in measured.items():
        expected = cores / line.seconds(SIZES[size])
        rows.append([size, f"{rate:.1f}", f"{expected:.1f}", f"{expected / rate - 1:+.0%}"])
    return table(["size", "measured, images/s on 2 cores", "fitted", "off by"], rows)


def machines_table(whole: Line, around: Line) -> str:
    """Return cores, machines, network and storage by rate and size."""
    rows = []
    for size in ("512 x 512", "1920 x 1080"):
        megapixels = SIZES[size]
        bytes_in, bytes_out = 1e3 * JPEG_KB * megapixels, 1e3 * PNG_KB * megapixels
        for rate in RATES:
            cores = rate * whole.seconds(megapixels) / LOAD
            gpus = rate * H200.seconds(megapixels) / LOAD
            beside = rate * around.seconds(megapixels) / LOAD
            rows.append(
                [
                    f"{rate:,} of {size}".replace(",", " "),
                    number(cores),
                    number(math.ceil(cores / CORES_OF_MACHINE)),
                    f"{number(math.ceil(gpus))} and {number(math.ceil(beside))} cores",
                    f"{number(8 * rate * bytes_in / 1e9)} and {number(8 * rate * bytes_out / 1e9)}",
                    number(rate * (bytes_in + bytes_out) * SECONDS_A_DAY / 1e12),
                ]
            )
    head = (
        *("images/s", "cores, small U-Net in bfloat16", f"machines of {CORES_OF_MACHINE} cores"),
        *("or H200, DeepLabV3+", "Gbit/s in and out", "TB a day, if kept"),
    )
    return table(head, rows)


def dollars(seconds: float, price: float) -> str:
    """Return the cost of a million images, each of so many seconds at a price an hour."""
    return f"{1e6 * seconds / LOAD / 3600 * price:.2f}"


def cost_table(peers: str, whole: Line, prices: Prices) -> str:
    """Return the cost of a million images of 512 x 512 by class of machine."""
    int8 = 2 / rates(peers, "nuclei", "maskzoo int8")["512 x 512"]
    resnet = 2 / rates(peers, "deeplabv3plus", "maskzoo bf16")["512 x 512"]
    resnet_int8 = 2 / rates(peers, "deeplabv3plus", "maskzoo int8")["512 x 512"]
    tutorial = 2 / rates(peers, "deeplabv3plus", "FastAPI")["512 x 512"]
    core, gpu = f"cores at {prices.core:.2f} $", f"one H200 machine at {prices.gpu:.2f} $"
    rows = [
        [
            "small U-Net (nuclei)",
            f"{core}, bfloat16",
            dollars(whole.seconds(0.262144), prices.core),
        ],
        ["", f"{core}, int8", dollars(int8, prices.core)],
        ["DeepLabV3+ on a ResNet-50", f"{core}, bfloat16", dollars(resnet, prices.core)],
        ["", f"{core}, int8", dollars(resnet_int8, prices.core)],
        ["", f"{core}, a plain FastAPI function", dollars(tutorial, prices.core)],
        ["", f"{gpu}, as the service was measured", dollars(1 / H200.service, prices.gpu)],
        ["", f"{gpu}, if the network alone sets the pace", dollars(1 / H200.network, prices.gpu)],
    ]
    return table(["network, 512 x 512", "on", "$ for a million images"], rows)


def tables(prices: Prices) -> dict[str, str]:
    """Return the tables of the page, by their marks."""
    peers = (ROOT / "docs" / "peers.md").read_text()
    measured = rates(peers, "nuclei", "maskzoo")
    whole = fit([SIZES[size] for size in measured], [2 / rate for rate in measured.values()])
    alone = fit(
        *network_times((ROOT / "docs" / "engines.md").read_text(), "nuclei", "openvino-bf16")
    )
    around = Line(
        max(0.0, whole.fixed_s - alone.fixed_s), max(0.0, whole.megapixel_s - alone.megapixel_s)
    )
    parts = [("all of it", whole), ("network alone", alone), ("around it", around)]
    rows = [[n, f"{1e3 * p.fixed_s:.1f}", f"{1e3 * p.megapixel_s:.0f}"] for n, p in parts]
    return {
        "model": table(["one core, small U-Net", "ms an image", "ms a megapixel"], rows),
        "fit": fit_table(measured, whole, 2),
        "machines": machines_table(whole, around),
        "costs": cost_table(peers, whole, prices),
    }


def main() -> None:
    """Print the tables, or write them into the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--core", type=float, default=Prices.core, help="$ an hour for a core")
    parser.add_argument("--gpu", type=float, default=Prices.gpu, help="$ an hour for the machine")
    given = parser.parse_args()
    page = PAGE.read_text() if given.write else ""
    for name, text in tables(Prices(given.core, given.gpu)).items():
        print(f"{name}\n{text}")
        if given.write:
            page = put(page, name, text)
    if given.write:
        PAGE.write_text(page)


if __name__ == "__main__":
    main()

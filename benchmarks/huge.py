"""Tiled prediction of huge images: time and peak memory by size, a fresh process for each.

    python benchmarks/huge.py [BUNDLE] [MEGAPIXELS ...]

A TIFF in deflated strips is written to a temporary folder: one photo of the aerial sort, repeated
with another brightness each time. `maskzoo predict --mode tiled` does what is measured here and
writes the mask. One thread. Prints one line for each size; memory is the process's maximum
resident set, with Python, torch and the network in it. Seconds are of the processor, so that
other work on the machine disturbs them little.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "service" / "web" / "samples" / "aerial.jpg"


def main() -> None:
    """Write the images, measure each in a process of its own, print the table."""
    bundle = sys.argv[1] if len(sys.argv) > 1 else "aerial"
    sizes = [float(word) for word in sys.argv[2:]] or [25.0, 50.0, 100.0]
    print(
        f"{'megapixels':>10} {'size':>15} {'tiles':>6} {'seconds':>8} {'s / MP':>7} {'peak MiB':>9}"
    )
    with tempfile.TemporaryDirectory() as folder:
        for megapixels in sizes:
            path = Path(folder) / "huge.tif"
            side = round((megapixels * 1e6) ** 0.5)
            write_image(path, side)
            command = [sys.executable, __file__, "--one", bundle, str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found = json.loads(done.stdout)
            print(
                f"{megapixels:>10g} {side:>7}x{side:<7} {found['tiles']:>6} "
                f"{found['seconds']:>8.1f} {found['seconds'] / megapixels:>7.2f} "
                f"{found['peak_bytes'] / 2**20:>9.0f}",
                flush=True,
            )


def write_image(path: Path, side: int) -> None:
    """Write a square RGB TIFF in deflated strips."""
    import tifffile

    from maskzoo.models.images.decode import decode_image

    photo = decode_image(SAMPLE).pixels
    down, across = (-(-side // length) for length in photo.shape[:2])
    pixels = np.tile(photo, (down, across, 1))[:side, :side]
    for top in range(0, side, 64):  # so that no two rows of tiles are alike
        pixels[top : top + 64] = pixels[top : top + 64] // 8 * 7 + top // 400 % 32
    tifffile.imwrite(path, pixels, photometric="rgb", rowsperstrip=64, compression="zlib")


def measure(bundle: str, image: Path) -> None:
    """Predict one file and print what it took, as JSON."""
    import torch

    from maskzoo.models.bundles.shipped import find_bundle
    from maskzoo.models.inference.folder import predict_files
    from maskzoo.models.inference.options import PredictOptions
    from maskzoo.models.inference.outputs import list_outputs
    from maskzoo.models.inference.predictor import Predictor

    torch.set_num_threads(1)
    predictor = Predictor.from_bundle(find_bundle(bundle), engine="torch", device="cpu")
    options = PredictOptions(mode="tiled")
    counts: list[tuple[int, int]] = []
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        outputs = list_outputs([str(image)], Path(folder))
        (outcome,) = predict_files(
            predictor, outputs, options, on_tile=lambda *pair: counts.append(pair)
        )
    if outcome.error is not None:
        raise SystemExit(outcome.error)
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peak_bytes": peak, "tiles": counts[-1][1]}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        measure(sys.argv[2], Path(sys.argv[3]))
    else:
        main()

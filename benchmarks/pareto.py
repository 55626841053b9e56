"""Mean IoU against latency of every architecture, after equal training.

    python benchmarks/pareto.py DATA/nuclei DATA/aerial [--steps 250] [--out runs/pareto]
                                [--only danet unet]

Every architecture is trained by `maskzoo train` on the same narrow ResNet-18 from random weights,
with one recipe and seed and an equal number of steps (`benchmarks/runs.py`), and scored on the test
split. Latency is that of the bundles of the first data set, exported for OpenVINO: one image of
512 x 512 through the predictor, with its default engine, the least of several runs; bundles
take turns.
A run that is finished is not run again, so the script can be stopped and started. Puts table and
plot into docs/pareto.md.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from maskzoo.models.bundles.bundle import load_bundle
from maskzoo.models.catalogue.cost import measure_cost
from maskzoo.models.engines.check import central_part
from maskzoo.models.export.engines import export_engine
from maskzoo.models.images.decode import decode_image
from maskzoo.models.inference.options import PredictOptions
from maskzoo.models.inference.predictor import Predictor
from maskzoo.models.registry import list_models
from page import DOCS, about, put, table
from runs import RECIPE, Score, trained

ROOT = Path(__file__).resolve().parents[1]
PHOTO = ROOT / "service" / "web" / "samples" / "nuclei.jpg"
SIDE = 512

_DECODER = {"channels": [64, 48, 32, 16]}
# Decoders whose widths do not follow the encoder's are made as narrow as it is.
OPTIONS: dict[str, dict[str, Any]] = {
    "attention_unet": _DECODER,
    "manet": _DECODER,
    "unet": _DECODER,
    "unetplusplus": _DECODER,
    "deeplabv3": {"channels": 64},
    "deeplabv3plus": {"channels": 64, "low_channels": 16},
    "fpn": {"pyramid_channels": 64, "channels": 64},
    "segformer": {"channels": 64},
    "segnext": {"channels": 64},
    "pidnet": {"pyramid_channels": 32},
    "ddrnet": {"pyramid_channels": 32},
    "bisenetv2": {
        "detail_channels": [16, 16, 32],
        "head_channels": 64,
        "auxiliary_widths": [16, 16, 32, 64],
    },
    "stdc": {"channels": 32, "fused_channels": 64, "auxiliary_head_channels": 32},
}


def main() -> None:
    """Train what is missing, measure the latencies, write the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--out", type=Path, default=Path("runs/pareto"))
    parser.add_argument("--only", nargs="+", default=list_models())
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    scores: dict[str, dict[str, Score]] = {}
    for name in options.only:
        settings = RECIPE | {"model.architecture": name, "model.options": OPTIONS.get(name, {})}
        settings |= {"seed": 0, "max_steps": options.steps, "bundle.engine": "none"}
        try:
            scores[name] = {
                data.name: trained(data, options.out / data.name / name, settings)
                for data in options.data
            }
        except subprocess.CalledProcessError as error:
            print(f"{name}: failed, see {options.out}: {error}", file=sys.stderr, flush=True)
            continue
        print(name, *(f"{one.mean_iou:.4f}" for one in scores[name].values()), flush=True)
    bundles = {name: options.out / options.data[0].name / name / "bundle" for name in scores}
    milliseconds = latencies(bundles, options.runs)
    best = {data.name: front(scores, milliseconds, data.name) for data in options.data}
    rows = [row(name, scores[name], bundles[name], milliseconds[name], best) for name in scores]
    head = ("architecture", "parameters, M", "GMAC", "ms", *(f"{name}, mean IoU" for name in best))
    about_it = (
        f"{about('torch', 'openvino')}; latency on {torch.get_num_threads()} thread(s); "
        f"{options.steps} steps, seed 0. Bold: no other has both a "
        "higher mean IoU and a lower latency."
    )
    text = "\n\n".join((about_it, table(head, rows), "![](pareto.png)"))
    print(text)
    put(DOCS / "pareto.md", "pareto", text)
    draw(scores, milliseconds, best, DOCS / "pareto.png")


def latencies(bundles: dict[str, Path], runs: int) -> dict[str, float]:
    """Return the milliseconds of each bundle for one image of 512 x 512."""
    image = np.ascontiguousarray(decode_image(PHOTO).pixels[:SIDE, :SIDE])
    for path in bundles.values():
        if not any(path.glob("engines/*/engine.json")):
            export_engine(path, images=[central_part(image)])
    predictors = {name: Predictor.from_bundle(path) for name, path in bundles.items()}
    least = dict.fromkeys(bundles, float("inf"))
    for _ in range(runs + 1):  # the first prepares for the size
        for name, predictor in predictors.items():
            start = time.perf_counter()
            predictor.segment(image, PredictOptions(mode="whole", confidence=False))
            least[name] = min(least[name], 1000 * (time.perf_counter() - start))
    return least


def front(
    scores: dict[str, dict[str, Score]], milliseconds: dict[str, float], data: str
) -> set[str]:
    """Return the architectures that no other beats in both."""
    return {
        name
        for name in scores
        if not any(
            milliseconds[other] < milliseconds[name]
            and scores[other][data].mean_iou > scores[name][data].mean_iou
            for other in scores
        )
    }


def row(
    name: str, scores: dict[str, Score], bundle: Path, ms: float, best: dict[str, set[str]]
) -> tuple[str, ...]:
    """Return the line of one architecture."""
    cost = measure_cost(load_bundle(bundle).network, (SIDE, SIDE))
    marks = {data: "**" if name in chosen else "" for data, chosen in best.items()}
    return (
        f"`{name}`",
        f"{cost.parameters / 1e6:.2f}",
        f"{cost.macs / 1e9:.2f}",
        f"{ms:.1f}",
        *(f"{marks[data]}{100 * one.mean_iou:.1f}{marks[data]}" for data, one in scores.items()),
    )


def draw(
    scores: dict[str, dict[str, Score]],
    milliseconds: dict[str, float],
    best: dict[str, set[str]],
    path: Path,
) -> None:
    """Draw a panel for each data set, the Pareto front as a line."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(
        1, len(best), figsize=(7 * len(best), 5), layout="constrained", squeeze=False
    )
    for panel, (data, chosen) in zip(panels[0], best.items(), strict=True):
        for name, own in scores.items():
            x, y = milliseconds[name], 100 * own[data].mean_iou
            panel.plot(x, y, "o", color="#0b6e60" if name in chosen else "#9aa5a3")
            panel.annotate(name, (x, y), (4, 3), textcoords="offset points", fontsize=7)
        line = sorted((milliseconds[name], 100 * scores[name][data].mean_iou) for name in chosen)
        panel.plot(*zip(*line, strict=True), ":", color="#0b6e60")
        panel.set(title=data, xlabel=f"ms for {SIDE} x {SIDE}", ylabel="mean IoU on test, %")
        panel.grid(alpha=0.3)
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


if __name__ == "__main__":
    main()

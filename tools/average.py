"""Make a bundle of a finished run's mean weights, with a class's bias raised.

    python tools/average.py runs/nuclei --raise foreground=0.6 -o models/pretrained/nuclei

The weights are the mean of those of the best validation and of the last step (both are moving
averages already where the run keeps one), after Izmailov et al., "Averaging Weights Leads to Wider
Optima and Better Generalization", UAI 2018. `--raise` adds to the bias of a class in the
classifier: the class is then chosen from a lower probability on. Choose both by val alone. The
bundle has the run's provenance, and under `afterwards` what was done here; it has no scores until
`maskzoo evaluate --save`, and no engine until `maskzoo export`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from maskzoo.models.bundles.bundle import load_bundle, save_bundle
from maskzoo.models.bundles.records import Provenance
from maskzoo.training.run.checkpoint import BEST, LAST, read_run_checkpoint

BIAS = "classifier.conv.bias"


def main() -> None:
    """Read the run, write the bundle."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--raise", dest="raised", metavar="CLASS=NUMBER")
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    bundle = load_bundle(options.run / "bundle")
    manifest, provenance = bundle.manifest, bundle.manifest.provenance
    last = read_run_checkpoint(options.run / LAST)
    weights = mean(load_file(options.run / BEST), last.ema or last.model)
    done = f"the mean of the weights after steps {provenance.best_step} and {last.progress.step}"
    if options.raised:
        name, amount = options.raised.split("=")
        weights[BIAS][manifest.labels.names.index(name)] += float(amount)
        done += f"; {amount} added to the bias of {name} in the classifier"
    network = bundle.network
    network.load_state_dict(weights)
    command = f"{provenance.command}; python tools/average.py {' '.join(sys.argv[1:])}"
    added = {"afterwards": f"{done}; both chosen by val", "command": command}
    save_bundle(
        options.out,
        network.eval(),
        name=manifest.name,
        labels=manifest.labels,
        preprocessing=manifest.preprocessing,
        provenance=provenance.updated(Provenance.model_validate(added)),
    )


def mean(first: dict[str, Tensor], second: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the mean of two state dicts; integers, which are counters, are the first's."""
    return {
        name: torch.lerp(tensor, second[name], 0.5) if tensor.is_floating_point() else tensor
        for name, tensor in first.items()
    }


if __name__ == "__main__":
    main()

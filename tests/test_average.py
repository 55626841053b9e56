"""`tools/average.py`: the bundle has the mean of two sets of weights, and says so."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from maskzoo import create_model, load_bundle, save_bundle
from maskzoo.models.bundles.records import Provenance
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Preprocessing
from maskzoo.training.run.checkpoint import RunCheckpoint, RunProgress, write_run_checkpoint

TOOL = Path(__file__).resolve().parents[1] / "tools" / "average.py"


def test_a_run_becomes_a_bundle_of_its_mean_weights_with_one_bias_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    network = create_model("unet", encoder="tu-resnet10t", num_classes=2).eval()
    provenance = Provenance(command="maskzoo train data", best_step=20)
    save_bundle(
        run / "bundle",
        network,
        name="tiny",
        labels=LabelSet.generic(2),
        preprocessing=Preprocessing(mean=network.encoder.mean, std=network.encoder.std),
        provenance=provenance,
    )
    best = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    last = {name: tensor + 1 for name, tensor in best.items()}
    save_file(best, run / "best.safetensors")
    checkpoint = RunCheckpoint(
        {}, last, {}, progress=RunProgress(step=30), config={}, fingerprint=""
    )
    write_run_checkpoint(run / "last.ckpt", checkpoint)

    name = LabelSet.generic(2).names[1]
    arguments = [str(run), "--raise", f"{name}=0.5", "-o", str(tmp_path / "made")]
    monkeypatch.setattr(sys, "argv", ["tools/average.py", *arguments])
    runpy.run_path(str(TOOL), run_name="__main__")

    stored = load_file(tmp_path / "made" / "model.safetensors")
    bias = best["classifier.conv.bias"]
    wanted = best | {"classifier.conv.bias": bias + torch.tensor([0.0, 0.5])}
    for key, tensor in stored.items():
        added = 0.5 if tensor.is_floating_point() else 0  # half of the difference of 1
        assert torch.allclose(tensor.float(), wanted[key].float() + added, atol=5e-3), key
    made = load_bundle(tmp_path / "made").manifest.provenance.model_dump()
    assert made["afterwards"] == (
        f"the mean of the weights after steps 20 and 30; 0.5 added to the bias of {name} in the "
        "classifier; both chosen by val"
    )
    assert made["command"] == f"maskzoo train data; python tools/average.py {' '.join(arguments)}"

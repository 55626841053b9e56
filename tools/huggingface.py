"""Writes the logits that Hugging Face's transformers gives, for the tests of its import.

    pip install transformers
    python tools/huggingface.py        # writes tests/data/huggingface_*.safetensors

The weights are drawn from a generator that is seeded by each tensor's name, so the tests draw them
again (`write_folder`) and a file holds the configuration, the shapes and the logits only.
"""

from __future__ import annotations

import json
import tempfile
import zlib
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

DATA = Path(__file__).parents[1] / "tests" / "data"
NAMES = ("segformer", "upernet_convnext", "upernet_swin")
SIZES = {"segformer": (64, 96), "upernet_convnext": (32, 64), "upernet_swin": (32, 64)}


def fixture(name: str) -> Path:
    """Return the file of one network."""
    return DATA / f"huggingface_{name}.safetensors"


def drawn(name: str, shape: tuple[int, ...]) -> Tensor:
    """Return the values of a tensor by its name, in float32."""
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    values = torch.randn(shape, generator=generator)
    if name.endswith("running_var"):
        return values.abs() + 0.5
    if len(shape) == 1:
        return 0.5 + 0.3 * values
    fan_in = max(1, int(torch.tensor(shape[1:]).prod()))
    return values / fan_in**0.5


def images(name: str) -> Tensor:
    """Return the input of one network, in float64."""
    return drawn("images", (1, 3, *SIZES[name])).double()


def write_folder(name: str, folder: Path) -> dict[str, Tensor]:
    """Write a folder as transformers does, and return what its network gave for `images`."""
    with safe_open(fixture(name), framework="pt") as stored:
        meta = stored.metadata()
        given = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
    state = {
        key: drawn(key, tuple(shape)) if kind == "float" else torch.zeros(shape, dtype=torch.long)
        for key, (kind, shape) in json.loads(meta["shapes"]).items()
    }
    save_file(state, folder / "model.safetensors")
    (folder / "config.json").write_text(meta["config"])
    return given


def main() -> None:
    """Draw the weights, run transformers' networks, write their logits."""
    for name in NAMES:
        _write(name)


def _write(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        network = _network(name)
        network.save_pretrained(folder)
        file = Path(folder) / "model.safetensors"
        state = {
            key: drawn(key, tuple(value.shape)) if value.is_floating_point() else value
            for key, value in load_file(file).items()
        }
        save_file(state, file, metadata={"format": "pt"})
        network = type(network).from_pretrained(folder).eval().double()
        config = (Path(folder) / "config.json").read_text()
    with torch.no_grad():
        given = {"logits": network(images(name)).logits}
        if hasattr(network, "auxiliary_head"):
            levels = network.backbone.forward_with_filtered_kwargs(images(name)).feature_maps
            given["auxiliary"] = network.auxiliary_head(levels)
    shapes = {
        key: ("float" if value.is_floating_point() else "int", list(value.shape))
        for key, value in state.items()
    }
    meta = {"config": config, "shapes": json.dumps(shapes)}
    DATA.mkdir(parents=True, exist_ok=True)
    save_file({key: t.contiguous() for key, t in given.items()}, fixture(name), metadata=meta)


def _network(name: str) -> Any:
    """Return a small network of transformers."""
    import transformers as hf

    if name == "segformer":
        return hf.SegformerForSemanticSegmentation(
            hf.SegformerConfig(num_labels=4, decoder_hidden_size=32)
        )
    levels = {"out_features": ["stage1", "stage2", "stage3", "stage4"]}
    backbone = (
        hf.ConvNextConfig(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 2, 1], **levels)
        if name == "upernet_convnext"
        else hf.SwinConfig(
            embed_dim=12, depths=[2, 2, 2, 2], num_heads=[1, 2, 3, 4], window_size=4, **levels
        )
    )
    return hf.UperNetForSemanticSegmentation(
        hf.UperNetConfig(
            backbone_config=backbone, hidden_size=16, num_labels=2, auxiliary_channels=8
        )
    )


if __name__ == "__main__":
    main()

"""Writes the logits that Hugging Face's SegFormer gives, for the test of its import.

    pip install transformers
    python tools/huggingface.py        # writes tests/data/huggingface_segformer.safetensors

The weights are drawn from a generator that is seeded by each tensor's name, so the test draws them
again and the file holds the configuration, the shapes and the logits only.
"""

from __future__ import annotations

import json
import tempfile
import zlib
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

FIXTURE = Path(__file__).parents[1] / "tests" / "data" / "huggingface_segformer.safetensors"


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


def main() -> None:
    """Draw the weights, run transformers' network, write its logits."""
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    config = SegformerConfig(num_labels=4, decoder_hidden_size=32)
    with tempfile.TemporaryDirectory() as folder:
        SegformerForSemanticSegmentation(config).save_pretrained(folder)
        file = Path(folder) / "model.safetensors"
        state = {
            name: drawn(name, tuple(value.shape)) if value.is_floating_point() else value
            for name, value in load_file(file).items()
        }
        save_file(state, file, metadata={"format": "pt"})
        network = SegformerForSemanticSegmentation.from_pretrained(folder).eval()
    images = drawn("images", (1, 3, 64, 96)).double()
    with torch.no_grad():
        logits = network.double()(images).logits
    shapes = {name: list(value.shape) for name, value in state.items()}
    meta = {"config": json.dumps(config.to_dict()), "shapes": json.dumps(shapes)}
    FIXTURE.parent.mkdir(parents=True, exist_ok=True)
    save_file({"logits": logits.contiguous()}, FIXTURE, metadata=meta)


if __name__ == "__main__":
    main()

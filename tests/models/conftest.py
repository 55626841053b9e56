"""Third-party reference networks to compare ours with."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from maskzoo.models.network.network import SegmentationNetwork
from maskzoo.models.registry import create_model

_STEM = {"0": "conv1.0", "1": "conv1.1", "3": "conv1.3", "4": "conv1.4", "6": "conv1.6"}


@dataclass(frozen=True)
class MmsegReference:
    """A network of mmsegmentation at a tiny width: its weights, inputs and outputs."""

    name: str
    state: dict[str, Tensor]
    io: dict[str, Tensor]

    def network(self, names: Mapping[str, str], **options: object) -> SegmentationNetwork:
        """Build our network of the same sizes in float64 with the reference's weights.

        Args:
            names: prefixes of the reference's `decode_head.*` -> prefixes in our decoder.
            options: the architecture's options at the tiny width.
        """
        stride = 32 if self.name == "upernet" else 8
        network = create_model(
            self.name,
            encoder="tu-resnet50c",
            num_classes=7,
            output_stride=stride,
            encoder_options={"channels": [8, 16, 32, 64], "stem_width": 4},
            **options,
        )
        ours = {rename(key, names): tensor for key, tensor in self.state.items()}
        wanted = network.state_dict()
        for key in wanted:
            if key.endswith("num_batches_tracked"):
                ours.setdefault(key, wanted[key])
        network.load_state_dict(ours, strict=True)
        return network.double().eval()

    def cases(self) -> list[str]:
        """Return the prefixes of the inputs: the plain one and the odd sizes."""
        return [key.removesuffix("input") for key in self.io if key.endswith("input")]


def rename(key: str, names: Mapping[str, str]) -> str:
    """Return our name of a tensor of an mmsegmentation checkpoint."""
    key = key.replace(".bn.", ".norm.")
    if match := re.match(r"backbone\.stem\.(\d)\.(.*)", key):
        index, rest = match.groups()
        return f"encoder.body.model.{'bn1' if index == '7' else _STEM[index]}.{rest}"
    if key.startswith("backbone."):
        return key.replace("backbone.", "encoder.body.model.", 1)
    if key.startswith("auxiliary_head.conv_seg"):
        return key.replace("auxiliary_head.conv_seg", "decoder.auxiliary.classifier.conv")
    if key.startswith("auxiliary_head.convs.0"):
        return key.replace("auxiliary_head.convs.0", "decoder.auxiliary.conv")
    if key.startswith("decode_head.conv_seg"):
        return key.replace("decode_head.conv_seg", "classifier.conv")
    bare = key.removeprefix("decode_head.")
    for theirs, ours in names.items():
        if bare.startswith(theirs):
            return "decoder." + ours + bare.removeprefix(theirs)
    return "decoder." + bare


@pytest.fixture(scope="session")
def mmseg_reference(shared: Path) -> Callable[[str], MmsegReference]:
    """Return a function from a family's name to its reference network."""

    def load(name: str) -> MmsegReference:
        folder = shared / "references" / "mmseg"
        checkpoint = torch.load(folder / f"{name}_tiny50.pth", weights_only=True)
        io = load_file(folder / f"{name}_tiny50_io.safetensors")
        return MmsegReference(name, checkpoint["state_dict"], io)

    return load

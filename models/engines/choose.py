"""Which engine runs a bundle: the one that was asked for, or the fastest that agrees with torch.

On a CPU that is OpenVINO, then ONNX Runtime, then torch, as `benchmarks/engines.py` measures them;
on a GPU torch in half precision. The first two need what `maskzoo export` writes, see
`models.engines.artefact`.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import get_args

from models.bundle import Manifest, load_bundle
from models.engines.artefact import CHECK, Artefact, EngineName, find_artefacts
from models.engines.base import Engine
from models.engines.check import LEAST_AGREEMENT, CheckImages
from models.engines.eager import EagerEngine, choose_device
from models.errors import BundleError, EngineError, UnknownNameError

EXPORTED: tuple[EngineName, ...] = get_args(EngineName)
ENGINES = ("auto", "torch", *EXPORTED, "openvino-int8")

_log = logging.getLogger(__name__)


def open_engine(
    bundle: Path, manifest: Manifest, *, engine: str = "auto", device: str = "auto"
) -> Engine:
    """Return what runs the bundle in folder `bundle`.

    Args:
        engine: one of `ENGINES`; ``auto`` never fails for want of an engine, torch is always there.
        device: ``cpu``, ``cuda``, ``cuda:1`` …, or ``auto``.

    Raises:
        UnknownNameError: there is no such engine or device.
        EngineError: the engine that was named is not installed, was not exported, or disagrees.
        BundleError: the bundle is damaged.
    """
    if engine not in ENGINES:
        raise UnknownNameError("engine", engine, ENGINES)
    where = choose_device(device)
    if engine == "torch" or (engine == "auto" and where.type != "cpu"):
        return _torch(bundle, device)
    if engine == "auto":
        return _first_that_agrees(bundle, manifest) or _torch(bundle, device)
    name, _, precision = engine.partition("-")
    for artefact in find_artefacts(bundle, manifest, name):  # type: ignore[arg-type]
        if artefact.record.precision == precision or (
            not precision and artefact.record.precision != "int8"
        ):
            return _open(artefact, manifest, device, check=precision != "int8")
    option = f" --precision {precision} --calibrate DATA" if precision else ""
    raise EngineError(
        f"{manifest.name!r} has not been exported for {engine}: "
        f"maskzoo export {bundle} --engine {name}{option}"
    )


def _torch(bundle: Path, device: str) -> Engine:
    loaded = load_bundle(bundle)
    return EagerEngine.of(loaded.network, loaded.manifest.spec, device)


def _first_that_agrees(bundle: Path, manifest: Manifest) -> Engine | None:
    """Return the first exported engine for the CPU that works; the log says why not the others."""
    found = False
    for name in EXPORTED:
        for artefact in find_artefacts(bundle, manifest, name):
            found = True
            if artefact.record.precision == "int8":
                continue  # changes the answers; it is taken only where it is asked for
            try:
                return _open(artefact, manifest, "cpu", check=True)
            except (EngineError, BundleError) as error:
                _log.warning("%s runs on torch instead: %s", manifest.name, error)
    if not found:
        _log.info(
            "%s runs on torch; `maskzoo export %s` makes it faster on a CPU", manifest.name, bundle
        )
    return None


def _open(artefact: Artefact, manifest: Manifest, device: str, *, check: bool) -> Engine:
    """Load an exported engine, and compare its answers with torch's if `check`."""
    artefact.verify()
    engine = open_model(artefact.record.engine, artefact.model, manifest, device=device)
    if check:
        images = CheckImages.load(artefact.folder / CHECK)
        agreement = images.agreement(engine, manifest.preprocessing)
        if agreement < LEAST_AGREEMENT:
            raise EngineError(
                f"{artefact.folder} gives torch's class for {agreement:.3%} of the check pixels, "
                f"less than {LEAST_AGREEMENT:.1%}; export it again"
            )
    return engine


def open_model(
    engine: EngineName, path: Path, manifest: Manifest, *, device: str = "cpu"
) -> Engine:
    """Load one exported file, unchecked.

    Raises:
        EngineError: the runtime is not installed or refuses the file.
    """
    widths = {
        "in_channels": manifest.spec.in_channels,
        "num_classes": manifest.spec.num_classes,
    }
    if engine == "openvino":
        from models.engines.openvino import OpenVinoEngine

        return OpenVinoEngine(path, **widths)
    from models.engines.onnxruntime import OnnxRuntimeEngine

    return OnnxRuntimeEngine(path, **widths, device=device)

"""The choice of a bundle's engine: the requested one, or the fastest that agrees with torch.

On a CPU that is OpenVINO or ONNX Runtime, if `maskzoo export` has written the network for it
(`models.engines.artefact`); of both, the one that is faster on the check images. int8 changes
classes, so it takes part only where its own score, measured on data at the export, is as good as
torch's. On a GPU it is `cuda-graphs`. Torch runs all other bundles. `benchmarks/engines.py`
measures them.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import cast, get_args

import torch

from maskzoo.models.bundles.bundle import load_bundle
from maskzoo.models.bundles.manifest import Manifest
from maskzoo.models.engines.artefact import (
    CHECK,
    Artefact,
    cache_folder,
    find_artefacts,
)
from maskzoo.models.engines.base import Engine, EngineChoice, EngineName
from maskzoo.models.engines.batches import check_batches
from maskzoo.models.engines.check import LEAST_AGREEMENT, CheckImages, generated_images
from maskzoo.models.engines.device import choose_device
from maskzoo.models.engines.eager import EagerEngine
from maskzoo.models.errors import BundleError, EngineError, UnknownNameError

EXPORTED: tuple[EngineName, ...] = get_args(EngineName)
ENGINES = (
    "auto",
    "torch",
    "torch-compile",
    "cuda-graphs",
    *EXPORTED,
    "openvino-bf16",
    "openvino-int8",
)

MAX_INT8_LOSS = 0.1
"""Points of mean IoU (of 100) that int8 may have lost for ``auto`` to take it."""

_LEAST_SCORED = 20  # images, for their mean IoU to say something

_log = logging.getLogger(__name__)


def open_engine(
    bundle: Path,
    manifest: Manifest,
    *,
    engine: str = "auto",
    device: str = "auto",
    max_int8_loss: float = MAX_INT8_LOSS,
) -> Engine:
    """Return the engine of the bundle in folder `bundle`.

    Args:
        engine: one of `ENGINES`; ``auto`` always finds one, since torch is always available.
        device: ``cpu``, ``cuda``, ``cuda:1`` …, or ``auto``.
        max_int8_loss: points of mean IoU (of 100) that int8 may have lost, as scored at its export
            on at least 20 images, for ``auto`` to take it. Below 0 it must have gained.

    Raises:
        UnknownNameError: there is no such engine or device.
        EngineError: the named engine is not installed, was not exported, or disagrees with torch.
        BundleError: the bundle is damaged.
    """
    if engine not in ENGINES:
        raise UnknownNameError("engine", engine, ENGINES)
    where = choose_device(device)
    if engine == "auto" and where.type == "cpu":
        return _fastest_that_agrees(bundle, manifest, device, max_int8_loss)
    if engine == "auto":
        return _on_gpu(bundle, manifest, where)
    reason = f"{engine} was asked for"
    if engine == "cuda-graphs":
        if where.type == "cpu":
            raise EngineError("cuda-graphs runs on NVIDIA GPUs only, and torch finds none here")
        return _graphs(bundle, manifest, where, reason)
    if engine == "torch":
        return _because(_torch(bundle, device), reason)
    if engine == "torch-compile":
        return _because(_compiled(bundle, manifest, device), reason)
    return _exported(bundle, manifest, engine, device, reason)


def _exported(bundle: Path, manifest: Manifest, engine: str, device: str, reason: str) -> Engine:
    """Return an engine that runs an exported network."""
    name, _, precision = engine.partition("-")
    if name == "openvino" and choose_device(device).type != "cpu" and device != "auto":
        raise EngineError(
            f"openvino runs on the CPU only, not on {choose_device(device)}; choose device cpu"
        )
    if precision == "bf16":
        return _because(_in_bfloat16(bundle, manifest), reason)
    for artefact in find_artefacts(bundle, manifest, cast(EngineName, name)):
        if artefact.record.precision == precision or (
            not precision and artefact.record.precision != "int8"
        ):
            found = _open(artefact, manifest, device, check=precision != "int8")
            return _because(found, reason, artefact.record.precision)
    option = f" --precision {precision} --calibrate DATA" if precision else ""
    raise EngineError(
        f"{manifest.name!r} has not been exported for {engine}: "
        f"maskzoo export {bundle} --engine {name}{option}"
    )


def _in_bfloat16(bundle: Path, manifest: Manifest) -> Engine:
    """Return OpenVINO in bfloat16, even if classes change; the log says how many."""
    for artefact in find_artefacts(bundle, manifest, "openvino"):
        if artefact.record.precision == "int8":
            continue
        artefact.verify()
        engine = open_model("openvino", artefact.model, manifest)
        if engine.precision != "bfloat16":
            raise EngineError("this processor has no bfloat16; choose engine openvino")
        images = CheckImages.load(artefact.folder / CHECK)
        agreement = images.agreement(engine, manifest.preprocessing)
        check_batches(engine, manifest.preprocessing)
        _log.info("%s in bfloat16: torch's class for %.3f %%", manifest.name, 100 * agreement)
        return engine
    raise EngineError(
        f"{manifest.name!r} has not been exported for openvino: "
        f"maskzoo export {bundle} --engine openvino"
    )


def _because(engine: Engine, reason: str, weights: str = "fp32") -> Engine:
    engine.choice = EngineChoice(reason, weights)
    return engine


def _torch(bundle: Path, device: str) -> Engine:
    loaded = load_bundle(bundle)
    return EagerEngine.of(loaded.network, loaded.manifest.spec, device)


def _on_gpu(bundle: Path, manifest: Manifest, where: torch.device) -> Engine:
    """Return the engine for a GPU: graphs, or torch with the reason against them."""
    reason = "on a GPU it is the fastest, and it is as near to float32 as torch in 16 bits"
    try:
        return _graphs(bundle, manifest, where, reason)
    except EngineError as error:
        _log.warning("%s does not run on cuda-graphs: %s", manifest.name, error)
        return _because(_torch(bundle, str(where)), f"cuda-graphs does not run: {error}")


def _graphs(bundle: Path, manifest: Manifest, where: torch.device, reason: str) -> Engine:
    from maskzoo.models.engines.graphs.opening import open_graphs

    engine, of_kernels = open_graphs(bundle, manifest, where)
    return _because(engine, reason + of_kernels)


def _compiled(bundle: Path, manifest: Manifest, device: str) -> Engine:
    """Compile the network; in float32 if half precision disagrees with torch."""
    from maskzoo.models.engines.compiled import CompiledEngine  # brings the compiler

    images = generated_images(manifest.spec.in_channels)
    check = CheckImages.of(_torch(bundle, device), manifest.preprocessing, images)
    agreement = 0.0
    for half in (True, False):
        network = load_bundle(bundle).network
        engine = CompiledEngine(network, manifest.spec, device=device, half=half)
        agreement = check.agreement(engine, manifest.preprocessing)
        if agreement >= LEAST_AGREEMENT:
            check_batches(engine, manifest.preprocessing)
            return engine
        if engine.dtype is None:
            break
        _log.info("%s compiled in %s: %.3f", manifest.name, engine.dtype, agreement)
    raise EngineError(
        f"{manifest.name!r}, compiled, gives torch's class for {agreement:.3%} of the check "
        f"pixels, less than {LEAST_AGREEMENT:.1%}; choose another engine"
    )


def _fastest_that_agrees(
    bundle: Path, manifest: Manifest, device: str, max_int8_loss: float
) -> Engine:
    """Return the fastest engine for the CPU; its `choice` says why others were left out."""
    found: dict[Artefact, Engine] = {}
    left_out: list[str] = []
    artefacts = [one for name in EXPORTED for one in find_artefacts(bundle, manifest, name)]
    for artefact in artefacts:
        kind, is_int8 = _kind(artefact), artefact.record.precision == "int8"
        if kind in map(_kind, found):
            continue  # the most precise one of its kind is there
        objection = _objection(artefact, max_int8_loss) if is_int8 else None
        if objection is not None:
            left_out.append(f"; int8 is not taken: {objection}")
            continue
        try:
            found[artefact] = _open(artefact, manifest, "cpu", check=not is_int8)
        except (EngineError, BundleError) as error:
            _log.warning("%s does not run on %s: %s", manifest.name, kind, error)
            left_out.append(f"; {kind} does not run: {error}")
    if not artefacts:
        _log.info(
            "%s runs on torch; `maskzoo export %s` makes it faster on a CPU", manifest.name, bundle
        )
    if not found:
        reason = "no exported engine runs" if artefacts else "it was not exported for a CPU engine"
        return _because(_torch(bundle, device), reason + "".join(left_out))
    best = next(iter(found))
    if len(found) > 1:
        seconds = {artefact: _seconds(artefact, found, manifest) for artefact in found}
        best = min(found, key=lambda artefact: seconds[artefact])
    reason = _reason(best, len(found)) + "".join(left_out)
    return _because(found[best], reason, best.record.precision)


def _kind(artefact: Artefact) -> str:
    """Return what is compared with the others: int8 stands beside its own runtime."""
    record = artefact.record
    return "openvino-int8" if record.precision == "int8" else record.engine


def _objection(artefact: Artefact, max_loss: float) -> str | None:
    """Return why an engine in int8 is not taken unasked; None if its score speaks for it."""
    score = artefact.record.score
    if score is None:
        return "its export has no score"
    if score.images < _LEAST_SCORED:
        return f"it was scored on {score.images} images only, and {_LEAST_SCORED} are needed"
    if score.loss > max_loss:
        return (
            f"it lost {score.loss:.2f} points of mean IoU on {score.split}, and {max_loss:g} may be"
        )
    return None


def _reason(artefact: Artefact, count: int) -> str:
    """Return why this engine was taken, of so many that run."""
    score = artefact.record.score
    reason = "exported with the bundle, and it gives torch's classes"
    if artefact.record.precision == "int8" and score is not None:
        reason = (
            f"its mean IoU on {score.images} images of {score.split} is "
            f"{100 * score.mean_iou:.2f}, torch's {100 * score.mean_iou_torch:.2f}"
        )
    return reason if count == 1 else f"{reason}; the fastest of {count}"


def _seconds(artefact: Artefact, engines: dict[Artefact, Engine], manifest: Manifest) -> float:
    """Return the least time of a few runs on the check images; the first runs were the check."""
    images = CheckImages.load(artefact.folder / CHECK)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        images.agreement(engines[artefact], manifest.preprocessing)
        times.append(time.perf_counter() - start)
    return min(times)


def _open(artefact: Artefact, manifest: Manifest, device: str, *, check: bool) -> Engine:
    """Load an exported engine; check its batches and, if `check`, its classes against torch's."""
    artefact.verify()
    kind = artefact.record.engine
    engine = open_model(kind, artefact.model, manifest, device=device)
    if check:
        images = CheckImages.load(artefact.folder / CHECK)
        agreement = images.agreement(engine, manifest.preprocessing)
        if agreement < LEAST_AGREEMENT and kind == "openvino" and engine.precision != "float32":
            _log.info(
                "%s: in %s only %.2f %% of the check pixels have torch's class: it runs in float32",
                artefact.folder,
                engine.precision,
                100 * agreement,
            )
            engine = open_model(kind, artefact.model, manifest, device=device, exact=True)
            agreement = images.agreement(engine, manifest.preprocessing)
        if agreement < LEAST_AGREEMENT:
            raise EngineError(
                f"{artefact.folder} gives torch's class for {agreement:.3%} of the check pixels, "
                f"less than {LEAST_AGREEMENT:.1%}; export it again"
            )
    check_batches(engine, manifest.preprocessing)
    return engine


def open_model(
    engine: EngineName,
    path: Path,
    manifest: Manifest,
    *,
    device: str = "cpu",
    exact: bool = False,
) -> Engine:
    """Load one exported file, unchecked.

    Args:
        exact: OpenVINO computes in float32 even if the processor has bfloat16.

    Raises:
        EngineError: the runtime is not installed or refuses the file.
    """
    num_classes = manifest.spec.num_classes
    if engine == "openvino":
        from maskzoo.models.engines.openvino import OpenVinoEngine

        return OpenVinoEngine(
            path, preprocessing=manifest.preprocessing, num_classes=num_classes, exact=exact
        )
    from maskzoo.models.engines.onnxruntime import OnnxRuntimeEngine

    cache = cache_folder(manifest.weights_sha256) / "tensorrt"
    return OnnxRuntimeEngine(
        path,
        in_channels=manifest.spec.in_channels,
        num_classes=num_classes,
        device=device,
        cache=cache,
    )

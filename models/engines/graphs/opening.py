"""The engine of a bundle on a GPU: captured, checked, and fused where that is faster."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from pathlib import Path

import torch

from maskzoo.models.bundles.bundle import load_bundle
from maskzoo.models.bundles.manifest import Manifest
from maskzoo.models.engines.batches import check_batches
from maskzoo.models.engines.check import LEAST_AGREEMENT, CheckImages, generated_images
from maskzoo.models.engines.eager import EagerEngine
from maskzoo.models.engines.graphs.check import check_masks
from maskzoo.models.engines.graphs.device import open_device
from maskzoo.models.engines.graphs.engine import CudaGraphsEngine
from maskzoo.models.engines.graphs.fused import FusedForward, find_fused, machine_name
from maskzoo.models.errors import BundleError, EngineError

_log = logging.getLogger(__name__)

_TIMED_SIZE = (512, 512)
_TIMED_BATCHES = (1, 16)
_LEAST_GAIN = 1.02  # less is noise, and the network itself needs no compiler

Check = Callable[[CudaGraphsEngine], None]


def open_graphs(
    bundle: Path, manifest: Manifest, where: torch.device
) -> tuple[CudaGraphsEngine, str]:
    """Return the engine, checked, and a clause that says whether its kernels are fused.

    Raises:
        EngineError: the network cannot be captured, or is further from float32 than torch in 16
            bits.
        BundleError: the bundle is damaged.
    """
    network = load_bundle(bundle).network
    engine = CudaGraphsEngine(network, manifest.preprocessing, open_device(where))
    check = _checker(bundle, manifest, where)
    check(engine)
    try:
        return engine, _fuse(engine, manifest, check)
    except (EngineError, BundleError) as error:
        engine.use(None)
        _log.warning("%s runs without its fused program: %s", manifest.name, error)
        return engine, f"; its fused program is not used: {error}"


def _checker(bundle: Path, manifest: Manifest, where: torch.device) -> Check:
    """Return the check of the engine with its network, or with a fused program.

    Float32 on the CPU is the reference, also for torch in 16 bits: two programs in 16 bits round
    differently, and neither is the truth for the other.
    """
    preprocessing = manifest.preprocessing
    images = generated_images(manifest.spec.in_channels)
    reference = EagerEngine.of(load_bundle(bundle).network, manifest.spec, "cpu")
    classes = CheckImages.of(reference, preprocessing, images)

    def check(engine: CudaGraphsEngine) -> None:
        with engine.capturing():
            agreement = classes.agreement(engine, preprocessing)
            check_batches(engine, preprocessing)
            check_masks(engine, images)
        if engine.failure is not None:
            raise EngineError(engine.failure)
        if agreement < LEAST_AGREEMENT:
            eager = EagerEngine.of(load_bundle(bundle).network, manifest.spec, str(where))
            others = classes.agreement(eager, preprocessing)
            if agreement < others - (1 - LEAST_AGREEMENT):
                raise EngineError(
                    f"{manifest.name!r} as CUDA graphs gives float32's class for {agreement:.3%} "
                    f"of the check pixels, and torch in {eager.precision} for {others:.3%}; "
                    "choose engine torch"
                )

    return check


def _fuse(engine: CudaGraphsEngine, manifest: Manifest, check: Check) -> str:
    """Let the engine use a fused program if there is one and it is faster; return what is said.

    Raises:
        EngineError, BundleError: the program cannot be used.
    """
    machine = machine_name(engine.device, engine.program.dtype)
    found = find_fused(manifest.weights_sha256, machine)
    if found is None:
        return "; not fused: maskzoo export --engine cuda-graphs on this machine compiles it"
    plain = [_milliseconds(engine, batch) for batch in _TIMED_BATCHES]
    engine.use(FusedForward(found, engine.network))
    check(engine)
    fused = [_milliseconds(engine, batch) for batch in _TIMED_BATCHES]
    told = ", ".join(
        f"{ours:.2f} ms in place of {theirs:.2f} for {batch}"
        for batch, ours, theirs in zip(_TIMED_BATCHES, fused, plain, strict=True)
    )
    gain = (math.prod(plain) / math.prod(fused)) ** (1 / len(plain))  # nan where neither fits
    if not gain >= _LEAST_GAIN:
        engine.use(None)
        return f"; its fused program is no faster: {told}"
    return f"; fused: {told}"


def _milliseconds(engine: CudaGraphsEngine, batch: int) -> float:
    return 1000 * engine.seconds(_TIMED_SIZE, batch)

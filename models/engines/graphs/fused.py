"""Fused programs: what Inductor compiled ahead of time for one kind of GPU, by `maskzoo export`.

    CACHE/engines/SHA/fused-KEY/
        engine.json      the record
        program.bin      kernels for all batches and sizes, without weights
        constants.safetensors

Inductor fuses the activations, additions and casts between convolutions into a few kernels. Its
program takes the weights of `Program` as inputs, so both share them. It is loaded in less than a
second, and needs no compiler then.

Loading such a file executes it. So it is kept in the user's cache and never in a bundle, which may
come from somebody else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from maskzoo.models.engines.artefact import (
    StoredRecord,
    cache_folder,
    read_record,
    verify_files,
)
from maskzoo.models.engines.precision import name_precision
from maskzoo.models.errors import EngineError

PROGRAM, CONSTANTS = "program.bin", "constants.safetensors"
LEAST_SIDE = 64
"""Smaller images run unfused; see `models.export.onnx`."""


class FusedRecord(StoredRecord):
    """The record of a fused program.

    Attributes:
        machine: what it was compiled for, as `machine_name` gives it.
        inputs: names of the tensors of the network that it takes, in order; those of
            `constants.safetensors` start with a colon, and the batch is empty.
        least_side: the smallest side of an image that it takes.
    """

    machine: str
    inputs: tuple[str, ...]
    least_side: int = LEAST_SIDE


@dataclass(frozen=True)
class FusedFolder:
    """A fused program on disk."""

    folder: Path
    record: FusedRecord


def machine_name(device: torch.device, dtype: torch.dtype | None) -> str:
    """Return what a program is bound to: torch's version, the GPU, its number, the precision."""
    chip = torch.backends.cpu.get_cpu_capability()
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        chip = f"{properties.name} sm{properties.major}{properties.minor} {device.index or 0}"
    return f"torch {torch.__version__} {device.type} {chip} {name_precision(dtype)}"


def folder_name(machine: str) -> str:
    """Return the name of the folder for programs of a machine."""
    digest = hashlib.sha256(machine.encode()).hexdigest()[:8]
    return f"fused-{re.sub(r'[^A-Za-z0-9.]+', '-', machine)[:80]}-{digest}"


def find_fused(weights_sha256: str, machine: str) -> FusedFolder | None:
    """Return the program for these weights on this machine, if there is one."""
    folder = cache_folder(weights_sha256) / folder_name(machine)
    record = read_record(folder, FusedRecord)
    if record is None or (record.weights_sha256, record.machine) != (weights_sha256, machine):
        return None
    return FusedFolder(folder, record)


class FusedForward:
    """A fused program with the weights of a network.

    Args:
        found: the program.
        network: that it was compiled from; holds the weights.

    Raises:
        BundleError: a file is missing or changed since it was made.
        EngineError: torch refuses the program, or the network lacks a tensor.
    """

    def __init__(self, found: FusedFolder, network: nn.Module) -> None:
        verify_files(found.folder, found.record)
        self.least_side = found.record.least_side
        self._inputs = list(_inputs(found, network))
        try:
            self._program = _load(found.folder / PROGRAM)
        except Exception as error:  # its errors have no common base class
            raise EngineError(f"torch cannot load the fused program: {error!r}") from error

    def takes(self, batch: Tensor) -> bool:
        """Tell whether the images (N, C, H, W) are as large as the program needs."""
        return min(batch.shape[2:]) >= self.least_side

    def __call__(self, batch: Tensor) -> Tensor:
        """Return float32 logits (N, K, h, w) of a normalised batch (N, C, H, W)."""
        given = [batch if one is None else one for one in self._inputs]
        (logits,) = self._program(*given)
        return logits


def _load(path: Path) -> Callable[..., tuple[Tensor]]:
    # Brings the compiler's modules, and needs no compiler.
    from torch._inductor.standalone_compile import CompiledArtifact

    loaded: Callable[..., tuple[Tensor]] = CompiledArtifact.load(path=str(path), format="binary")
    return loaded


def _inputs(found: FusedFolder, network: nn.Module) -> Iterator[Tensor | None]:
    """Yield the inputs in order; None stands for the batch."""
    state: dict[str, Tensor] = dict(network.named_parameters(remove_duplicate=False))
    state |= dict(network.named_buffers(remove_duplicate=False))
    device = next(iter(state.values())).device
    constants = load_file(found.folder / CONSTANTS, device=str(device))
    for name in found.record.inputs:
        if not name:
            yield None
        elif name.startswith(":"):
            yield constants[name[1:]]
        elif name in state:
            yield state[name]
        else:
            raise EngineError(f"the fused program is of another network: it takes {name!r}")

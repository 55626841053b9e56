"""Checkpoints: one atomic file from which a run resumes exactly.

    maskzoo-checkpoint 1 <sha256 of the rest>\\n
    <torch.save of tensors and plain types>

The digest in the first line rejects a truncated or foreign file before any of it is used, and the
rest is read with `weights_only=True`, so a checkpoint cannot run code. A new file is written beside
the old one, flushed to disk and then renamed over it; the previous one is kept as `previous.ckpt`.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import shutil
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
from torch.optim import Optimizer

from maskzoo.models.errors import ZooError
from maskzoo.models.files import replacing

if TYPE_CHECKING:
    from maskzoo.models.network.network import SegmentationNetwork
    from maskzoo.training.steps.optim import WeightAverage

LAST = "last.ckpt"
BEST = "best.safetensors"

_MAGIC = b"maskzoo-checkpoint 1 "
_HEADER_LENGTH = len(_MAGIC) + 64 + 1


class CheckpointError(ZooError):
    """A checkpoint is truncated, foreign, or of another run."""


@dataclass
class RunProgress:
    """The progress of a run: its state besides tensors.

    Attributes:
        step: steps done; also the position in the stream of samples and of random numbers.
        best_score: the best mean IoU so far, at `best_step`.
        stale: validations since then.
        lr_scale: factor on every rate, below 1 after steps that were not finite.
        bad_steps: number of such steps.
        micro_batch: images that go through the network at once; halved when memory runs out.
    """

    step: int = 0
    best_score: float | None = None
    best_step: int = 0
    stale: int = 0
    lr_scale: float = 1.0
    bad_steps: int = 0
    micro_batch: int = 0


@dataclass
class RunCheckpoint:
    """The complete state of a run.

    Attributes:
        model, ema: state dicts; `ema` is empty if no average is kept.
        optimizer: its state dict.
        progress: see `RunProgress`.
        config: the `RunConfig`, as plain types.
        fingerprint: of the data.
        versions: of the packages that wrote it.
        command: that started the run.
        trained: names of tensors that started trained; they have their own rate.
        mean, std: of the images that the encoder takes; empty for the encoder's usual ones.
    """

    model: dict[str, Any]
    ema: dict[str, Any]
    optimizer: dict[str, Any]
    progress: RunProgress
    config: dict[str, Any]
    fingerprint: str
    versions: dict[str, str] = field(default_factory=dict)
    command: str = ""
    trained: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


def write_run_checkpoint(path: Path, checkpoint: RunCheckpoint) -> None:
    """Write `checkpoint` atomically; an older file stays as `previous.ckpt` beside it."""
    content = {item.name: getattr(checkpoint, item.name) for item in fields(checkpoint)}
    content["progress"] = asdict(checkpoint.progress)
    buffer = io.BytesIO()
    torch.save(content, buffer)
    body = buffer.getbuffer()
    with replacing(path) as part:
        with part.open("wb") as file:
            file.write(_MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n")
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            _keep(path, path.with_name("previous.ckpt"))


def read_run_checkpoint(path: Path) -> RunCheckpoint:
    """Read a checkpoint.

    Raises:
        CheckpointError: the file is missing, truncated, or not a maskzoo checkpoint.
    """
    hint = _hint(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"cannot read checkpoint {str(path)!r}: {error.strerror}{hint}"
        ) from None
    if not data.startswith(_MAGIC):
        raise CheckpointError(f"{str(path)!r} is not a maskzoo checkpoint (version 1){hint}")
    digest = data[len(_MAGIC) : _HEADER_LENGTH - 1].decode("ascii", "replace")
    body = memoryview(data)[_HEADER_LENGTH:]
    if hashlib.sha256(body).hexdigest() != digest:
        raise CheckpointError(
            f"checkpoint {str(path)!r} is damaged: its content does not match its digest{hint}"
        )
    try:
        content = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
        return RunCheckpoint(**content | {"progress": RunProgress(**content["progress"])})
    except pickle.UnpicklingError:
        raise CheckpointError(
            f"checkpoint {str(path)!r} holds more than tensors and plain types: maskzoo did not "
            "write it"
        ) from None
    except (TypeError, KeyError) as error:
        raise CheckpointError(
            f"checkpoint {str(path)!r} was written by another version of maskzoo ({error}): go on "
            "with that version, or start the run again"
        ) from None


def restore(
    checkpoint: RunCheckpoint,
    network: SegmentationNetwork,
    optimizer: Optimizer,
    average: WeightAverage | None,
) -> None:
    """Load a checkpoint's tensors into the parts of a run."""
    network.load_state_dict(checkpoint.model)
    optimizer.load_state_dict(checkpoint.optimizer)
    if average is not None:
        average.network.load_state_dict(checkpoint.ema)


def restore_start(checkpoint: RunCheckpoint, network: SegmentationNetwork) -> None:
    """Give a network what it has from the weights that its run started from, besides tensors."""
    network.trained = frozenset(checkpoint.trained)
    if checkpoint.mean:
        network.encoder.mean, network.encoder.std = checkpoint.mean, checkpoint.std


def write_weights(path: Path, network: SegmentationNetwork) -> None:
    """Write the weights atomically as safetensors."""
    tensors = {name: value.contiguous() for name, value in network.state_dict().items()}
    with replacing(path) as part:
        safetensors.torch.save_file(tensors, part)


def _keep(path: Path, previous: Path) -> None:
    previous.unlink(missing_ok=True)
    try:
        os.link(path, previous)
    except OSError:  # a file system without hard links
        shutil.copyfile(path, previous)


def _hint(path: Path) -> str:
    previous = path.with_name("previous.ckpt")
    if previous != path and previous.exists():
        return f"; the one before it is {str(previous)!r}: rename it to {path.name!r} and resume"
    return "; start the run again without --resume"

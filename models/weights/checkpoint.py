"""Reading a checkpoint that somebody else wrote, without running anything that it holds.

A `.safetensors` file holds tensors and text. A `.pth`, `.pt` or `.bin` file is a pickle, which is a
program: it may name any function and call it. Here the program can only build tensors and plain
values. Every other class or function that it names becomes a `Foreign`, which records the name and
does nothing, so a checkpoint that carries a logger or a configuration object still gives its
tensors, and a hostile one gives nothing to its author.

| layout | tensors |
| --- | --- |
| a bare state dict | as they are |
| under `state_dict` (mmsegmentation, Lightning), `model` or `model_state_dict` | inside |
| names that all begin with `module.` (DistributedDataParallel) | without that prefix |
"""

from __future__ import annotations

import hashlib
import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from maskzoo.models.errors import WeightsError

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
_STATE_KEYS = ("state_dict", "model_state_dict", "model")

# All that a pickle may call, beside torch's storages: each only builds a value from its arguments.
_TYPES = {("collections", "OrderedDict"): OrderedDict, ("torch", "Size"): torch.Size}
_FUNCTIONS: dict[tuple[str, str], Callable[..., Any]] = {
    ("torch._utils", "_rebuild_tensor"): torch._utils._rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
}


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds.

    Args:
        state: tensors by name, on the CPU.
        meta: plain values beside the tensors, such as mmsegmentation's ``meta``; objects of other
            classes are a `Foreign`.
        sha256: of the file.
    """

    state: dict[str, Tensor]
    meta: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""


class Foreign:
    """Stands for an object of a class that is not admitted: it holds the class's name, no code."""

    origin = "?"

    def __new__(cls, *_: Any, **__: Any) -> Foreign:
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        """Accept whatever the pickle passes."""

    def __call__(self, *_: Any, **__: Any) -> Foreign:
        return self

    def __setstate__(self, _: Any) -> None:
        """Drop the object's state."""

    def __setitem__(self, _: Any, __: Any) -> None:
        """Drop items of a mapping."""

    def __hash__(self) -> int:
        return id(self)

    def append(self, _: Any) -> None:
        """Drop items of a list."""

    def extend(self, _: Any) -> None:
        """Drop items of a list."""

    def add(self, _: Any) -> None:
        """Drop items of a set."""


class _Call:
    """One of `_FUNCTIONS`, wrapped anew for each use.

    A pickle may set attributes of what it names, and must not reach the shared function.
    """

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)


class _RestrictedUnpickler(pickle.Unpickler):
    """Admits `_TYPES` and `_FUNCTIONS`; every other name becomes a `Foreign`.

    `torch.load` adds its storages in a subclass.
    """

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _TYPES:
            return _TYPES[module, name]
        if (module, name) in _FUNCTIONS:
            return _Call(_FUNCTIONS[module, name])
        return type("Foreign", (Foreign,), {"origin": f"{module}.{name}"})


class _RestrictedPickle:
    """What `torch.load` asks of a pickle module."""

    Unpickler = _RestrictedUnpickler

    @staticmethod
    def load(file: Any, **options: Any) -> Any:
        """Unpickle from a file."""
        return _RestrictedUnpickler(file, **options).load()

    @staticmethod
    def loads(data: bytes, **options: Any) -> Any:
        """Unpickle from bytes."""
        return _RestrictedUnpickler(io.BytesIO(data), **options).load()


def read_checkpoint(path: Path) -> Checkpoint:
    """Read the tensors and the plain values of a checkpoint.

    Args:
        path: a `.safetensors`, `.pth`, `.pt` or `.bin` file.

    Raises:
        WeightsError: there is no such file, it is not a checkpoint, or it is damaged.
    """
    if not path.is_file():
        raise WeightsError(f"{str(path)!r} is not a file; give a checkpoint {_one_of(SUFFIXES)}")
    if path.suffix.lower() not in SUFFIXES:
        raise WeightsError(
            f"{str(path)!r} is not a checkpoint by its suffix {path.suffix!r}; a checkpoint is a "
            f"file {_one_of(SUFFIXES)}"
        )
    digest = sha256_of(path)
    if path.suffix.lower() == ".safetensors":
        return _read_safetensors(path, digest)
    state, meta = _split(_read_pickle(path), path)
    _check_sizes(state, path)
    return Checkpoint(_without_wrapper(state), meta, digest)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_safetensors(path: Path, digest: str) -> Checkpoint:
    try:
        with safetensors.safe_open(path, framework="pt") as opened:
            meta = dict(opened.metadata() or {})
        state = load_file(path)
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise WeightsError(f"{str(path)!r} is not a whole safetensors file: {error}") from error
    return Checkpoint(_without_wrapper(state), meta, digest)


def _read_pickle(path: Path) -> Any:
    _check_archive(path)
    try:
        # Not torch's weights_only: it refuses a whole file for one logger among its values, as
        # mmengine's checkpoints have, and its admitted names are a global that anyone may extend.
        return torch.load(
            path, map_location="cpu", pickle_module=_RestrictedPickle, weights_only=False
        )
    except WeightsError:
        raise
    # The file is a stranger's: a damaged pickle raises whatever its opcodes run into.
    except Exception as error:
        raise WeightsError(
            f"{str(path)!r} cannot be read as a checkpoint: {type(error).__name__}: "
            f"{str(error)[:200]}"
        ) from error


def _check_archive(path: Path) -> None:
    """Refuse a compressed archive: torch stores its members as they are, so this one is not its."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            packed = [item.filename for item in archive.infolist() if item.compress_type]
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise WeightsError(f"{str(path)!r} is not a whole archive: {error}") from error
    if packed:
        raise WeightsError(
            f"{str(path)!r} holds compressed members ({packed[0]!r} …), and torch writes none; "
            "save the checkpoint again with torch.save or as safetensors"
        )


def _check_sizes(state: Mapping[str, Tensor], path: Path) -> None:
    """Refuse tensors that claim more bytes than the file has; torch would invent the rest."""
    storages = {tensor.untyped_storage().data_ptr(): tensor for tensor in state.values()}
    claimed = sum(tensor.untyped_storage().nbytes() for tensor in storages.values())
    if claimed > path.stat().st_size:
        raise WeightsError(
            f"{str(path)!r} is damaged: its tensors claim {claimed} bytes and the file has "
            f"{path.stat().st_size}"
        )


def _split(loaded: Any, path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the state dict inside what was unpickled, and the rest."""
    if not isinstance(loaded, Mapping):
        raise WeightsError(
            f"{str(path)!r} holds {_kind(loaded)} and not tensors by name; save "
            "`model.state_dict()` in place of the model"
        )
    inner, rest = loaded, {}
    for key in _STATE_KEYS:
        if isinstance(loaded.get(key), Mapping):
            inner = loaded[key]
            rest = {str(name): value for name, value in loaded.items() if name != key}
            break
    state = {str(name): value for name, value in inner.items() if isinstance(value, Tensor)}
    if not state:
        names = ", ".join(map(repr, list(loaded)[:5]))
        raise WeightsError(
            f"{str(path)!r} holds no tensors by name; its keys are {names or 'none'}, and tensors "
            f"are looked for there and under {', '.join(map(repr, _STATE_KEYS))}"
        )
    plain = {str(name): value for name, value in inner.items() if str(name) not in state}
    return {name: value.detach() for name, value in state.items()}, {**plain, **rest}


def _without_wrapper(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Drop DistributedDataParallel's prefix where every name has it."""
    while state and all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): value for name, value in state.items()}
    return state


def _kind(value: Any) -> str:
    origin = getattr(value, "origin", None) if isinstance(value, Foreign) else None
    return f"an object of class {origin}" if origin else f"a {type(value).__name__}"


def _one_of(suffixes: tuple[str, ...]) -> str:
    return f"that ends in {', '.join(suffixes[:-1])} or {suffixes[-1]}"

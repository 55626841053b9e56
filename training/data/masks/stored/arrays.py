"""Arrays of numbers in files: `.npy` and `.npz` of numpy, `.mat` of MATLAB, HDF5.

A file may hold many arrays. The mask is the one that a person names (`array` in dataset.yaml), else
the only one that can be a mask, else the only one with one of the usual names. Fields of structs
and members of groups are written with points: `GTcls.Segmentation`. Nothing in a file is run.

scipy reads MATLAB's files up to version 7; those of 7.3 are HDF5, which h5py reads. MATLAB writes
the sides of an array in the opposite order there.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_USUAL = {
    "mask",
    "masks",
    "label",
    "labels",
    "label_map",
    "labelmap",
    "segmentation",
    "segmap",
    "gt",
}
_MOST_SHOWN = 8  # arrays in a message

Array = npt.NDArray[np.generic]


class ArrayError(ValueError):
    """A file that holds no array that is the mask, in words for its owner."""


def read_array(path: Path, name: str | None) -> Array:
    """Return the array of a file that is the mask, without sides of length one.

    Args:
        path: the file.
        name: of the array, where a person gives it.

    Raises:
        ArrayError: the file is damaged, holds no such array, or several that could be meant.
    """
    try:
        found = _READERS[path.suffix.lower()](path)
    except ArrayError:
        raise
    except (OSError, ValueError, TypeError, EOFError, LookupError, zipfile.BadZipFile) as error:
        raise ArrayError(
            f"the file cannot be read ({error}); save the mask again with numpy.save, as "
            "an array of numbers"
        ) from error
    return np.squeeze(_chosen(found, path, name))


def _chosen(found: Mapping[str, Array], path: Path, wanted: str | None) -> Array:
    usable = {name: array for name, array in found.items() if _can_be_mask(array)}
    shown = ", ".join(f"{name} {array.shape}" for name, array in [*usable.items()][:_MOST_SHOWN])
    if wanted is not None:
        name = wanted.replace("/", ".")
        if name not in usable:
            raise ArrayError(
                f"the file holds no array {wanted!r} (`array` in dataset.yaml); it holds "
                f"{shown or 'none that could be a mask'}"
            )
        return usable[name]
    if not usable:
        kinds = ", ".join(f"{name} ({array.dtype})" for name, array in found.items())
        raise ArrayError(
            f"the file holds no array of numbers with two sides "
            f"({kinds or 'nothing at all'}); save class ids"
        )
    named = [name for name in usable if name.rpartition(".")[2].lower() in _USUAL]
    if len(usable) > 1 and len(named) != 1:
        first = (named or [*usable])[0]
        raise ArrayError(
            f"the file holds the arrays {shown}; name the one that is the mask in "
            f"dataset.yaml, as in `array: {first}`"
        )
    return usable[(named if len(usable) > 1 else [*usable])[0]]


def _can_be_mask(array: Array) -> bool:
    return array.dtype.kind in "biuf" and array.ndim >= 2 and array.size > 0


def _from_npy(path: Path) -> dict[str, Array]:
    with path.open("rb") as stream:
        return {"the array": np.load(stream, allow_pickle=False)}


def _from_npz(path: Path) -> dict[str, Array]:
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _from_mat(path: Path) -> dict[str, Array]:
    from scipy.io import loadmat  # 0.2 s to import
    from scipy.io.matlab import MatReadError

    if _is_hdf5(path):
        return _from_hdf5(path)
    try:
        content = loadmat(path, simplify_cells=True)
    except (MatReadError, NotImplementedError) as error:
        raise ArrayError(
            f"the file cannot be read ({error}); save the mask again as PNG (imwrite), or "
            "with save -v7"
        ) from error
    rows = {name: value for name, value in content.items() if not name.startswith("__")}
    return dict(_flattened(rows, ""))


def _flattened(value: Any, name: str) -> Iterator[tuple[str, Array]]:
    """Yield the arrays below structs and cells, with their names."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flattened(item, f"{name}.{key}".lstrip("."))
    elif isinstance(value, list) or (isinstance(value, np.ndarray) and value.dtype == object):
        for number, item in enumerate(np.ravel(value) if not isinstance(value, list) else value):
            yield from _flattened(item, f"{name}.{number + 1}")
    elif isinstance(value, np.ndarray):
        yield name, value


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(10) == b"MATLAB 7.3"


def _from_hdf5(path: Path) -> dict[str, Array]:
    if find_spec("h5py") is None:
        raise ArrayError(
            "the file is HDF5, which needs h5py: pip install 'maskzoo[hdf5]'; or save the "
            "masks as PNG or .npy files"
        )
    import h5py

    is_matlab = _is_hdf5(path)
    found: dict[str, Array] = {}

    def keep(name: str, item: object) -> None:
        is_inner = name.startswith("#")  # MATLAB's parts of cells
        if not isinstance(item, h5py.Dataset) or is_inner or item.dtype.kind not in "biuf":
            return
        values = item[()]
        if isinstance(values, np.ndarray):
            found[name.replace("/", ".")] = values.T if is_matlab else values

    with h5py.File(path, "r") as file:
        file.visititems(keep)
    return found


_READERS = {
    ".npy": _from_npy,
    ".npz": _from_npz,
    ".mat": _from_mat,
    ".h5": _from_hdf5,
    ".hdf5": _from_hdf5,
}
ARRAY_SUFFIXES = frozenset(_READERS)
"""Suffixes of files that hold arrays of numbers, in lower case."""

"""The encoders and their trained weights: a list, and a copy of the weights as one file."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from huggingface_hub import constants
from safetensors.torch import save_file

from maskzoo.models.errors import UnknownNameError, WeightsError
from maskzoo.models.files import replacing
from maskzoo.models.network.encoders import list_encoders
from maskzoo.models.weights.builtin import BUILTIN
from maskzoo.models.weights.checkpoint import read_checkpoint
from maskzoo.models.weights.hub import HubFile, hub_file


@dataclass(frozen=True)
class WeightsRow:
    """One encoder, and its trained weights.

    Args:
        is_builtin: whether they ship.
        is_published: whether the hub has ImageNet weights.
        is_cached: whether these are on this machine.
        licence: as stated; empty where nobody states one.
    """

    name: str
    is_builtin: bool
    is_published: bool
    is_cached: bool
    licence: str

    def sources(self) -> str:
        """Return the words that `encoder_weights` takes for this encoder."""
        words = ["builtin"] if self.is_builtin else []
        if self.is_published:
            words.append("imagenet (on this machine)" if self.is_cached else "imagenet")
        licence = f"  {self.licence}" if self.licence else ""
        return (", ".join(words) or "-") + licence

    def to_json(self) -> dict[str, Any]:
        """Return the row as plain types."""
        return {
            "name": self.name,
            "builtin": self.is_builtin,
            "imagenet": self.is_published,
            "cached": self.is_cached,
            "licence": self.licence,
        }


def code_licence(name: str) -> str:
    """Return what an encoder's code may not be used for, with the way out; empty where it may all.

    smp's and timm's own code is under MIT and Apache-2.0.
    """
    if not name.startswith("mit_"):
        return ""
    return (
        f"the code of {name} in smp is NVIDIA's, for non-commercial use only; "
        f"tu-pvt_v2_{name[4:]} is as large, and free under Apache-2.0"
    )


def list_weights(pattern: str = "*") -> list[WeightsRow]:
    """Return the encoders whose name matches `pattern`, those that ship first."""
    names = [name for name in [*BUILTIN, *list_encoders()] if fnmatch(name, pattern)]
    return [_row(name) for name in dict.fromkeys(names)]


def local_weights() -> list[WeightsRow]:
    """Return the encoders whose trained weights ship or are in the hub's cache."""
    folders = Path(constants.HF_HUB_CACHE).glob("models--*--*")
    cached = {folder.name.split("--", 2)[2].split(".")[0] for folder in folders}
    names = [name for name in list_encoders() if name.removeprefix("tu-").split(".")[0] in cached]
    rows = [_row(name) for name in dict.fromkeys([*BUILTIN, *names])]
    return [row for row in rows if row.is_builtin or row.is_cached]


def fetch_weights(name: str, folder: Path) -> Path:
    """Write the ImageNet weights of an encoder as `folder`/NAME.safetensors.

    Raises:
        UnknownNameError: there is no such encoder.
        WeightsError: it has no published weights, or the hub is out of reach.
    """
    if name not in list_encoders():
        raise UnknownNameError("encoder", name, list_encoders())
    file = hub_file(name)
    state = {key: value.contiguous() for key, value in read_checkpoint(file.fetch()).state.items()}
    folder.mkdir(parents=True, exist_ok=True)
    metadata = {"encoder": name, "origin": f"{file.repository}, ImageNet"}
    metadata |= {"licence": file.licence} if file.licence else {}
    target = folder / f"{name.removeprefix('tu-')}.safetensors"
    with replacing(target) as part:
        save_file(state, part, metadata=metadata)
    return target


def _row(name: str) -> WeightsRow:
    file = _published(name)
    shipped = BUILTIN.get(name)
    return WeightsRow(
        name=name,
        is_builtin=shipped is not None,
        is_published=file is not None,
        is_cached=file is not None and file.cached() is not None,
        licence=shipped.licence if shipped else file.licence if file else "",
    )


def _published(name: str) -> HubFile | None:
    try:
        return hub_file(name)
    except WeightsError:
        return None

"""ImageNet weights on the Hugging Face hub, for smp's and timm's encoders.

A run looks here before it reads any data, so that a machine without a network is told at once which
file is missing and where it is looked for. Loading itself is left to smp and timm.
"""

from __future__ import annotations

import os
import queue
import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import timm
from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
from segmentation_models_pytorch.encoders import encoders as smp_encoders

from maskzoo.models.errors import WeightsError

REACH_S = 0.8
"""How long the hub may take to accept a connection before it counts as out of reach."""


@dataclass(frozen=True)
class HubFile:
    """Trained weights on the hub.

    Args:
        encoder: the name in maskzoo.
        repository: its name on the hub.
        names: files that hold the weights; the first that exists is taken.
        revision: a commit of the repository; None takes the newest.
        licence: as the library states it; empty where it states none.
    """

    encoder: str
    repository: str
    names: tuple[str, ...]
    revision: str | None = None
    licence: str = ""

    def cached(self) -> Path | None:
        """Return where the file is on this machine; None if it was never fetched."""
        for name in self.names:
            found = try_to_load_from_cache(self.repository, name, revision=self.revision)
            if isinstance(found, str):
                return Path(found)
        return None

    def fetch(self) -> Path:
        """Return where the file is on this machine, after a download if it was not.

        Raises:
            WeightsError: the hub is out of reach, or has no such file.
        """
        cached = self.cached()
        if cached is not None:
            return cached
        if not is_reachable():
            raise self.absent()
        failures = []
        for name in self.names:
            try:
                return Path(hf_hub_download(self.repository, name, revision=self.revision))
            except OSError as error:  # the library's own errors are OSErrors too
                failures.append(f"{name}: {type(error).__name__}")
        raise WeightsError(
            f"the hub has no weights of encoder {self.encoder!r} in {self.repository}: "
            + "; ".join(failures)
        )

    def absent(self) -> WeightsError:
        """Return the error of a machine that has neither the file nor a network."""
        return WeightsError(
            f"encoder_weights='imagenet': the weights of encoder {self.encoder!r} are not on this "
            f"machine and {constants.ENDPOINT} cannot be reached. They are {self.names[0]} of "
            f"{self.repository}, looked for in {constants.HF_HUB_CACHE}. Either run "
            f"`maskzoo encoders fetch {self.encoder} -o DIR` on a machine with a network, copy DIR "
            "here and say encoder_weights=DIR/FILE; or copy that machine's cache here; or start "
            "from an encoder that ships: `maskzoo encoders list --builtin`"
        )


def hub_file(encoder: str) -> HubFile:
    """Return where the ImageNet weights of an encoder are.

    Args:
        encoder: smp's name, or timm's with `tu-`; `resnet*` and `resnext*` are timm's.

    Raises:
        WeightsError: nobody has published any.
    """
    name = encoder.removeprefix("tu-")
    if encoder.startswith("tu-") or timm.is_model(name):
        try:
            config = timm.get_pretrained_cfg(name, allow_unregistered=True)
        except RuntimeError:  # a tag behind the dot that timm does not know
            config = None
        if config is not None and config.hf_hub_id:
            repository, _, revision = str(config.hf_hub_id).partition("@")
            named = config.hf_hub_filename
            names = (named,) if named else ("model.safetensors", "pytorch_model.bin")
            return HubFile(encoder, repository, names, revision or None, config.license or "")
    else:
        settings = smp_encoders.get(name, {}).get("pretrained_settings", {}).get("imagenet")
        if settings:
            return HubFile(
                encoder, settings["repo_id"], ("model.safetensors",), settings["revision"]
            )
    raise WeightsError(
        f"encoder_weights='imagenet': there are no published ImageNet weights of encoder "
        f"{encoder!r}; choose another encoder, give a file, or leave encoder_weights out"
    )


def is_reachable() -> bool:
    """Tell within a second whether the hub, or the proxy to it, accepts a connection."""
    if constants.HF_HUB_OFFLINE:
        return False
    proxy = os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy")
    address = urlsplit(proxy or constants.ENDPOINT)
    port = address.port or (443 if address.scheme == "https" else 80)
    outcome: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def connect() -> None:
        try:
            socket.create_connection((address.hostname or "", port), timeout=REACH_S).close()
        except OSError:
            outcome.put(False)
        else:
            outcome.put(True)

    # In a thread: looking up a name has no time limit of its own.
    threading.Thread(target=connect, daemon=True).start()
    try:
        return outcome.get(timeout=REACH_S)
    except queue.Empty:
        return False

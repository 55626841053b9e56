"""Devices by name."""

from __future__ import annotations

import torch

from maskzoo.models.errors import UnknownNameError


def choose_device(name: str) -> torch.device:
    """Return the device of that name.

    Raises:
        UnknownNameError: there is no such device on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    known = ["auto", "cpu"]
    if torch.cuda.is_available():
        known += ["cuda", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    if name not in known:
        raise UnknownNameError("device", name, known)
    return torch.device(name)

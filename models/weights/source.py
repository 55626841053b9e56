"""Where an encoder's weights come from: `imagenet`, `builtin`, a file, or nowhere.

`check_source` finds what is wrong before any data are read; `open_source` gives the tensors. What
is recorded of a file is its name, its SHA-256 and the licence that it states, never its path.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from maskzoo.models.errors import WeightsError, did_you_mean
from maskzoo.models.weights.builtin import BUILTIN
from maskzoo.models.weights.checkpoint import SUFFIXES, read_checkpoint, sha256_of
from maskzoo.models.weights.hub import hub_file, is_reachable
from maskzoo.models.weights.origin import WeightsOrigin

IMAGENET = "imagenet"
BUILTIN_SOURCE = "builtin"


@dataclass(frozen=True)
class EncoderWeights:
    """Tensors for an encoder, and what is known of them."""

    state: Mapping[str, Tensor]
    origin: WeightsOrigin


def check_source(source: str | None, encoder: str) -> None:
    """Raise unless the weights can be had here and now.

    Args:
        source: ``imagenet``, ``builtin``, the path of a file, or None.
        encoder: the encoder's name.

    Raises:
        WeightsError: the word means nothing, the file does not exist, the encoder has no weights
            of that kind, or the network that would bring them is out of reach.
    """
    if source is None:
        return
    if source == IMAGENET:
        file = hub_file(encoder)
        if file.cached() is None and not is_reachable():
            raise file.absent()
    elif source == BUILTIN_SOURCE:
        if encoder not in BUILTIN:
            raise WeightsError(
                f"encoder_weights='builtin': no weights of encoder {encoder!r} ship; there are "
                f"weights of {', '.join(sorted(BUILTIN))}"
            )
        if sha256_of(BUILTIN[encoder].path) != BUILTIN[encoder].sha256:
            raise WeightsError(
                f"the weights of encoder {encoder!r} that ship are damaged: "
                f"{BUILTIN[encoder].path} is not the file that was released; install maskzoo again"
            )
    elif _is_path(source):
        if not Path(source).is_file():
            raise WeightsError(f"encoder_weights={source!r}: there is no such file")
        if Path(source).suffix.lower() not in SUFFIXES:
            raise WeightsError(
                f"encoder_weights={source!r}: a file of weights ends in {', '.join(SUFFIXES)}"
            )
    else:
        raise WeightsError(
            f"encoder_weights={source!r} is not known{did_you_mean(source, _WORDS)}; it is "
            f"'imagenet' (fetched from the hub once), 'builtin' (ships; for "
            f"{', '.join(sorted(BUILTIN))}), the path of a file that ends in "
            f"{', '.join(SUFFIXES)}, or null for random weights"
        )


_WORDS = (IMAGENET, BUILTIN_SOURCE, "null")


def open_source(source: str, encoder: str) -> EncoderWeights | None:
    """Return the tensors that a source names; None where smp or timm load them (``imagenet``).

    Raises:
        WeightsError: as `check_source`, and where the file cannot be read.
    """
    check_source(source, encoder)
    if source == IMAGENET:
        return None
    if source == BUILTIN_SOURCE:
        shipped = BUILTIN[encoder]
        return EncoderWeights(
            read_checkpoint(shipped.path).state,
            WeightsOrigin(BUILTIN_SOURCE, shipped.sha256, shipped.licence, shipped.origin),
        )
    read = read_checkpoint(Path(source))
    stated = {key: str(read.meta.get(key, "")) for key in ("licence", "license", "origin")}
    return EncoderWeights(
        read.state,
        WeightsOrigin(
            Path(source).name,
            read.sha256,
            stated["licence"] or stated["license"],
            stated["origin"],
        ),
    )


def _is_path(source: str) -> bool:
    return (
        os.sep in source
        or Path(source).suffix.lower() in SUFFIXES
        or Path(source).expanduser().exists()
    )

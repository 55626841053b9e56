"""Sites: the places in a network where plug-ins go.

    input              around the whole network (STN)
    encoder.N          after the stage that makes f_N, seen by all deeper stages
    encoder.N.block    in each residual block of that stage, after its last norm, before the add
    bottleneck         f5 on its way into the decoder
    skip.N             f_N on its way into the decoder
    fusion             all features that the decoder reads, together
    decoder            the decoder's map, before the classifier
    decoder.convs      in place of the decoder's 3 x 3 convolutions
    head               in place of the classifier's convolution
    logits             after the classifier, on what it says
    upsampling         in place of the decoder's bilinear enlargements
    downsampling       the encoder's strided convolutions, pools and shortcuts

`*` stands for every N. Tensors of the bare network keep their names (see `models.network.neck`),
except those of convolutions that are replaced by something without them (ghost, grouped).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeGuard

from torch import nn

from maskzoo.models.errors import SpecError
from maskzoo.models.network.encoders import RESIDUAL_BLOCKS
from maskzoo.models.network.network import SegmentationNetwork
from maskzoo.models.network.upsample import Upsample
from maskzoo.models.sites.stages import Call, Stage, find_stages, read_levels, read_stride

Kind = Literal[
    "feature",
    "pair",
    "convolution",
    "fusion",
    "warp",
    "downsampling",
    "upsampling",
    "kernels",
    "points",
]


@dataclass(frozen=True)
class PluginEntry:
    """A row of the table of plug-ins.

    Attributes:
        constructor: called with the channels, then the options as keywords.
        kind: what it works on. ``feature``: a map; ``pair``: a skip and the next deeper feature;
            ``convolution``: takes a convolution's place; ``fusion``: all levels; ``warp``: the
            image and the logits; ``downsampling``: the whole encoder; ``upsampling``: takes the
            place of an enlargement, called with the map and the size; ``kernels``: the classifier's
            kernels for this image; ``points``: logits at single points.
        places: the sites that make sense, without their level.
        starts_as_identity: a new one leaves the network's logits unchanged.
    """

    constructor: type[nn.Module]
    kind: Kind
    places: tuple[str, ...]
    starts_as_identity: bool = False


@dataclass(frozen=True)
class Site:
    """One site of one network.

    Attributes:
        place: its family, such as ``encoder.block``.
        level: N, or None where there is only one.
    """

    place: str
    level: int | None = None

    def __str__(self) -> str:
        if self.level is None:
            return self.place
        first, _, rest = self.place.partition(".")
        return f"{first}.{self.level}" + (f".{rest}" if rest else "")


class Sites:
    """The sites of one network.

    Args:
        network: examined on first use, and again after `look_again`.
    """

    def __init__(self, network: SegmentationNetwork) -> None:
        self.network = network

    @cached_property
    def stages(self) -> dict[int, Stage]:
        """The encoder's stages, found when they are first needed."""
        return find_stages(self.network.encoder)

    @cached_property
    def levels(self) -> list[int]:
        """The features that the decoder reads, found when they are first needed."""
        return read_levels(self.network.encoder, self.network.decoder)

    @cached_property
    def map_stride(self) -> int:
        """The stride of the decoder's map, found when it is first needed."""
        return read_stride(self.network.encoder, self.network.decoder)

    def look_again(self) -> None:
        """Forget the stages, whose modules a plug-in may have replaced; the levels stay."""
        self.__dict__.pop("stages", None)

    def of(self, entry: PluginEntry) -> list[Site]:
        """Return the sites of this network that fit the plug-in."""
        return [site for place in entry.places for site in self._at(place, entry.kind)]

    def _at(self, place: str, kind: Kind) -> list[Site]:
        if place == "encoder":
            levels = [n for n, stage in self.stages.items() if self._fits(stage, kind)]
        elif place == "encoder.block":
            levels = [n for n, stage in self.stages.items() if residual_blocks(stage)]
        elif place == "skip":
            levels = self.levels[:-1]
        else:
            return [Site(place)] if self._has(place, kind) else []
        return [Site(place, level) for level in levels]

    def _has(self, place: str, kind: Kind) -> bool:
        if place == "fusion":
            return len(self.levels) > 1
        if place == "upsampling":
            return bool(decoder_upsamplings(self.network.decoder))
        if kind == "points":
            return self.map_stride > 1 and self.network.spec.num_classes > 1
        if kind == "kernels":  # a kernel is compared with single positions
            return self.network.decoder.classifier_kernel == 1
        if place == "decoder.convs":
            return bool(decoder_convolutions(self.network.decoder))
        return True

    def _fits(self, stage: Stage, kind: Kind) -> bool:
        if kind == "convolution":
            return bool(stage_convolutions(self.network.encoder.body, stage))
        return stage.end is not None

    def find(self, name: str, text: str, entry: PluginEntry) -> list[Site]:
        """Return the sites that `text` names, ``*`` standing for every level.

        Raises:
            SpecError: this plug-in fits no such site of this network; lists those that it fits.
        """
        fitting = self.of(entry)
        pattern = re.escape(text).replace(r"\*", r"\d+")
        found = [site for site in fitting if re.fullmatch(pattern, str(site))]
        if not found:
            spec = self.network.spec
            where = f"{spec.architecture} on {spec.encoder}"
            listed = ", ".join(str(site) for site in fitting)
            fits = f"it fits {listed}" if fitting else "it fits nowhere in this network"
            raise SpecError(
                f"plug-in '{name}@{text}'", [f"{where} has no such site for {name}; {fits}"]
            )
        return found


def residual_blocks(stage: Stage) -> list[Call]:
    """Return the blocks of a stage that have a place for attention before their add."""
    return [call for call in stage.calls if isinstance(call.module, RESIDUAL_BLOCKS)]


def stage_convolutions(body: nn.Module, stage: Stage) -> list[tuple[nn.Module, str, nn.Conv2d]]:
    """Return (parent, name, convolution) of the plain 3 x 3 convolutions of a stage."""
    found = []
    for call in stage.calls:
        parent, _, name = call.name.rpartition(".")
        if _is_replaceable(call.module, call.name):
            found.append((body.get_submodule(parent), name, call.module))
    return found


def decoder_convolutions(decoder: nn.Module) -> list[tuple[nn.Module, str, nn.Conv2d]]:
    """Return (parent, name, convolution) of the decoder's plain 3 x 3 convolutions.

    Auxiliary heads are left out: only training runs them.
    """
    return [
        (parent, name, child)
        for path, parent in decoder.named_modules()
        if not any(part.startswith("auxiliary") for part in path.split("."))
        for name, child in parent.named_children()
        if _is_replaceable(child, path)
    ]


def decoder_upsamplings(decoder: nn.Module) -> list[tuple[nn.Module, str, Upsample]]:
    """Return (parent, name, module) of the decoder's enlargements; a factor of 1 is none."""
    return [
        (parent, name, child)
        for parent in decoder.modules()
        for name, child in parent.named_children()
        if isinstance(child, Upsample) and child.factor > 1
    ]


def _is_replaceable(module: nn.Module, path: str) -> TypeGuard[nn.Conv2d]:
    """Whether it is a plain 3 x 3 convolution: not depth-wise, not a plug-in or inside one."""
    return (
        type(module) is nn.Conv2d
        and module.kernel_size == (3, 3)
        and not 1 < module.groups == module.in_channels
        and "plugins" not in path.split(".")
    )

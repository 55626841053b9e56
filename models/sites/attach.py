"""Attaching plug-ins to a built network: one function for each kind of plug-in.

Encoder weights are loaded before, and the encoder's tensors keep their names, so pre-trained
weights load with or without plug-ins.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from maskzoo.models.errors import SpecError
from maskzoo.models.network.neck import Refinement, Warp, plug_after
from maskzoo.models.sites.downsampling import blur_downsampling
from maskzoo.models.sites.sites import (
    Kind,
    PluginEntry,
    Site,
    Sites,
    decoder_convolutions,
    decoder_upsamplings,
    residual_blocks,
    stage_convolutions,
)
from maskzoo.models.spec import PluginSpec

Build = Callable[..., Any]  # a constructor with its options; each kind has its own arguments


def attach(sites: Sites, spec: PluginSpec, entry: PluginEntry, options: dict[str, Any]) -> None:
    """Attach one plug-in to a network, at every site of its specification.

    Args:
        sites: of the network, which is changed.
        spec: name and site.
        entry: its row of the table.
        options: checked keyword arguments of its constructor.

    Raises:
        SpecError: there is no such site, or this plug-in is there already.
    """
    build = partial(entry.constructor, **options)
    for site in sites.find(spec.name, spec.site, entry):
        _PUT[entry.kind](sites, site, spec.name, build)
    sites.look_again()


def _put_feature(sites: Sites, site: Site, name: str, build: Build) -> None:
    network = sites.network
    if site.place == "decoder":
        network.refine.append(name, build(network.decoder.out_channels))
        return
    level = site.level or sites.levels[-1]
    channels = network.encoder.channels[level]
    if site.place in ("bottleneck", "skip"):
        network.neck.chain(level).append(name, build(channels))
    elif site.place == "encoder":
        end = sites.stages[level].end
        assert end is not None, "Sites.find offers stages with an end only"
        plug_after(end, name, build(channels))
    else:
        for block in residual_blocks(sites.stages[level]):
            if block.module.se is None:
                block.module.se = nn.Identity()
            slot = block.module.get_submodule("se")
            plug_after(slot, name, build(block.output.shape[1]))


def _put_pair(sites: Sites, site: Site, name: str, build: Build) -> None:
    channels = sites.network.encoder.channels
    level = site.level
    assert level is not None, "two inputs fit skips only"
    deeper = next(count for count in channels[level + 1 :] if count)
    sites.network.neck.chain(level).append(name, build(channels[level], deeper))


def _put_convolution(sites: Sites, site: Site, name: str, build: Build) -> None:
    network = sites.network
    if site.place == "head":
        network.classifier.conv = build(network.classifier.conv)
        return
    if site.level is None:
        places = decoder_convolutions(network.decoder)
    else:
        places = stage_convolutions(network.encoder.body, sites.stages[site.level])
    for parent, child, conv in places:
        setattr(parent, child, build(conv))


def _put_fusion(sites: Sites, site: Site, name: str, build: Build) -> None:
    neck = sites.network.neck
    neck.fused_levels = tuple(sites.levels)
    encoder = sites.network.encoder
    neck.fusions[name] = build(
        [encoder.channels[level] for level in sites.levels],
        [encoder.strides[level] for level in sites.levels],
    )


def _put_warp(sites: Sites, site: Site, name: str, build: Build) -> None:
    warp = build(sites.network.spec.in_channels)
    assert isinstance(warp, Warp), "a plug-in at the input restores the logits"
    sites.network.warp = warp


def _put_downsampling(sites: Sites, site: Site, name: str, build: Build) -> None:
    blur_downsampling(sites.network.encoder, name, build)


def _put_upsampling(sites: Sites, site: Site, name: str, build: Build) -> None:
    for parent, child, upsample in decoder_upsamplings(sites.network.decoder):
        setattr(parent, child, build(upsample.channels, upsample.factor))


def _put_kernels(sites: Sites, site: Site, name: str, build: Build) -> None:
    _put_refinement(sites, site, name, build(sites.network.decoder.out_channels))


def _put_points(sites: Sites, site: Site, name: str, build: Build) -> None:
    network = sites.network
    refinement = build(network.encoder.channels[2], network.spec.num_classes, sites.map_stride)
    _put_refinement(sites, site, name, refinement)


def _put_refinement(sites: Sites, site: Site, name: str, refinement: Refinement) -> None:
    if sites.network.redraw is not None:
        raise SpecError(f"plug-in '{name}@{site}'", ["the site has one already; keep one"])
    sites.network.redraw = refinement


_PUT: dict[Kind, Callable[[Sites, Site, str, Build], None]] = {
    "feature": _put_feature,
    "pair": _put_pair,
    "convolution": _put_convolution,
    "fusion": _put_fusion,
    "warp": _put_warp,
    "downsampling": _put_downsampling,
    "upsampling": _put_upsampling,
    "kernels": _put_kernels,
    "points": _put_points,
}

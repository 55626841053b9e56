"""The functions that list the tables of `models.tables` and build networks from them."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn

from maskzoo.models.errors import SpecError, UnknownNameError
from maskzoo.models.network.decoder import Decoder, DecoderSetup
from maskzoo.models.network.encoders import build_encoder
from maskzoo.models.network.network import SegmentationNetwork
from maskzoo.models.options import check_options, option_names
from maskzoo.models.sites.attach import attach
from maskzoo.models.sites.sites import PluginEntry, Sites
from maskzoo.models.spec import ModelSpec, PluginSpec
from maskzoo.models.tables.architectures import ARCHITECTURES
from maskzoo.models.tables.plugins import PLUGINS
from maskzoo.models.weights.source import open_source


def create_model(
    name: str,
    *,
    encoder: str = "resnet50",
    encoder_weights: str | None = None,
    num_classes: int,
    in_channels: int = 3,
    output_stride: int | None = None,
    plugins: Iterable[str | PluginSpec] = (),
    encoder_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> SegmentationNetwork:
    """Build a segmentation network.

    Args:
        name: an architecture, see `list_models`.
        encoder: an smp or timm (``tu-…``) encoder.
        encoder_weights: ``"imagenet"`` (fetched from the hub once), ``"builtin"`` (ships, for the
            encoders of `models.weights.builtin`), the path of a file, or None for random weights.
        num_classes: K, the number of logit channels.
        in_channels: channels of the image.
        output_stride: 8, 16 or 32; None takes the architecture's own, or 32 where the encoder
            has no other.
        plugins: mechanisms to put in, as ``"cbam@encoder.4"``.
        encoder_options: keyword arguments of the timm constructor, such as a width.
        **options: keyword arguments of the architecture.

    Raises:
        UnknownNameError: the architecture, the encoder or a plug-in does not exist.
        SpecError: lists every option that is unknown or wrong.

    Example:
        >>> model = create_model("danet", encoder="tu-resnet18", num_classes=19)
        >>> model(torch.zeros(1, 3, 65, 97)).shape
        torch.Size([1, 19, 65, 97])
    """
    spec = ModelSpec.build(
        architecture=name,
        encoder=encoder,
        num_classes=num_classes,
        in_channels=in_channels,
        output_stride=output_stride,
        encoder_options=dict(encoder_options or {}),
        options=options,
        plugins=tuple(plugins),
    )
    return build_network(spec, encoder_weights=encoder_weights)


# Tensors made in inference mode can never be trained, and plug-ins find their sites by a gradient.
@torch.inference_mode(mode=False)
def build_network(spec: ModelSpec, *, encoder_weights: str | None = None) -> SegmentationNetwork:
    """Build the network that `spec` describes; see `create_model` for `encoder_weights`.

    Only ``"imagenet"`` downloads. If weights were loaded, `network.encoder.origin` describes
    them.
    """
    weights = open_source(encoder_weights, spec.encoder) if encoder_weights else None
    architecture = get_architecture(spec.architecture)
    options = check_options(
        f"architecture {spec.architecture!r}", spec.options, architecture, DecoderSetup
    )
    plugins = _checked_plugins(spec.plugins)
    encoder = build_encoder(
        spec.encoder,
        in_channels=spec.in_channels,
        output_stride=spec.output_stride,
        default_stride=architecture.default_output_stride,
        weights=encoder_weights if weights is None else None,
        options=spec.encoder_options,
        readout=architecture.readout(options),
    )
    if weights is not None:
        encoder.left_over = tuple(encoder.load_weights(weights.state))
        encoder.origin = weights.origin
    common = {name: options.pop(name) for name in option_names(DecoderSetup) if name in options}
    common.setdefault("norm", architecture.default_norm)
    setup = DecoderSetup(
        encoder.channels, encoder.strides, spec.num_classes, encoder.token_channels, **common
    )
    build: Callable[..., Decoder] = architecture  # each takes options of its own
    decoder = build(setup, **options)
    network = SegmentationNetwork(spec, encoder, decoder)
    sites = Sites(network)
    # Many plug-ins pool to 1 x 1, where an instance norm gives 0.
    norm = "group" if decoder.norm == "instance" else decoder.norm
    usual = {"norm": norm, "align_corners": decoder.align_corners}
    for plugin, entry, plugin_options in plugins:
        for name in usual.keys() & set(option_names(entry.constructor)):
            plugin_options.setdefault(name, usual[name])
        attach(sites, plugin, entry, plugin_options)
    return network


def create_plugin(name: str, *channels: int, **options: Any) -> nn.Module:
    """Build one mechanism on its own.

    Args:
        name: a plug-in, see `list_plugins`.
        *channels: channels of its input; two numbers for a skip and its deeper feature.
        **options: keyword arguments of the mechanism.

    Raises:
        UnknownNameError: no plug-in has this name.
        SpecError: lists every option that is unknown or wrong.

    Example:
        >>> create_plugin("se", 64, reduction=8)(torch.zeros(1, 64, 7, 9)).shape
        torch.Size([1, 64, 7, 9])
    """
    entry = get_plugin(name)
    return entry.constructor(
        *channels, **check_options(f"plug-in {name!r}", options, entry.constructor)
    )


def list_plugins(pattern: str = "*", *, place: str | None = None) -> list[str]:
    """Return the names of the plug-ins.

    Args:
        pattern: shell-style wildcard, such as ``"dcn*"``.
        place: only those that fit this kind of site, such as ``"skip"`` or ``"encoder.block"``.
    """
    return [
        name
        for name, entry in PLUGINS.items()
        if fnmatch.fnmatch(name, pattern) and (place is None or place in entry.places)
    ]


def list_sites(network: SegmentationNetwork, name: str) -> list[str]:
    """Return the sites of `network` that fit the plug-in `name`."""
    return [str(site) for site in Sites(network).of(get_plugin(name))]


def list_models(pattern: str = "*", *, auxiliary: bool | None = None) -> list[str]:
    """Return the names of the architectures.

    Args:
        pattern: shell-style wildcard, such as ``"deeplab*"``.
        auxiliary: only those that train with (or without) a dense auxiliary head.
    """
    return [
        name
        for name, architecture in ARCHITECTURES.items()
        if fnmatch.fnmatch(name, pattern) and auxiliary in (None, architecture.uses_auxiliary)
    ]


def get_architecture(name: str) -> type[Decoder]:
    """Return the row of one architecture; raises UnknownNameError."""
    if name not in ARCHITECTURES:
        raise UnknownNameError("architecture", name, ARCHITECTURES)
    return ARCHITECTURES[name]


def get_plugin(name: str) -> PluginEntry:
    """Return the row of one plug-in; raises UnknownNameError."""
    if name not in PLUGINS:
        raise UnknownNameError("plug-in", name, PLUGINS)
    return PLUGINS[name]


def _checked_plugins(
    plugins: Iterable[PluginSpec],
) -> list[tuple[PluginSpec, PluginEntry, dict[str, Any]]]:
    """Return the plug-ins with their rows and options; reports all wrong options at once."""
    checked = []
    mistakes = []
    for plugin in plugins:
        entry = get_plugin(plugin.name)
        if "out_channels" in set(plugin.options) & set(option_names(entry.constructor)):
            mistakes.append(f"{plugin.name}@{plugin.site}: a plug-in keeps the channels it finds")
        try:
            options = check_options("options", plugin.options, entry.constructor)
        except SpecError as error:
            mistakes += [f"{plugin.name}@{plugin.site}: {mistake}" for mistake in error.mistakes]
        else:
            checked.append((plugin, entry, options))
    if mistakes:
        raise SpecError("plug-ins", mistakes)
    return checked

"""TimmBody: a network of timm that smp does not take, as an encoder's body.

smp takes networks that give strides 4, 8, 16, 32 at any size. Plain vision transformers have one
stride, and many networks run at their training size only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import timm
import torch
from timm.models._features import FeatureGetterNet
from torch import Tensor, nn

from maskzoo.models.network.bodies.probes import network_key, remembered
from maskzoo.models.network.bodies.pyramid import Pyramid
from maskzoo.models.network.bodies.tokens import Readout, count_prefix_tokens, read_maps
from maskzoo.models.network.bodies.windows import cut, join

_SMP_STRIDES = [4, 8, 16, 32]
_DEPTHS = 4  # of a network of one stride, spread evenly
_ERRORS = (TypeError, ValueError, AssertionError, RuntimeError, KeyError, IndexError)


class TimmBody(nn.Module):
    """A network of timm with a neck, window by window where its size is fixed.

    Shape: (N, C_in, H, W) -> [f0, …, f5], with H and W multiples of `multiple`; f1 has no channels.
    With a `readout`, f2 … f5 of a network of one stride are its maps at four depths.

    Args:
        name: timm's, without `tu-`.
        in_channels: of the image.
        output_stride: the largest stride that a level has.
        pretrained: whether to fetch trained weights.
        options: of timm's constructor.
        readout: how the maps of a plain transformer get its class token; None makes a pyramid.

    Attributes:
        out_channels: of f0 … f5.
        strides: of f0 … f5.
        token_channels: how many of each level's last channels are the class token's.
        side: the size that the network is bound to, or None.
        multiple: images must have sides that are multiples of this.
        is_native: whether smp could take the network with `options`.
    """

    def __init__(
        self,
        name: str,
        *,
        in_channels: int,
        output_stride: int,
        pretrained: bool,
        options: Mapping[str, Any],
        readout: Readout | None = None,
    ) -> None:
        super().__init__()
        given = {"in_chans": in_channels, "pretrained": pretrained, **options}
        self.model, self.options = _create(name, given)
        strides = [int(stride) for stride in self.model.feature_info.reduction()]
        wanted = [min(2**level, output_stride) for level in (2, 3, 4, 5)]
        channels = [int(count) for count in self.model.feature_info.channels()]
        is_plain = isinstance(self.model, FeatureGetterNet) and len(set(strides)) == 1
        self.readout = readout if is_plain and len(strides) == _DEPTHS else None
        self.token_channels = (0,) * (2 + _DEPTHS)
        self.neck: Pyramid | None = None
        if self.readout is None:
            self.neck = Pyramid(channels, strides, wanted)
            channels = list(self.neck.out_channels)
            self.strides = (1, 2, *wanted)
        else:
            self.strides = (1, 2, *strides)
            if self.readout == "cat" and count_prefix_tokens(self.model):
                self.token_channels = (0, 0, *channels)
                channels = [2 * count for count in channels]
        self.out_channels = (in_channels, 0, *channels)
        are_powers = all(stride & (stride - 1) == 0 for stride in strides)
        self.multiple = max(32, *strides) if are_powers else max(strides)
        key = network_key(name, in_channels, output_stride, options)
        self.side = remembered(
            ("side", key),
            lambda: _bound_side(self.model, name, in_channels, self.multiple, self.options),
        )
        if self.side is not None:
            self.multiple = self.side
        neck = self.neck
        if neck is not None:
            neck.is_exact = remembered(("rounds up", key), lambda: self._rounds_up(neck))
        self.is_native = self.side is None and strides[-4:] == _SMP_STRIDES

    def _rounds_up(self, neck: Pyramid) -> bool:
        """Whether the neck's levels have the sizes ⌈H/s⌉ by themselves."""
        side = self.side or 2 * self.multiple
        weight = next(self.parameters())
        was_training = self.training
        with torch.no_grad():
            image = torch.zeros(1, self.out_channels[0], side, side, dtype=weight.dtype)
            levels = neck.eval()(
                _channels_first(self.model, self.eval().model(image)), (side, side)
            )
        self.train(was_training)
        return all(
            tuple(level.shape[-2:]) == (-(-side // stride),) * 2
            for level, stride in zip(levels, neck.wanted, strict=True)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the features."""
        windows = x if self.side is None else cut(x, self.side)
        height, width = windows.shape[-2:]
        if self.readout is not None:
            levels = read_maps(self.model, windows, self.readout)
        else:
            assert self.neck is not None, "there is one where no maps are read"
            levels = self.neck(_channels_first(self.model, self.model(windows)), (height, width))
        if self.side is not None:
            levels = [join(level, x, self.side) for level in levels]
        nothing = x.new_empty(x.shape[0], 0, x.shape[2] // 2, x.shape[3] // 2)
        return [x, nothing, *levels]


def _channels_first(network: nn.Module, features: list[Tensor]) -> list[Tensor]:
    """Return features (N, C, h, w) of a network that gives these or (N, h, w, C)."""
    if not _is_channel_last(network):
        return features
    return [feature.permute(0, 3, 1, 2) for feature in features]


def _is_channel_last(network: nn.Module) -> bool:
    return getattr(network, "output_fmt", "NCHW") == "NHWC"


def is_marked(name: str) -> bool:
    """Whether timm marks the network as one of a fixed size."""
    config = timm.get_pretrained_cfg(name, allow_unregistered=True)
    return config is not None and bool(config.fixed_input_size)


def native_options(
    name: str, in_channels: int, options: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """Return timm's options with which smp takes a marked network; None where that is not known.

    It is found out with a network of zeros, which costs no drawing of weights. Torch's device
    `meta` would cost no arithmetic either, but nothing there fails whose index is out of range.
    """
    return remembered(
        ("native", network_key(name, in_channels, 32, options)),
        lambda: _native_with_zeros(name, in_channels, options),
    )


def _native_with_zeros(
    name: str, in_channels: int, options: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    given = {"in_chans": in_channels, "pretrained": False, **options}
    try:
        with torch.device("meta"):
            network, taken = _create(name, given)
        strides = [int(stride) for stride in network.feature_info.reduction()]
        if strides[-4:] != _SMP_STRIDES:
            return None
        network.to_empty(device="cpu")
        with torch.no_grad():
            for tensor in (*network.parameters(), *network.buffers()):
                tensor.zero_()
        side = _bound_side(network, name, in_channels, max(32, *strides), taken)
    except _ERRORS:
        return None
    return None if side is not None else without_given(taken)


def without_given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options of timm's constructor without those that smp gives itself."""
    return {key: options[key] for key in options if key not in ("in_chans", "pretrained")}


def _create(name: str, given: Mapping[str, Any]) -> tuple[Any, Mapping[str, Any]]:
    """Return timm's network of features, its size free if it can be, and its options."""
    frees = is_marked(name) and "img_size" not in given
    taken = {**given, "dynamic_img_size": True} if frees else dict(given)
    try:
        network = timm.create_model(name, features_only=True, **taken)
    except TypeError:
        if not frees:
            raise
        taken = dict(given)  # it has no such option
        network = timm.create_model(name, features_only=True, **taken)
    if (
        isinstance(network, FeatureGetterNet)
        and "out_indices" not in given
        and len(set(network.feature_info.reduction())) == 1
    ):
        blocks: Any = network.model.feature_info
        depth = len(blocks)
        indices = tuple(depth * (step + 1) // _DEPTHS - 1 for step in range(_DEPTHS))
        network = FeatureGetterNet(network.model, out_indices=indices)
    return network, taken


def _bound_side(
    network: Any, name: str, in_channels: int, multiple: int, options: Mapping[str, Any]
) -> int | None:
    """Return the size that a network is bound to; None where it runs at others too.

    timm's mark alone does not say: some networks that have it run at any size. So two images are
    tried, a small one and one that is longer than the training size.
    """
    config = timm.get_pretrained_cfg(name, allow_unregistered=True)
    if config is None or not config.fixed_input_size:
        return None
    asked = options.get("img_size") or config.input_size[-1]
    side = int(asked if isinstance(asked, int) else asked[0])
    longer = (side // multiple + 1) * multiple
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            for shape in ((2 * multiple, 3 * multiple), (longer, 2 * multiple)):
                deepest = network(torch.zeros(1, in_channels, *shape))[-1]
                stride = network.feature_info.reduction()[-1]
                length = deepest.shape[1 if _is_channel_last(network) else 2]
                if abs(length * stride - shape[0]) > stride:
                    return side  # it resizes the image by itself
    except _ERRORS:
        return side
    finally:
        network.train(was_training)
    return None

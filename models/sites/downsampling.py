"""Blurred downsampling: finds an encoder's strided layers and puts a blur there.

Convolutions, norms and activations keep their tensors and their names, so the encoder's weights
load as before.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from maskzoo.models.errors import SpecError
from maskzoo.models.network.encoders import Encoder
from maskzoo.models.network.neck import plug_after
from maskzoo.models.plugins.blurpool import BlurPool, BlurredPointwise
from maskzoo.models.plugins.convolution import ConvolutionLike
from maskzoo.models.sites.stages import Call, record_calls

_NORMS = (_BatchNorm, nn.GroupNorm)
_ACTIVATIONS = ("torch.nn.modules.activation", "timm.layers.activations")


def blur_downsampling(encoder: Encoder, name: str, build: Callable[[int], BlurPool]) -> None:
    """Blur at every layer where the encoder subsamples by two.

    Args:
        encoder: is changed.
        name: of the plug-in, in the names of its modules.
        build: makes a blur for a number of channels.

    Raises:
        SpecError: the encoder has no such place, or its features would change their sizes.
    """
    calls, features = record_calls(encoder)
    first = next((call for call in calls if isinstance(call.module, nn.Conv2d)), None)
    places = [
        call
        for call in calls
        if _halves(call) and (call is not first or build(1).stem) and not _is_inside(encoder, call)
    ]
    for call in places:
        _blur(encoder.body, calls, call, name, build)
    after = record_calls(encoder)[1]
    if not places or [f.shape for f in after] != [f.shape for f in features]:
        reason = "its features would change their sizes" if places else "nothing has stride 2"
        raise SpecError(f"plug-in '{name}@downsampling'", [f"encoder {encoder.name!r}: {reason}"])


def _halves(call: Call) -> bool:
    if not isinstance(call.module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d) or call.count > 1:
        return False
    stride = call.module.stride
    return stride == 2 or (not isinstance(stride, int) and set(stride) == {2})


def _is_inside(encoder: Encoder, call: Call) -> bool:
    """Whether the convolution belongs to a plug-in, such as a deformable one's offsets."""
    parent = encoder.body.get_submodule(call.name.rpartition(".")[0])
    return isinstance(parent, ConvolutionLike)


def _blur(
    body: nn.Module, calls: list[Call], call: Call, name: str, build: Callable[[int], BlurPool]
) -> None:
    parent, _, child = call.name.rpartition(".")
    module = call.module
    channels = call.output.shape[1]
    if isinstance(module, nn.AvgPool2d):
        setattr(body.get_submodule(parent), child, build(channels))
    elif isinstance(module, nn.MaxPool2d):
        module.stride = 1
        plug_after(module, name, build(channels))
    elif isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1):
        blurred = BlurredPointwise(module, build(module.in_channels))
        setattr(body.get_submodule(parent), child, blurred)
    else:
        for part in module.modules():  # a deformable convolution has offsets to match
            if isinstance(part, nn.Conv2d):
                part.stride = (1, 1)
        plug_after(_after_activation(calls, call), name, build(channels))


def _after_activation(calls: list[Call], conv: Call) -> nn.Module:
    """Return the last of convolution, norm, activation; not one that also runs elsewhere."""
    last = conv
    for call in calls[calls.index(conv) + 1 :]:
        kind = type(call.module)
        follows = issubclass(kind, _NORMS) or kind.__module__ in _ACTIVATIONS
        if call.input is last.output and follows and call.count == 1:
            last = call
    return last.module

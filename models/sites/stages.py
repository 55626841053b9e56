"""Stages: the encoder module that ends each feature, and the features that a decoder reads.

smp and timm name their stages in a hundred ways. One small forward pass in evaluation mode
separates them: the module whose output *is* f_N ends stage N, and all since f_{N-1} belongs to it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from maskzoo.models.errors import SpecError
from maskzoo.models.network.decoder import Decoder
from maskzoo.models.network.encoders import Encoder

_PROBE_SIZE = 64  # px; small, and a multiple of every encoder's stride


@dataclass
class Call:
    """One call of a module during the forward pass.

    Attributes:
        name: dotted name of the module in the encoder.
        module: the module itself.
        input: its first argument, if that is a tensor.
        output: what it returned.
        count: how often this module was called in the pass.
    """

    name: str
    module: nn.Module
    input: Tensor | None
    output: Tensor
    count: int = 1


@dataclass
class Stage:
    """The part of an encoder between f_{N-1} and f_N.

    Attributes:
        calls: the calls in the order of their completion, containers after their parts.
        end: the module whose output is f_N; None where there is none, or where it runs twice.
    """

    calls: list[Call] = field(default_factory=list)
    end: nn.Module | None = None


def find_stages(encoder: Encoder) -> dict[int, Stage]:
    """Return the stages of the levels that the encoder has, f0 left out.

    Raises:
        SpecError: the encoder does not run on a small image.
    """
    calls, features = record_calls(encoder)
    ends = {
        level: _last_call(calls, features[level])
        for level in range(1, len(features))
        if encoder.channels[level]
    }
    stages = {level: Stage() for level in ends}
    remaining = list(ends)
    for call in calls:
        if not remaining:
            break
        stages[remaining[0]].calls.append(call)
        if call is ends[remaining[0]]:
            stages[remaining.pop(0)].end = call.module if call.count == 1 else None
        elif ends[remaining[0]] is None:
            # f_N was rearranged after its last module, so the stages cannot be separated.
            return {level: Stage() for level in ends}
    return stages


def record_calls(encoder: Encoder) -> tuple[list[Call], list[Tensor]]:
    """Return all calls of one forward pass, and the features.

    Raises:
        SpecError: the encoder does not run on a small image.
    """
    body = encoder.body
    calls: list[Call] = []
    counts: dict[str, int] = {}
    handles = []
    for name, module in body.named_modules():
        if module is body:
            continue

        def record(
            module: nn.Module, args: tuple[object, ...], output: object, name: str = name
        ) -> None:
            if isinstance(output, Tensor):
                given = args[0] if args and isinstance(args[0], Tensor) else None
                calls.append(Call(name, module, given, output))
                counts[name] = counts.get(name, 0) + 1

        handles.append(module.register_forward_hook(record))
    weight = next(body.parameters())
    shape = (1, encoder.in_channels, _PROBE_SIZE, _PROBE_SIZE)
    image = torch.linspace(-1, 1, math.prod(shape)).reshape(shape).to(weight)
    was_training = body.training
    try:
        with torch.no_grad():
            features = body.eval()(image)
    except (RuntimeError, AssertionError, ValueError) as error:
        raise SpecError(
            f"encoder {encoder.name!r}",
            [f"takes no plug-in inside: it does not run at {_PROBE_SIZE} px ({error})"],
        ) from error
    finally:
        body.train(was_training)
        for handle in handles:
            handle.remove()
    for call in calls:
        call.count = counts[call.name]
    return calls, list(features)


def _last_call(calls: list[Call], feature: Tensor) -> Call | None:
    """Return the outermost call that returned this tensor, or one of the same values.

    An in-place activation returns its input, and so does the `nn.Identity` that may open the next
    stage; only the first belongs to this stage. SegFormer's encoder returns a contiguous copy.
    """
    made = [call for call in calls if call.output is feature]
    if not made:
        made = [c for c in calls if c.output.shape == feature.shape and c.output.equal(feature)]
    kept = [call for call in made if not isinstance(call.module, nn.Identity)]
    return kept[-1] if kept else None


def read_levels(encoder: Encoder, decoder: Decoder) -> list[int]:
    """Return the levels, f0 left out, that the decoder reads, shallow ones first.

    The decoder runs once on small features; those that it reads get a gradient.
    """
    features = _probes(encoder)
    with torch.enable_grad():
        total = _decoded(decoder, features).sum()
    gradients = torch.autograd.grad(total, features, allow_unused=True)
    return [
        level
        for level, gradient in enumerate(gradients)
        if level > 0 and gradient is not None and encoder.channels[level]
    ]


def read_stride(encoder: Encoder, decoder: Decoder) -> int:
    """Return the stride of the decoder's map; it runs once on small features."""
    with torch.no_grad():
        return _PROBE_SIZE // _decoded(decoder, _probes(encoder)).shape[-2]


def _probes(encoder: Encoder) -> list[Tensor]:
    weight = next(encoder.parameters())
    return [
        torch.ones(
            (1, channels, -(-_PROBE_SIZE // stride), -(-_PROBE_SIZE // stride)),
            dtype=weight.dtype,
            device=weight.device,
            requires_grad=True,
        )
        for channels, stride in zip(encoder.channels, encoder.strides, strict=True)
    ]


def _decoded(decoder: Decoder, features: list[Tensor]) -> Tensor:
    was_training = decoder.training
    output: Tensor = decoder.eval()(list(features))
    decoder.train(was_training)
    return output

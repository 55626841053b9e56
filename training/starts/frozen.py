"""Parts of a network that keep their weights and statistics, by name.

| name | part |
| --- | --- |
| `encoder` | the encoder's own weights, without plug-ins inside it |
| `encoder.2` | of these, the stage between features 1 and 2; `encoder.1` begins at the image |
| any other | the module of that name, such as `decoder` or `decoder.levels.0` |
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from torch import nn

from maskzoo.models.errors import SpecError
from maskzoo.models.network.network import SegmentationNetwork
from maskzoo.models.sites.stages import find_stages

_STAGE = re.compile(r"encoder\.(\d+)")


def freeze(network: SegmentationNetwork, names: Iterable[str]) -> None:
    """Let the weights of the named parts require no gradient.

    `training.steps.optim.train_mode` keeps the statistics of norms whose weights are frozen.

    Raises:
        SpecError: lists every name that is not a part of this network.
    """
    mistakes = []
    for name in names:
        found = _weights(network, name)
        if not found:
            mistakes.append(f"optimizer.freeze: {_unknown(network, name)}")
        for parameter in found:
            parameter.requires_grad_(False)
    if mistakes:
        raise SpecError("configuration", mistakes)


def _weights(network: SegmentationNetwork, name: str) -> list[nn.Parameter]:
    own = network.encoder.pretrained_parameters()
    if name == "encoder":
        return own
    stage = _STAGE.fullmatch(name)
    if stage is not None:
        known = {id(parameter) for parameter in own}
        stages = find_stages(network.encoder)
        calls = stages[int(stage[1])].calls if int(stage[1]) in stages else []
        inside = [p for call in calls for p in call.module.parameters(recurse=False)]
        return [parameter for parameter in inside if id(parameter) in known]
    modules = dict(network.named_modules())
    return list(modules[name].parameters()) if name and name in modules else []


def _unknown(network: SegmentationNetwork, name: str) -> str:
    if _STAGE.fullmatch(name):
        stages = [
            f"encoder.{n}" for n, stage in find_stages(network.encoder).items() if stage.calls
        ]
        told = f"has the stages {', '.join(stages)}" if stages else "does not tell its stages apart"
        return f"{name!r} is not a stage: encoder {network.encoder.name!r} {told}"
    parts = [
        part for part, module in network.named_children() if any(True for _ in module.parameters())
    ]
    return (
        f"{name!r} has no weights in this network; give encoder, a stage such as encoder.1, or a "
        f"module such as {', '.join(parts[1:])} or decoder.…"
    )

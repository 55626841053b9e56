"""Heads of pooled context: ANN, APCNet, DMNet."""

from __future__ import annotations

import torch

from maskzoo.models.errors import WeightsError
from maskzoo.models.imports.mmseg.heads.record import HeadMap, Tensors, check_input
from maskzoo.models.imports.mmseg.section import Section

_PROJECTIONS = {"key_project": "key", "query_project": "query", "value_project": "value"}
_SHARED = "context.stages.0.query_project"


def asymmetric(head: Section, tensors: Tensors) -> HeadMap:
    """Read an ANNHead."""
    check_input(head, (2, 3))
    head.skip("project_channels")
    if head.counts("query_scales", (1,)) != (1,):
        raise WeightsError(f"{head.name}.query_scales must be (1,)")
    _check_shared(tensors)
    names = {
        "fusion.bottleneck": "decoder.across_fuse",
        "bottleneck": "decoder.bottleneck",
        "context.bottleneck": "decoder.within_fuse",
    }
    for theirs, ours in {"fusion": "across", "context": "within"}.items():
        for part, name in (_PROJECTIONS | {"out_project": "out"}).items():
            names[f"{theirs}.stages.0.{part}"] = f"decoder.{ours}.{name}"
    return HeadMap(
        "ann",
        {
            "channels": tensors.width("bottleneck"),
            "attention_channels": tensors.width("fusion.stages.0.key_project"),
            "bins": list(head.counts("key_pool_scales", (1, 3, 6, 8))),
        },
        names,
        without={_SHARED: "equal to the key_project beside it"},
    )


def adaptive(head: Section, tensors: Tensors) -> HeadMap:
    """Read an APCHead; its contexts end in a convolution (`fusion`), or tensors are missing."""
    check_input(head, (3,))
    head.skip("fusion")
    bins = head.counts("pool_scales", (1, 2, 3, 6))
    parts = {
        "input_redu_conv": "reduce",
        "pooled_redu_conv": "reduce_pooled",
        "global_info": "mean",
        "gla": "weigh",
        "residual_conv": "residual",
        "fusion_conv": "out",
    }
    return HeadMap(
        "apcnet",
        {"channels": tensors.width("bottleneck"), "bins": list(bins)},
        {"bottleneck": "decoder.fuse", **_numbered("acm_modules", "contexts", len(bins), parts)},
    )


def dynamic(head: Section, tensors: Tensors) -> HeadMap:
    """Read a DMHead; its convolutions end in none of `fusion`, or tensors are left over."""
    check_input(head, (3,))
    head.skip("fusion")
    sizes = head.counts("filter_sizes", (1, 3, 5, 7))
    parts = {"filter_gen_conv": "kernels", "input_redu_conv": "reduce", "norm": "norm"}
    return HeadMap(
        "dmnet",
        {"channels": tensors.width("bottleneck"), "sizes": list(sizes)},
        {"bottleneck": "decoder.fuse", **_numbered("dcm_modules", "convs", len(sizes), parts)},
    )


def _numbered(theirs: str, ours: str, count: int, parts: dict[str, str]) -> dict[str, str]:
    return {
        f"{theirs}.{index}.{part}": f"decoder.{ours}.{index}.{name}"
        for index in range(count)
        for part, name in parts.items()
    }


def _check_shared(tensors: Tensors) -> None:
    """Raise unless the projection that queries and keys share is stored twice alike."""
    for key, tensor in tensors.state.items():
        if key.startswith(f"{_SHARED}."):
            other = tensors.state.get(key.replace("query_project", "key_project"))
            if other is None or not torch.equal(tensor, other):
                raise WeightsError(f"{key} must equal the key_project beside it, and does not")

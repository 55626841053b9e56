"""Heads of convolutions and pooling: FCN, PSP, ASPP, separable ASPP, UPer."""

from __future__ import annotations

from maskzoo.models.errors import WeightsError
from maskzoo.models.imports.mmseg.heads.record import HeadMap, Tensors, check_input
from maskzoo.models.imports.mmseg.section import Section

BINS = (1, 2, 3, 6)


def fcn(head: Section, tensors: Tensors) -> HeadMap:
    """Read an FCNHead."""
    check_input(head, (3,))
    head.skip("kernel_size")
    joins = head.flag("concat_input", True)
    return HeadMap(
        "fcn",
        {
            "channels": tensors.inputs("conv_seg"),
            "num_convs": head.count("num_convs", 2),
            "concat_input": joins,
            "dilation": head.count("dilation", 1),
        },
        {"convs": "decoder.convs", "conv_cat": "decoder.join"},
    )


def psp(head: Section, tensors: Tensors) -> HeadMap:
    """Read a PSPHead."""
    check_input(head, (3,))
    bins = head.counts("pool_scales", BINS)
    return HeadMap(
        "pspnet",
        {"channels": tensors.width("bottleneck"), "bins": list(bins)},
        {**_pyramid(bins), "bottleneck": "decoder.ppm.bottleneck"},
    )


def aspp(head: Section, tensors: Tensors) -> HeadMap:
    """Read an ASPPHead."""
    check_input(head, (3,))
    return HeadMap(
        "deeplabv3",
        {"channels": tensors.width("bottleneck"), "rates": _rates(head)},
        {
            "image_pool.1": "decoder.aspp.pool",
            "aspp_modules": "decoder.aspp.branches",
            "bottleneck": "decoder.aspp.project",
        },
    )


def separable_aspp(head: Section, tensors: Tensors) -> HeadMap:
    """Read a DepthwiseSeparableASPPHead."""
    check_input(head, (3,))
    head.skip("c1_in_channels", "c1_channels")  # as the weights have them
    rates = _rates(head)
    names = {
        "image_pool.1": "decoder.aspp.pool",
        "aspp_modules.0": "decoder.aspp.branches.0",
        "bottleneck": "decoder.aspp.project",
        "c1_bottleneck": "decoder.low",
    }
    for part in ("depthwise", "pointwise"):
        for index in range(1, len(rates) + 1):
            names[f"aspp_modules.{index}.{part}_conv"] = f"decoder.aspp.branches.{index}.{part}"
        for index in range(2):
            names[f"sep_bottleneck.{index}.{part}_conv"] = f"decoder.fuse.{index}.{part}"
    return HeadMap(
        "deeplabv3plus",
        {
            "channels": tensors.width("bottleneck"),
            "low_channels": tensors.width("c1_bottleneck"),
            "rates": rates,
        },
        names,
    )


def uper(head: Section, tensors: Tensors) -> HeadMap:
    """Read a UPerHead."""
    check_input(head, (0, 1, 2, 3))
    bins = head.counts("pool_scales", BINS)
    return HeadMap(
        "upernet",
        {"channels": tensors.width("bottleneck"), "bins": list(bins)},
        {
            **_pyramid(bins),
            "bottleneck": "decoder.ppm.bottleneck",
            "lateral_convs": "decoder.laterals",
            "fpn_convs": "decoder.smooth",
            "fpn_bottleneck": "decoder.fuse",
        },
    )


def _pyramid(bins: tuple[int, ...]) -> dict[str, str]:
    return {f"psp_modules.{i}.1": f"decoder.ppm.branches.{i}" for i in range(len(bins))}


def _rates(head: Section) -> list[int]:
    """Return the dilations of the 3x3 branches; the first branch is the 1x1 convolution."""
    dilations = head.counts("dilations", (1, 6, 12, 18))
    if dilations[:1] != (1,):
        raise WeightsError(
            f"{head.name}.dilations are {dilations}; the first branch must be the 1x1 convolution, "
            "of dilation 1"
        )
    return list(dilations[1:])

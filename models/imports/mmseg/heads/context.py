"""Heads of one block between two convolutions: Non-local, disentangled, global context, CC."""

from __future__ import annotations

from maskzoo.models.errors import WeightsError
from maskzoo.models.imports.mmseg.heads.record import HeadMap, Tensors, check_input
from maskzoo.models.imports.mmseg.section import Section

_AROUND = {
    "convs.0": "decoder.before",
    "convs.1": "decoder.after",
    "conv_cat": "decoder.fuse",
}
_NON_LOCAL = {f"{part}.conv": f"decoder.mechanism.{part}" for part in ("g", "theta", "phi")}
_FUSIONS = {("channel_add",): "add", ("channel_mul",): "scale"}


def nonlocal_block(head: Section, tensors: Tensors) -> HeadMap:
    """Read an NLHead."""
    channels = _common(head, tensors)
    head.skip("reduction")
    pairwise = head.word(
        "mode",
        "embedded_gaussian",
        ("embedded_gaussian", "gaussian", "dot_product", "concatenation"),
    )
    names = {f"nl_block.{theirs}": ours for theirs, ours in _NON_LOCAL.items()}
    return HeadMap(
        "nonlocal",
        {
            "channels": channels,
            "reduction": channels // tensors.width("nl_block.g"),
            "pairwise": pairwise,
            "scale": head.flag("use_scale", True),
        },
        {
            **_AROUND,
            **names,
            "nl_block.concat_project.conv": "decoder.mechanism.concat",
            "nl_block.conv_out": "decoder.mechanism.out",
        },
    )


def disentangled(head: Section, tensors: Tensors) -> HeadMap:
    """Read a DNLHead."""
    channels = _common(head, tensors)
    head.skip("reduction")
    head.word("mode", "embedded_gaussian", ("embedded_gaussian",))
    width = tensors.width("dnl_block.g")
    temperature = head.number("temperature", 0.05)
    if not head.flag("use_scale", True):
        temperature /= width**0.5  # ours always divides the scores by the root of the width
    names = {f"dnl_block.{theirs}": ours for theirs, ours in _NON_LOCAL.items()}
    return HeadMap(
        "dnlnet",
        {"channels": channels, "reduction": channels // width, "temperature": temperature},
        {
            **_AROUND,
            **names,
            "dnl_block.conv_mask": "decoder.mechanism.mask",
            "dnl_block.conv_out": "decoder.mechanism.out",
        },
    )


def global_context(head: Section, tensors: Tensors) -> HeadMap:
    """Read a GCHead."""
    channels = _common(head, tensors)
    head.skip("ratio")
    fusions = head.take("fusion_types", ["channel_add"])
    if not isinstance(fusions, list | tuple) or not set(fusions) <= {"channel_add", "channel_mul"}:
        raise WeightsError(f"{head.name}.fusion_types are channel_add, channel_mul or both")
    pooling = head.word("pooling_type", "att", ("att", "avg"))
    block = "channel_add_conv" if "channel_add" in fusions else "channel_mul_conv"
    return HeadMap(
        "gcnet",
        {
            "channels": channels,
            "ratio": _ratio(tensors.width(f"gc_block.{block}.0"), channels),
            "pooling": "attention" if pooling == "att" else "average",
            "fusion": _FUSIONS.get(tuple(fusions), "both"),
        },
        {
            **_AROUND,
            "gc_block.conv_mask": "decoder.mechanism.mask",
            "gc_block.channel_add_conv": "decoder.mechanism.add",
            "gc_block.channel_mul_conv": "decoder.mechanism.scale",
        },
    )


def criss_cross(head: Section, tensors: Tensors) -> HeadMap:
    """Read a CCHead."""
    channels = _common(head, tensors)
    parts = ("query", "key", "value")
    return HeadMap(
        "ccnet",
        {
            "channels": channels,
            "attention_channels": tensors.width("cca.query_conv"),
            "recurrence": head.count("recurrence", 2),
        },
        {
            **_AROUND,
            **{f"cca.{part}_conv": f"decoder.mechanism.{part}" for part in parts},
            "cca.gamma.scale": "decoder.mechanism.gamma",
        },
    )


def _common(head: Section, tensors: Tensors) -> int:
    """Check what these heads have in common, an FCNHead of two convolutions; return the width."""
    check_input(head, (3,))
    head.skip("num_convs", "concat_input")  # other tensors would be missing or left
    head.skip("kernel_size")
    return tensors.width("convs.0")


def _ratio(width: int, channels: int) -> float:
    """Return the ratio that gives `width` of `channels`, rounded down."""
    ratio = width / channels
    return ratio if int(channels * ratio) == width else (width + 0.5) / channels

"""OCRNet, a cascade of two heads: coarse logits, then pixels that attend to their regions."""

from __future__ import annotations

from maskzoo.models.errors import WeightsError
from maskzoo.models.imports.mmseg.heads.record import HeadMap, Tensors, check_input
from maskzoo.models.imports.mmseg.section import Section

_JOINED = "resize_concat"
_LEVELS = (0, 1, 2, 3)
_BLOCK = {
    "key_project": "context.attention.key",
    "query_project": "context.attention.query",
    "value_project": "context.attention.value",
    "out_project": "context.out",
    "bottleneck": "context.fuse",
}


def object_context(coarse: Section, head: Section, tensors: Tensors) -> HeadMap:
    """Read an FCNHead and the OCRHead behind it.

    Args:
        coarse, head: the settings of both.
        tensors: of both, under ``0.`` and ``1.``.
    """
    coarse.word("type", "FCNHead", ("FCNHead",))
    head.word("type", "OCRHead", ("OCRHead",))
    joined = [section.take("input_transform") == _JOINED for section in (coarse, head)]
    if joined[0] != joined[1]:
        raise WeightsError(
            "decode_head: either both heads of the cascade join the features or none"
        )
    check_input(coarse, _LEVELS if joined[0] else (2,))
    check_input(head, _LEVELS if joined[0] else (3,))
    coarse.skip("num_convs", "concat_input", "kernel_size")
    head.skip("ocr_channels")
    if head.number("scale", 1.0) != 1.0:
        raise WeightsError(f"{head.name}.scale must be 1")
    names = {
        "0.convs.0": "decoder.coarse.conv",
        "0.conv_seg": "decoder.coarse.classifier.conv",
        "1.bottleneck": "decoder.bottleneck",
        "1.conv_seg": "classifier.conv",
    }
    for theirs, ours in _BLOCK.items():
        names[f"1.object_context_block.{theirs}"] = f"decoder.{ours}"
    return HeadMap(
        "ocrnet",
        {
            "channels": tensors.width("1.bottleneck"),
            "attention_channels": tensors.width("1.object_context_block.key_project.0"),
            "coarse_channels": tensors.width("0.convs.0"),
            "joined": joined[0],
        },
        names,
    )

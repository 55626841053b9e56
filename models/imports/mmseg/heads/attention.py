"""Heads of attention and encoding: DANet, PSANet, EMANet, EncNet, ISANet, OCRNet."""

from __future__ import annotations

from maskzoo.models.errors import WeightsError
from maskzoo.models.imports.mmseg.heads.record import HeadMap, Tensors, check_input
from maskzoo.models.imports.mmseg.section import Section

_DIRECTIONS = {"bi-direction": "both", "collect": "collect", "distribute": "distribute"}
_POSITION = {f"pam.{part}_project": f"decoder.pam.{part}" for part in ("query", "key", "value")}


def dual(head: Section, tensors: Tensors) -> HeadMap:
    """Read a DAHead."""
    check_input(head, (3,))
    head.skip("pam_channels")
    return HeadMap(
        "danet",
        {
            "channels": tensors.width("pam_in_conv"),
            "attention_channels": tensors.width("pam.query_project"),
        },
        {
            **_POSITION,
            "pam.gamma.scale": "decoder.pam.gamma",
            "cam.gamma.scale": "decoder.cam.gamma",
            "pam_in_conv": "decoder.pam_in",
            "pam_out_conv": "decoder.pam_out",
            "cam_in_conv": "decoder.cam_in",
            "cam_out_conv": "decoder.cam_out",
            "pam_conv_seg": "decoder.pam_classifier.conv",
            "cam_conv_seg": "decoder.cam_classifier.conv",
        },
    )


def pointwise(head: Section, tensors: Tensors) -> HeadMap:
    """Read a PSAHead."""
    check_input(head, (3,))
    mask = head.counts("mask_size", (97, 97))
    if len(mask) != 2 or mask[0] * mask[1] != tensors.width("attention.1"):
        raise WeightsError(
            f"{head.name}.mask_size is {mask}; the weights predict "
            f"{tensors.width('attention.1')} cells, which must be its area"
        )
    direction = _DIRECTIONS[head.word("psa_type", "bi-direction", _DIRECTIONS)]
    # None divides by the mask's area
    area = float(mask[0] * mask[1])
    default = area if head.has("normalization_factor") else 1.0
    first = "collect" if direction == "both" else direction
    return HeadMap(
        "psanet",
        {
            "channels": tensors.width("reduce"),
            "direction": direction,
            "mask_size": list(mask),
            "shrink": head.count("shrink_factor", 2),
            "compact": head.flag("compact", False),
            "softmax": head.flag("psa_softmax", True),
            "divisor": head.number("normalization_factor", default),
            "variant": "mmseg",
        },
        {
            "reduce": f"decoder.psa.branches.{first}.reduce",
            "attention": f"decoder.psa.branches.{first}.attention",
            "reduce_p": "decoder.psa.branches.distribute.reduce",
            "attention_p": "decoder.psa.branches.distribute.attention",
            "proj": "decoder.psa.proj",
            "bottleneck": "decoder.fuse",
        },
    )


def expectation_maximisation(head: Section, tensors: Tensors) -> HeadMap:
    """Read an EMAHead."""
    check_input(head, (3,))
    head.skip("ema_channels", "num_bases", "concat_input")
    head.skip("momentum")  # of the average in training
    return HeadMap(
        "emanet",
        {
            "channels": tensors.width("bottleneck"),
            "attention_channels": tensors.width("ema_in_conv"),
            "bases": tensors.shape("ema_module.bases")[-1],
            "iterations": head.count("num_stages", 3),
            "variant": "mmseg",
        },
        {
            "ema_module.bases": "decoder.emau.bases.stored",
            "ema_in_conv": "decoder.before",
            "ema_mid_conv.conv": "decoder.emau.project",
            "ema_out_conv": "decoder.emau.out",
            "bottleneck": "decoder.after",
            "conv_cat": "decoder.fuse",
        },
    )


def encoding(head: Section, tensors: Tensors) -> HeadMap:
    """Read an EncHead."""
    check_input(head, (1, 2, 3))
    head.skip("num_codes", "use_se_loss")
    return HeadMap(
        "encnet",
        {
            "channels": tensors.width("bottleneck"),
            "codes": tensors.width("enc_module.encoding.0.codewords"),
            "lateral": head.flag("add_lateral", False),
        },
        {
            "bottleneck": "decoder.bottleneck",
            "lateral_convs": "decoder.laterals",
            "fusion": "decoder.fusion",
            "enc_module.encoding_project": "decoder.encoding.project",
            "enc_module.encoding.0": "decoder.encoding.encoding",
            "enc_module.encoding.1": "decoder.encoding.norm",
            "enc_module.fc.0": "decoder.encoding.gate",
            "se_layer": "decoder.scene",
        },
    )


def interlaced(head: Section, tensors: Tensors) -> HeadMap:
    """Read an ISAHead."""
    check_input(head, (3,))
    head.skip("isa_channels")
    factor = head.counts("down_factor", (8, 8))
    if len(set(factor)) != 1:
        raise WeightsError(f"{head.name}.down_factor is {factor}; maskzoo's windows are square")
    names = {"in_conv": "decoder.before", "out_conv": "decoder.fuse"}
    for theirs, ours in {"global_relation": "far", "local_relation": "near"}.items():
        for part in ("query", "key", "value"):
            names[f"{theirs}.{part}_project"] = f"decoder.{ours}.attention.{part}"
        names[f"{theirs}.output_project"] = f"decoder.{ours}.out"
    return HeadMap(
        "isanet",
        {
            "channels": tensors.width("in_conv"),
            "attention_channels": tensors.width("global_relation.query_project.0"),
            "window": factor[0],
        },
        names,
    )

"""mmsegmentation's types of heads, and what reads each."""

from __future__ import annotations

from maskzoo.models.imports.mmseg.heads import attention, context, plain, pooled
from maskzoo.models.imports.mmseg.heads.record import ReadHead

HEADS: dict[str, ReadHead] = {
    "ANNHead": pooled.asymmetric,
    "APCHead": pooled.adaptive,
    "ASPPHead": plain.aspp,
    "CCHead": context.criss_cross,
    "DAHead": attention.dual,
    "DMHead": pooled.dynamic,
    "DNLHead": context.disentangled,
    "DepthwiseSeparableASPPHead": plain.separable_aspp,
    "EMAHead": attention.expectation_maximisation,
    "EncHead": attention.encoding,
    "FCNHead": plain.fcn,
    "GCHead": context.global_context,
    "ISAHead": attention.interlaced,
    "NLHead": context.nonlocal_block,
    "PSAHead": attention.pointwise,
    "PSPHead": plain.psp,
    "UPerHead": plain.uper,
}

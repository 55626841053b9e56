"""A checkpoint's network in our terms: the spec, and its tensors under our names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from maskzoo.models.errors import WeightsError, did_you_mean
from maskzoo.models.imports.mmseg.backbone import BackboneMap, read_resnet
from maskzoo.models.imports.mmseg.heads.record import HeadMap, Tensors, check_input
from maskzoo.models.imports.mmseg.heads.regions import object_context
from maskzoo.models.imports.mmseg.heads.table import HEADS
from maskzoo.models.imports.mmseg.hrnet import read_hrnet
from maskzoo.models.imports.mmseg.section import Section
from maskzoo.models.spec import ModelSpec, Scalar

_PARTS = ("backbone", "decode_head", "auxiliary_head")
_MODELS = ("EncoderDecoder", "CascadeEncoderDecoder")
_BODY = "encoder.body.model"
_NORMS = ("BN", "SyncBN")


@dataclass(frozen=True)
class MappedNetwork:
    """A network in our terms.

    Args:
        spec: the network.
        state: its tensors by our names.
        left_out: tensors that it does not need, each with the reason.
    """

    spec: ModelSpec
    state: dict[str, Tensor]
    left_out: tuple[str, ...]


def map_network(model: Mapping[str, Any], state: Mapping[str, Tensor]) -> MappedNetwork:
    """Return the network that mmsegmentation would build from these settings.

    Args:
        model: the settings, as `models.imports.mmseg.text` reads them.
        state: the checkpoint's tensors.

    Raises:
        WeightsError: names a setting or a tensor that maskzoo's networks do not have.
    """
    settings = Section("model", model)
    settings.word("type", "EncoderDecoder", _MODELS)
    settings.skip("data_preprocessor", "test_cfg", "num_stages")
    parts = _split(state)
    backbone = _read_backbone(_section(settings, "backbone"), parts["backbone"])
    head, common = _read_decode(settings, Tensors(parts["decode_head"]))
    common |= _read_auxiliary(settings, parts["auxiliary_head"])
    settings.finish()
    names = {
        **{f"backbone.{theirs}": f"{_BODY}.{ours}" for theirs, ours in backbone.names.items()},
        "backbone": _BODY,
        "decode_head.conv_seg": "classifier.conv",
        **{f"decode_head.{theirs}": ours for theirs, ours in head.names.items()},
        "auxiliary_head.convs.0": "decoder.auxiliary.conv",
        "auxiliary_head.conv_seg": "decoder.auxiliary.classifier.conv",
    }
    without = {f"decode_head.{theirs}": why for theirs, why in head.without.items()}
    renamed, left_out = rename(state, names, without)
    if "classifier.conv.weight" not in renamed:
        raise WeightsError("the decode_head has no conv_seg, so it is no head that classifies")
    classes = int(renamed["classifier.conv.weight"].shape[0])
    return MappedNetwork(_spec(backbone, head, common, classes), renamed, left_out)


def rename(
    state: Mapping[str, Tensor], names: Mapping[str, str], without: Mapping[str, str]
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return the tensors by our names, and those that are left out with the reason.

    Args:
        names: beginnings of their names -> ours; the longest that fits is taken.
        without: beginnings of the names of tensors that are left out -> the reason.

    Raises:
        WeightsError: a tensor has no name of ours.
    """
    renamed, left_out, unknown = {}, [], []
    for key, tensor in state.items():
        reason = _longest(key, without)
        beginning = _longest(key, names)
        if reason is not None:
            left_out.append(f"{key} ({without[reason]})")
        elif beginning is None:
            unknown.append(key)
        else:
            rest = key.removeprefix(beginning).replace(".bn.", ".norm.")
            renamed[names[beginning] + rest] = tensor
    if unknown:
        shown = ", ".join(unknown[:5]) + (" …" if len(unknown) > 5 else "")
        raise WeightsError(f"{len(unknown)} tensors belong to no part that is known: {shown}")
    return renamed, tuple(left_out)


def _longest(key: str, beginnings: Mapping[str, str]) -> str | None:
    parts = key.split(".")
    for count in range(len(parts), 0, -1):
        beginning = ".".join(parts[:count])
        if beginning in beginnings:
            return beginning
    return None


def _split(state: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    parts: dict[str, dict[str, Tensor]] = {name: {} for name in _PARTS}
    for key, tensor in state.items():
        part, _, rest = key.partition(".")
        if part in parts:
            parts[part][rest] = tensor
    if not parts["backbone"] or not parts["decode_head"]:
        raise WeightsError(
            "the file has no tensors of a backbone and a decode_head, so it is not a segmentation "
            f"network of mmsegmentation; its first names are {', '.join(list(state)[:3])}"
        )
    return parts


def _section(settings: Section, name: str) -> Section:
    return Section(name, settings.part(name))


def _read_backbone(section: Section, state: Mapping[str, Tensor]) -> BackboneMap:
    _check_layers(section)
    backbone = (read_hrnet if section.kind == "HRNet" else read_resnet)(section, state)
    section.finish()
    return backbone


def _read_decode(settings: Section, tensors: Tensors) -> tuple[HeadMap, dict[str, Scalar]]:
    """Return the head, or the cascade of two, and the options that every architecture has."""
    given = settings.take("decode_head", {})
    if isinstance(given, Mapping):
        return _read_head(Section("decode_head", given), tensors)
    if not isinstance(given, list) or not all(isinstance(part, Mapping) for part in given):
        raise WeightsError("model.decode_head is neither dict(…) nor a list of them")
    if len(given) != 2:
        raise WeightsError(f"model.decode_head has {len(given)} heads; maskzoo has cascades of two")
    coarse, head = (Section(f"decode_head.{n}", part) for n, part in enumerate(given))
    common = [_common_options(section) for section in (coarse, head)]
    if common[0] != common[1]:
        raise WeightsError("the heads of the cascade differ in align_corners or dropout_ratio")
    for section in (coarse, head):
        section.skip("in_channels", "channels", "num_classes")
    mapped = object_context(coarse, head, tensors)
    coarse.finish()
    head.finish()
    return mapped, common[1]


def _read_head(decode: Section, tensors: Tensors) -> tuple[HeadMap, dict[str, Scalar]]:
    """Return the head and the options that every architecture has."""
    kind = decode.take("type")
    if not isinstance(kind, str) or kind not in HEADS:
        raise WeightsError(
            f"decode_head.type {kind!r} is not known{did_you_mean(str(kind), list(HEADS))}"
        )
    common = _common_options(decode)
    decode.skip("in_channels", "channels", "num_classes")  # as the weights have them
    head = HEADS[kind](decode, tensors)
    decode.finish()
    return head, common


def _common_options(section: Section) -> dict[str, Scalar]:
    _check_layers(section)
    return {
        "align_corners": section.flag("align_corners", False),
        "dropout": max(0.0, section.number("dropout_ratio", 0.1)),
    }


def _check_layers(section: Section) -> None:
    """Raise unless the norms and activations are ours: batch norm and ReLU."""
    norm = Section(f"{section.name}.norm_cfg", section.part("norm_cfg"))
    norm.word("type", "BN", _NORMS)
    norm.skip("requires_grad", "momentum")
    if norm.number("eps", 1e-5) != 1e-5:
        raise WeightsError(f"{norm.name}.eps must be 1e-5")
    norm.finish()
    act = Section(f"{section.name}.act_cfg", section.part("act_cfg"))
    act.word("type", "ReLU", ("ReLU",))
    act.skip("inplace")
    act.finish()


def _read_auxiliary(settings: Section, state: Mapping[str, Tensor]) -> dict[str, Scalar]:
    """Return the options of the auxiliary head: one convolution on the third stage."""
    auxiliary = _section(settings, "auxiliary_head")
    if not state:
        return {}
    auxiliary.word("type", "FCNHead", ("FCNHead",))
    check_input(auxiliary, (2,))
    _common_options(auxiliary)
    auxiliary.skip("in_channels", "channels", "num_classes")
    # another number of convolutions, or a joined input, would show in the tensors
    auxiliary.skip("num_convs", "concat_input", "kernel_size")
    dilation = auxiliary.count("dilation", 1)
    auxiliary.finish()
    width = Tensors(state).width("convs.0")
    dilated: dict[str, Scalar] = {} if dilation == 1 else {"auxiliary_dilation": dilation}
    return {"auxiliary": True, "auxiliary_channels": width, **dilated}


def _spec(
    backbone: BackboneMap,
    head: HeadMap,
    common: dict[str, Scalar],
    classes: int,
) -> ModelSpec:
    uses = head.architecture != "ocrnet"  # its coarse head takes the place of an auxiliary one
    if uses and "auxiliary" not in common:
        common = {**common, "auxiliary": False}
    return ModelSpec.build(
        architecture=head.architecture,
        encoder=backbone.encoder,
        encoder_options=backbone.options,
        output_stride=backbone.output_stride,
        num_classes=classes,
        options={**common, **head.options},
    )

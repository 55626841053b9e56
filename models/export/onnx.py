"""ONNX: one file that runs at any batch, height and width.

Needs the extra `onnx` (onnx, onnxscript). The file carries the description of the network in its
metadata, under the key ``maskzoo.spec``.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn
from torch._dynamo.exc import UserError
from torch.export import Dim, ExportedProgram

from maskzoo.models.errors import ExportError
from maskzoo.models.export.pools import use_portable_pools
from maskzoo.models.export.wrapper import ExportWrapper, Output
from maskzoo.models.files import replacing
from maskzoo.models.network.attention import set_attention_mode
from maskzoo.models.network.network import SegmentationNetwork
from maskzoo.models.plugins.dcn import use_portable_operators
from maskzoo.models.spec import ModelSpec

# torch.export ties a program to whether a map has one pixel or more. So the declared range starts
# where the smallest map, at stride 32 or just below, has two; maps beyond that stride (FPA's
# pyramid, ISANet's windows) need the second value. ONNX itself has no such limit.
_LEAST_SIDES = (64, 320)
_MAX_SIDE = 16384
_MAX_BATCH = 1024
_BATCH = 2  # torch.export would make 1 a constant
_BEYOND = (8, 40)  # added to the least side for the example, so that it is not square


def export_onnx(
    network: SegmentationNetwork,
    path: Path | str,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    output: Output = "logits",
    size: tuple[int, int] | None = None,
    opset: int = 18,
) -> Path:
    """Write `network` to one ONNX file, input ``image``, and return its path.

    Args:
        network: exported in evaluation mode; not modified.
        path: of the file to write; it appears complete or not at all.
        mean, std, output: see `ExportWrapper`.
        size: (height, width) fixes the size, which makes some runtimes faster; None leaves batch,
            height and width free.
        opset: version of ONNX's operators.

    Raises:
        ExportError: the packages of the extra are missing, or the network cannot be converted.
    """
    wrapper = exportable(network, mean=mean, std=std, output=output)
    program = export_program(wrapper, network.spec.in_channels, size=size)
    return write_onnx(
        program, path, spec=network.spec, output_names=wrapper.output_names, size=size, opset=opset
    )


def exportable(
    network: SegmentationNetwork,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    output: Output = "logits",
) -> ExportWrapper:
    """Return a copy of `network` prepared for the exporters; arguments as in `export_onnx`."""
    wrapper = ExportWrapper(copy.deepcopy(network).eval(), mean=mean, std=std, output=output)
    set_attention_mode(wrapper, "graph")
    use_portable_operators(wrapper)
    use_portable_pools(wrapper)
    return wrapper


def export_program(
    module: nn.Module,
    in_channels: int,
    *,
    size: tuple[int, int] | None = None,
    typical: tuple[int, int, int] | None = None,
) -> ExportedProgram:
    """Return torch's exported program of `module`, for any batch and any size from a least side up.

    The least side is 64, or 320 where the module has maps beyond stride 32.

    Args:
        module: takes (N, in_channels, H, W) float32, in evaluation mode.
        size: (height, width) fixes everything but the batch.
        typical: (batch, height, width) that a compiler of the program should have in mind; its
            memory is channels last then.

    Raises:
        ExportError: torch cannot trace the network, or cannot leave the size free.
    """
    reference = next(iter(module.parameters()))
    refused: UserError | None = None
    for least in _LEAST_SIDES if size is None else _LEAST_SIDES[:1]:
        batch, height, width = typical or (_BATCH, least + _BEYOND[0], least + _BEYOND[1])
        height, width = size or (height, width)
        dynamic = {0: Dim("batch", max=_MAX_BATCH)}
        if size is None:
            dynamic[2] = Dim("height", min=least, max=_MAX_SIDE)
            dynamic[3] = Dim("width", min=least, max=_MAX_SIDE)
        example = torch.zeros(batch, in_channels, height, width, device=reference.device)
        if typical is not None:
            example = example.contiguous(memory_format=torch.channels_last)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about torch's internals, not for a caller
            try:
                return torch.export.export(
                    module,
                    (example,),
                    dynamic_shapes=(dynamic,),
                    strict=False,
                    # The program checks at run time what torch cannot prove for all sizes; it holds
                    # from the second side up.
                    prefer_deferred_runtime_asserts_over_guards=least > _LEAST_SIDES[0],
                )
            except UserError as error:
                refused = error
            except Exception as error:  # its other errors have no common base class
                raise ExportError(f"torch.export refuses this network: {error}") from error
    raise ExportError(
        f"torch.export cannot leave batch and size free in this network; give one size: {refused}"
    ) from refused


def write_onnx(
    program: ExportedProgram,
    path: Path | str,
    *,
    spec: ModelSpec,
    output_names: Sequence[str],
    size: tuple[int, int] | None = None,
    opset: int = 18,
) -> Path:
    """Write a program of `export_program` to one ONNX file and return its path.

    Args:
        program: of an `exportable` network; consumed by the conversion.
        path, size, opset: see `export_onnx`.
        spec: goes into the metadata.
        output_names: of the wrapper.

    Raises:
        ExportError: the packages of the extra are missing, or the program cannot be converted.
    """
    path = Path(path)
    free = {0: "batch"} if size is not None else {0: "batch", 2: "height", 3: "width"}
    converted = _convert(program, free, output_names, opset)
    converted.model.metadata_props["maskzoo.spec"] = spec.model_dump_json()
    _save(converted, path)
    return path


def _convert(
    program: ExportedProgram, free: dict[int, str], output_names: Sequence[str], opset: int
) -> torch.onnx.ONNXProgram:
    try:
        import onnxscript  # noqa: F401  # the converter's backend
    except ImportError as error:
        raise ExportError("ONNX export needs the extra: pip install 'maskzoo[onnx]'") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            converted = torch.onnx.export(
                program,
                dynamo=True,
                opset_version=opset,
                input_names=["image"],
                output_names=output_names,
                dynamic_shapes=(free,),  # warns about names of axes, which are free already
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            raise ExportError(f"cannot be converted to ONNX opset {opset}: {error}") from error
    assert converted is not None, "the dynamo exporter returns a program"
    return converted


def _save(converted: torch.onnx.ONNXProgram, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        converted.save(part, external_data=False)

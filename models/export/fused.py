"""Fused programs for `models.engines.graphs.fused`: one compilation for all batches and sizes.

torch.export traces the network as `Program` runs it, Inductor compiles the graph, and the program
goes to the user's cache. On a GPU that takes a minute or two and needs a C compiler; loading it
needs none.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from maskzoo.models.bundles.bundle import load_bundle
from maskzoo.models.engines.artefact import cache_folder, store_folder
from maskzoo.models.engines.device import choose_device
from maskzoo.models.engines.graphs.fused import (
    CONSTANTS,
    PROGRAM,
    FusedFolder,
    FusedRecord,
    folder_name,
    machine_name,
)
from maskzoo.models.engines.graphs.program import Program
from maskzoo.models.engines.precision import half_type
from maskzoo.models.errors import ExportError
from maskzoo.models.export.onnx import export_program
from maskzoo.models.export.pools import use_portable_pools
from maskzoo.models.plugins.dcn import use_portable_operators

_TYPICAL = (8, 512, 544)
"""Batch, height and width for which Inductor chooses the sizes of its blocks."""


def export_fused(
    bundle: Path, *, device: str = "auto", notify: Callable[[str], None] = lambda line: None
) -> FusedFolder:
    """Compile the bundle's network for the GPU of this machine, into the user's cache.

    Args:
        notify: takes a line for the person.

    Raises:
        BundleError: the bundle is damaged.
        ExportError: there is no GPU or no compiler, or torch cannot trace or compile the network.
    """
    where = choose_device(device)
    if where.type != "cuda":
        raise ExportError(
            "cuda-graphs is compiled on the machine that will run it, and torch finds no NVIDIA "
            "GPU here"
        )
    loaded = load_bundle(bundle)
    manifest = loaded.manifest
    notify(f"compiling for {torch.cuda.get_device_name(where)}: a minute or two")
    program = Program(loaded.network, manifest.preprocessing, device=where, dtype=half_type(where))
    return compile_program(program, manifest.weights_sha256)


def compile_program(program: Program, weights_sha256: str) -> FusedFolder:
    """Compile a program for its device, and store it in the user's cache.

    Raises:
        ExportError: torch cannot trace or compile the network.
    """
    device = next(program.network.parameters()).device
    machine = machine_name(device, program.dtype)

    def make(folder: Path) -> FusedRecord:
        exported = _trace(program)
        _compile(exported, folder / PROGRAM)
        names = _input_names(exported)
        constants = {name[1:]: exported.constants[name[1:]] for name in names if name[:1] == ":"}
        stored = {name: one.cpu().contiguous() for name, one in constants.items()}
        save_file(stored, folder / CONSTANTS)
        return FusedRecord(
            weights_sha256=weights_sha256,
            machine=machine,
            inputs=tuple(names),
            least_side=_least_side(exported),
            files={},
        )

    parent = cache_folder(weights_sha256)
    return FusedFolder(*store_folder(parent, folder_name(machine), make))


class _Forward(nn.Module):
    """A program's own forward as a module, in the form that torch.export takes.

    Attention stays one operation, which chooses the device's kernel when it runs.
    """

    def __init__(self, program: Program) -> None:
        super().__init__()
        self.network = copy.deepcopy(program.network)
        use_portable_operators(self)
        use_portable_pools(self)
        self.program = copy.copy(program)
        self.program.network = self.network

    def forward(self, batch: Tensor) -> Tensor:
        """Return float32 logits (N, K, h, w) of a normalised batch (N, C, H, W)."""
        return self.program.forward(batch)


def _trace(program: Program) -> ExportedProgram:
    """Return the graph of the network with its casts written out."""
    module = _Forward(program).eval()
    with torch.no_grad():
        exported = export_program(module, program.network.spec.in_channels, typical=_TYPICAL)
        decomposed: ExportedProgram = exported.run_decompositions({})
    return decomposed


def _compile(exported: ExportedProgram, path: Path) -> None:
    graph = exported.graph_module
    for node in graph.graph.nodes:
        if "val" in node.meta:  # torch 2.11 looks for it under this name
            node.meta.setdefault("example_value", node.meta["val"])
    examples = [node.meta["val"] for node in graph.graph.nodes if node.op == "placeholder"]
    try:
        with torch.no_grad():
            compiled = torch._inductor.standalone_compile(
                graph, examples, dynamic_shapes="from_graph"
            )
            compiled.save(path=str(path), format="binary")
    except Exception as error:  # its errors have no common base class
        hint = " (it needs a C compiler: gcc and g++)" if "ompiler" in str(error) else ""
        raise ExportError(f"Inductor cannot compile this network{hint}: {error}") from error


def _input_names(exported: ExportedProgram) -> list[str]:
    """Return the names of the inputs, as `FusedRecord` has them."""
    names = []
    for one in exported.graph_signature.input_specs:
        if one.kind is InputKind.USER_INPUT:
            names.append("")
        elif one.kind in (InputKind.PARAMETER, InputKind.BUFFER):
            names.append(str(one.target).removeprefix("network."))
        elif one.kind is InputKind.CONSTANT_TENSOR:
            names.append(f":{one.target}")
        else:
            raise ExportError(f"this network takes an input of kind {one.kind.name}")
    return names


def _least_side(exported: ExportedProgram) -> int:
    """Return the smallest height and width that the program takes."""
    (batch,) = (
        node.meta["val"]
        for node, one in zip(
            (node for node in exported.graph.nodes if node.op == "placeholder"),
            exported.graph_signature.input_specs,
            strict=True,
        )
        if one.kind is InputKind.USER_INPUT
    )
    return max(int(exported.range_constraints[side.node.expr].lower) for side in batch.shape[2:])

"""Fused programs on Inductor's CPU backend: the same seams as on a GPU, other kernels."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from maskzoo.models.engines.graphs.fused import (
    FusedFolder,
    FusedForward,
    find_fused,
    machine_name,
)
from maskzoo.models.engines.graphs.program import Program
from maskzoo.models.errors import BundleError, EngineError, ExportError
from maskzoo.models.export.fused import compile_program, export_fused
from tests.models import tiny

CPU = torch.device("cpu")
needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")


def program_of(name: str, dtype: torch.dtype | None = None) -> Program:
    network = tiny.at_unit_scale(tiny.build(name).eval())
    return Program(network, tiny.PREPROCESSING, device=CPU, dtype=dtype)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    return tmp_path / "cache"


def assert_fused_as_plain(program: Program, found: FusedFolder, tolerance: float) -> None:
    """Compare the logits at sizes, batches and odd sides that the program was not compiled for."""
    plain = {}
    shapes = [(1, 3, 64, 64), (2, 3, 65, 97), (5, 3, 128, 64), (3, 3, 96, 160)]
    batches = [torch.randn(shape) for shape in shapes]
    for batch in batches:
        plain[batch] = program.of_values(batch.to(memory_format=torch.channels_last))
    program.fused = FusedForward(found, program.network)
    for batch in batches:
        fused = program.of_values(batch.to(memory_format=torch.channels_last))
        assert fused.dtype == torch.float32
        torch.testing.assert_close(fused, plain[batch], rtol=0, atol=tolerance)


@pytest.fixture
def without_inductor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torch interpret the graphs that Inductor should compile."""
    graphs: list[torch.nn.Module] = []

    class Kept:
        def save(self, *, path: str, format: str) -> None:
            Path(path).write_bytes(b"graph")

    def keep(graph: torch.nn.Module, examples: list[object], *, dynamic_shapes: str) -> Kept:
        assert dynamic_shapes == "from_graph"
        assert len(examples) == sum(1 for node in graph.graph.nodes if node.op == "placeholder")
        graphs.append(graph)
        return Kept()

    monkeypatch.setattr("torch._inductor.standalone_compile", keep)
    monkeypatch.setattr("maskzoo.models.engines.graphs.fused._load", lambda path: graphs[-1])


@pytest.mark.usefixtures("without_inductor")
@pytest.mark.parametrize(
    ("name", "dtype", "tolerance"),
    [("deeplabv3plus", None, 2e-5), ("danet", torch.bfloat16, 0.05)],
)
def test_the_graph_for_the_compiler_gives_the_logits_at_any_size(
    name: str, dtype: torch.dtype | None, tolerance: float
) -> None:
    program = program_of(name, dtype)
    made = compile_program(program, "a" * 64)
    assert find_fused("a" * 64, machine_name(CPU, dtype)) == made
    assert_fused_as_plain(program, made, tolerance)
    assert not FusedForward(made, program.network).takes(torch.zeros(1, 3, 63, 640))


@needs_compiler
@pytest.mark.slow
def test_a_fused_program_gives_the_logits_of_its_network_at_any_size(cache: Path) -> None:
    program = program_of("unet")
    made = compile_program(program, "a" * 64)
    assert cache in made.folder.parents
    found = find_fused("a" * 64, machine_name(CPU, None))
    assert found == made
    assert_fused_as_plain(program, found, 2e-5)
    assert not FusedForward(found, program.network).takes(torch.zeros(1, 3, 63, 640))
    # The weights are the network's own: a change of them is seen.
    with torch.no_grad():
        program.network.classifier.conv.bias += 5
    batch = torch.zeros(1, 3, 64, 64).to(memory_format=torch.channels_last)
    torch.testing.assert_close(program.of_values(batch), program.forward(batch))


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("name", ["danet", "segformer"])
def test_other_architectures_are_fused_too(name: str) -> None:
    program = program_of(name)
    assert_fused_as_plain(program, compile_program(program, "b" * 64), 1e-4)


@needs_compiler
@pytest.mark.slow
def test_in_16_bits_the_casts_are_those_of_autocast() -> None:
    program = program_of("unet", torch.bfloat16)
    assert_fused_as_plain(program, compile_program(program, "c" * 64), 0.05)


def stored(cache: Path, **changes: object) -> FusedFolder:
    """Return a folder that says what a program says, without one."""
    from maskzoo.models.engines.artefact import cache_folder, store_folder
    from maskzoo.models.engines.graphs.fused import FusedRecord, folder_name

    machine = str(changes.get("machine", machine_name(CPU, None)))
    record = {"weights_sha256": "d" * 64, "machine": machine, "inputs": ("",), "files": {}}

    def make(folder: Path) -> FusedRecord:
        (folder / "program.bin").write_bytes(b"no program")
        torch.save({}, folder / "constants.safetensors")
        return FusedRecord(**(record | changes))

    return FusedFolder(*store_folder(cache_folder("d" * 64), folder_name(machine), make))


def test_a_program_of_other_weights_or_of_another_machine_is_not_found(cache: Path) -> None:
    found = stored(cache)
    assert find_fused("d" * 64, machine_name(CPU, None)) == found
    assert find_fused("e" * 64, machine_name(CPU, None)) is None
    assert find_fused("d" * 64, machine_name(CPU, torch.bfloat16)) is None
    stored(cache, weights_sha256="f" * 64)
    assert find_fused("d" * 64, machine_name(CPU, None)) is None


def test_a_program_that_was_changed_is_refused_before_it_is_loaded(cache: Path) -> None:
    found = stored(cache)
    (found.folder / "program.bin").write_bytes(b"something else")
    with pytest.raises(BundleError, match="changed since it was made"):
        FusedForward(found, program_of("unet").network)


def test_what_torch_cannot_load_is_an_error_of_the_engine(cache: Path) -> None:
    from safetensors.torch import save_file

    found = stored(cache)
    save_file({}, found.folder / "constants.safetensors")
    record = found.record.model_copy(update={"files": {}})
    with pytest.raises(EngineError, match="cannot load the fused program"):
        FusedForward(FusedFolder(found.folder, record), program_of("unet").network)
    strange = record.model_copy(update={"inputs": ("no.such.weight",)})
    with pytest.raises(EngineError, match=r"of another network: it takes 'no\.such\.weight'"):
        FusedForward(FusedFolder(found.folder, strange), program_of("unet").network)


def test_without_a_gpu_the_export_says_where_it_runs(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ExportError, match="no NVIDIA GPU here"):
        export_fused(tiny.bundle(tmp_path / "tiny"))


def test_a_machine_without_a_compiler_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found")

    monkeypatch.setattr("torch._inductor.standalone_compile", fail)
    with pytest.raises(ExportError, match="needs a C compiler: gcc and g"):
        compile_program(program_of("unet"), "a" * 64)

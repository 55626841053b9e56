"""The engine on a device that does everything as late as it may."""

from __future__ import annotations

import gc
import logging
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.engines import choose
from maskzoo.models.engines.base import Engine, MaskEngine
from maskzoo.models.engines.batches import check_batches
from maskzoo.models.engines.eager import EagerEngine
from maskzoo.models.engines.graphs import program
from maskzoo.models.engines.graphs.cache import Bucket
from maskzoo.models.engines.graphs.check import check_masks
from maskzoo.models.engines.graphs.engine import CudaGraphsEngine
from maskzoo.models.engines.graphs.lanes import Lanes
from maskzoo.models.engines.pixels import network_input
from maskzoo.models.errors import EngineError, NotFiniteError
from maskzoo.models.inference.options import PredictOptions
from maskzoo.models.inference.predictor import Predictor
from maskzoo.models.labels import LabelSet
from maskzoo.models.tables.architectures import ARCHITECTURES
from tests.models import tiny
from tests.models.engines.graphs.fake import LateDevice

LABELS = LabelSet.generic(tiny.CLASSES)


def image(seed: int, height: int = 64, width: int = 80) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def engine(
    device: LateDevice | None = None, name: str = "unet", **kwargs: object
) -> CudaGraphsEngine:
    network = tiny.at_unit_scale(tiny.build(name).eval())
    kwargs = {"half": False} | kwargs
    return CudaGraphsEngine(network, tiny.PREPROCESSING, device or LateDevice(), **kwargs)


def predictors(device: LateDevice | None = None) -> tuple[Predictor, Predictor]:
    """Return the same network on graphs and on eager torch."""
    network = tiny.at_unit_scale(tiny.build("unet").eval())
    eager = Predictor(network, LABELS, tiny.PREPROCESSING, device="cpu")
    return Predictor(engine(device), LABELS, tiny.PREPROCESSING), eager


def assert_same(found: np.ndarray, wanted: np.ndarray) -> None:
    """Compare label maps; a pixel between two classes may fall to either by rounding."""
    assert found.shape == wanted.shape
    assert found.dtype == wanted.dtype
    assert (found == wanted).mean() > 0.999


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_graph_gives_the_logits_of_eager_torch_in_every_architecture(name: str) -> None:
    device = LateDevice()
    graphs = engine(device, name)
    network = tiny.at_unit_scale(tiny.build(name).eval())
    eager = EagerEngine.of(network, network.spec, "cpu")
    for _ in range(3):  # eagerly, captured, replayed
        images = [image(1), image(2)]
        pixels = network_input(images, tiny.PREPROCESSING, graphs.device, as_pixels=True)
        values = network_input(images, tiny.PREPROCESSING, graphs.device, as_pixels=False)
        torch.testing.assert_close(graphs.run(pixels), eager.run(values), rtol=0, atol=2e-4)
    assert (device.captures, device.replays) == (1, 2)


@pytest.mark.parametrize("confidence", [True, False])
def test_the_predictor_gives_the_same_masks_on_graphs_and_on_torch(confidence: bool) -> None:
    graphs, eager = predictors()
    options = PredictOptions(confidence=confidence)
    for images in ([image(1)], [image(2)] * 3, [image(3, 97, 61), image(4, 97, 61)]) * 3:
        found = graphs.segment_batch(images, options)
        for one, wanted in zip(found, eager.segment_batch(images, options), strict=True):
            assert_same(one.label_map, wanted.label_map)
            assert (one.confidence is None) == (not confidence)
            if one.confidence is not None and wanted.confidence is not None:
                np.testing.assert_allclose(one.confidence, wanted.confidence, atol=2e-3)


@pytest.mark.parametrize(
    "options",
    [
        PredictOptions(mode="resize", max_side=48),
        PredictOptions(tta="flip"),
        PredictOptions(tta="multiscale"),
        PredictOptions(probabilities=True),
        PredictOptions(mode="tiled"),
    ],
)
def test_what_no_mask_graph_serves_goes_through_logits(options: PredictOptions) -> None:
    graphs, eager = predictors()
    for _ in range(2):
        found, wanted = (one.segment(image(5, 70, 90), options) for one in (graphs, eager))
        assert_same(found.label_map, wanted.label_map)
        if wanted.probabilities is not None:
            assert found.probabilities is not None
            np.testing.assert_allclose(found.probabilities, wanted.probabilities, atol=2e-3)


@pytest.mark.parametrize(("size", "max_side"), [((20, 40), None), ((32, 32), 16)])
def test_a_tiny_image_is_resized_and_padded_as_on_torch(
    size: tuple[int, int], max_side: int | None
) -> None:
    graphs, eager = predictors()
    options = PredictOptions(mode="resize", max_side=max_side)
    found, wanted = (one.segment(image(5, *size), options) for one in (graphs, eager))
    assert_same(found.label_map, wanted.label_map)


def test_an_image_gets_the_same_mask_in_any_company() -> None:
    graphs = engine()
    graphs.prepare((64, 80), [1, 2, 3, 4, 6])
    (alone,) = graphs.masks([image(0)])
    for count in range(2, 7):
        for place in (0, count - 1):
            others = [image(100 + number) for number in range(count)]
            others[place] = image(0)
            row = graphs.masks(others)[place]
            assert_same(row.label_map, alone.label_map)
            assert row.confidence is not None
            assert alone.confidence is not None
            np.testing.assert_allclose(row.confidence, alone.confidence, atol=1e-3)


def test_batches_of_many_threads_never_mix_though_copies_and_runs_overlap() -> None:
    graphs = engine(LateDevice(graph_bytes=lambda _: 300), max_bytes=100_000)
    shapes = [(64, 80), (64, 64), (80, 64)]
    wanted = {
        (number, shape): engine().masks([image(number, *shape)])[0].label_map
        for number in range(4)
        for shape in shapes
    }

    def ask(job: int) -> bool:
        shape = shapes[job % 3]
        numbers = [(job + row) % 4 for row in range(1 + job % 3)]
        rows = graphs.masks([image(number, *shape) for number in numbers])
        return all(
            (row.label_map == wanted[number, shape]).mean() > 0.999
            for row, number in zip(rows, numbers, strict=True)
        )

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, range(60)))


def test_the_next_batch_does_not_overwrite_a_result_that_was_returned() -> None:
    graphs = engine()
    graphs.prepare((64, 80), [1])
    (first,) = graphs.masks([image(1)])
    kept = first.label_map.copy()
    for seed in range(2, 7):
        graphs.masks([image(seed)])
    np.testing.assert_array_equal(first.label_map, kept)


def test_graphs_are_dropped_by_bytes_the_oldest_first() -> None:
    pixels = 32 * 64 * 3  # bytes that each replay reads
    graphs = engine(LateDevice(graph_bytes=lambda _: 1000), max_bytes=2 * (1000 + pixels))
    for size in ((32, 64), (64, 32)):
        graphs.prepare(size, [1])
    graphs.masks([image(1, 32, 64)])  # now the other one is the oldest
    graphs.prepare((16, 128), [1])
    assert graphs.buckets == [Bucket("masks", 1, 32, 64), Bucket("masks", 1, 16, 128)]
    assert_same(
        graphs.masks([image(1, 64, 32)])[0].label_map,
        engine().masks([image(1, 64, 32)])[0].label_map,
    )


def test_a_network_that_cannot_be_captured_runs_eagerly_and_says_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> None:
        raise RuntimeError("Cannot copy between CPU and CUDA tensors during graph capture")

    graphs, plain = engine(LateDevice(fail=fail)), engine()
    with caplog.at_level(logging.WARNING):
        rows = [graphs.masks([image(1)])[0] for _ in range(3)]
    assert_same(rows[-1].label_map, plain.masks([image(1)])[0].label_map)
    assert graphs.failure is not None
    assert "during graph capture" in graphs.failure
    assert caplog.text.count("event=graph_failed") == 1


def test_an_error_in_a_run_leaves_the_lanes_usable() -> None:
    graphs = engine()
    for _ in range(5):
        with pytest.raises(ValueError, match="broadcast"):
            graphs.masks([image(1), image(1, 32, 32)])
    assert graphs.masks([image(1)])[0].is_finite


def test_logits_that_are_not_finite_are_an_error_that_names_the_image() -> None:
    network = tiny.build("unet").eval()
    with torch.no_grad():
        network.classifier.conv.bias[1] = torch.nan
    graphs = CudaGraphsEngine(network, tiny.PREPROCESSING, LateDevice(), half=False)
    with pytest.raises(NotFiniteError, match="image 1 of 2"):
        Predictor(graphs, LABELS, tiny.PREPROCESSING).segment_batch([image(1), image(2)])


def test_weights_are_16_bits_once_and_the_classes_nearly_those_of_float32() -> None:
    half = engine(half=True)
    if half.precision == "float32":
        pytest.skip("this processor has no bfloat16")
    weights = {type(one.weight.dtype) for one in half.network.modules() if hasattr(one, "weight")}
    assert weights
    assert half.network.classifier.conv.weight.dtype == torch.bfloat16
    found, wanted = (one.masks([image(1)] * 2)[1] for one in (half, engine()))
    assert (found.label_map == wanted.label_map).mean() > 0.97


def test_a_dropped_engine_leaves_nothing_behind() -> None:
    graphs = engine()
    graphs.prepare((64, 80), [1, 2])
    graphs.masks([image(1)])
    gone = weakref.ref(graphs.network)
    del graphs
    gc.collect()
    assert gone() is None


def test_it_keeps_the_protocols_and_passes_the_checks_of_batches_and_masks() -> None:
    graphs = engine()
    assert isinstance(graphs, MaskEngine)
    with graphs.capturing():
        check_batches(graphs, tiny.PREPROCESSING)
        check_masks(graphs, [image(1), image(2, 97, 61)])
        assert graphs.buckets
    assert graphs.buckets == []


def test_masks_that_are_not_those_of_the_logits_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graphs = engine()
    masks = CudaGraphsEngine.masks

    def wrong(self: CudaGraphsEngine, images: list[np.ndarray], **kwargs: bool) -> list[object]:
        return masks(self, images, **kwargs)[::-1]

    monkeypatch.setattr(CudaGraphsEngine, "masks", wrong)
    with pytest.raises(EngineError, match="the class of its own logits for only"):
        check_masks(graphs, [image(1)])


# the choice, with the fake device in a GPU's place


def opened(folder: Path, name: str = "auto") -> Engine:
    bundle = tiny.bundle(folder / "tiny")
    return choose.open_engine(bundle, read_manifest(bundle), engine=name)


def reason(found: Engine) -> str:
    assert found.choice is not None
    return found.choice.reason


def test_auto_takes_graphs_on_a_gpu_after_their_check(tmp_path: Path, with_gpu: LateDevice) -> None:
    found = opened(tmp_path)
    assert found.name == "cuda-graphs"
    assert with_gpu.replays > 10, "the check ran graphs, not only the eager program"
    assert "near to float32" in reason(found)


def test_auto_takes_torch_where_the_network_cannot_be_captured(
    tmp_path: Path, with_gpu: LateDevice
) -> None:
    def fail() -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    with_gpu.fail = fail
    found = opened(tmp_path)
    assert found.name == "torch"
    assert "cannot be captured: operation not permitted" in reason(found)
    with pytest.raises(EngineError, match="not permitted when stream is capturing"):
        opened(tmp_path / "other", "cuda-graphs")


def test_auto_takes_torch_where_graphs_are_further_from_float32(
    tmp_path: Path, with_gpu: LateDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreements = {"cuda-graphs": 0.97, "torch": 0.98}
    monkeypatch.setattr(
        "maskzoo.models.engines.check.CheckImages.agreement",
        lambda self, engine, _: agreements[engine.name],
    )
    found = opened(tmp_path / "one")
    assert found.name == "torch"
    assert "for 97.000% of the check pixels, and torch" in reason(found)
    agreements["torch"] = 0.9705  # both round alike
    assert opened(tmp_path / "two").name == "cuda-graphs"


def test_without_a_gpu_the_engine_says_what_it_needs(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(EngineError, match="NVIDIA GPUs only"):
        opened(tmp_path, "cuda-graphs")


def test_prepared_batches_are_those_that_have_graphs() -> None:
    device = LateDevice(total_bytes=1 << 30)
    graphs = engine(device)
    graphs.prepare((64, 80), [5, 6])
    assert graphs.buckets == [Bucket("masks", 6, 64, 80)]
    graphs.masks([image(number) for number in range(5)])
    assert (device.captures, device.replays) == (1, 1)


@pytest.mark.parametrize(("total_bytes", "kept"), [(1 << 22, 1), (4 << 20 << 8, 2)])
def test_graphs_take_a_quarter_of_the_devices_memory(total_bytes: int, kept: int) -> None:
    device = LateDevice(total_bytes=total_bytes, graph_bytes=lambda _: 600_000)
    graphs = engine(device)
    for size in ((64, 80), (64, 96)):
        graphs.prepare(size, [1])
    assert len(graphs.buckets) == kept


@pytest.mark.parametrize(("classes", "kind"), [(256, torch.uint8), (257, torch.int32)])
def test_ids_of_256_classes_are_bytes_and_of_more_are_not(classes: int, kind: torch.dtype) -> None:
    logits = torch.zeros(1, classes, 2, 2)
    logits[0, -1] = 1
    ids, _, _ = program.segment(logits, (2, 2))
    assert ids.dtype == kind
    assert ids.unique().tolist() == [classes - 1]


def test_so_many_images_are_resized_at_once_as_there_is_memory_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logits, sizes = torch.randn(5, 3, 4, 4), []
    wanted = program.segment(logits, (8, 8))
    resize = program.F.interpolate

    def note(part: torch.Tensor, **options: object) -> torch.Tensor:
        sizes.append(len(part))
        return resize(part, **options)

    monkeypatch.setattr(program.F, "interpolate", note)
    for images, expected in ((2, [2, 2, 1]), (0.5, [1] * 5)):
        monkeypatch.setattr(program, "_MOST_VALUES", int(images * 3 * 8 * 8))
        sizes.clear()
        for one, other in zip(program.segment(logits, (8, 8)), wanted, strict=True):
            torch.testing.assert_close(one, other)
        assert sizes == expected


def test_a_lane_of_a_batch_that_failed_is_free_once_all_streams_have_done_their_work() -> None:
    lanes, done = Lanes(LateDevice(), count=1), []
    for number, stream in enumerate((lanes.up, lanes.run, lanes.down)):
        stream.do(lambda number=number: done.append(number))
    with pytest.raises(ValueError, match="invalid literal"), lanes.take() as lane:
        int("broken")
    assert sorted(done) == [0, 1, 2]
    with lanes.take() as again:
        assert again is lane

"""The cost of an image, against the same sums by hand."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from maskzoo.models.inference.options import PredictOptions
from maskzoo.models.inference.resize import InputPlan, plan_input
from maskzoo.models.inference.tiles import lay_tiles
from maskzoo.models.labels import LabelSet
from maskzoo.service.adapters import cvat, huggingface, label_studio
from maskzoo.service.adapters.label_studio import BrushConfig, BrushLabel
from maskzoo.service.answering.costs import cost_of
from maskzoo.service.inputs.georeference import GeoReference
from maskzoo.service.responses.answer import Answer, AnswerNeeds
from maskzoo.service.responses.documents import RUN_BYTES
from maskzoo.service.responses.formats import FORMATS
from maskzoo.service.scheduling.cost import Cost, CostLimits
from maskzoo.service.schemas import SegmentOptions
from maskzoo.service.settings import Settings
from maskzoo.service.shapes import runs as runs_module
from maskzoo.service.shapes.coco import encode_rle
from maskzoo.service.shapes.runs import LabelRuns

LIMITS = replace(CostLimits.of(Settings()), max_runs=15_000, max_corners=70_000)


def cost(
    plan: InputPlan,
    num_classes: int,
    *,
    needs: AnswerNeeds | None = None,
    masks: tuple[str, ...] = (),
    limits: CostLimits = LIMITS,
    **options,
) -> Cost:
    model = SimpleNamespace(
        labels=LabelSet.generic(num_classes),
        predictor=SimpleNamespace(run_bytes=lambda size: 1000 * size[0] * size[1]),
    )
    return cost_of(
        plan,
        PredictOptions(**options),
        model,
        needs or AnswerNeeds(bytes_per_pixel=3),
        limits=limits,
        masks=masks,
        image_pixels=7,
        body_bytes=5,
    )


def test_a_whole_image_holds_the_logits_of_its_input():
    found = cost(plan_input((100, 200), "whole"), 5)
    assert found == Cost(
        body_bytes=5,
        image_pixels=7,
        network_pixels=20_000,
        run_pixels=20_000,
        run_bytes=20_000_000,
        logit_values=5 * 20_000,
        answer_bytes=3 * 20_000,
    )


def test_views_count_as_pixels_and_the_largest_as_memory():
    """Scales 1 and 2 by two symmetries: 2 x (1 + 4) inputs; logits of scale 2 and their sum."""
    found = cost(plan_input((100, 200), "whole"), 5, tta="flip+multiscale:1,2")
    assert found.network_pixels == found.run_pixels == 10 * 20_000
    assert found.run_bytes == 1000 * 200 * 400
    assert found.logit_values == 5 * (4 + 1) * 20_000


def test_a_resized_image_holds_rows_of_logits_as_wide_as_the_image():
    plan = plan_input((4000, 8000), "resize", max_side=1000)
    assert plan.scaled == (500, 1000)
    assert cost(plan, 150).logit_values == 150 * (500 * 1000 + 500 * 8000)
    assert cost(plan, 2).logit_values == 2 * 500 * 1000 + 4000 * 8000  # only their difference
    wide = plan_input((1000, 100_000), "resize", max_side=1000)
    assert cost(wide, 150).logit_values == 150 * (32 * 1000 + 1000 * 1000)  # columns first


@pytest.mark.parametrize(("num_classes", "ahead"), [(5, 4), (2000, 2), (5000, 1)])
def test_a_tiled_image_holds_a_few_tiles_and_what_two_rows_of_them_share(num_classes, ahead):
    """Of 2000 classes two tiles are on their way: the logits of each have 131 MB, of 5000 328."""
    tiles = lay_tiles((300, 1000), (128, 128))
    plan = InputPlan("tiled", (300, 1000), (300, 1000), (300, 1000), tiles)
    found = cost(plan, num_classes)
    tile, shared = 128 * 128, tiles.rows.max_shared * 1000
    assert found.logit_values == num_classes * (tile * (1 + ahead - 1 + 3) + shared)
    assert (found.run_pixels, found.network_pixels) == (tile, 300_000)


def test_probabilities_are_values_of_logits_and_of_the_answer():
    found = cost(plan_input((100, 200), "whole"), 5, probabilities=True)
    assert found.probability_values == 5 * 20_000
    assert found.logit_values == 2 * 5 * 20_000
    assert found.answer_bytes == 3 * 20_000 + 6 * 5 * 20_000


MASKS = AnswerNeeds(bytes_per_pixel=1, bytes_per_run=5, bytes_per_corner=7, follows_masks=True)


@pytest.mark.parametrize(
    ("needs", "masks", "expected"),
    [
        (MASKS, (), 20_000),
        (MASKS, ("png",), 20_000),
        (MASKS, ("rle",), 20_000 + 5 * 15_000),
        (MASKS, ("coco", "png"), 20_000 + 5 * 15_000),
        (MASKS, ("polygons",), 20_000 + 7 * 70_000),
        (MASKS, ("polygons", "rle"), 20_000 + 5 * 15_000 + 7 * 70_000),
        (replace(MASKS, follows_masks=False), (), 20_000 + 5 * 15_000 + 7 * 70_000),
        (AnswerNeeds(bytes_per_pixel=1, flat_pixels=99_000), (), 20_000 + 12 * 99_000),
        (AnswerNeeds(bytes_per_pixel=1, flat_pixels=101_000), (), 20_000 + 12 * 100_000),
    ],
)
def test_an_answer_counts_as_if_its_mask_were_the_worst_that_is_written(needs, masks, expected):
    """Of 20 000 pixels and 5 classes: 15 000 runs and 70 000 corners are the most by the limits."""
    plan = plan_input((100, 200), "whole")
    assert cost(plan, 5, needs=needs, masks=masks).answer_bytes == expected


@pytest.mark.parametrize(
    ("size", "runs", "corners"), [((100, 200), 15_000, 70_000), ((2, 3), 6, 24)]
)
def test_a_pixel_is_at_most_one_run_and_four_corners(size, runs, corners):
    needs = AnswerNeeds(bytes_per_pixel=0, bytes_per_run=10**6, bytes_per_corner=1)
    assert cost(plan_input(size, "whole"), 5, needs=needs).answer_bytes == 10**6 * runs + corners


Writes = Callable[[Answer], object]
ALL_MASKS = ("rle", "coco", "polygons", "png", "rle,coco,polygons,png")
BRUSHES = BrushConfig("b", "i", "image", tuple(BrushLabel(f"class_{label}") for label in range(9)))
WRITTEN: dict[str, tuple[AnswerNeeds, str, Writes]] = {
    **{
        f"{each.name} {each.variant or masks}": (
            each,
            masks,
            lambda answer, each=each, masks=masks: each.encode(answer, SegmentOptions(masks=masks)),
        )
        for each in FORMATS
        for masks in (ALL_MASKS if each.follows_masks else ("none",))
    },
    "hugging face": (
        huggingface.NEEDS,
        "",
        partial(huggingface.encode_segments, parameters=huggingface.Parameters()),
    ),
    "label studio": (
        label_studio.NEEDS,
        "",
        partial(label_studio.describe_prediction, config=BRUSHES, max_runs=10**9),
    ),
    **{
        f"cvat {kind}": (
            cvat.needs_of(kind, flat_pixels=10**9),
            "",
            partial(cvat.encode_shapes, threshold=0, mask_format=kind, flat_pixels=10**9),
        )
        for kind in ("flat", "rle")
    },
}


MAP = GeoReference((), np.array([[0.3, 0, 500_000], [0, -0.3, 5e6]]), 32632)

ON_A_MAP = "geojson on a map"
WRITTEN[ON_A_MAP] = WRITTEN["geojson none"]


@pytest.mark.parametrize("num_classes", [2, 9])
@pytest.mark.parametrize("name", WRITTEN)
def test_an_answer_of_noise_is_written_in_the_memory_that_was_counted(
    monkeypatch, name, num_classes
):
    monkeypatch.setattr(runs_module, "_BLOCK", 1024)
    needs, masks, write = WRITTEN[name]
    size = (64, 120) if needs.bytes_per_corner and masks != "rle" else (200, 320)  # for the time
    noise = np.random.default_rng(0).integers(0, num_classes, size, np.uint8)
    answer = Answer(
        model="cells",
        labels=LabelSet.from_names([f"class_{label}" for label in range(num_classes)]),
        runs=LabelRuns(noise),
        confidence=np.full(noise.shape, 0.75, np.float16),
        pixels=np.zeros((*noise.shape, 3), np.uint8),
        mode="whole",
        info=SimpleNamespace(to_json=dict),
        request_id="r1",
        georeference=MAP if name == ON_A_MAP else None,
    )
    counted = cost(
        plan_input(noise.shape, "whole"),
        num_classes,
        needs=needs,
        masks=masks.split(","),
        limits=CostLimits.of(Settings()),
    )
    write(answer)  # what is imported and cached at the first use
    answer = replace(answer, runs=LabelRuns(noise))
    tracemalloc.start()
    write(answer)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < counted.answer_bytes + 300_000  # zlib's own, and what does not grow either


def test_of_noise_in_json_most_of_what_is_counted_is_needed():
    """The bound is no more than twice what the worst map takes: a checkerboard."""
    board = (np.indices((400, 500)).sum(0) % 2).astype(np.uint8)
    runs = LabelRuns(board)
    tracemalloc.start()
    encode_rle(runs, 0), encode_rle(runs, 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert board.size * RUN_BYTES / 2 < peak < board.size * RUN_BYTES


@pytest.mark.parametrize(("tta", "held"), [("none", 1), ("flip", 2), ("d4", 2)])
def test_of_two_views_or_more_the_sum_is_held_beside_one(tta, held):
    assert cost(plan_input((100, 200), "whole"), 5, tta=tta).logit_values == held * 5 * 20_000

"""The cost of one image, from its plan: sizes, classes, views, and what its answer holds.

How many runs or corners a mask has is known once the network has run. Until then an answer counts
as if it had the most: as many as pixels allow, or as are written at all. A mask that has more is
refused before they are written.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from maskzoo.service.scheduling.cost import Cost, tiles_ahead

if TYPE_CHECKING:
    from maskzoo.models.inference.options import PredictOptions
    from maskzoo.models.inference.resize import InputPlan
    from maskzoo.service.bundles.entries import LoadedModel
    from maskzoo.service.responses.answer import AnswerNeeds
    from maskzoo.service.scheduling.cost import CostLimits

_WINDOWS = 3
"""Tiles of logits that the blending of tiles holds: those it adds to, their copy, one more."""
_PROBABILITY_BYTES = 6  # float32 while they are computed, float16 in the answer
_CORNERS_OF_PIXEL = 4  # of a pixel whose neighbours are all of other classes
_FLAT_BYTES = 12  # two of text, in the parts, the document and its bytes, and while they are joined


def cost_of(
    plan: InputPlan,
    options: PredictOptions,
    model: LoadedModel,
    needs: AnswerNeeds,
    *,
    limits: CostLimits,
    masks: Collection[str],
    image_pixels: int,
    body_bytes: int,
) -> Cost:
    """Return what an image with that plan may take.

    Args:
        masks: the kinds of masks that the option `masks` names.
        image_pixels: as `ImageInfo.cost` counts them.
    """
    from maskzoo.models.inference.postprocess import resize_values  # a front counts nothing

    num_classes = model.labels.num_classes
    area = plan.image[0] * plan.image[1]
    views = options.views
    all_views = len(views.symmetries) * sum(scale**2 for scale in views.scales)
    largest = max(views.scales)
    run = _run_size(plan)
    run_pixels = run[0] * run[1]
    probabilities = num_classes * area if options.probabilities else 0
    values = num_classes * run_pixels * max(1, largest**2)
    if views.num_views > 1:
        values += num_classes * run_pixels  # the sum of the views so far
    if plan.tiles is not None:
        kept = num_classes * plan.tiles.rows.max_shared * plan.tiles.columns.length
        num_tiles = tiles_ahead(run, num_classes) - 1 + _WINDOWS
        values += num_classes * run_pixels * num_tiles + kept
    else:
        values += resize_values(plan.scaled, plan.image, num_classes)
    return Cost(
        body_bytes=body_bytes,
        image_pixels=image_pixels,
        network_pixels=round((area if plan.tiles is not None else run_pixels) * all_views),
        run_pixels=round(run_pixels * all_views),
        run_bytes=model.predictor.run_bytes((round(run[0] * largest), round(run[1] * largest))),
        logit_values=round(values) + probabilities,
        probability_values=probabilities,
        answer_bytes=needs.bytes_per_pixel * area
        + _PROBABILITY_BYTES * probabilities
        + _FLAT_BYTES * min(num_classes * area, needs.flat_pixels)
        + needs.shape_bytes(
            masks,
            runs=min(area, limits.max_runs),
            corners=min(_CORNERS_OF_PIXEL * area, limits.max_corners),
        ),
    )


def _run_size(plan: InputPlan) -> tuple[int, int]:
    """Return the size of the network's input in one run: the image's, or that of a tile."""
    if plan.tiles is None:
        return plan.padded
    return plan.tiles.rows.max_size, plan.tiles.columns.max_size

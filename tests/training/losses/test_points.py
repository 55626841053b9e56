"""Cross-entropy at points, against a loop over them."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from maskzoo.models.network.neck import PointLogits
from maskzoo.models.network.network import TrainOutput
from maskzoo.training.config.losses import CrossEntropyTerm
from maskzoo.training.losses.points import point_loss, truth_at
from maskzoo.training.losses.total import SegmentationLoss

IGNORED = 9


def test_a_place_belongs_to_the_pixel_that_holds_it_and_none_outside_counts() -> None:
    target = torch.tensor([[[0, 1, 2], [3, 4, IGNORED]]])
    places = torch.tensor(
        [[[-1.0, -1.0], [-0.34, -0.01], [-0.33, -0.01], [0.99, 0.99], [0.0, 0.0], [1.2, 0.0]]]
    )
    found = truth_at(target, places, ignore_index=IGNORED)
    assert found.tolist() == [[0, 0, 1, IGNORED, 4, IGNORED]]


def test_the_loss_is_the_mean_of_the_points_that_count() -> None:
    torch.manual_seed(0)
    target = torch.tensor([[[0, 1], [2, IGNORED]]])
    places = torch.tensor([[[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]])
    logits = torch.randn(1, 3, 4, requires_grad=True)
    value = point_loss(PointLogits(logits, places), target, ignore_index=IGNORED)
    kept = [(0, 0), (1, 1), (3, 2)]
    by_hand = [F.cross_entropy(logits[:, :, p], torch.tensor([k])) for p, k in kept]
    torch.testing.assert_close(value, torch.stack(by_hand).mean())
    outside = PointLogits(logits, places + 5)
    assert point_loss(outside, target, ignore_index=IGNORED) == 0


def test_the_points_are_a_part_of_the_whole_loss() -> None:
    torch.manual_seed(0)
    target = torch.randint(0, 3, (2, 4, 5))
    points = PointLogits(torch.randn(2, 3, 6), torch.rand(2, 6, 2))
    loss = SegmentationLoss(
        (CrossEntropyTerm(),),
        ignore_index=IGNORED,
        class_weights=None,
        aux_weights={},
        scene_weight=0,
    )
    total, parts = loss(TrainOutput(torch.randn(2, 3, 4, 5), points=points), target)
    assert parts.keys() == {"ce", "points"}
    torch.testing.assert_close(total, parts["ce"] + parts["points"])

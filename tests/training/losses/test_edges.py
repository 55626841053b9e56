"""Edges of label maps, and the losses that teach them."""

from __future__ import annotations

import torch

from maskzoo.models.network.decoder import EdgeTerms
from maskzoo.models.network.network import TrainOutput
from maskzoo.training.config.losses import CrossEntropyTerm
from maskzoo.training.losses.cross_entropy import cross_entropy
from maskzoo.training.losses.edges import (
    detail_loss,
    edge_loss,
    find_details,
    find_edges,
    keep_edges,
)
from maskzoo.training.losses.total import SegmentationLoss

IGNORED = 255


def halves(height: int = 6, width: int = 10) -> torch.Tensor:
    """A label map whose left half is class 3 and whose right half is class 1."""
    target = torch.full((1, height, width), 3)
    target[:, :, width // 2 :] = 1
    return target


def test_an_edge_is_where_the_window_holds_two_classes() -> None:
    edges = find_edges(halves(), side=5, ignore_index=IGNORED)
    assert edges[0].any(0).tolist() == [3 <= column <= 6 for column in range(10)]
    assert torch.equal(edges, find_edges(7 - halves(), side=5, ignore_index=IGNORED))


def test_ignored_pixels_make_no_edge() -> None:
    target = halves()
    target[:, :, 5:] = IGNORED
    assert not find_edges(target, side=5, ignore_index=IGNORED).any()
    logits = torch.randn(1, 1, 6, 10)
    full = edge_loss(logits, halves()[:, :, :10], ignore_index=IGNORED)
    assert full > 0
    nothing = torch.full((1, 6, 10), IGNORED)
    assert edge_loss(logits, nothing, ignore_index=IGNORED) == 0
    assert detail_loss(logits, nothing, ignore_index=IGNORED) >= 0


def test_details_are_the_edges_of_stride_1_and_2_by_hand() -> None:
    target = halves(4, 12)
    target[:, :, 7] = 1
    # stride 1: columns 5 and 6; stride 2: column 6, the even one beside both, for 6 and 7
    assert find_details(target, ignore_index=IGNORED)[0].any(0).nonzero().flatten().tolist() == [
        5,
        6,
        7,
    ]


def test_edges_weigh_as_much_as_all_the_rest() -> None:
    target, logits = halves(), torch.zeros(1, 1, 6, 10)
    # 24 of 60 pixels are edges: 24/60 · 36/60 + 36/60 · 24/60, each at a loss of ln 2
    expected = 2 * 0.4 * 0.6 * torch.log(torch.tensor(2.0))
    torch.testing.assert_close(edge_loss(logits, target, ignore_index=IGNORED), expected)


def test_a_right_answer_costs_nearly_nothing() -> None:
    target = halves()
    edges = find_edges(target, side=5, ignore_index=IGNORED).float()[:, None]
    details = find_details(target, ignore_index=IGNORED).float()[:, None]
    assert edge_loss(40 * edges - 20, target, ignore_index=IGNORED) < 1e-6
    assert detail_loss(40 * details - 20, target, ignore_index=IGNORED) < 1e-6
    assert detail_loss(20 - 40 * details, target, ignore_index=IGNORED) > 1


def test_pixels_that_are_no_edge_for_sure_are_left_out() -> None:
    edges = torch.tensor([[[[1.0, 1.5, -9.0]]]])  # probabilities 0.73, 0.82, 0.00
    kept = keep_edges(torch.tensor([[[0, 1, 2]]]), edges, ignore_index=IGNORED)
    assert kept.tolist() == [[[IGNORED, 1, IGNORED]]]


def test_the_sum_holds_the_edges_and_the_logits_beside_them() -> None:
    torch.manual_seed(0)
    target = halves()
    logits, edges = torch.randn(1, 4, 6, 10), torch.full((1, 1, 6, 10), 9.0)
    loss = SegmentationLoss(
        (CrossEntropyTerm(),),
        ignore_index=IGNORED,
        class_weights=None,
        aux_weights={},
        scene_weight=0,
        edge_terms=EdgeTerms("edges", weight=20.0, aware_weight=1.0),
    )
    total, parts = loss(TrainOutput(logits, edges=edges), target)
    plain = cross_entropy(logits, target, ignore_index=IGNORED, class_weights=None)
    taught = 20 * edge_loss(edges, target, ignore_index=IGNORED)
    torch.testing.assert_close(total, 2 * plain + taught)  # all of it counts as an edge
    torch.testing.assert_close(parts["edges"], plain + taught)

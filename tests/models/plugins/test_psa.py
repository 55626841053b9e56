"""PSA: against the authors' operator and module and mmcv's, six plain loops, and known mistakes."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from maskzoo.models.errors import ShapeError, SpecError
from maskzoo.models.plugins.psa import (
    PointwiseSpatialAttention,
    PointwiseSpatialAttentionBlock,
    Sampling,
    Scoring,
    cut_out,
)


@pytest.mark.parametrize(
    ("name", "mask_size"),
    [
        ("official_psamask_collect_13x9", (13, 9)),
        ("official_psamask_collect_3x5", (3, 5)),
        ("official_psamask_distribute_13x9", (13, 9)),
        ("official_psamask_distribute_3x5", (3, 5)),
        ("mmcv_PSAMask_collect_6x4", (6, 4)),
        ("mmcv_PSAMask_distribute_6x4", (6, 4)),
    ],
)
def test_cutting_out_equals_the_compiled_operator_in_value_and_gradient(
    name, mask_size, module_reference
):
    io = module_reference(name).io
    x = io["input"].double().requires_grad_()
    y = cut_out(x, mask_size, distribute="distribute" in name)
    assert torch.equal(y.view_as(io["output_f64"]), io["output_f64"])
    y.backward(io["grad_output"].double().view_as(y))
    torch.testing.assert_close(x.grad.float(), io["grad_input"])


@pytest.mark.parametrize("distribute", [False, True])
@pytest.mark.parametrize(
    ("size", "mask_size"),
    [((5, 4), (9, 7)), ((5, 4), (5, 3)), ((3, 3), (7, 7)), ((1, 1), (1, 1)), ((1, 6), (3, 2))],
)
def test_cutting_out_equals_six_loops(size, mask_size, distribute):
    height, width = size
    rows, columns = mask_size
    predicted = torch.randn(2, rows * columns, height, width)
    wanted = torch.zeros(2, height * width, height * width)
    for i, j, r, c in product(range(height), range(width), range(rows), range(columns)):
        row, column = i + r - (rows - 1) // 2, j + c - (columns - 1) // 2
        if 0 <= row < height and 0 <= column < width:
            here, there = i * width + j, row * width + column
            pair = (here, there) if distribute else (there, here)
            wanted[:, pair[0], pair[1]] = predicted[:, r * columns + c, i, j]
    assert torch.equal(cut_out(predicted, mask_size, distribute=distribute), wanted)


def test_distributing_is_collecting_transposed():
    predicted = torch.randn(2, 15, 4, 6)
    collected = cut_out(predicted, (3, 5))
    assert torch.equal(cut_out(predicted, (3, 5), distribute=True), collected.transpose(1, 2))


def test_weight_on_the_right_neighbour_shifts_left_or_right():
    x = torch.randn(1, 1, 3, 5)
    predicted = torch.zeros(1, 9, 3, 5)
    predicted[:, 5] = 1  # row 0, column +1
    collected = x.flatten(2) @ cut_out(predicted, (3, 3))
    distributed = x.flatten(2) @ cut_out(predicted, (3, 3), distribute=True)
    assert torch.equal(collected.view_as(x)[..., :-1], x[..., 1:])
    assert torch.equal(distributed.view_as(x)[..., 1:], x[..., :-1])


def test_excluded_positions_get_no_weight_and_zero_ones_do():
    predicted = torch.randn(1, 9, 6, 6)
    for outside, reached in (("exclude", 9), ("zero", 36)):
        weights = cut_out(predicted, (3, 3), outside=outside).softmax(1)
        torch.testing.assert_close(weights.sum(1), torch.ones(1, 36))
        assert int((weights[0, :, 14] > 0).sum()) == reached


def test_the_gradient_of_cutting_out_is_exact():
    predicted = torch.randn(1, 6, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: cut_out(x, (3, 2)), predicted)


def _names(*directions):
    names = {"proj.0": "proj.conv", "proj.1": "proj.norm"}
    for theirs, direction in zip(("", "_p"), directions, strict=False):
        ours = f"branches.{direction}"
        names |= {
            f"reduce{theirs}.0": f"{ours}.reduce.conv",
            f"reduce{theirs}.1": f"{ours}.reduce.norm",
            f"attention{theirs}.0": f"{ours}.attention.0.conv",
            f"attention{theirs}.1": f"{ours}.attention.0.norm",
            f"attention{theirs}.3": f"{ours}.attention.1",
        }
    return names


@pytest.mark.parametrize(
    ("name", "mask_size", "shrink"),
    [
        ("collect", (9, 7), 2),
        ("distribute", (9, 7), 2),
        ("bidirection", (9, 7), 2),
        ("bidirection_noshrink", (9, 7), 1),
        ("bidirection_smallmask", (3, 5), 2),
        ("compact", (5, 4), 2),
    ],
)
def test_the_module_equals_the_authors_in_value_and_gradients(
    name, mask_size, shrink, module_reference
):
    direction = name if name in ("collect", "distribute") else "both"
    module = PointwiseSpatialAttention(
        24,
        Sampling(shrink),
        width=8,
        direction=direction,
        mask_size=mask_size,
        compact=name == "compact",
    )
    directions = ("collect", "distribute") if direction == "both" else (direction,)
    module_reference(f"official_PSA_{name}").check(
        module, _names(*directions), lambda x: torch.cat([x, module(x)], dim=1)
    )


def test_mmsegmentation_transposes_the_other_compact_map():
    turned = {}
    for variant, direction in product(("official", "mmseg"), ("collect", "distribute", "both")):
        module = PointwiseSpatialAttention(
            8, Sampling(1, variant), direction=direction, mask_size=(3, 4), compact=True
        )
        turned[variant, direction] = [
            name for name, branch in module.branches.items() if branch.compact == "transposed"
        ]
    assert turned == {
        ("official", "collect"): [],
        ("official", "distribute"): ["distribute"],
        ("official", "both"): ["distribute"],
        ("mmseg", "collect"): ["collect"],
        ("mmseg", "distribute"): [],
        ("mmseg", "both"): ["distribute"],
    }


def test_without_a_softmax_the_scores_are_the_weights_and_the_sum_is_divided():
    x = torch.randn(1, 8, 3, 4)
    scoring = Scoring(softmax=False, divisor=12.0)
    module = PointwiseSpatialAttention(
        8, Sampling(1), direction="collect", mask_size=(3, 4), compact=True, scoring=scoring
    ).eval()
    branch = module.branches["collect"]
    with torch.no_grad():
        reduced = branch.reduce(x)
        scores = branch.attention(reduced).flatten(2)[0]  # (L that is attended to, L)
        values = reduced.flatten(2)[0]
        wanted = sum(values[:, [j]] * scores[[j]] for j in range(12)) / 12
        torch.testing.assert_close(branch(x).flatten(2)[0], wanted)


def test_a_compact_map_of_another_size_is_refused():
    module = PointwiseSpatialAttention(8, Sampling(1), mask_size=(3, 4), compact=True)
    with pytest.raises(ShapeError, match=r"3 x 4 .* given 4 x 4"):
        module(torch.randn(2, 8, 4, 4))


def test_a_window_below_one_is_refused():
    with pytest.raises(SpecError, match="mask_size"):
        PointwiseSpatialAttention(8, Sampling(2), mask_size=(0, 4))


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (7, 10), (9, 9), (8, 6)])
@pytest.mark.parametrize("variant", ["official", "mmseg"])
def test_maps_of_any_size_work_also_beyond_the_window(size, variant):
    module = PointwiseSpatialAttention(8, Sampling(2, variant), mask_size=(3, 3))
    assert module(torch.randn(2, 8, *size)).shape == (2, 8, *size)


def test_the_plug_in_starts_as_the_identity():
    x = torch.randn(2, 8, 5, 7)
    assert torch.equal(PointwiseSpatialAttentionBlock(8, mask_size=(5, 5))(x), x)

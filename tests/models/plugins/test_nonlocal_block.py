"""Non-local block: against mmcv's, closed forms, and its known mistakes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from maskzoo.models.plugins.nonlocal_block import NonLocal

PAIRWISE = ["embedded_gaussian", "gaussian", "dot_product", "concatenation"]
NAMES = {
    "g.0.conv": "g",
    "phi.0.conv": "phi",
    "g.conv": "g",
    "theta.conv": "theta",
    "phi.conv": "phi",
    "concat_project.conv": "concat",
    "conv_out": "out",
}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mmcv_NonLocal2d", {}),
        ("mmcv_NonLocal2d_gaussian", {"pairwise": "gaussian"}),
        ("mmcv_NonLocal2d_dot", {"pairwise": "dot_product"}),
        ("mmcv_NonLocal2d_concat", {"pairwise": "concatenation"}),
        ("mmcv_NonLocal2d_subsample", {"subsample": "projected"}),
        ("mmcv_NonLocal2d_nonorm_r4", {"norm": "none", "reduction": 4, "scale": False}),
    ],
)
def test_the_block_equals_mmcv_in_value_and_gradients(name, options, module_reference):
    # mmcv takes the root of the width in float32, hence the tolerance.
    module_reference(name).check(NonLocal(16, **options), NAMES, tolerance=1e-6)


def _scores(block, pairwise, x, source):
    """Return the weights of every pair (N, L, M) by their definition."""
    if pairwise == "gaussian":
        return torch.einsum("ncl,ncm->nlm", x.flatten(2), source.flatten(2)).softmax(2)
    theta, phi = block.theta(x).flatten(2), block.phi(source).flatten(2)
    if pairwise == "concatenation":
        length, keys = theta.shape[2], phi.shape[2]
        pairs = torch.cat(
            [
                theta.unsqueeze(3).expand(-1, -1, -1, keys),
                phi.unsqueeze(2).expand(-1, -1, length, -1),
            ],
            dim=1,
        )
        return block.concat(pairs).squeeze(1).relu() / keys
    scores = torch.einsum("ncl,ncm->nlm", theta, phi)
    if pairwise == "dot_product":
        return scores / phi.shape[2]
    return (scores / theta.shape[1] ** 0.5).softmax(2)


@pytest.mark.parametrize("gradient", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize("subsample", ["none", "input"])
@pytest.mark.parametrize("pairwise", PAIRWISE)
def test_every_pairwise_function_equals_its_definition(pairwise, subsample, gradient):
    torch.manual_seed(0)
    block = NonLocal(6, pairwise=pairwise, subsample=subsample, norm="none", identity=False)
    block = block.double().eval()
    x = torch.randn(2, 6, 5, 7, dtype=torch.float64)
    with torch.set_grad_enabled(gradient):
        source = F.max_pool2d(x, 2) if subsample == "input" else x
        weights = _scores(block, pairwise, x, source)
        y = torch.einsum("nlm,ncm->ncl", weights, block.g(source).flatten(2)).unflatten(2, (5, 7))
        torch.testing.assert_close(block(x), block.out(y) + x, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("norm", ["batch", "group", "none"])
@pytest.mark.parametrize("pairwise", PAIRWISE)
def test_the_block_starts_as_the_identity(pairwise, norm):
    block = NonLocal(8, pairwise=pairwise, norm=norm)
    x = torch.randn(2, 8, 5, 7)
    assert torch.equal(block(x), x)


def test_mistake_softmax_over_the_positions_that_ask():
    # Normalising over the positions that ask gives sums of 0.3 to 3.3.
    block = NonLocal(8, norm="none", identity=False).eval()
    torch.nn.init.zeros_(block.g.weight)
    torch.nn.init.ones_(block.g.bias)
    y = block(x := 3 * torch.randn(1, 8, 5, 7)) - x
    torch.testing.assert_close(y, y[..., :1, :1].expand_as(y), atol=1e-5, rtol=1e-4)


def test_pooling_before_the_projections_differs_from_pooling_after():
    torch.manual_seed(0)
    after = NonLocal(8, subsample="projected", norm="none", identity=False)
    before = NonLocal(8, subsample="input", norm="none", identity=False)
    before.load_state_dict(after.state_dict())
    x = torch.randn(1, 8, 6, 8)
    assert (after(x) - before(x)).abs().max() > 1e-3


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (3, 3)])
@pytest.mark.parametrize("subsample", ["projected", "input"])
def test_a_single_channel_and_tiny_maps_work(subsample, size):
    block = NonLocal(1, subsample=subsample, norm="none", identity=False)
    assert block(torch.randn(2, 1, *size)).shape == (2, 1, *size)


def test_mistake_a_print_left_in_the_block(capsys):
    NonLocal(4)(torch.randn(1, 4, 3, 3))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("pairwise", PAIRWISE)
def test_half_precision_stays_finite_on_large_maps(pairwise):
    block = NonLocal(32, pairwise=pairwise, norm="none", identity=False).eval()
    with torch.no_grad(), torch.autocast("cpu", torch.float16):
        assert block(5 * torch.randn(1, 32, 64, 64)).isfinite().all()


def test_mistake_channels_folded_into_positions():
    """`view(b, c, -1)` of c/2 channels halves the positions; odd numbers of them then crash."""
    block = NonLocal(4, norm="none", identity=False).double().eval()
    asked = []
    block.attention.register_forward_pre_hook(lambda _, maps: asked.extend(maps))
    x = torch.randn(1, 4, 3, 3, dtype=torch.float64)
    y = block(x)
    assert [map_.shape for map_ in asked] == [(1, 2, 9)] * 3
    moved = x[..., [2, 0, 1]]  # moving positions about moves the answer along, and no more
    torch.testing.assert_close(block(moved), y[..., [2, 0, 1]], atol=1e-12, rtol=0)


def test_mistake_a_sigmoid_in_place_of_the_normalisation():
    """Weights that do not sum to 1 would double when each position appears twice."""
    block = NonLocal(4, norm="none", identity=False).double().eval()
    x = torch.randn(1, 4, 3, 5, dtype=torch.float64)
    y = block(torch.cat([x, x], dim=3))[..., :5]
    torch.testing.assert_close(y, block(x), atol=1e-12, rtol=0)

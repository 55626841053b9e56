"""PAM: against the authors' and mmsegmentation's, and its known mistakes."""

from __future__ import annotations

import torch
from torch import nn

from maskzoo.models.plugins.dual import DualAttention
from maskzoo.models.plugins.pam import PositionAttention


def test_pam_equals_the_authors_in_value_and_gradients(module_reference):
    names = {"query_conv": "query", "key_conv": "key", "value_conv": "value"}
    module_reference("official_PAM").check(PositionAttention(32), names)


def test_pam_equals_mmsegmentation(module_reference):
    names = {f"{part}_project": part for part in ("query", "key", "value")}
    reference = module_reference("mmseg_PAM")
    channels = reference.io["input"].shape[1]
    width = reference.io["state.query_project.weight"].shape[0]
    module = PositionAttention(channels, attention_channels=width)
    reference.check(module, names | {"gamma.scale": "gamma"})


def test_pam_is_the_identity_at_its_start_and_only_gamma_learns_then():
    pam = PositionAttention(8)
    x = torch.randn(2, 8, 5, 7)
    y = pam(x)
    assert torch.equal(y, x)
    y.square().sum().backward()
    assert pam.gamma.grad != 0
    for projection in (pam.query, pam.key, pam.value):
        assert not projection.weight.grad.any()


def test_mistake_transposed_attention_which_keeps_no_constant_value():
    # `bmm(value, attention)` without the transpose normalises over the wrong positions.
    pam = PositionAttention(8).eval()
    torch.nn.init.zeros_(pam.value.weight)
    torch.nn.init.ones_(pam.value.bias)
    torch.nn.init.ones_(pam.gamma)
    x = 3 * torch.randn(2, 8, 5, 7)
    for gradient in (True, False):
        with torch.set_grad_enabled(gradient):
            torch.testing.assert_close(pam(x), x + 1)


def test_pam_stays_finite_in_half_precision_on_large_maps():
    pam = PositionAttention(64).eval()
    torch.nn.init.ones_(pam.gamma)
    x = 5 * torch.randn(1, 64, 64, 64)
    for dtype in (torch.float16, torch.bfloat16):
        with torch.no_grad(), torch.autocast("cpu", dtype):
            assert pam(x).isfinite().all()


def test_dual_attention_adds_what_both_attentions_add():
    dual = DualAttention(8)
    x = torch.randn(2, 8, 5, 7)
    assert torch.equal(dual(x), x)
    torch.nn.init.constant_(dual.position.gamma, 0.5)
    torch.nn.init.constant_(dual.channel.gamma, 2.0)
    torch.testing.assert_close(dual(x), dual.position(x) + dual.channel(x) - x)


def test_mistake_projections_with_a_norm_and_a_relu():
    """The paper's text and a brief say so; the authors have plain convolutions with a bias."""
    pam = PositionAttention(16)
    for projection in (pam.query, pam.key, pam.value):
        assert type(projection) is nn.Conv2d
        assert projection.bias is not None
    assert not [m for m in pam.modules() if isinstance(m, nn.BatchNorm2d | nn.ReLU)]

"""GCT against the paper's three equations, channel by channel."""

from __future__ import annotations

import torch

from maskzoo.models.plugins.gct import GatedChannelTransformation


def test_channels_compete_by_their_norms():
    gct = GatedChannelTransformation(5, epsilon=1e-3).double()
    with torch.no_grad():
        for parameter in gct.parameters():
            parameter.normal_()
    x = torch.randn(1, 5, 3, 4, dtype=torch.float64)
    alpha, gamma, beta = (p.flatten() for p in (gct.alpha, gct.gamma, gct.beta))
    s = [alpha[c] * (x[0, c].square().sum() + 1e-3).sqrt() for c in range(5)]
    norm = (sum(value**2 for value in s) + 1e-3).sqrt()
    for c in range(5):
        gate = 1 + (gamma[c] * 5**0.5 * s[c] / norm + beta[c]).tanh()
        torch.testing.assert_close(gct(x)[0, c], x[0, c] * gate, atol=1e-12, rtol=0)


def test_large_values_of_half_precision_do_not_overflow():
    gct = GatedChannelTransformation(4)
    torch.nn.init.ones_(gct.gamma)
    assert gct((100 * torch.randn(1, 4, 64, 64)).half()).isfinite().all()

"""Double attention against the sums of the paper's equations."""

from __future__ import annotations

import torch

from maskzoo.models.plugins.a2 import DoubleAttention


def test_it_gathers_descriptors_and_hands_them_out_by_each_position_s_weights():
    a2 = DoubleAttention(8, reduction=2, norm="none").double()
    torch.nn.init.normal_(a2.out.conv.weight)
    x = torch.randn(1, 8, 2, 3, dtype=torch.float64)
    a = a2.features(x)[0].flatten(1)
    b = a2.gather(x)[0].flatten(1)
    v = a2.distribute(x)[0].flatten(1)
    z = torch.zeros(4, 6, dtype=torch.float64)
    for i in range(6):
        shares = v[:, i].exp() / v[:, i].exp().sum()
        for n in range(4):
            weights = b[n].exp() / b[n].exp().sum()
            descriptor = sum(weights[j] * a[:, j] for j in range(6))
            z[:, i] += shares[n] * descriptor
    wanted = x + a2.out(z.view(1, 4, 2, 3))
    torch.testing.assert_close(a2(x), wanted, atol=1e-12, rtol=0)


def test_no_matrix_of_positions_by_positions_is_made():
    x = torch.randn(1, 8, 300, 300)  # 90 000 positions: 32 GB as a matrix
    assert DoubleAttention(8)(x).shape == x.shape

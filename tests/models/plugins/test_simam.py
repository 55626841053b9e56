"""SimAM against the paper's energy, neuron by neuron."""

from __future__ import annotations

import torch

from maskzoo.models.plugins.simam import SimpleAttention


def test_the_gate_is_the_sigmoid_of_one_over_the_least_energy_of_each_neuron():
    attention = SimpleAttention(2, regularization=0.03).double()
    x = torch.randn(1, 2, 3, 4, dtype=torch.float64)
    y = torch.empty_like(x)
    for c in range(2):
        neurons = x[0, c].flatten()
        mean, variance = neurons.mean(), neurons.var(correction=1)
        for i, t in enumerate(neurons):
            energy = 4 * (variance + 0.03) / ((t - mean) ** 2 + 2 * variance + 2 * 0.03)
            y[0, c].view(-1)[i] = t * (1 / energy).sigmoid()
    torch.testing.assert_close(attention(x), y, atol=1e-12, rtol=0)


def test_large_values_of_half_precision_do_not_overflow():
    x = (300 * torch.randn(1, 4, 8, 8)).half()
    assert SimpleAttention(4)(x).isfinite().all()


def test_it_has_no_parameters():
    assert list(SimpleAttention(8).parameters()) == []

"""SGE against a loop over groups and positions."""

from __future__ import annotations

import pytest
import torch

from maskzoo.models.plugins.sge import SpatialGroupEnhance


def test_each_position_is_gated_by_its_normalised_likeness_to_the_group_s_mean():
    sge = SpatialGroupEnhance(6, groups=3).double()
    with torch.no_grad():
        sge.weight.normal_()
        sge.bias.normal_()
    x = torch.randn(2, 6, 3, 4, dtype=torch.float64)
    y = torch.empty_like(x)
    for n in range(2):
        for g in range(3):
            part = x[n, 2 * g : 2 * g + 2].flatten(1)  # (2, L)
            likeness = torch.stack([part.mean(1) @ part[:, i] for i in range(12)])
            spread = likeness.var(correction=0).clamp_min(1e-10).sqrt() + 1e-5
            normed = (likeness - likeness.mean()) / spread
            gate = (sge.weight[g, 0, 0] * normed + sge.bias[g, 0, 0]).sigmoid()
            y[n, 2 * g : 2 * g + 2] = (part * gate).view(2, 3, 4)
    torch.testing.assert_close(sge(x), y, atol=1e-9, rtol=0)


@pytest.mark.parametrize(("channels", "groups"), [(64, 64), (48, 16), (97, 1), (256, 64)])
def test_the_groups_divide_the_channels(channels, groups):
    assert SpatialGroupEnhance(channels).groups == groups


def test_a_flat_map_has_finite_gradients():
    x = torch.ones(1, 4, 3, 3, requires_grad=True)
    sge = SpatialGroupEnhance(4, groups=2)
    sge(x).sum().backward()
    assert x.grad.isfinite().all()
    assert sge.weight.grad.isfinite().all()


def test_exported_it_gates_an_almost_flat_map_alike(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    sge = SpatialGroupEnhance(4, groups=2).eval()
    with torch.no_grad():
        sge.weight.fill_(1)
    x = 0.02 + 1e-4 * torch.randn(1, 4, 6, 6)  # so that the variance is below ε²
    program = torch.export.export(sge, (x,))
    path = tmp_path / "sge.onnx"
    torch.onnx.export(program, dynamo=True, opset_version=18, verbose=False).save(path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (given,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    torch.testing.assert_close(torch.from_numpy(given), sge(x).detach(), atol=1e-6, rtol=0)

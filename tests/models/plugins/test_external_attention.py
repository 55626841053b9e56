"""External attention against the double normalisation written out."""

from __future__ import annotations

import pytest
import torch

from maskzoo.models.plugins.external_attention import ExternalAttention


def test_the_scores_are_normalised_over_the_positions_and_then_over_the_memory():
    attention = ExternalAttention(6, memory=5, norm="none").double()
    torch.nn.init.normal_(attention.out.conv.weight)
    x = torch.randn(1, 6, 2, 4, dtype=torch.float64)
    features = attention.project(x)[0].flatten(1)  # (6, 8)
    scores = attention.keys.weight[:, :, 0] @ features  # (5, 8)
    weights = scores.exp()
    for row in range(5):
        weights[row] = weights[row] / weights[row].sum()
    for position in range(8):
        weights[:, position] = weights[:, position] / weights[:, position].sum()
    context = attention.values.weight[:, :, 0] @ weights
    wanted = x + attention.out(context.view(1, 6, 2, 4))
    torch.testing.assert_close(attention(x), wanted, atol=1e-8, rtol=0)


def test_every_image_attends_to_the_same_memory():
    attention = ExternalAttention(4).eval()
    x = torch.randn(3, 4, 5, 5)
    together = attention(x)
    alone = torch.cat([attention(x[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)
    assert attention.keys.weight.shape == (64, 4, 1)


def test_exported_it_gives_the_same_far_from_all_keys(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    attention = ExternalAttention(4, memory=3, norm="none").eval()
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.normal_()
    x = 8 * torch.randn(1, 4, 6, 6)  # so that scores are far apart, and many weights almost 0
    program = torch.export.export(attention, (x,))
    path = tmp_path / "attention.onnx"
    torch.onnx.export(program, dynamo=True, opset_version=18, verbose=False).save(path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (given,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    torch.testing.assert_close(torch.from_numpy(given), attention(x).detach(), atol=1e-3, rtol=1e-4)

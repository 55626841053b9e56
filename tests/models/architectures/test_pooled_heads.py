"""ANN, APCNet and DMNet: module references of mmsegmentation, and the dynamic convolution."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from maskzoo.models.architectures.ann import PooledAttention
from maskzoo.models.architectures.apcnet import AdaptiveContext
from maskzoo.models.architectures.dmnet import convolve


def check(module, shared, name, names):
    """Load a reference's tensors, strictly, and compare output and gradient."""
    io = load_file(shared / "references/modules" / f"{name}_io.safetensors")
    state = {}
    for key, tensor in io.items():
        if key.startswith("state."):
            bare = key.removeprefix("state.").replace(".bn.", ".norm.")
            theirs = next(prefix for prefix in names if bare.startswith(prefix))
            state[names[theirs] + bare.removeprefix(theirs)] = tensor
    for key, tensor in module.state_dict().items():
        if key.endswith("num_batches_tracked"):
            state.setdefault(key, tensor)
    module.load_state_dict(state, strict=True)
    x = io["input"].double().requires_grad_()
    y = module.double().eval()(x)
    torch.testing.assert_close(y, io["output_f64"], atol=1e-9, rtol=0)
    y.backward(io["grad_output"].double())
    wanted = io["grad_input"]
    size = float(wanted.abs().max())
    torch.testing.assert_close(x.grad.float(), wanted, atol=1e-4 * size, rtol=0)


@pytest.mark.parametrize("side", [1, 2, 3, 7])
def test_the_dynamic_convolution_equals_a_grouped_one(side):
    x, kernels = torch.randn(2, 3, 6, 5), torch.randn(2, 3, side, side)
    before, after = side // 2, (side - 1) // 2
    padded = F.pad(x, (before, after, before, after)).flatten(0, 1)[None]
    wanted = F.conv2d(padded, kernels.flatten(0, 1)[:, None], groups=6)
    torch.testing.assert_close(convolve(x, kernels), wanted[0].unflatten(0, (2, 3)))


def test_the_adaptive_context_equals_mmsegmentation(shared):
    names = {
        "input_redu_conv": "reduce",
        "pooled_redu_conv": "reduce_pooled",
        "global_info": "mean",
        "gla": "weigh",
        "residual_conv": "residual",
        "fusion_conv": "out",
    }
    check(AdaptiveContext(16, 8, 3), shared, "mmseg_ACM", names)


def test_a_map_of_one_value_is_every_regions_mean():
    x = torch.ones(1, 4, 5, 7)
    attention = PooledAttention(4, 4, 2).eval()
    y = attention(x, x)
    torch.testing.assert_close(y, y[:, :, :1, :1].expand_as(y))

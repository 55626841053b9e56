"""Global context: against mmcv's ContextBlock."""

from __future__ import annotations

import pytest
import torch

from maskzoo.models.plugins.gc import GlobalContext

NAMES = {"conv_mask": "mask", "channel_add_conv": "add", "channel_mul_conv": "scale"}
FUSIONS = {"add": "add", "mul": "scale", "add_mul": "both"}


@pytest.mark.parametrize("pooling", ["att", "avg"])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_the_block_equals_mmcv_in_value_and_gradients(fusion, pooling, module_reference):
    module = GlobalContext(
        16,
        pooling="attention" if pooling == "att" else "average",
        fusion=FUSIONS[fusion],
    )
    module_reference(f"mmcv_ContextBlock_{pooling}_{fusion}").check(module, NAMES)


def test_adding_starts_as_the_identity_and_scaling_at_one_half():
    x = torch.randn(2, 8, 5, 7)
    assert torch.equal(GlobalContext(8)(x), x)
    assert torch.equal(GlobalContext(8, fusion="scale")(x), 0.5 * x)


def test_a_transform_of_one_channel_which_layer_norm_would_make_zero_is_never_built():
    block = GlobalContext(2, ratio=0.1)
    assert block.add[0].out_channels == 2
    torch.nn.init.normal_(block.add[3].weight)
    x = torch.randn(1, 2, 5, 7)
    with torch.no_grad():
        block.add[0].bias.zero_()
        added, opposite = block(x) - x, block(-x) + x
    assert not torch.allclose(added, opposite), "what is added depends on the image"

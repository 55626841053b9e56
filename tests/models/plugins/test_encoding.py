"""Context encoding: against the authors' and mmsegmentation's, and a plain double loop."""

from __future__ import annotations

import pytest
import torch

from maskzoo.models.plugins.encoding import ContextEncoding, Encoding

NAMES = {
    "mmseg_EncModule": {
        "encoding_project": "project",
        "encoding.0": "encoding",
        "encoding.1": "norm",
        "fc.0": "gate",
    },
    "official_EncModule": {
        "encoding.0": "project.conv",
        "encoding.1": "project.norm",
        "encoding.3": "encoding",
        "encoding.4": "norm",
        "fc.0": "gate",
    },
}


def _checked(reference):
    """Leave out the codewords' gradient: the authors' CPU kernel has a sign wrong in it."""
    for key in [key for key in reference.io if key.startswith("grad.") and "codewords" in key]:
        reference.io.pop(key)
    return reference


@pytest.mark.parametrize("name", ["mmseg_Encoding", "official_Encoding"])
def test_the_encoding_equals_the_authors_and_mmsegmentation(name, module_reference):
    _checked(module_reference(name)).check(Encoding(16, codes=6), {})


def test_the_gradient_of_the_codewords_is_exact():
    encoding = Encoding(3, codes=2).double()
    x = torch.randn(1, 3, 2, 2, dtype=torch.float64)

    def run(codewords):
        return torch.func.functional_call(encoding, {"codewords": codewords}, (x,))

    assert torch.autograd.gradcheck(run, encoding.codewords.detach().requires_grad_())


@pytest.mark.parametrize("name", NAMES)
def test_the_module_equals_the_authors_and_mmsegmentation(name, module_reference):
    reference = _checked(module_reference(name))
    scene = {key: reference.io.pop(key) for key in list(reference.io) if ".selayer" in key}
    module = ContextEncoding(16, codes=6)
    reference.check(module, NAMES[name])
    vector = module.describe(reference.io["input"].double())
    if scene:
        weight, bias = (scene[f"state.selayer.{part}"].double() for part in ("weight", "bias"))
        vector = vector @ weight.t() + bias
    torch.testing.assert_close(vector.float(), reference.io["output.1"], atol=1e-4, rtol=1e-4)


def test_the_encoding_equals_a_double_loop_without_expanded_squares():
    encoding = Encoding(5, codes=3).double()
    x = torch.randn(2, 5, 3, 4, dtype=torch.float64)
    wanted = torch.zeros(2, 3, 5, dtype=torch.float64)
    for image in range(2):
        for position in x[image].flatten(1).t():
            residuals = position - encoding.codewords
            weights = (encoding.scale * residuals.square().sum(1)).softmax(0)
            wanted[image] += weights.unsqueeze(1) * residuals
    torch.testing.assert_close(encoding(x), wanted)


def test_assignments_sum_to_one_and_positions_may_be_permuted():
    encoding = Encoding(5, codes=3)
    x = torch.randn(2, 5, 3, 4)
    weights = encoding._assign(x.flatten(2).transpose(1, 2))
    torch.testing.assert_close(weights.sum(2), torch.ones(2, 12))
    permuted = x.flatten(2)[:, :, torch.randperm(12)].view_as(x)
    torch.testing.assert_close(encoding(permuted), encoding(x))


def test_the_smoothing_starts_negative():
    scale = Encoding(8, codes=32).scale
    assert -1 <= scale.min() <= scale.max() <= 0


@pytest.mark.parametrize(("bias", "factor"), [(-1e4, 1), (1e4, 2)])
def test_a_closed_gate_leaves_relu_x_and_an_open_one_doubles_it(bias, factor):
    module = ContextEncoding(6, codes=3).eval()
    torch.nn.init.zeros_(module.gate.weight)
    torch.nn.init.constant_(module.gate.bias, bias)
    x = torch.randn(2, 6, 3, 4)
    torch.testing.assert_close(module(x), (factor * x).relu())


def test_distances_do_not_overflow_half_precision():
    module = ContextEncoding(64).eval()
    with torch.no_grad(), torch.autocast("cpu", torch.float16):
        assert module(50 * torch.randn(1, 64, 64, 64)).isfinite().all()


@pytest.mark.parametrize("norm", ["batch", "group", "none"])
def test_one_image_trains(norm):
    module = ContextEncoding(8, codes=4, norm=norm).train()
    module(torch.randn(1, 8, 3, 5)).square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in module.parameters())

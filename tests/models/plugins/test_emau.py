"""EMAU: against the authors' and mmsegmentation's, the moving average, and its known mistakes."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import distributed, multiprocessing

from maskzoo.models.errors import SpecError
from maskzoo.models.plugins.emau import Bases, ExpectationMaximization


def test_the_rounds_equal_mmsegmentation(module_reference):
    reference = module_reference("mmseg_EMAModule")
    module = Bases(16, count=6, variant="mmseg")
    module.stored.copy_(reference.io["state.bases"])
    module = module.double().eval()
    x = reference.io["input"].double()
    y = module(x.flatten(2)).view_as(x)
    torch.testing.assert_close(y, reference.io["output_f64"], atol=1e-9, rtol=0)


def test_the_unit_equals_the_authors_in_value_and_gradients(module_reference):
    names = {
        "mu": "bases.stored",
        "conv1": "project",
        "conv2.0": "out.conv",
        "conv2.1": "out.norm",
    }
    reference = module_reference("official_EMAU")
    module = ExpectationMaximization(24, bases=8)
    reference.check(module, names)
    _, bases = module.bases._fit(module.project(reference.io["input"].double()).flatten(2))
    torch.testing.assert_close(bases.float(), reference.io["output.1"], atol=1e-5, rtol=0)


def test_a_training_step_moves_the_bases_as_mmsegmentation_does(shared):
    io = load_file(shared / "references/mmseg/mmseg_EMAModule_train_io.safetensors")
    module = Bases(16, count=6, variant="mmseg").train()
    module.stored.copy_(io["bases_before"])
    y = module(io["feats"].flatten(2)).view_as(io["feats"])
    torch.testing.assert_close(y, io["output"], atol=1e-4, rtol=0)
    torch.testing.assert_close(module.stored, io["bases_after"], atol=1e-5, rtol=0)


def test_a_training_step_of_the_official_variant_is_a_plain_moving_average():
    module = Bases(5, count=3).double().train()
    before = module.stored.clone()
    x = torch.randn(4, 5, 20, dtype=torch.float64)
    _, bases = module._fit(x)
    module(x)
    wanted = 0.9 * before + 0.1 * bases.mean(dim=0, keepdim=True)
    torch.testing.assert_close(module.stored, wanted)
    assert (module.stored.norm(dim=1) < 1).all(), "an average of unit vectors is shorter"


def test_renormalised_bases_have_unit_length():
    module = Bases(5, count=3, renormalise=True).train()
    module(torch.randn(4, 5, 20))
    torch.testing.assert_close(module.stored.norm(dim=1), torch.ones(1, 3))


def test_evaluation_never_writes_the_bases():
    module = ExpectationMaximization(8, bases=3).eval()
    before = module.bases.stored.clone()
    module(torch.randn(2, 8, 5, 7))
    assert torch.equal(module.bases.stored, before)


def test_the_bases_are_a_buffer_and_not_a_parameter():
    module = ExpectationMaximization(8, bases=3)
    assert "bases.stored" in module.state_dict()
    assert "bases.stored" not in dict(module.named_parameters())
    module.train()(torch.randn(2, 8, 5, 7))
    assert torch.equal(copy.deepcopy(module).bases.stored, module.bases.stored)


def test_bases_have_unit_length_and_the_result_their_rank():
    module = Bases(12, count=4).double().eval()
    x = torch.randn(2, 12, 30, dtype=torch.float64)
    weights, bases = module._fit(x)
    torch.testing.assert_close(weights.sum(2), torch.ones(2, 30, dtype=torch.float64))
    torch.testing.assert_close(
        bases.norm(dim=1), torch.ones(2, 4, dtype=torch.float64), atol=1e-5, rtol=0
    )
    assert torch.linalg.matrix_rank(module(x), atol=1e-8).tolist() == [4, 4]


def test_the_first_convolution_is_frozen_since_no_gradient_reaches_it():
    module = ExpectationMaximization(8, bases=3, identity=False)
    x = torch.randn(2, 8, 5, 7, requires_grad=True)
    module(x).sum().backward()
    assert all(not parameter.requires_grad for parameter in module.project.parameters())
    assert x.grad.abs().sum() > 0
    assert all(p.grad is not None for p in module.parameters() if p.requires_grad)


def test_the_unit_starts_as_the_identity_on_what_a_relu_gives():
    x = torch.randn(2, 8, 5, 7).relu()
    assert torch.equal(ExpectationMaximization(8, bases=3)(x), x)


@pytest.mark.parametrize("options", [{"count": 0}, {"iterations": 0}, {"momentum": 2.0}])
def test_impossible_options_are_refused(options):
    with pytest.raises(SpecError, match="must be"):
        Bases(8, **options)


def test_the_rounds_do_not_overflow_half_precision():
    module = ExpectationMaximization(64, identity=False).train()
    with torch.autocast("cpu", torch.float16):
        assert module(50 * torch.randn(1, 64, 64, 64)).isfinite().all()
    assert module.bases.stored.dtype == torch.float32
    assert module.bases.stored.isfinite().all()


def _train_in_a_process(rank: int, folder: str) -> None:
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2
    )
    torch.manual_seed(0)
    module = Bases(5, count=3).double().train()
    module(torch.load(f"{folder}/images.pt")[2 * rank : 2 * rank + 2])
    torch.save(module.stored, f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.slow
def test_the_average_is_taken_over_all_processes(tmp_path):
    images = torch.randn(4, 5, 20, dtype=torch.float64)
    torch.save(images, tmp_path / "images.pt")
    multiprocessing.spawn(_train_in_a_process, (str(tmp_path),), nprocs=2)
    torch.manual_seed(0)
    alone = Bases(5, count=3).double().train()
    alone(images)
    for rank in range(2):
        torch.testing.assert_close(torch.load(tmp_path / f"{rank}.pt"), alone.stored)


def test_the_start_is_of_unit_length():
    stored = Bases(16, count=6).stored
    torch.testing.assert_close(stored, F.normalize(stored, dim=1))

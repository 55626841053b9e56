"""Attention architectures: facts of their papers, and module references where no network is."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from maskzoo.models.architectures.dnlnet import DisentangledNonLocal
from maskzoo.models.architectures.emanet import EMANet
from maskzoo.models.architectures.isanet import ISANet, SelfAttention
from maskzoo.models.architectures.ocrnet import ObjectContext, gather_regions
from maskzoo.models.network.attention import Attention
from maskzoo.models.network.decoder import DecoderSetup
from maskzoo.models.network.layers import Classifier
from maskzoo.models.registry import create_model

ENCODER = {"channels": [8, 8, 16, 16], "stem_width": 4, "layers": [1, 1, 1, 1]}


def build(name, **options):
    torch.manual_seed(0)
    return create_model(
        name, encoder="tu-resnet18", num_classes=3, encoder_options=ENCODER, **options
    )


def load(module, io, names):
    """Put a reference's tensors into `module`, strictly; return it in float64, evaluating."""
    state = {}
    for key, tensor in io.items():
        if key.startswith("state."):
            key = key.removeprefix("state.").replace(".bn.", ".norm.")
            theirs = next(prefix for prefix in names if key.startswith(prefix))
            state[names[theirs] + key.removeprefix(theirs)] = tensor
    for key, tensor in module.state_dict().items():
        if key.endswith("num_batches_tracked"):
            state.setdefault(key, tensor)
    module.load_state_dict(state, strict=True)
    return module.double().eval()


def reference(shared, name):
    return load_file(shared / "references/modules" / f"{name}_io.safetensors")


def test_the_disentangled_block_equals_mmsegmentation(shared):
    io = reference(shared, "mmseg_DisentangledNonLocal2d")
    names = {
        **{f"{part}.conv": part for part in ("g", "theta", "phi")},
        "conv_mask": "mask",
        "conv_out": "out",
    }
    module = load(DisentangledNonLocal(16), io, names)
    x = io["input"].double().requires_grad_()
    y = module(x)
    # mmsegmentation takes the root of the width and the temperature in float32.
    torch.testing.assert_close(y, io["output_f64"], atol=2e-6, rtol=0)
    y.backward(io["grad_output"].double())
    size = float(io["grad_input"].abs().max())
    torch.testing.assert_close(x.grad.float(), io["grad_input"], atol=1e-4 * size, rtol=0)


def test_the_object_context_equals_mmsegmentation(shared):
    io = reference(shared, "mmseg_OCR_block")
    prefix = "object_context_block."
    names = {
        f"{prefix}{theirs}": ours
        for theirs, ours in {
            "key_project": "attention.key",
            "query_project": "attention.query",
            "value_project": "attention.value",
            "out_project": "out",
            "bottleneck": "fuse",
        }.items()
    }
    module = load(ObjectContext(16, 8), io, names)
    x, coarse = (io[key].double().requires_grad_() for key in ("input", "input.1"))
    y = module(x, coarse)
    torch.testing.assert_close(y, io["output_f64"], atol=1e-9, rtol=0)
    y.backward(io["grad_output"].double())
    torch.testing.assert_close(x.grad.float(), io["grad_input"], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(coarse.grad.float(), io["grad_input.1"], atol=1e-4, rtol=1e-4)


def test_isas_attention_equals_mmsegmentation(shared):
    io = reference(shared, "mmseg_ISA_SelfAttentionBlock")
    names = {
        "key_project": "attention.key",
        "query_project": "attention.query",
        "value_project": "attention.value",
        "output_project": "out",
    }
    module = load(SelfAttention(16, 8), io, names)
    with torch.no_grad():
        y = module(io["input"].double())
    torch.testing.assert_close(y, io["output_f64"], atol=1e-9, rtol=0)


def test_isas_far_attention_sees_positions_a_window_apart_and_near_its_own_window():
    network = (
        ISANet(DecoderSetup((3, 4, 4, 4, 4, 4), (1, 2, 4, 8, 8, 8), 2), channels=4, window=3)
        .double()
        .eval()
    )
    x = torch.randn(1, 4, 6, 9, dtype=torch.float64)
    far, near = network.far, network.near
    for kept, dropped, wanted in (
        ("far", "near", lambda i, j: i % 3 == 1 and j % 3 == 2),
        ("near", "far", lambda i, j: i // 3 == 0 and j // 3 == 1),
    ):
        network.far, network.near = far, near
        setattr(network, dropped, nn.Identity())
        source = x.clone().requires_grad_()
        network._interlace(source)[0, :, 1, 5].sum().backward()
        reached = source.grad.abs().sum((0, 1)) > 0
        expected = torch.tensor([[wanted(i, j) for j in range(9)] for i in range(6)])
        assert torch.equal(reached, expected), kept


def test_regions_are_means_under_the_softmax_over_positions():
    x = torch.randn(2, 4, 3, 5)
    torch.testing.assert_close(
        gather_regions(x, torch.zeros(2, 6, 3, 5)),
        x.mean((2, 3)).view(2, 4, 1, 1).expand(-1, -1, 6, -1),
    )


def test_ocrnets_coarse_logits_are_its_auxiliary_ones_and_weigh_0_4():
    network = build("ocrnet").eval()
    assert network.aux_weights == {"coarse": 0.4}
    assert list(network.forward_train(torch.randn(1, 3, 33, 47)).aux) == ["coarse"]


def test_the_official_emanet_head_equals_the_authors(shared):
    io = reference(shared, "official_EMANet_head")
    setup = DecoderSetup((3, 8, 8, 8, 8, 40), (1, 2, 4, 8, 8, 8), 7)
    decoder = EMANet(setup, channels=16, attention_channels=24, bases=8)
    head = nn.ModuleDict({"decoder": decoder, "classifier": Classifier(16, 7)})
    names = {
        "fc0": "decoder.before",
        "emau.mu": "decoder.emau.bases.stored",
        "emau.conv1": "decoder.emau.project",
        "emau.conv2.0": "decoder.emau.out.conv",
        "emau.conv2.1": "decoder.emau.out.norm",
        "fc1.0": "decoder.after",
        "fc2": "classifier.conv",
    }
    load(head, io, names)
    with torch.no_grad():
        y = head["classifier"](head["decoder"]([None] * 5 + [io["input"].double()]))
    torch.testing.assert_close(y, io["output_f64"], atol=1e-9, rtol=0)


def test_the_official_emanet_has_no_auxiliary_head_and_mmsegmentations_has():
    assert build("emanet").aux_weights == {}
    assert build("emanet", variant="mmseg").aux_weights == {"fcn": 0.4}


def test_encnet_gives_scene_logits_in_training_at_weight_0_2():
    network = build("encnet")
    assert network.scene_weight == 0.2
    assert network.aux_weights == {"fcn": 0.4}
    output = network.forward_train(torch.randn(2, 3, 33, 47))
    assert output.scene.shape == (2, 3)
    output.scene.sum().backward()
    assert network.decoder.encoding.encoding.codewords.grad.any()


def test_encnets_laterals_take_part():
    network = build("encnet", lateral=True)
    network(torch.randn(2, 3, 33, 47)).sum().backward()
    assert all(lateral.conv.weight.grad.any() for lateral in network.decoder.laterals)


def test_pan_trains_its_encoder():
    # A common port detaches the encoder's features.
    network = build("pan")
    network(torch.randn(2, 3, 64, 64)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.encoder.parameters())
    assert any(parameter.grad.any() for parameter in network.encoder.parameters())


@pytest.mark.parametrize("stride", [16, 32])
def test_pan_works_where_the_last_map_is_tiny(stride):
    network = build("pan", output_stride=stride).train()
    assert network(torch.randn(1, 3, 33, 32)).shape == (1, 3, 33, 32)


@pytest.mark.parametrize(("variant", "levels"), [("paper", "432"), ("simple", "4321")])
def test_attention_unet_gates_the_levels_of_its_variant(variant, levels):
    network = build("attention_unet", variant=variant, channels=(16, 8, 8, 8))
    assert "".join(network.decoder.gates) == levels
    network(torch.randn(2, 3, 48, 40)).square().sum().backward()
    assert all(gate.score is not None for gate in network.decoder.gates.values())
    assert all(parameter.grad is not None for parameter in network.decoder.parameters())


def test_attention_unet_works_without_a_level_at_stride_2():
    network = create_model("attention_unet", encoder="mit_b0", num_classes=2, variant="simple")
    with torch.no_grad():
        assert network.eval()(torch.randn(1, 3, 33, 47)).shape == (1, 2, 33, 47)


def test_psanet_works_on_images_beyond_its_window_and_excludes_by_option():
    networks = [build("psanet", mask_size=(3, 3), outside=o).eval() for o in ("zero", "exclude")]
    networks[1].load_state_dict(networks[0].state_dict())
    x = torch.randn(1, 3, 130, 97)
    with torch.no_grad():
        zero, exclude = (network(x) for network in networks)
    assert zero.shape == exclude.shape == (1, 3, 130, 97)
    assert (zero - exclude).abs().max() > 0


@pytest.mark.parametrize("direction", ["collect", "distribute", "both"])
def test_psanet_has_the_branches_of_its_direction(direction):
    network = build("psanet", direction=direction, mask_size=(5, 5))
    wanted = ["collect", "distribute"] if direction == "both" else [direction]
    assert list(network.decoder.psa.branches) == wanted


@pytest.mark.parametrize("name", ["danet", "nonlocal", "dnlnet", "ocrnet", "isanet"])
def test_attention_goes_through_the_module_whose_mode_an_exporter_can_set(name):
    assert any(isinstance(module, Attention) for module in build(name).modules())


@pytest.mark.parametrize("size", [(9, 11), (8, 8), (16, 5), (1, 15)])
def test_isanets_windows_are_of_the_map_padded_by_half_on_either_side(size):
    decoder, side = build("isanet", window=4).decoder, 4
    height, width = size
    down, right = -height % side, -width % side
    x = torch.arange(1.0, height * width + 1).reshape(1, 1, height, width)
    padded = F.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2))
    cut = padded.unflatten(3, (-1, side)).unflatten(2, (-1, side))
    torch.testing.assert_close(decoder._windows(x), cut, rtol=0, atol=0)
    torch.testing.assert_close(decoder._join(cut, height, width), x, rtol=0, atol=0)

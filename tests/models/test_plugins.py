"""The machinery of plug-ins: sites, messages, names of tensors, and the mechanisms' contract."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from maskzoo.models.errors import SpecError, UnknownNameError, WeightsError
from maskzoo.models.network.encoders import Encoder
from maskzoo.models.network.neck import plug_after
from maskzoo.models.network.network import SegmentationNetwork
from maskzoo.models.plugins.blurpool import BlurPool
from maskzoo.models.plugins.coordconv import CoordConv
from maskzoo.models.plugins.dcn import DeformableConv, ModulatedDeformableConv
from maskzoo.models.plugins.se import SqueezeExcitation
from maskzoo.models.registry import create_model, create_plugin, list_plugins, list_sites
from maskzoo.models.tables.plugins import PLUGINS

TINY = {"channels": [8, 8, 16, 16], "stem_width": 4, "layers": [1, 1, 1, 1]}
SMALL = {"psa": {"mask_size": (5, 5)}}


def unet(*plugins, **options) -> SegmentationNetwork:
    torch.manual_seed(0)
    settings = {"encoder": "tu-resnet18", "encoder_options": TINY, "channels": [8, 8, 8, 8]}
    return create_model("unet", num_classes=3, plugins=plugins, **(settings | options))


def shaken(network: nn.Module) -> nn.Module:
    """Give every tensor a value that is not its start, where zeros would hide a mistake."""
    torch.manual_seed(1)
    for name, tensor in network.state_dict().items():
        if "running_var" in name:
            tensor.uniform_(0.5, 1.5)
        elif tensor.is_floating_point():
            tensor.add_(0.2 * torch.randn_like(tensor))
    return network


def modules(network: nn.Module, kind: type) -> list[str]:
    return [name for name, module in network.named_modules() if isinstance(module, kind)]


# every mechanism on its own

MAPS = [name for name, entry in PLUGINS.items() if entry.kind in ("feature", "convolution")]


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("batch", [1, 2])
def test_a_mechanism_keeps_the_shape_of_any_map_and_trains(name, batch):
    plugin = create_plugin(name, 16, **SMALL.get(name, {})).train()
    for size in ((1, 1), (7, 7), (16, 24), (33, 47)):
        y = plugin(torch.randn(batch, 16, *size, requires_grad=True))
        assert y.shape == (batch, 16, *size)
        assert y.isfinite().all()
    y.square().mean().backward()
    trainable = {key: p for key, p in plugin.named_parameters() if p.requires_grad}
    assert [key for key, p in trainable.items() if p.grad is None] == []


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_mechanism_stays_finite_under_autocast(name, dtype):
    plugin = create_plugin(name, 16, **SMALL.get(name, {})).eval()
    with torch.no_grad(), torch.autocast("cpu", dtype=dtype):
        assert plugin(5 * torch.randn(2, 16, 16, 24)).isfinite().all()


@pytest.mark.parametrize("name", MAPS)
def test_a_mechanism_survives_copying_pickling_and_its_state_dict(name):
    plugin = shaken(create_plugin(name, 16, **SMALL.get(name, {}))).eval()
    other = create_plugin(name, 16, **SMALL.get(name, {})).eval()
    other.load_state_dict(plugin.state_dict(), strict=True)
    x = torch.randn(1, 16, 9, 12)
    with torch.no_grad():
        for twin in (other, copy.deepcopy(plugin), pickle.loads(pickle.dumps(plugin))):
            assert torch.equal(twin(x), plugin(x))


@pytest.mark.parametrize("name", PLUGINS)
def test_a_mechanism_names_its_paper(name):
    text = __import__(PLUGINS[name].constructor.__module__, fromlist=["_"]).__doc__
    assert "Paper:" in text
    assert "http" in text


def test_options_of_a_mechanism_are_all_checked_at_once():
    with pytest.raises(SpecError, match=r"reductio.*did you mean 'reduction'") as error:
        create_plugin("cbam", 16, reductio=4, pools=["averag"])
    assert len(error.value.mistakes) >= 2


def test_plugins_are_listed_by_name_and_by_place():
    assert list_plugins("dcn*") == ["dcnv1", "dcnv2"]
    assert list_plugins(place="fusion") == ["asff"]
    assert "se" in list_plugins(place="encoder.block")


def test_a_network_that_was_built_in_inference_mode_trains():
    with torch.inference_mode():
        network = unet("se@skip.*", "dcnv2@encoder.5", "blurpool@downsampling")
    network.train()(torch.randn(2, 3, 64, 64)).sum().backward()
    assert all(p.grad is not None for p in network.neck.parameters())


# sites

SITES = {
    "se": "encoder.1, encoder.2, encoder.3, encoder.4, encoder.5, encoder.2.block, "
    "encoder.3.block, encoder.4.block, encoder.5.block, bottleneck, skip.1, skip.2, skip.3, "
    "skip.4, decoder",
    "attention_gate": "skip.1, skip.2, skip.3, skip.4",
    "asff": "fusion",
    "dcnv2": "encoder.2, encoder.3, encoder.4, encoder.5, decoder.convs",
    "ghost": "decoder.convs",
    "stn": "input",
    "blurpool": "downsampling",
}


@pytest.mark.parametrize("name", SITES)
def test_the_sites_of_a_network_are_listed(name):
    assert ", ".join(list_sites(unet(), name)) == SITES[name]


@pytest.mark.parametrize("site", ["fusion", "skip.7", "encoder.9", "heads", "encoder.1.block"])
def test_a_wrong_site_names_the_right_ones(site):
    with pytest.raises(SpecError) as error:
        unet(f"se@{site}")
    assert f"se@{site}" in str(error.value)
    assert SITES["se"] in str(error.value)


def test_a_network_without_skips_says_where_a_plugin_fits():
    options = {"encoder": "tu-resnet18", "encoder_options": TINY, "num_classes": 3}
    with pytest.raises(SpecError, match="fits nowhere"):
        create_model("danet", plugins=["attention_gate@skip.*"], **options)


def test_an_unknown_plugin_suggests_a_known_one():
    with pytest.raises(UnknownNameError, match="did you mean 'cbam'"):
        unet("cbma@bottleneck")


def test_wrong_options_of_several_plugins_are_reported_together():
    with pytest.raises(SpecError) as error:
        unet(
            "se@bottleneck:reductio=4,bias=7",
            "bam@decoder:variant=papers",
            "aspp@skip.1:out_channels=4",
        )
    assert len(error.value.mistakes) == 4


def test_the_same_plugin_twice_at_a_place_is_refused():
    with pytest.raises(SpecError, match="twice"):
        unet("se@encoder.4", "se@encoder.*")


def test_two_plugins_at_a_place_run_in_the_order_given():
    network = unet("se@bottleneck", "eca@bottleneck")
    assert list(network.neck.levels["5"]) == ["se", "eca"]


def test_plugins_take_the_network_s_norm_unless_told():
    group, told = unet("bam@bottleneck", norm="group"), unet("bam@bottleneck:norm=none")
    assert modules(group.neck, nn.GroupNorm)
    assert not modules(told.neck, nn.BatchNorm2d)


# what a site does


def test_a_plugin_in_the_encoder_is_seen_by_all_deeper_stages():
    network = unet("se@encoder.2").eval()
    bare = unet().eval()
    network.load_state_dict(bare.state_dict(), strict=False)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        ours, theirs = network.encoder(x), bare.encoder(x)
    assert torch.equal(ours[1], theirs[1])
    assert all(not torch.equal(a, b) for a, b in zip(ours[2:], theirs[2:], strict=True))


def test_a_plugin_on_a_skip_leaves_the_encoder_alone():
    network = unet("se@skip.2").eval()
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        features = network.encoder(x)
        plugged = network.neck(features)
    changed = [not torch.equal(a, b) for a, b in zip(features, plugged, strict=True)]
    assert changed == [False, False, True, False, False, False]


def test_a_plugin_in_a_block_comes_after_its_last_norm_and_before_its_add():
    network = unet("se@encoder.3.block")
    block = network.encoder.body.model.layer2[0].eval()
    se = block.se.plugins["se"]
    assert isinstance(se, SqueezeExcitation)
    x = torch.randn(1, 8, 8, 8)
    branch = block.bn2(block.conv2(block.act1(block.bn1(block.conv1(x)))))
    torch.testing.assert_close(block(x), (se(branch) + block.downsample(x)).relu())


def test_a_gate_sees_the_deeper_skip_as_its_own_gate_left_it():
    network = unet("attention_gate@skip.*").eval()
    features = network.encoder(torch.randn(1, 3, 64, 64))
    gates = {level: chain["attention_gate"] for level, chain in network.neck.levels.items()}
    deep = gates["4"](features[4], features[5])
    wanted = gates["3"](features[3], deep)
    torch.testing.assert_close(network.neck(features)[3], wanted)


def test_a_convolution_is_replaced_with_its_weights():
    bare, network = unet(), unet("dcnv2@encoder.5", "coordconv@head", "dcnv1@decoder.convs")
    assert modules(network.encoder, ModulatedDeformableConv) == [
        "body.model.layer4.0.conv1",
        "body.model.layer4.0.conv2",
    ]
    assert isinstance(network.classifier.conv, CoordConv)
    assert len(modules(network.decoder, DeformableConv)) == 8
    keys = network.load_state_dict(bare.state_dict(), strict=False)
    assert keys.unexpected_keys == []
    assert all("offset" in k or "mask" in k or "coordinates" in k for k in keys.missing_keys)


def test_blurpool_acts_on_pool_strided_convolutions_and_shortcuts():
    network = unet("blurpool@downsampling")
    model = network.encoder.body.model
    assert model.maxpool.stride == 1
    assert model.conv1.stride == (2, 2)
    assert model.layer2[0].conv1.stride == (1, 1)
    assert modules(network.encoder, BlurPool) == [
        "body.model.maxpool.plugins.blurpool",
        *(
            f"body.model.layer{stage}.0.{place}"
            for stage in (2, 3, 4)
            for place in ("act1.plugins.blurpool", "downsample.0.blur")
        ),
    ]
    assert unet("blurpool@downsampling:stem=true").encoder.body.model.conv1.stride == (1, 1)


def test_blurpool_adds_no_tensor_so_the_bare_state_dict_loads_strictly():
    bare = unet().state_dict()
    network = unet("blurpool@downsampling")
    network.load_state_dict(bare, strict=True)
    assert network.state_dict().keys() == bare.keys()


@pytest.mark.parametrize("encoder", ["mobilenet_v2", "tu-resnet50d", "efficientnet-b0"])
def test_blurpool_keeps_the_sizes_of_the_features(encoder):
    network = create_model(
        "unet", encoder=encoder, num_classes=2, plugins=["blurpool@downsampling"]
    ).eval()
    bare = Encoder(encoder).eval()
    x = torch.randn(1, 3, 65, 97)
    with torch.no_grad():
        sizes = [f.shape for f in bare(x)]
        assert [f.shape for f in network.encoder(x)] == sizes
        assert network(x).shape == (1, 2, 65, 97)


def test_an_encoder_without_a_first_level_has_no_such_skip():
    network = create_model("unet", encoder="mit_b0", num_classes=2, plugins=["se@skip.*"])
    assert sorted(network.neck.levels) == ["2", "3", "4"]
    with pytest.raises(SpecError, match=r"it fits encoder\.2"):
        create_model("unet", encoder="mit_b0", num_classes=2, plugins=["se@skip.1"])


def test_blocks_of_another_kind_are_named_as_missing():
    with pytest.raises(SpecError, match="no such site") as error:
        create_model("unet", encoder="mobilenet_v2", num_classes=2, plugins=["se@encoder.4.block"])
    assert ".block" not in str(error.value).split("it fits")[1]


def test_the_logits_of_a_warped_image_lie_on_the_image_as_it_came():
    """A network of one pixel's view commutes with any warp, so both warps must cancel out."""
    network = unet("stn@input").eval()
    network.warp.pose.bias = nn.Parameter(torch.tensor([-1.0, 0, 0, 0, 1, 0]))  # mirrored
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        mirrored = SegmentationNetwork.forward(unet().eval(), x.flip(3)).flip(3)
        torch.testing.assert_close(network(x), mirrored, atol=1e-4, rtol=0)


# names of tensors

FOR_ALL = [
    "se@encoder.*",
    "cbam@encoder.*.block",
    "nonlocal@bottleneck",
    "attention_gate@skip.*",
    "scse@decoder",
    "dcnv2@encoder.5",
    "coordconv@head",
    "stn@input",
    "asff@fusion",
    "blurpool@downsampling",
]


def test_all_names_of_the_bare_network_stay():
    bare, plugged = unet().state_dict(), unet(*FOR_ALL).state_dict()
    assert {k: v.shape for k, v in bare.items()}.items() <= {
        k: v.shape for k, v in plugged.items()
    }.items()


def test_encoder_weights_load_with_plugins_in():
    network, source = unet(*FOR_ALL), shaken(Encoder("tu-resnet18", options=TINY))
    network.encoder.load_weights(source.state_dict())
    own = network.encoder.state_dict()
    assert all(torch.equal(own[key], tensor) for key, tensor in source.state_dict().items())
    with pytest.raises(WeightsError, match=r"missing \(model\."):
        network.encoder.load_weights({"conv1.weight": torch.zeros(4, 3, 7, 7)})


def test_a_network_of_many_plugins_round_trips_strictly():
    network, other = shaken(unet(*FOR_ALL)).eval(), unet(*FOR_ALL).eval()
    other.load_state_dict(network.state_dict(), strict=True)
    x = torch.randn(1, 3, 64, 80)
    with torch.no_grad():
        assert torch.equal(other(x), network(x))


def test_a_deep_copy_shares_no_plugin():
    network = shaken(unet(*FOR_ALL)).eval()
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        wanted = network(x)
        twin = copy.deepcopy(network)
        assert torch.equal(twin(x), wanted)
        for parameter in twin.parameters():
            parameter.zero_()
        assert torch.equal(network(x), wanted)


def test_plugins_inside_the_encoder_learn_with_the_new_parts():
    network = unet("se@encoder.4")
    groups = network.parameter_groups()
    new = {id(parameter) for parameter in groups["head"]}
    se = network.get_submodule("encoder.body.model.layer3.plugins.se")
    assert all(id(parameter) in new for parameter in se.parameters())
    assert len(groups["encoder"]) == len(list(unet().encoder.parameters()))
    assert sum(map(len, groups.values())) == len(list(network.parameters()))


def test_plug_after_works_on_a_module_that_is_no_sequence():
    relu = nn.ReLU()
    plug_after(relu, "flip", nn.Hardtanh(-1, 0.5))
    assert relu(torch.tensor([2.0])).item() == 0.5
    assert copy.deepcopy(relu)(torch.tensor([2.0])).item() == 0.5


# identity at the start, on the built network

SITE_OF = {
    "feature": "skip.*",
    "pair": "skip.*",
    "fusion": "fusion",
    "warp": "input",
    "upsampling": "upsampling",
}
IDENTITIES = [name for name, entry in PLUGINS.items() if entry.starts_as_identity]


@pytest.mark.parametrize("name", IDENTITIES)
def test_the_built_network_starts_with_the_logits_of_the_bare_one(name):
    entry = PLUGINS[name]
    site = SITE_OF.get(entry.kind, "decoder.convs")
    if name == "psa":
        site += ":mask_size=[5,5]"
    bare = shaken(unet()).double().eval()
    network = unet(f"{name}@{site}").double().eval()
    network.load_state_dict(bare.state_dict(), strict=False)
    x = torch.randn(2, 3, 65, 97, dtype=torch.float64)
    with torch.no_grad():  # in double: STN and DCN sample between pixels by a rounding error
        torch.testing.assert_close(network(x), bare(x), atol=1e-8, rtol=1e-8)

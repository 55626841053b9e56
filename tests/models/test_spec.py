"""Descriptions of networks and plug-ins: read, written, and refused with every mistake."""

from __future__ import annotations

import pytest

from maskzoo.models.errors import SpecError
from maskzoo.models.spec import ModelSpec, PluginSpec


@pytest.mark.parametrize(
    ("text", "name", "site", "options"),
    [
        ("cbam@encoder.4", "cbam", "encoder.4", {}),
        ("se@encoder.*:reduction=8", "se", "encoder.*", {"reduction": 8}),
        (
            "dcnv2@encoder.5:groups=4,rate=0.5,act=relu,bias=false",
            "dcnv2",
            "encoder.5",
            {"groups": 4, "rate": 0.5, "act": "relu", "bias": False},
        ),
        ("psp@head:bins=[1, 2, 3],act=none", "psp", "head", {"bins": [1, 2, 3], "act": "none"}),
    ],
)
def test_a_plugin_is_read_and_written_back(text, name, site, options):
    plugin = PluginSpec.parse(f"  {text} ")
    assert (plugin.name, plugin.site, plugin.options) == (name, site, options)
    assert PluginSpec.parse(str(plugin)) == plugin


@pytest.mark.parametrize("text", ["", "cbam", "cbam@", "@encoder", "CBAM@encoder", "a@b:", "a b@c"])
def test_other_texts_are_no_plugins(text):
    with pytest.raises(SpecError, match=r"must read name@site"):
        PluginSpec.parse(text)


def test_all_wrong_options_are_listed():
    with pytest.raises(SpecError) as caught:
        PluginSpec.parse("cbam@head:one,two,three=[")
    assert len(caught.value.mistakes) == 3
    assert "'one' must read option=value" in str(caught.value)
    assert "'three=[' has a value that is not YAML" in str(caught.value)


def test_a_spec_survives_json():
    spec = ModelSpec.build(
        architecture="danet",
        encoder="tu-resnet50c",
        num_classes=19,
        output_stride=8,
        options={"rates": [6, 12], "act": "relu", "dropout": 0.1, "aux": True, "norm": None},
        encoder_options={"depth": 5},
        plugins=["cbam@encoder.4:reduction=8", PluginSpec(name="se", site="skip.*")],
    )
    again = ModelSpec.model_validate_json(spec.model_dump_json())
    assert again == spec
    assert [str(plugin) for plugin in again.plugins] == ["cbam@encoder.4:reduction=8", "se@skip.*"]


def test_one_plugin_may_be_given_as_a_text():
    spec = ModelSpec.build(architecture="unet", num_classes=2, plugins="scse@decoder")
    assert spec.plugins == (PluginSpec(name="scse", site="decoder"),)


def test_every_mistake_of_a_spec_is_listed_with_what_was_given():
    with pytest.raises(SpecError) as caught:
        ModelSpec.build(num_classes=0, in_channels="x", output_stride=7, colour="red")
    text = str(caught.value)
    assert len(caught.value.mistakes) == 5
    assert "architecture: Field required" in text
    assert "num_classes: Input should be greater than or equal to 1, given 0" in text
    assert "in_channels: " in text
    assert "output_stride: Input should be 8, 16 or 32, given 7" in text
    assert "colour: Extra inputs are not permitted, given 'red'" in text


def test_a_spec_does_not_change():
    spec = ModelSpec.build(architecture="unet", num_classes=2)
    with pytest.raises(ValueError, match="frozen"):
        spec.num_classes = 3

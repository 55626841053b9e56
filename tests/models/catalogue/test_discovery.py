"""Records of architectures and plug-ins: options, sites, and costs by hand."""

from __future__ import annotations

import json

import pytest

from maskzoo.models.catalogue import discovery
from maskzoo.models.catalogue.discovery import (
    about_plugin,
    cost_rows,
    describe_architecture,
    describe_plugin,
    plugin_costs,
)
from maskzoo.models.catalogue.records import ArchitectureRecord, PluginRecord
from maskzoo.models.errors import SpecError, UnknownNameError
from maskzoo.models.tables.plugins import PLUGINS

ENCODER = "tu-resnet10t"


@pytest.fixture(scope="module")
def danet() -> ArchitectureRecord:
    return describe_architecture("danet", encoder=ENCODER, size=(64, 64))


@pytest.fixture(scope="module")
def se() -> PluginRecord:
    return describe_plugin("se", encoder=ENCODER, size=(64, 64))


def test_an_architecture_has_its_own_options_and_those_that_all_decoders_share(
    danet: ArchitectureRecord,
) -> None:
    assert list(danet.options) == [
        *("channels", "attention_channels", "energy"),
        *("norm", "dropout", "align_corners", "auxiliary", "auxiliary_channels"),
        "auxiliary_dilation",
    ]
    assert danet.options["energy"] == "official"
    assert danet.options["dropout"] == 0.1


def test_an_architecture_lists_the_sites_that_fit_each_plugin(danet: ArchitectureRecord) -> None:
    assert danet.sites.keys() == PLUGINS.keys()
    assert danet.sites["attention_gate"] == []
    assert danet.sites["blurpool"] == ["downsampling"]
    assert (danet.auxiliary_head, danet.default_output_stride) == (True, 8)


def test_a_plugin_s_cost_is_that_of_the_network_with_it_less_that_without(se: PluginRecord) -> None:
    sites = [cost.site for cost in se.adds]
    assert sites == ["encoder.5", "encoder.5.block", "bottleneck", "skip.4", "decoder"]
    at_bottleneck = se.adds[2]
    assert at_bottleneck.parameters == 2 * 512 * (512 // 16)  # two matrices without a bias
    assert at_bottleneck.macs == 2 * 512 * (512 // 16)  # each is applied once, to the means


@pytest.mark.parametrize("every", [9, pytest.param(1, marks=pytest.mark.slow)])
def test_every_plugin_has_a_cost_at_a_site_of_the_host(
    monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    asked = list(PLUGINS)[::every]
    monkeypatch.setattr(discovery, "list_plugins", lambda: asked)
    costs = list(plugin_costs(ENCODER))
    assert [cost.name for cost in costs] == asked
    assert all(cost.site.split(".")[0] in str(PLUGINS[cost.name].places) for cost in costs)


def test_records_are_plain_data_for_json(danet: ArchitectureRecord, se: PluginRecord) -> None:
    written = json.loads(json.dumps(danet.to_json()))
    assert written["cost"]["encoder"] == ENCODER
    assert written["cost"]["size"] == [64, 64]
    assert (written["name"], written["papers"][0]["year"]) == ("danet", 2019)
    written = json.loads(json.dumps(se.to_json()))
    assert written["network"] == {"architecture": "unet", "encoder": ENCODER, "size": [64, 64]}
    assert written["adds"][0].keys() == {"site", "parameters", "macs"}


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'cbam'"):
        about_plugin("cbma")


def test_costs_on_an_encoder_are_those_of_the_networks() -> None:
    (row,) = cost_rows(["fcn"], encoder=ENCODER, size=(64, 64))
    assert row.cost == describe_architecture("fcn", encoder=ENCODER, size=(64, 64)).cost
    assert row.stride == 8


def test_an_architecture_that_cannot_be_built_is_a_row_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(name: str, **_: object) -> None:
        raise SpecError("encoder", ["it has no feature of stride 4"])

    monkeypatch.setattr(discovery, "create_model", refuse)
    (row,) = cost_rows(["fcn"], encoder=ENCODER)
    assert row.cost is None
    assert "it has no feature of stride 4" in row.refusal


def test_an_unknown_encoder_is_an_error_and_no_row() -> None:
    with pytest.raises(UnknownNameError, match="nosuch"):
        list(cost_rows(["fcn"], encoder="nosuch"))

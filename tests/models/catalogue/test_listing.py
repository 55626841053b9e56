"""Catalogue records as a person reads them."""

from __future__ import annotations

import pytest

from maskzoo.models.catalogue.cost import LayerCost
from maskzoo.models.catalogue.discovery import about_architecture, describe_plugin
from maskzoo.models.catalogue.listing import (
    architecture_page,
    cost_line,
    layer_table,
    plugin_page,
    summary_lines,
)
from maskzoo.models.catalogue.records import ArchitectureRecord, CostRow, NetworkCost

DANET = ArchitectureRecord(
    about=about_architecture("danet"),
    auxiliary_head=True,
    default_output_stride=8,
    options={"channels": None, "energy": "official"},
    cost=NetworkCost("tu-resnet10t", 19, (64, 96), parameters=9_870_000, macs=1_230_000_000),
    sites={"blurpool": ["downsampling"], "se": ["skip.1"], "eca": ["skip.1"], "gau": []},
)


def test_a_summary_has_one_line_for_each_record() -> None:
    lines = summary_lines([about_architecture("fcn"), about_architecture("danet")]).splitlines()
    assert lines == [
        "fcn    plain convolutions on the last feature; the baseline of all others (CVPR 2015)",
        "danet  position and channel attention side by side (CVPR 2019)",
    ]


def test_the_page_of_an_architecture_shows_paper_cost_options_and_sites() -> None:
    page = architecture_page(DANET)
    assert page.startswith("danet: DANet, position and channel attention side by side\n")
    assert "           https://arxiv.org/abs/1809.02983\n" in page
    assert "9.9 M parameters, 1.2 GMAC at 64 x 96 with tu-resnet10t, 19 classes" in page
    assert "options    channels=None, energy=official\n" in page
    assert page.endswith("  blurpool\n    @ downsampling\n  eca, se\n    @ skip.1")


def test_the_page_of_a_plugin_shows_what_it_adds_at_each_site() -> None:
    page = plugin_page(describe_plugin("eca", encoder="tu-resnet10t", size=(64, 64)))
    assert "start      not the identity\n" in page
    assert "what it adds to unet on tu-resnet10t at 64 x 64\n" in page
    assert "\n  encoder.5.block     +0.000 M parameters     +0.000 GMAC\n" in page


def test_the_table_of_layers_shows_shapes_and_fractions_of_the_cost() -> None:
    layers = [
        LayerCost("", "SegmentationNetwork", 0, (1, 3, 64, 64), 1500, 4_000_000),
        LayerCost("encoder", "Encoder", 1, None, 1200, 3_000_000),
    ]
    head, whole, part = layer_table(layers).splitlines()
    assert head.split() == ["layer", "output", "parameters", "GMAC", "fraction"]
    assert whole.split()[-4:] == ["3x64x64", "1,500", "0.004", "100.0%"]
    assert part.startswith("  encoder (Encoder)")
    assert part.split()[-3:] == ["1,200", "0.003", "75.0%"]


def test_the_line_of_a_cost_names_stride_size_and_class() -> None:
    cost = NetworkCost("tu-resnet10t", 19, (256, 256), parameters=9_870_000, macs=3_000_000_000)
    # 3 GMAC at 256 x 256 are 12 at 512 x 512
    line = cost_line(CostRow("danet", 8, cost), width=6)
    assert line == "danet   stride  8      9.9 M parameters      3.0 GMAC  medium"


def test_an_architecture_that_does_not_take_the_encoder_is_listed_with_the_reason() -> None:
    row = CostRow("dpt", 32, None, "needs a plain transformer")
    assert cost_line(row, width=3) == (
        "dpt  stride 32  does not take this encoder: needs a plain transformer"
    )
    assert row.to_json()["class"] is None


@pytest.mark.parametrize(
    ("gmac", "name"),
    [(9.99, "light"), (10, "medium"), (50, "heavy"), (199.9, "heavy"), (200, "very heavy")],
)
def test_a_class_of_cost_begins_where_the_one_before_ends(gmac: float, name: str) -> None:
    cost = NetworkCost("x", 19, (512, 512), parameters=1, macs=int(gmac * 1e9))
    assert CostRow("a", 8, cost).cost_class == name

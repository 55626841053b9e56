"""PointRend against mmsegmentation's head, with the weights of the stored logits."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open

from maskzoo.models.errors import SpecError
from maskzoo.models.network.neck import Classified
from maskzoo.models.plugins.pointrend import PointRend, certainties, sample
from maskzoo.models.plugins.stn import warp
from tests.models.tiny import CLASSES, build

ROOT = Path(__file__).resolve().parents[3]
DRAWN = runpy.run_path(str(ROOT / "tools" / "huggingface.py"))["drawn"]
STORED = ROOT / "tests" / "data" / "refinements" / "pointrend.safetensors"


def of_map(fine: torch.Tensor) -> Classified:
    return Classified(fine, fine, fine)


def test_the_rendered_logits_equal_those_of_mmsegmentation() -> None:
    plugin = PointRend(16, 5, 8, width=12, rendered=90).double().eval()
    with safe_open(STORED, framework="pt") as stored:
        shapes = json.loads(stored.metadata()["shapes"])
        expected = stored.get_tensor("logits")
    state = {
        name.replace("fcs.", "layers.").replace(".conv.", ".").replace("fc_seg.", "out."): DRAWN(
            name, tuple(shape)
        )
        for name, shape in shapes.items()
    }
    plugin.load_state_dict(state, strict=True)
    fine = DRAWN("map", (2, 16, 9, 13)).double()
    with torch.no_grad():
        found = plugin(DRAWN("logits", (2, 5, 5, 7)).double(), of_map(fine))
    # they compute the places in float32
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_only_the_least_certain_points_change() -> None:
    plugin = PointRend(4, 3, 2, width=4, rendered=10).eval()
    logits, fine = torch.randn(1, 3, 4, 5), torch.randn(1, 4, 4, 5)
    with torch.no_grad():
        doubled = F.interpolate(logits, scale_factor=2, mode="bilinear").flatten(2)
        changed = (plugin(logits, of_map(fine)).flatten(2) != doubled).any(dim=1)[0]
    assert changed.sum() == 10
    lead = certainties(doubled)[0]
    assert lead[changed].max() <= lead[~changed].min()


@pytest.mark.parametrize(("stride", "factor"), [(2, 2), (4, 4), (8, 4)])
def test_logits_grow_twice_but_not_beyond_the_image(stride: int, factor: int) -> None:
    plugin = PointRend(4, 3, stride, width=4, rendered=10).eval()
    found = plugin(torch.randn(1, 3, 3, 5), of_map(torch.randn(1, 4, 4, 4)))
    assert found.shape == (1, 3, 3 * factor, 5 * factor)


def test_points_of_training_lie_mostly_where_the_classes_meet() -> None:
    torch.manual_seed(0)
    plugin = PointRend(4, 2, 4, width=4, points=400)
    logits = torch.zeros(1, 2, 8, 64)
    logits[:, 0] = torch.linspace(-1, 1, 64)  # the classes meet in the middle
    output = plugin.forward_train(logits, of_map(torch.randn(1, 4, 8, 8)))
    assert output.logits is logits
    assert output.points is not None
    assert output.points.logits.shape == (1, 2, 400)
    x, y = output.points.places[0].abs().unbind(1)
    near = x < 0.3  # a quarter of 1200 drawn lies within 0.25 of the middle
    inside = (x < 0.95) & (y < 0.85)  # at the edge logits fade to 0, as in the authors' sampling
    assert inside[:300].sum() > 200
    assert near[:300][inside[:300]].all()
    assert 0.15 < near[300:].float().mean() < 0.45


def test_points_are_found_in_an_image_that_was_warped() -> None:
    network = build("fcn", plugins=["stn@input", "pointrend@logits:width=4,points=64"]).train()
    theta = torch.tensor([[[0.8, 0.1, 0.05], [-0.1, 0.9, 0.1]]])
    image = torch.rand(1, 1, 32, 48)
    places = torch.rand(1, 64, 2) - 0.5
    seen = sample(warp(image, theta), places)
    there = sample(image, network.warp.locate(places, theta))
    assert (seen - there).abs().mean() < 0.2  # both interpolate, the first of them twice
    assert (seen - sample(image, places)).abs().mean() > 1.2 * (seen - there).abs().mean()


def test_it_fits_where_the_decoders_map_is_smaller_than_the_image() -> None:
    network = build("upernet", plugins=["pointrend@logits:width=4,points=64"])
    assert network.redraw.steps == 2
    output = network.train().forward_train(torch.randn(2, 3, 64, 80))
    assert output.points.logits.shape == (2, CLASSES, 64)
    with pytest.raises(SpecError, match="it fits nowhere in this network"):
        build("linknet", plugins=["pointrend@logits"])

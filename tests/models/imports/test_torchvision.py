"""torchvision's segmentation networks: equal logits, and refusals in words."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torchvision.models import segmentation

from maskzoo.models.errors import WeightsError
from maskzoo.models.imports.bundle import build_imported
from maskzoo.models.imports.torchvision import import_torchvision
from tests.models.imports.smp.test_importer import shuffled


@pytest.mark.parametrize("name", ["deeplabv3_resnet50", "fcn_resnet50"])
def test_logits_and_auxiliary_logits_are_torchvisions(tmp_path: Path, name: str) -> None:
    theirs = segmentation.__dict__[name](
        weights=None, weights_backbone=None, num_classes=5, aux_loss=True
    )
    shuffled(theirs)
    torch.save(theirs.state_dict(), tmp_path / "x.pth")
    network = build_imported(import_torchvision(tmp_path / "x.pth"))
    images = torch.randn(1, 3, 41, 33, generator=torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        expected = theirs.double().eval()(images)
        output = network.double().forward_train(images)
    torch.testing.assert_close(output.logits, expected["out"], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(output.aux["fcn"], expected["aux"], rtol=1e-9, atol=1e-9)


def test_published_weights_have_the_classes_of_voc_and_101_blocks_a_resnet101(
    tmp_path: Path,
) -> None:
    with torch.device("meta"):
        model = segmentation.fcn_resnet101(weights=None, weights_backbone=None, num_classes=21)
    state = {key: torch.zeros(value.shape) for key, value in model.state_dict().items()}
    torch.save(state, tmp_path / "x.pth")
    imported = import_torchvision(tmp_path / "x.pth")
    assert imported.spec.encoder == "resnet101"
    assert imported.spec.options["auxiliary"] is False
    assert imported.labels.names[:2] == ("background", "aeroplane")
    with pytest.raises(WeightsError, match="has 21 classes, given 2 names"):
        import_torchvision(tmp_path / "x.pth", classes=["a", "b"])


@pytest.mark.parametrize("name", ["lraspp_mobilenet_v3_large", "deeplabv3_mobilenet_v3_large"])
@pytest.mark.parametrize("size", [(64, 96), (65, 83)])
def test_networks_on_mobilenetv3_have_torchvisions_logits(
    tmp_path: Path, name: str, size: tuple[int, int]
) -> None:
    theirs = segmentation.__dict__[name](weights=None, weights_backbone=None, num_classes=4)
    shuffled(theirs)
    torch.save(theirs.state_dict(), tmp_path / "x.pth")
    imported = import_torchvision(tmp_path / "x.pth")
    assert imported.spec.architecture == name.partition("_")[0]
    network = build_imported(imported).double()
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0)).double()
    # The biases of LR-ASPP's two classifiers become their sum, which is rounded to float32.
    tolerance = 1e-6 if name.startswith("lraspp") else 1e-9
    with torch.no_grad():
        expected = theirs.double().eval()(images)["out"]
        assert expected.std() > 1e-3
        torch.testing.assert_close(network(images), expected, rtol=0, atol=tolerance)


def test_the_auxiliary_head_of_a_mobilenet_is_left_out_and_named(tmp_path: Path) -> None:
    theirs = segmentation.deeplabv3_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=2, aux_loss=True
    )
    torch.save(theirs.state_dict(), tmp_path / "x.pth")
    imported = import_torchvision(tmp_path / "x.pth")
    assert len(imported.source.left_out) == 8
    assert all(line.startswith("aux_classifier.") for line in imported.source.left_out)
    build_imported(imported)


def test_what_maskzoo_does_not_have_is_refused_in_words(tmp_path: Path) -> None:
    torch.save({"fc.weight": torch.zeros(2)}, tmp_path / "y.pth")
    with pytest.raises(WeightsError, match=r"it takes deeplabv3_resnet50.*names.*fc.weight"):
        import_torchvision(tmp_path / "y.pth")

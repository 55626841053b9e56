"""torchvision's segmentation networks: equal logits, and refusals in words."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torchvision.models import segmentation

from maskzoo.models.errors import WeightsError
from maskzoo.models.imports.bundle import build_imported
from maskzoo.models.imports.torchvision import import_torchvision
from tests.models.imports.test_smp import shuffled


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


def test_what_maskzoo_does_not_have_is_refused_in_words(tmp_path: Path) -> None:
    model = segmentation.lraspp_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=2
    )
    torch.save(model.state_dict(), tmp_path / "x.pth")
    with pytest.raises(WeightsError, match="on MobileNetV3"):
        import_torchvision(tmp_path / "x.pth")
    torch.save({"fc.weight": torch.zeros(2)}, tmp_path / "y.pth")
    with pytest.raises(WeightsError, match=r"it takes deeplabv3_resnet50.*names.*fc.weight"):
        import_torchvision(tmp_path / "y.pth")

"""The ONNX file: what is in it, and that the check of it is a check."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from maskzoo.models.errors import ExportError
from maskzoo.models.export.onnx import export_onnx, export_program
from maskzoo.models.network.network import SegmentationNetwork
from maskzoo.models.registry import create_model
from maskzoo.models.spec import ModelSpec
from tests.models.parity import check_onnx

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def build(seed: int = 0) -> SegmentationNetwork:
    torch.manual_seed(seed)
    return create_model(
        "fcn",
        encoder="tu-resnet18",
        encoder_options={"channels": [8, 8, 8, 8], "stem_width": 4, "layers": [1, 1, 1, 1]},
        output_stride=32,
        num_classes=3,
    )


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[SegmentationNetwork, Path]:
    network = build().train()
    path = export_onnx(network, tmp_path_factory.mktemp("onnx") / "deep" / "network.onnx")
    return network, path


def test_batch_height_and_width_are_free_and_named(exported):
    model = onnx.load(exported[1])
    (image,) = model.graph.input
    batch, channels, height, width = image.type.tensor_type.shape.dim
    assert (image.name, channels.dim_value) == ("image", 3)
    assert [dim.dim_param for dim in (batch, height, width)] == ["batch", "height", "width"]
    assert [output.name for output in model.graph.output] == ["logits"]


def test_the_file_says_which_network_it_is(exported):
    network, path = exported
    (text,) = [p.value for p in onnx.load(path).metadata_props if p.key == "maskzoo.spec"]
    assert ModelSpec.model_validate_json(text) == network.spec


def test_the_network_is_left_as_it_was_and_nothing_else_is_written(exported):
    network, path = exported
    assert network.training
    assert [file.name for file in path.parent.iterdir()] == ["network.onnx"]


def test_the_check_passes_on_the_network_that_was_exported(exported):
    network, path = exported
    parities = check_onnx(network, path, shapes=[(1, 65, 97), (2, 32, 40)])
    assert [parity.shape for parity in parities] == [(1, 3, 65, 97), (2, 3, 32, 40)]
    assert all(parity.difference < 1e-4 and parity.labels_equal > 0.99 for parity in parities)
    assert network.training


def test_the_check_fails_on_another_network(exported):
    with pytest.raises(AssertionError, match="differs from the network"):
        check_onnx(build(seed=1), exported[1], shapes=[(1, 33, 33)], tolerance=1e-6)


def test_the_check_fails_where_the_file_does_not_run(exported):
    with pytest.raises(AssertionError, match="does not run at"):
        check_onnx(
            create_model("fcn", encoder="tu-resnet18", num_classes=3, in_channels=4),
            exported[1],
            shapes=[(1, 33, 33)],
        )


@pytest.mark.slow
def test_labels_of_a_raw_image_at_a_fixed_size(tmp_path):
    network = build().eval()
    path = export_onnx(
        network, tmp_path / "n.onnx", mean=MEAN, std=STD, output="labels", size=(40, 56)
    )
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape[1:] == [3, 40, 56]
    image = torch.randint(0, 256, (2, 3, 40, 56)).float()
    labels, confidence = session.run(None, {"image": image.numpy()})
    mean, std = torch.tensor(MEAN)[:, None, None], torch.tensor(STD)[:, None, None]
    with torch.no_grad():
        probabilities = network((image / 255 - mean) / std).softmax(dim=1)
    assert np.mean(labels == probabilities.argmax(dim=1).numpy()) > 0.999
    np.testing.assert_allclose(confidence, probabilities.amax(dim=1).numpy(), atol=1e-5)


class AsksForValues(torch.nn.Module):
    """Branches on what is in the image, which no exported program can."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x) if x.sum() > 0 else x[:, :2]


def test_a_network_that_cannot_be_traced_is_refused_in_words():
    with pytest.raises(ExportError, match=r"torch\.export refuses this network"):
        export_program(AsksForValues().eval(), 3)

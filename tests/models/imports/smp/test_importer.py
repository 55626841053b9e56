"""Models of segmentation-models-pytorch: imported from their folder, with equal logits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

from maskzoo.models.errors import WeightsError
from maskzoo.models.imports.bundle import build_imported, write_imported
from maskzoo.models.imports.smp.importer import import_smp
from maskzoo.models.preprocessing import Preprocessing

TINY = {"channels": [8, 8, 16, 16], "stem_width": 4, "layers": [1, 1, 1, 1]}

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "unet": ("Unet", {"decoder_channels": [16, 12, 8, 8, 4]}),
    "unet, scse, bilinear": (
        "Unet",
        {
            "decoder_channels": [16, 32, 16, 16, 16],
            "decoder_attention_type": "scse",
            "decoder_interpolation": "bilinear",
        },
    ),
    "unetplusplus": ("UnetPlusPlus", {"decoder_channels": [16, 12, 8, 8, 4]}),
    "manet": ("MAnet", {"decoder_channels": [16, 12, 8, 8, 16], "decoder_pab_channels": 8}),
    "linknet": ("Linknet", {"decoder_use_norm": False}),
    "fpn": ("FPN", {"decoder_pyramid_channels": 16, "decoder_segmentation_channels": 32}),
    "fpn, cat": (
        "FPN",
        {
            "decoder_pyramid_channels": 16,
            "decoder_segmentation_channels": 32,
            "decoder_merge_policy": "cat",
        },
    ),
    "pan": ("PAN", {"decoder_channels": 8, "encoder_output_stride": 16}),
    "upernet": ("UPerNet", {"decoder_channels": 16}),
    "segformer": ("Segformer", {"decoder_segmentation_channels": 16}),
    "deeplabv3": (
        "DeepLabV3",
        {"decoder_channels": 16, "decoder_atrous_rates": [2, 3, 4], "encoder_output_stride": 8},
    ),
    "deeplabv3plus": ("DeepLabV3Plus", {"decoder_channels": 16, "encoder_output_stride": 16}),
}


def shuffled(model: nn.Module, seed: int = 0) -> nn.Module:
    """Give every tensor values of its own, and return the model in evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2, generator=generator)
        elif tensor.is_floating_point() and tensor.dim() == 1:
            tensor.normal_(0.5, 0.5, generator=generator)
    return model.eval()


def saved(folder: Path, name: str, encoder: str = "tu-resnet18", **options: Any) -> nn.Module:
    """Save a model of smp, and return it."""
    torch.manual_seed(1)
    extra = TINY if encoder == "tu-resnet18" else {}
    settings = {"classes": 3, "encoder_weights": None} | extra | options
    model = shuffled(getattr(smp, name)(encoder, **settings))
    model.save_pretrained(folder)
    return model


def both(folder: Path, model: nn.Module, size: tuple[int, int] = (64, 96)) -> tuple[Tensor, Tensor]:
    """Return the logits of the imported network and of smp's own."""
    network = build_imported(import_smp(folder))
    images = torch.randn(
        2, network.spec.in_channels, *size, generator=torch.Generator().manual_seed(2)
    )
    with torch.no_grad():
        ours = network.double()(images.double())
        theirs = model.double()(images.double())
    return ours, theirs


@pytest.mark.parametrize("case", CASES)
def test_the_imported_network_has_smps_logits(tmp_path: Path, case: str) -> None:
    name, options = CASES[case]
    model = saved(tmp_path, name, **options)
    ours, theirs = both(tmp_path, model, (128, 160) if name == "PAN" else (64, 96))
    assert theirs.std() > 1e-3
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "encoder", "options"),
    [
        ("DeepLabV3Plus", "resnet18", {"encoder_output_stride": 16}),
        ("DeepLabV3", "resnet18", {"encoder_output_stride": 8}),
        ("PSPNet", "resnet18", {"psp_out_channels": 32}),
        ("Unet", "mit_b0", {}),
        ("Segformer", "mit_b0", {}),
        ("Unet", "efficientnet-b0", {}),
        ("UnetPlusPlus", "vgg11", {}),
        ("FPN", "resnext50_32x4d", {"in_channels": 4}),
        ("PAN", "resnet50", {}),
    ],
)
@pytest.mark.slow
def test_smps_own_encoders_dilated_shallow_or_with_a_center_are_equal(
    tmp_path: Path, name: str, encoder: str, options: dict[str, Any]
) -> None:
    model = saved(tmp_path, name, encoder, **options)
    ours, theirs = both(tmp_path, model, (160, 192))
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_dilated_basic_blocks_are_smps(tmp_path: Path) -> None:
    """The one of these that the fast suite has: smp's default encoder is made of such blocks."""
    model = saved(tmp_path, "DeepLabV3Plus", "resnet18", decoder_channels=8)
    ours, theirs = both(tmp_path, model, (32, 32))
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_one_logit_becomes_two_whose_softmax_is_its_sigmoid(tmp_path: Path) -> None:
    options = {"classes": 1, "activation": "sigmoid", "decoder_channels": [8, 8, 8, 8, 4]}
    model = saved(tmp_path, "Unet", **options)
    ours, theirs = both(tmp_path, model)
    torch.testing.assert_close(ours.softmax(1)[:, 1:], theirs, rtol=1e-9, atol=1e-9)
    imported = import_smp(tmp_path, classes=["cloud"])
    assert imported.labels.names == ("background", "cloud")
    assert imported.labels.background == 0
    assert any("activation 'sigmoid' is left out" in note for note in imported.notes)


def test_a_unet_is_equal_on_odd_sizes_too(tmp_path: Path) -> None:
    model = saved(tmp_path, "Unet", decoder_channels=[16, 12, 8, 8, 4])
    ours, theirs = both(tmp_path, model, (45, 71))
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_a_bundle_keeps_names_normalisation_and_what_was_left_out(tmp_path: Path) -> None:
    saved(
        tmp_path / "theirs",
        "FPN",
        decoder_pyramid_channels=8,
        decoder_segmentation_channels=32,
        aux_params={"classes": 2},
    )
    imported = import_smp(
        tmp_path / "theirs",
        classes=["a", "b", "c"],
        normalisation=Preprocessing(mean=(0.1, 0.2, 0.3), std=(1, 1, 1)),
    )
    assert imported.labels.names == ("a", "b", "c")
    assert len(imported.source.left_out) == 2
    write_imported(imported, tmp_path / "bundle")
    record = json.loads((tmp_path / "bundle" / "bundle.json").read_text())
    assert record["preprocessing"]["mean"] == [0.1, 0.2, 0.3]
    assert record["provenance"]["imported_from"]["library"] == "segmentation-models-pytorch"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"_model_class": "Unett"}, "did you mean 'Unet'"),
        ({"decoder_use_norm": "inplace"}, "decoder_use_norm 'inplace'"),
        ({"upsampling": 2}, "upsampling 2: the logits of Unet are at stride 1"),
        ({"encoder_depth": 4}, "encoder_depth 4 of encoder 'tu-resnet18'"),
    ],
)
def test_what_maskzoo_does_not_have_is_refused_in_words(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    saved(tmp_path, "Unet", decoder_channels=[8, 8, 8, 8, 4])
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(WeightsError, match=message):
        import_smp(tmp_path)


def test_a_tensor_too_many_or_too_few_is_named(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    saved(tmp_path, "Unet", decoder_channels=[8, 8, 8, 8, 4])
    state = load_file(tmp_path / "model.safetensors")
    state["extra.weight"] = state.pop("decoder.blocks.0.conv1.0.weight")
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match=r"1 missing \(decoder.body.blocks.0.*1 unknown \(extra"):
        build_imported(import_smp(tmp_path))

"""Checkpoints of mmsegmentation become bundles: tensors, settings, input and classes."""

from __future__ import annotations

import hashlib

import pytest
import torch

from maskzoo import cli, load_bundle
from maskzoo.models.errors import SpecError, WeightsError
from maskzoo.models.imports.bundle import build_imported
from maskzoo.models.imports.mmseg.importer import import_mmseg
from maskzoo.models.preprocessing import SlidingWindow
from tests.models.imports.mmseg import checkpoints

STATE = {**checkpoints.resnet(), **checkpoints.fcn_head()}


def write(folder, *, state=STATE, text=None, name="fcn.pth"):
    return checkpoints.write(folder / name, state, text or checkpoints.config())


def test_settings_input_and_classes_land_in_the_network(tmp_path):
    imported = import_mmseg(write(tmp_path), licence="Apache-2.0")
    spec, preprocessing = imported.spec, imported.preprocessing
    assert (spec.architecture, spec.num_classes, spec.output_stride) == ("fcn", 3, 8)
    assert spec.options["align_corners"] is True
    assert imported.labels.names == checkpoints.CLASSES
    assert [list(colour) for colour in imported.labels.colours] == checkpoints.PALETTE
    assert preprocessing.mean == pytest.approx((0.485, 0.456, 0.406))
    assert preprocessing.std == pytest.approx((0.229, 0.224, 0.225))
    assert preprocessing.train_size == (128, 256)
    assert preprocessing.window == SlidingWindow(size=(128, 128), stride=(85, 85))
    assert imported.source.left_out == ()


def test_the_command_writes_a_bundle_in_float32_with_its_origin(tmp_path, capsys):
    path = write(tmp_path)
    with pytest.raises(SystemExit) as ended:
        cli.main(["import", "mmseg", str(path), "-o", str(tmp_path / "my FCN"), "--licence", "X"])
    assert not ended.value.code, capsys.readouterr().err
    bundle = load_bundle(tmp_path / "my FCN")
    provenance = bundle.manifest.provenance
    assert bundle.manifest.name == "my-fcn"
    assert bundle.manifest.weights_dtype == "float32"
    assert bundle.manifest.preprocessing.window is not None
    assert provenance.weights_licence == "X"
    assert provenance.imported_from.file == "fcn.pth"
    assert provenance.imported_from.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    torch.testing.assert_close(
        bundle.network.state_dict()["classifier.conv.weight"],
        STATE["decode_head.conv_seg.weight"],
        rtol=0,
        atol=0,
    )
    assert "fcn on tu-resnet18, 3 classes" in capsys.readouterr().out


def test_bgr_networks_take_rgb_images_after_the_import(tmp_path):
    rgb = checkpoints.config()
    bgr = rgb.replace("to_rgb=True", "to_rgb=False").replace(
        "mean=[123.675, 116.28, 103.53]", "mean=[103.53, 116.28, 123.675]"
    )
    bgr = bgr.replace("std=[58.395, 57.12, 57.375]", "std=[57.375, 57.12, 58.395]")
    turned = {**STATE, "backbone.stem.0.weight": STATE["backbone.stem.0.weight"].flip(1)}
    imported = [
        import_mmseg(write(tmp_path, text=rgb)),
        import_mmseg(write(tmp_path, state=turned, text=bgr)),
    ]
    assert imported[0].preprocessing == imported[1].preprocessing
    first, second = (build_imported(item).state_dict() for item in imported)
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("decode_head.convs.0.bn.weight"), "1 missing .*decoder.convs.0.norm"),
        (lambda s: s.update({"decode_head.extra": torch.ones(1)}), "decode_head.extra"),
        (lambda s: s.update({"neck.weight": torch.ones(1)}), "neck.weight"),
        (
            lambda s: s.update({"decode_head.convs.0.conv.weight": torch.ones(4, 8, 1, 1)}),
            r"another shape .*\(4, 8, 1, 1\)",
        ),
        (lambda s: [s.pop(key) for key in list(s) if key.startswith("backbone")], "backbone"),
    ],
)
def test_every_tensor_is_accounted_for(change, message, tmp_path):
    state = dict(STATE)
    change(state)
    with pytest.raises(WeightsError, match=message):
        build_imported(import_mmseg(write(tmp_path, state=state)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"head": "new_option=1"}, "decode_head of type 'FCNHead' .* new_option=1"),
        ({"backbone": "plugins=[dict(a=1)]"}, "plugins"),
        ({"backbone": "dcn=dict(type='DCN')"}, "dcn"),
        ({"head": "act_cfg=dict(type='GELU')"}, "GELU"),
        ({"head": "in_index=2"}, "set twice"),
    ],
)
def test_a_setting_that_is_not_known_is_an_error(settings, message, tmp_path):
    text = checkpoints.config(**settings)
    if message == "set twice":
        text, message = text.replace("in_index=3,", "", 1), "reads features"
    with pytest.raises(WeightsError, match=message):
        import_mmseg(write(tmp_path, text=text))


def test_the_dilation_of_both_heads_is_kept(tmp_path):
    text = checkpoints.config().replace("num_convs=1,", "num_convs=1, dilation=6,")
    network = build_imported(import_mmseg(write(tmp_path, text=text)))
    heads = network.decoder.convs[0].conv, network.decoder.auxiliary.conv.conv
    assert [head.dilation for head in heads] == [(6, 6)] * 2
    assert [head.padding for head in heads] == [(6, 6)] * 2


def test_the_hash_in_a_published_name_is_checked(tmp_path):
    path = write(tmp_path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    assert import_mmseg(path.rename(tmp_path / f"fcn_20200101_000000-{digest}.pth"))
    wrong = write(tmp_path, name="fcn_20200101_000000-00000000.pth")
    with pytest.raises(WeightsError, match="its name says 00000000"):
        import_mmseg(wrong)


def test_a_file_without_settings_takes_them_from_a_text_beside_it(tmp_path):
    path = tmp_path / "bare.pth"
    torch.save(STATE, path)
    with pytest.raises(WeightsError, match="--config"):
        import_mmseg(path)
    imported = import_mmseg(path, config=checkpoints.config())
    assert imported.labels.names == ("class_0", "class_1", "class_2")
    assert build_imported(imported).spec.encoder == "tu-resnet18"


def test_a_file_without_settings_takes_those_of_a_published_one_by_option_or_name(tmp_path):
    known = "fcn_r18-d8_512x1024_80k_cityscapes"
    state = {**checkpoints.resnet(), **checkpoints.fcn_head()}
    paths = [tmp_path / "bare.pth", tmp_path / f"{known}.pth"]
    for path in paths:
        torch.save(state, path)
    by_option, by_name = import_mmseg(paths[0], like=known), import_mmseg(paths[1])
    assert by_option.spec == by_name.spec
    assert by_name.spec.encoder_options["dilations"] == [1, 1, 2, 4]
    assert by_name.preprocessing.train_size == (512, 1024)
    assert (by_name.metrics, by_name.licence, by_name.source.url) == (None, "", None)


@pytest.mark.parametrize("part", ["backbone", "decode_head"])
def test_any_file_with_any_missing_tensor_is_an_error_and_no_crash(part, tmp_path):
    names = [key for key in STATE if key.startswith(part)]
    for name in names:
        state = {key: tensor for key, tensor in STATE.items() if key != name}
        if name.endswith("num_batches_tracked"):
            continue
        with pytest.raises((WeightsError, SpecError)):
            build_imported(import_mmseg(write(tmp_path, state=state)))


def test_classes_that_no_bundle_may_have_are_an_error(tmp_path):
    path = tmp_path / "fcn.pth"
    meta = {**checkpoints.meta(checkpoints.config()), "CLASSES": ("a", "b", "c" * 1000)}
    torch.save({"meta": meta, "state_dict": STATE}, path)
    with pytest.raises(WeightsError, match="classes in the file"):
        import_mmseg(path)

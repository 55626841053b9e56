"""The catalogue of published checkpoints: complete, and recognised by content."""

from __future__ import annotations

import json

import pytest

from maskzoo import cli
from maskzoo.models.bundles.manifest import check_name
from maskzoo.models.errors import UnknownNameError
from maskzoo.models.imports.mmseg.published import (
    find_published,
    list_published,
    recognise,
    recognise_name,
)

PSPNET = "pspnet_r50-d8_512x1024_40k_cityscapes"


def test_there_are_383_with_data_scores_licence_address_hash_and_a_name_for_a_bundle():
    rows = list_published()
    assert len(rows) == len({row.name for row in rows}) == len({row.url for row in rows}) == 383
    assert len({row.family for row in rows}) == 18
    for row in rows:
        check_name(row.name)
        assert row.mean_iou is not None
        assert 20 < row.mean_iou < 90
        assert row.url.startswith("https://download.openmmlab.com/mmsegmentation/v0.5/")
        assert len(row.sha256_start) == 8
        assert row.labels().num_classes == row.classes
        assert row.crop
        assert row.iterations
        assert row.num_bytes
        assert row.num_bytes > 20e6
        assert row.licence == "Apache-2.0"


def test_it_says_what_the_papers_of_the_project_say():
    row = find_published(PSPNET)
    assert (row.dataset, row.classes, row.mean_iou, row.mean_iou_flip) == (
        "Cityscapes",
        19,
        77.85,
        79.18,
    )
    assert (row.crop, row.iterations, row.protocol) == (
        (512, 1024),
        40000,
        "validation split, one scale, whole images",
    )
    assert row.metrics().mean_iou == pytest.approx(0.7785)


def test_the_settings_that_the_weights_lack_are_those_of_the_published_configurations(shared):
    published = json.loads(
        (shared / "references" / "published_mmseg_checkpoints.json").read_text("utf-8")
    )
    ours = {row.file: row for row in list_published()}
    for row in published:
        model = ours[row["url"].rsplit("/", 1)[1]].model
        heads = model["decode_head"]
        for head in heads if isinstance(heads, list) else [heads]:
            assert head["align_corners"] == row["align_corners"]
        assert model["test_cfg"] == row["test_cfg"]
        for key in ("dilations", "strides", "multi_grid"):
            assert model["backbone"].get(key) == row["backbone"].get(key)


def test_a_file_is_recognised_by_its_content():
    row = find_published(PSPNET)
    assert recognise(row.sha256_start + "0" * 56) is row
    assert recognise("f" * 64) is None


@pytest.mark.parametrize("end", [".pth", "_20200605_003338-2966598c.pth", "_20200605_003338.pth"])
def test_a_file_is_recognised_by_its_name_with_or_without_the_date(end):
    assert recognise_name(PSPNET + end) is find_published(PSPNET)
    assert recognise_name("best.pth") is None


def test_another_name_is_an_error_that_suggests_one():
    with pytest.raises(UnknownNameError, match=PSPNET):
        find_published("pspnet_r50-d8_512x1024_40k_cityscape")


def test_list_and_show_print_it(capsys):
    for arguments in (["list", "pspnet_r50-d8_*cityscapes"], ["show", PSPNET]):
        with pytest.raises(SystemExit) as ended:
            cli.main(["zoo", *arguments])
        assert not ended.value.code
    shown = capsys.readouterr().out
    assert PSPNET in shown.splitlines()[-1] or PSPNET in shown
    assert "77.85" in shown
    assert "Apache-2.0" in shown

"""The records in a manifest: written as they were read, whatever keys they have."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.bundles.records import BundleMetrics, MetricsInterval, Provenance
from maskzoo.models.bundles.shipped import list_bundles


def test_a_record_writes_only_what_it_was_given():
    assert json.loads(BundleMetrics().model_dump_json()) == {}
    given = {"mean_iou": None, "mean_iou_interval": {"low": 0.1, "high": 0.3}, "ours": [1, 2]}
    assert json.loads(BundleMetrics.model_validate(given).model_dump_json()) == given


@pytest.mark.parametrize("folder", list_bundles(), ids=lambda folder: folder.name)
def test_the_shipped_manifests_are_written_as_they_were_read(folder):
    stored = json.loads((folder / "bundle.json").read_text())
    assert json.loads(read_manifest(folder).to_bytes()) == stored


def test_fields_are_read_by_name_and_missing_ones_are_none():
    metrics = BundleMetrics.model_validate(
        {"mean_iou": 0.5, "per_class": [{"name": "dirt", "iou": 0.5}]}
    )
    assert (metrics.mean_iou, metrics.split, metrics.mean_iou_interval) == (0.5, None, None)
    assert metrics.per_class[0].iou == 0.5
    assert Provenance().recipe is None


def test_an_update_replaces_what_is_given_even_by_none_and_keeps_the_rest():
    interval = MetricsInterval(low=0.1, high=0.3)
    before = BundleMetrics(split="test", mean_iou=0.2, mean_iou_interval=interval)
    after = before.updated(BundleMetrics(mean_iou=0.3, mean_iou_interval=None, ours=1))
    assert after.model_dump() == {
        "split": "test",
        "mean_iou": 0.3,
        "mean_iou_interval": None,
        "ours": 1,
    }


def test_a_score_that_is_not_a_number_is_refused():
    with pytest.raises(ValidationError, match="mean_iou"):
        BundleMetrics.model_validate({"mean_iou": "high"})

"""Manifests: what is stored is what is read, and everything else is refused with its reason."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from maskzoo.models.bundles.bundle import load_bundle
from maskzoo.models.bundles.manifest import SCHEMA_VERSION, check_name, read_manifest
from maskzoo.models.bundles.records import BundleMetrics
from maskzoo.models.bundles.shipped import find_bundle
from maskzoo.models.errors import BundleError
from tests.models.bundles.manifests import edit

V1 = Path(__file__).parents[2] / "data" / "bundle_v1"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle that a test may damage."""
    return Path(shutil.copytree(V1, tmp_path / "demo"))


def test_a_manifest_is_written_as_it_was_read():
    assert read_manifest(V1).to_bytes() == (V1 / "bundle.json").read_bytes()


def test_reading_a_manifest_does_not_load_torch():
    code = (
        "import sys, maskzoo.models.bundles.manifest as m; "
        "m.read_manifest(sys.argv[1]); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, V1], check=True)


@pytest.mark.parametrize("name", ["a", "street-2.1_b", "0" + "x" * 63])
def test_good_names_are_kept(name: str):
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../up", "a/b", "a\\b", "Street", ".hidden", "a b", "x" * 65, "ä", "a\n"],
)
def test_names_that_could_leave_a_folder_are_refused(name: str, bundle: Path):
    with pytest.raises(BundleError, match="is not allowed: 1 to 64 of a-z"):
        check_name(name)
    edit(bundle, name=name)
    with pytest.raises(BundleError, match="name: String should match pattern"):
        read_manifest(bundle)


def test_a_newer_schema_is_refused_with_the_reason(bundle: Path):
    edit(bundle, schema_version=SCHEMA_VERSION + 1, brand_new_key=1)
    with pytest.raises(BundleError, match=r"'demo' was written by schema 2, this build reads"):
        read_manifest(bundle)


@pytest.mark.parametrize("version", [None, 0, -1, "1", 1.5])
def test_a_manifest_without_a_schema_is_refused(bundle: Path, version: object):
    edit(bundle, schema_version=version)
    with pytest.raises(BundleError, match="has no schema_version"):
        read_manifest(bundle)


def test_every_mistake_in_a_manifest_is_listed(bundle: Path):
    edit(bundle, colour="red", weights_sha256="abc", labels={"names": []}, spec=None)
    with pytest.raises(BundleError) as caught:
        read_manifest(bundle)
    for words in ("colour: Extra inputs", "weights_sha256", "labels.colours", "spec: Field req"):
        assert words in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("spec", {"architecture": "pspnet", "num_classes": 3, "heads": 2}, "spec.heads: Extra"),
        ("spec", {"architecture": "nosuch", "num_classes": 3}, "nosuch"),
        (
            "spec",
            {"architecture": "pspnet", "num_classes": 3, "plugins": ["@@"]},
            "must read name@",
        ),
        ("metrics", [1], "metrics: "),
        ("weights_dtype", "int8", "weights_dtype: "),
    ],
)
def test_a_wrong_part_of_a_manifest_is_refused(bundle: Path, key: str, value: object, reason: str):
    edit(bundle, **{key: value})
    with pytest.raises(BundleError, match=reason):
        load_bundle(bundle)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\xff"])
def test_a_manifest_that_is_not_a_json_object_is_refused(bundle: Path, text: str):
    (bundle / "bundle.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(BundleError, match=r"not valid JSON|no schema_version"):
        read_manifest(bundle)


def test_a_folder_without_a_manifest_is_not_a_bundle(tmp_path: Path):
    with pytest.raises(BundleError, match=r"is not a bundle: bundle\.json cannot be read"):
        load_bundle(tmp_path)


def test_the_foreground_comes_from_the_stored_scores_of_the_classes():
    nuclei, aerial = (read_manifest(find_bundle(name)) for name in ("nuclei", "aerial"))
    background, foreground = nuclei.metrics.per_class
    assert nuclei.foreground == foreground
    assert (background.name, foreground.name) == ("background", "foreground")
    # Dice and IoU of one class are functions of each other: D = 2 I / (1 + I)
    assert foreground.dice == pytest.approx(2 * foreground.iou / (1 + foreground.iou))
    assert nuclei.metrics.mean_iou == pytest.approx((background.iou + foreground.iou) / 2)
    assert aerial.foreground is None
    unmeasured = nuclei.model_copy(update={"metrics": BundleMetrics()})
    assert unmeasured.foreground is None

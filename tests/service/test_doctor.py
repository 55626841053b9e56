"""What `maskzoo doctor` says of the service."""

from __future__ import annotations

import pytest

from maskzoo.models.bundles.shipped import find_bundle
from maskzoo.service.doctor import examine


@pytest.fixture(autouse=True)
def one_bundle(monkeypatch):
    """Each takes seconds to open."""
    bundle = find_bundle("aerial")
    monkeypatch.setattr("maskzoo.models.bundles.shipped.list_bundles", lambda: [bundle])


def test_the_doctor_names_what_is_on_and_off(monkeypatch):
    monkeypatch.setenv("MASKZOO_URL_INPUT", "true")
    monkeypatch.setenv("MASKZOO_DEVICE", "cpu")
    report = examine()
    assert report["service"]["image by url"] == "on"
    assert report["service"]["admin routes"] == "off"
    assert report["fastapi"]
    assert report["problems"] == []
    assert report["bundles"]["aerial"].startswith("openvino on cpu, weights fp16, computes in ")
    assert "its classes are torch's" in report["bundles"]["aerial"]


def test_the_doctor_finds_a_wrong_setting_and_a_missing_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("MASKZOO_BUNDLES", str(tmp_path / "gone"))
    assert any("gone" in problem for problem in examine()["problems"])
    monkeypatch.setenv("MASKZOO_MAX_BYTES", "many")
    assert any("max_bytes" in problem for problem in examine()["problems"])

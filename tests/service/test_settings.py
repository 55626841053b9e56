"""Settings come from MASKZOO_* variables."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from maskzoo.service.settings import Settings


def test_variables_are_read(monkeypatch):
    monkeypatch.setenv("MASKZOO_BUNDLES", os.pathsep.join(["a", "b"]))
    monkeypatch.setenv("MASKZOO_SHIPPED_BUNDLES", "false")
    monkeypatch.setenv("MASKZOO_MAX_PIXELS", "1000")
    monkeypatch.setenv("MASKZOO_CORS_ORIGINS", "https://a.example https://b.example")
    settings = Settings()
    assert settings.bundle_folders == (Path("a"), Path("b"))
    assert settings.max_pixels == 1000
    assert settings.cors_origins == ("https://a.example", "https://b.example")


def test_the_shipped_bundles_come_last():
    settings = Settings(bundles=(Path("mine"),))
    assert [path.name for path in settings.bundle_folders] == ["mine", "pretrained"]


@pytest.mark.parametrize("value", ["0", "-5", "many"])
def test_a_senseless_limit_is_refused_at_start(monkeypatch, value):
    monkeypatch.setenv("MASKZOO_MAX_PIXELS", value)
    with pytest.raises(ValidationError, match="max_pixels"):
        Settings()


def test_every_setting_is_described():
    assert all(field.description for field in Settings.model_fields.values())


def test_aliases_are_pairs(monkeypatch):
    monkeypatch.setenv("MASKZOO_ALIASES", "prod=cells@2  test=cells@3")
    assert Settings().aliases == {"prod": "cells@2", "test": "cells@3"}
    monkeypatch.setenv("MASKZOO_ALIASES", "prod=cells@2 test")
    with pytest.raises(ValidationError, match="'test' is not a pair"):
        Settings()


def test_a_short_admin_token_is_refused(monkeypatch):
    monkeypatch.setenv("MASKZOO_ADMIN_TOKEN", "short")
    with pytest.raises(ValidationError, match="admin_token"):
        Settings()

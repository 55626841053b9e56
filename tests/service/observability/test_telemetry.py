"""OpenTelemetry: only where it is switched on, and in words where it is not installed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from maskzoo.models.errors import ZooError
from maskzoo.service.observability import telemetry
from maskzoo.service.observability.telemetry import telemetry_options


def test_telemetry_is_off_and_unloaded_by_default():
    assert telemetry_options(False)["tracing"] is False
    source = "import maskzoo.service.app, sys; assert 'opentelemetry.sdk' not in sys.modules"
    subprocess.run([sys.executable, "-c", source], check=True)


def test_telemetry_that_is_not_installed_says_which_extra(monkeypatch):
    monkeypatch.setattr(telemetry, "_NEEDED", ("no_such.package", "json"))
    with pytest.raises(ZooError, match=r"no_such.package is not installed; .*maskzoo\[telemetry\]"):
        telemetry_options(True)
    monkeypatch.setattr(telemetry, "_NEEDED", ("json",))
    assert telemetry_options(True)["auto_configure"] is True


@pytest.mark.parametrize("endpoint", ["", "http://collector:4318"])
def test_telemetry_without_an_endpoint_is_a_warning(monkeypatch, caplog, endpoint):
    monkeypatch.setattr(telemetry, "_NEEDED", ("json",))
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", raising=False)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    telemetry_options(True)
    assert ("telemetry_goes_nowhere" in caplog.text) == (not endpoint)

"""OpenTelemetry, if switched on: FastAPI's spans, sent as OTLP.

Exporters read the usual `OTEL_EXPORTER_OTLP_ENDPOINT` and its like; the service's name is
`maskzoo` unless `OTEL_SERVICE_NAME` sets another. Nothing of OpenTelemetry's SDK is imported, and
no span is made, while `MASKZOO_TELEMETRY` is off.
"""

from __future__ import annotations

import importlib.util
import logging
import os

from fastapi.telemetry import TelemetryConfig

from maskzoo.models.errors import ZooError

logger = logging.getLogger(__name__)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_NEEDED = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


def telemetry_options(is_on: bool) -> TelemetryConfig:
    """Return the value of FastAPI's argument `telemetry`.

    Raises:
        ZooError: it is on, and not installed.
    """
    if not is_on:
        return {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
    missing = [name for name in _NEEDED if not _exists(name)]
    if missing:
        raise ZooError(
            f"MASKZOO_TELEMETRY is on and {', '.join(missing)} is not installed; "
            "pip install 'maskzoo[telemetry]', or switch it off"
        )
    os.environ.setdefault("OTEL_SERVICE_NAME", "maskzoo")
    if not any(os.environ.get(name) for name in _ENDPOINTS):
        logger.warning(
            "event=telemetry_goes_nowhere hint='set %s, as in http://collector:4318'", _ENDPOINTS[0]
        )
    return {"auto_configure": True, "operation_spans": False, "logs": False}


def _exists(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False

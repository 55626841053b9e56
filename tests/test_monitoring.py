"""Alert rules, dashboard, provisioning: what they name exists, and rules fire when they should."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry

from maskzoo.service.observability.metrics import Metrics

ROOT = Path(__file__).parents[1]
MONITORING = ROOT / "deploy" / "monitoring"
GRAFANA = MONITORING / "grafana"
DASHBOARD = json.loads((GRAFANA / "dashboards" / "maskzoo.json").read_text())
SOURCE = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text())
PROVIDER = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "maskzoo.yml").read_text())
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
OTHERS = {"up", "haproxy_backend_active_servers"}  # of Prometheus itself and of HAProxy
SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
}


def panels() -> list[dict]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    """Return all queries of the dashboard and of the alert rules."""
    groups = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
    return [target["expr"] for panel in panels() for target in panel["targets"]] + [
        rule["expr"] for group in groups for rule in group["rules"]
    ]


def exposed() -> dict[str, set[str]]:
    """Return the names of all series of the service, with their labels."""
    registry: CollectorRegistry = Metrics()._registry
    found = {}
    for collector in registry._collector_to_names:
        for family in collector.collect():
            labels = set(collector._labelnames)
            for suffix in SUFFIXES[family.type]:
                more = {"le"} if suffix == "_bucket" else set()
                found[family.name + suffix] = labels | more
    return found


def series(expression: str) -> list[tuple[str, set[str]]]:
    """Return each metric of a query with the labels that it selects by."""
    pattern = r"\b(up|(?:maskzoo|haproxy)_\w+)(?:\{([^}]*)\})?"
    return [
        (name, set(re.findall(r"(\w+)\s*[=!]", selector)))
        for name, selector in re.findall(pattern, expression)
    ]


@pytest.mark.parametrize("expression", expressions())
def test_every_metric_and_label_that_is_named_is_exposed(expression: str) -> None:
    names = exposed()
    used = series(expression)
    assert used
    for name, selected in used:
        assert name in names or name in OTHERS
        if name in names:
            grouped = re.findall(r"\bby \(([^)]*)\)", expression)
            by = {label.strip() for group in grouped for label in group.split(",")} - {""}
            assert selected | by <= names[name] | {"instance", "job"}


def test_the_names_are_read_from_what_the_service_writes() -> None:
    metrics = Metrics()
    metrics.request("/segment", "cells", 200, 0.1)
    text = metrics.render().decode()
    names = exposed()
    written = dict(re.findall(r"^(maskzoo_request\w+)\{(.*?)\} ", text, re.MULTILINE))
    for name in ("maskzoo_requests_total", "maskzoo_request_duration_seconds_bucket"):
        assert set(re.findall(r"(\w+)=", written[name])) == names[name]


def test_the_dashboard_s_panels_have_their_own_ids_and_do_not_overlap() -> None:
    every = DASHBOARD["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    taken = [
        (x, y)
        for panel in every
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) < 24  # Grafana's columns


def test_the_provisioned_source_and_folder_are_those_of_compose() -> None:
    (source,) = SOURCE["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (variable,) = (item for item in DASHBOARD["templating"]["list"] if item["type"] == "datasource")
    assert variable["query"] == source["type"]
    (provider,) = PROVIDER["providers"]
    folder = provider["options"]["path"]
    mounts = dict(mount.split(":")[:2] for mount in COMPOSE["grafana"]["volumes"])
    assert mounts["./deploy/monitoring/grafana/dashboards"] == folder
    home = COMPOSE["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{folder}/maskzoo.json"
    for path in mounts:
        assert (ROOT / path).exists()


def test_prometheus_asks_for_the_services_of_compose() -> None:
    scrape = yaml.safe_load((MONITORING / "prometheus.yml").read_text())["scrape_configs"]
    named = {
        job["job_name"]: {name for found in job["dns_sd_configs"] for name in found["names"]}
        for job in scrape
    }
    assert named == {"maskzoo": {"maskzoo", "maskzoo-cpu", "replica"}, "haproxy": {"haproxy"}}
    assert named["maskzoo"] | named["haproxy"] <= set(COMPOSE)


def run_if_there(*command: str) -> str:
    """Run a program of Debian's packages, or skip."""
    program = shutil.which(command[0])
    if program is None:
        pytest.skip(f"needs {command[0]}")
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_accepts_the_configuration_with_its_rules() -> None:
    assert "9 rules" in run_if_there(
        "promtool", "check", "config", str(MONITORING / "prometheus.yml")
    )


def test_each_alert_fires_when_it_should_and_not_before() -> None:
    cases = ROOT / "tests" / "data" / "alerts_test.yml"
    text = (MONITORING / "alerts.yml").read_text()
    alerts = set(re.findall(r"alert: (\w+)", text))
    assert set(re.findall(r"alertname: (\w+)", cases.read_text())) == alerts
    run_if_there("promtool", "test", "rules", str(cases))


def test_haproxy_accepts_its_configuration() -> None:
    run_if_there("haproxy", "-c", "-f", str(ROOT / "deploy" / "haproxy" / "haproxy.cfg"))

"""The Helm chart: what it renders is what is stored, fits the schemas, and can be reached.

The stored files show a reader of a change what it means for a cluster. After one, write them anew:

    python tests/test_chart.py
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from maskzoo.service.server import LAST_S
from maskzoo.service.settings import Settings

ROOT = Path(__file__).parents[1]
CHART = ROOT / "deploy" / "helm" / "maskzoo"
STORED = ROOT / "tests" / "data" / "chart"
OLDEST, NEWEST = "1.29", "1.34"  # versions of Kubernetes whose schemas must hold
CASES: dict[str, dict[str, Any]] = {
    "cpu": {
        "autoscaling": {"kind": "cpu"},
        "bundles": {"source": "pvc", "claim": "bundles"},
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
        "nodeSelector": {"pool": "cpu"},
    },
    "gpu": {
        "gpus": 1,
        "image": {"repository": "registry.example.com/maskzoo"},
        "imagePullSecrets": ["registry"],
        "settings": {"queue_s": 5, "preload": True},
        "existingSecret": "maskzoo-keys",
        "autoscaling": {"kind": "queue"},
        "bundles": {
            "source": "bucket",
            "bucket": {"path": ":s3,provider=AWS,env_auth:models/prod", "existingSecret": "s3"},
        },
        "networkPolicy": {"from": [{"namespaceSelector": {"matchLabels": {"team": "maps"}}}]},
        "monitoring": {"serviceMonitor": True, "alerts": True, "labels": {"release": "prometheus"}},
    },
    "plain": {"replicas": 1, "jobs": True, "networkPolicy": {"enabled": False}},
}


def render(values: dict[str, Any]) -> str:
    """Return all objects of a release, as Helm renders them."""
    helm = pytest.importorskip("helm_python")
    with helm.Chart.load(CHART) as chart:
        files = chart.render(values, name="demo", namespace="prod")
    texts = [text.strip() for name, text in sorted(files.items()) if name.endswith(".yaml")]
    return "\n---\n".join(text for text in texts if text) + "\n"


def stored(case: str) -> list[dict[str, Any]]:
    text = (STORED / f"{case}.yaml").read_text()
    return [item for item in yaml.safe_load_all(text) if item]


def one(case: str, kind: str) -> dict[str, Any]:
    (found,) = (item for item in stored(case) if item["kind"] == kind)
    return found


def pod(case: str) -> dict[str, Any]:
    return one(case, "Deployment")["spec"]["template"]["spec"]


def variables(case: str) -> dict[str, str]:
    (container,) = pod(case)["containers"]
    return {item["name"]: item["value"] for item in container["env"]}


@pytest.mark.parametrize("case", CASES)
def test_the_chart_renders_what_is_stored(case: str) -> None:
    assert render(CASES[case]) == (STORED / f"{case}.yaml").read_text()


def test_helm_has_nothing_to_say() -> None:
    helm = pytest.importorskip("helm_python")
    found = helm.lint(CHART)
    assert found["errors"] == []
    assert [item["error"] for item in found["messages"]] == ["icon is recommended"]


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("case", CASES)
def test_objects_of_kubernetes_fit_its_schemas(case: str, version: str) -> None:
    validator = pytest.importorskip("kubernetes_validate")
    ours = [item for item in stored(case) if "." not in item["apiVersion"].replace(".k8s.io", "")]
    assert len(ours) >= 3
    for item in ours:
        validator.validate(item, version, strict=True)


@pytest.mark.parametrize(
    ("kind", "module"),
    [
        ("ScaledObject", "cloudcoil.models.keda.v1alpha1"),
        ("ServiceMonitor", "cloudcoil.models.prometheus_operator.v1"),
        ("PrometheusRule", "cloudcoil.models.prometheus_operator.v1"),
    ],
)
def test_objects_of_operators_have_only_fields_that_exist(kind: str, module: str) -> None:
    pytest.importorskip("cloudcoil")
    model = getattr(importlib.import_module(module), kind)
    given = one("gpu", kind)
    read = model.model_validate(given).model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert read == given  # an unknown field would have been left out


@pytest.mark.parametrize(
    "values",
    [
        {"gpu": 1},
        {"autoscaling": {"kind": "keda"}},
        {"bundles": {"source": "bucket"}},
        {"bundles": {"source": "pvc"}},
        {"settings": {"shutdown_s": 100}},
        {"sharedMemory": 1},
    ],
)
def test_wrong_values_are_refused(values: dict[str, Any]) -> None:
    helm = pytest.importorskip("helm_python")
    with pytest.raises(helm.HelmError):
        render(values)


@pytest.mark.parametrize("case", CASES)
def test_every_variable_is_a_setting_and_its_value_can_be_read(case: str) -> None:
    given = {
        name.removeprefix("MASKZOO_").lower(): value for name, value in variables(case).items()
    }
    assert set(given) <= set(Settings.model_fields)
    Settings.model_validate(given)


@pytest.mark.parametrize("case", CASES)
def test_a_pod_is_killed_after_all_limits_of_its_service(case: str) -> None:
    settings = variables(case)
    limit_s = float(settings["MASKZOO_LEAVE_S"]) + float(settings["MASKZOO_SHUTDOWN_S"]) + LAST_S
    assert pod(case)["terminationGracePeriodSeconds"] > limit_s
    probe = pod(case)["containers"][0]["readinessProbe"]
    off_s = probe["periodSeconds"] * probe["failureThreshold"]
    assert float(settings["MASKZOO_LEAVE_S"]) > off_s


@pytest.mark.parametrize("case", CASES)
def test_every_container_is_locked_down_and_its_volumes_exist(case: str) -> None:
    spec = pod(case)
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    volumes = {volume["name"] for volume in spec["volumes"]}
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes


@pytest.mark.parametrize("case", CASES)
def test_all_selectors_choose_the_pods(case: str) -> None:
    labels = one(case, "Deployment")["spec"]["template"]["metadata"]["labels"].items()
    for item in stored(case):
        spec = item["spec"]
        selector = spec.get("selector") or spec.get("podSelector") or {}
        assert selector.get("matchLabels", selector).items() <= labels, item["kind"]
    assert one(case, "Service")["spec"]["ports"][0]["targetPort"] == "http"


def test_what_scales_and_who_decides_it() -> None:
    assert one("plain", "Deployment")["spec"]["replicas"] == 1
    for case, kind in (("cpu", "HorizontalPodAutoscaler"), ("gpu", "ScaledObject")):
        assert "replicas" not in one(case, "Deployment")["spec"]
        assert one(case, kind)["spec"]["scaleTargetRef"]["name"] == "demo"
    assert pod("gpu")["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert pod("gpu")["containers"][0]["image"] == "registry.example.com/maskzoo:0.1.0"
    assert pod("cpu")["containers"][0]["image"] == "maskzoo:cpu"


def test_the_alert_rules_are_those_of_compose() -> None:
    rules = yaml.safe_load((ROOT / "deploy" / "monitoring" / "alerts.yml").read_text())
    assert one("gpu", "PrometheusRule")["spec"] == rules


def test_the_chart_has_the_version_of_the_project() -> None:
    version = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert version is not None
    assert chart["version"] == chart["appVersion"] == version[1]


if __name__ == "__main__":
    STORED.mkdir(exist_ok=True)
    for case, values in CASES.items():
        (STORED / f"{case}.yaml").write_text(render(values))

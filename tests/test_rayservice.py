"""The example for KubeRay: Ray reads its configuration, and its pods fit Kubernetes' schema."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from maskzoo.service.replicas.options import RayOptions
from maskzoo.service.replicas.proxies import proxy_environment
from maskzoo.service.settings import Settings

ROOT = Path(__file__).parents[1]
SERVICE = yaml.safe_load((ROOT / "deploy" / "kuberay" / "rayservice.yaml").read_text())["spec"]
CONFIG = yaml.safe_load(SERVICE["serveConfigV2"])
CLUSTER = SERVICE["rayClusterConfig"]
(APPLICATION,) = CONFIG["applications"]
(WORKERS,) = CLUSTER["workerGroupSpecs"]
PODS = [CLUSTER["headGroupSpec"]["template"]["spec"], WORKERS["template"]["spec"]]


def test_ray_reads_the_configuration() -> None:
    schema = pytest.importorskip("ray.serve.schema").ServeDeploySchema
    read = schema.model_validate(CONFIG)
    assert [application.name for application in read.applications] == ["maskzoo"]


def test_the_application_exists_and_reads_its_arguments() -> None:
    module, _, name = APPLICATION["import_path"].partition(":")
    assert callable(getattr(importlib.import_module(module), name))
    options = RayOptions.model_validate(APPLICATION["args"])
    Settings.model_validate(options.settings)
    assert (options.min_replicas, options.max_replicas) == (
        WORKERS["minReplicas"],
        WORKERS["maxReplicas"],
    )


@pytest.mark.parametrize("pod", PODS, ids=["head", "workers"])
def test_every_process_of_ray_has_the_variables_of_the_proxies(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    given = {item["name"]: item["value"] for item in container["env"]}
    assert given == proxy_environment(Settings())


@pytest.mark.parametrize("pod", PODS, ids=["head", "workers"])
def test_the_pods_fit_the_schema_of_kubernetes(pod: dict[str, Any]) -> None:
    validator = pytest.importorskip("kubernetes_validate")
    item = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": pod}
    validator.validate(item, "1.34", strict=True)


def test_a_worker_holds_one_replica() -> None:
    limits = PODS[1]["containers"][0]["resources"]["limits"]
    arguments = APPLICATION["args"]
    assert float(limits["cpu"]) == arguments["cpus"]
    assert limits["nvidia.com/gpu"] == arguments["gpus"]
    assert CLUSTER["authOptions"] == {"mode": "token"}

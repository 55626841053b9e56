"""The application that Ray's own tools deploy, without a cluster."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from maskzoo.models.errors import ZooError
from maskzoo.service.ray_app import build
from maskzoo.service.replicas.options import RayOptions
from maskzoo.service.replicas.proxies import proxy_environment
from maskzoo.service.settings import Settings

ROOT = Path(__file__).resolve().parents[2]

pytest.importorskip("ray.serve", reason="needs the extra ray")


def test_the_arguments_of_a_configuration_file_reach_the_replicas() -> None:
    args = {"max_replicas": 4, "gpus": 1, "settings": {"preload": False, "queue_s": 5}}
    application = build(RayOptions.model_validate(args))
    deployment = application._bound_deployment
    assert deployment.name == "maskzoo"
    assert deployment.ray_actor_options["num_gpus"] == 1
    (settings,) = deployment.init_args
    assert (settings.preload, settings.queue_s, settings.jobs) == (False, 5, False)


def test_a_wrong_setting_is_refused_before_anything_is_deployed() -> None:
    with pytest.raises(ZooError, match="a replica is one process"):
        build(RayOptions(settings={"processes": 3}))


def test_ray_takes_the_file_that_the_documentation_shows() -> None:
    from ray.serve.schema import ServeDeploySchema

    page = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    shown = re.findall(r"^```yaml\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    (document,) = map(yaml.safe_load, shown)
    (application,) = ServeDeploySchema.model_validate(document).applications
    assert application.import_path == f"{build.__module__}:{build.__name__}"
    deployment = build(RayOptions.model_validate(application.args))._bound_deployment
    assert deployment.init_args[0].bundles == (Path("/srv/bundles"),)
    known = proxy_environment(Settings())
    given = document["controller_options"]["runtime_env"]["env_vars"]
    assert {name: known[name] for name in given} == given

"""The application for Ray Serve: `serve deploy` and `serve run maskzoo.service.ray_app:build`.

The fields of `args` in Ray's configuration file are those of `service.replicas.options.RayOptions`;
docs/scaling.md has a whole file. `maskzoo serve --ray` deploys the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from maskzoo.service.replicas.options import RayOptions, deployment_options, ray_settings
from maskzoo.service.replicas.replica import Replica
from maskzoo.service.settings import Settings

if TYPE_CHECKING:
    from ray.serve import Application


def build(args: RayOptions) -> Application:
    """Return the application with its replicas.

    The settings are read here and travel to the replicas, so the environment of the process that
    deploys holds for all machines.

    Raises:
        ZooError: a setting contradicts replicas.
    """
    return build_application(args, Settings(**args.settings))  # type: ignore[arg-type]


def build_application(options: RayOptions, settings: Settings) -> Application:
    """Return the application of some settings; see `build`."""
    from ray import serve

    settings = ray_settings(settings, replicas=options.max_replicas)
    deployment = serve.deployment(**deployment_options(options, settings))
    return deployment(serve.ingress()(Replica)).bind(settings)

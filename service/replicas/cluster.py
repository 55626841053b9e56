"""Start or find Ray, and deploy the service on it."""

from __future__ import annotations

import ipaddress
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from maskzoo.models.errors import ZooError
from maskzoo.service.replicas.options import NAME
from maskzoo.service.replicas.proxies import proxy_environment
from maskzoo.service.settings import Settings

if TYPE_CHECKING:
    from ray.serve import Application

_LOCAL = "127.0.0.1"
_OBJECT_BYTES = 80 * 2**20  # the least that Ray takes: images do not go through its object store
_LOCAL_DRAIN_S = 1  # the one proxy hears of a replica's end at once


class MissingRayError(ZooError):
    """Ray is not installed."""

    def __init__(self) -> None:
        super().__init__("serving on Ray needs the extra: pip install 'maskzoo[ray]'")


class RayError(ZooError):
    """Ray cannot be started or found, or the service does not start on it."""


def check_ray(host: str, port: int, address: str | None) -> None:
    """Check what can be checked before anything starts.

    Raises:
        MissingRayError: Ray is not installed.
        RayError: the address of the proxies is not possible.
    """
    if find_spec("ray") is None:  # not imported yet: it reads its environment when it is
        raise MissingRayError
    if not port:
        raise RayError("--port 0 is not possible on Ray, where each node needs the same; name one")
    if address is not None and _is_loopback(host):
        raise RayError(
            f"--host {host} is reached from this machine only, and on a cluster the proxies must "
            "reach the replicas of other machines: give --host 0.0.0.0, behind a firewall or with "
            "MASKZOO_API_KEYS"
        )


def start_ray(settings: Settings, host: str, port: int, address: str | None) -> None:
    """Start Ray on this machine, or connect to a cluster, and start its proxies.

    A Ray that is started here asks for a token that only its own processes know: who reaches
    Ray's ports can otherwise run any program.

    Args:
        address: of a cluster, as `ray start --head` prints it; None starts Ray here.

    Raises:
        RayError: there is no such cluster, or Ray does not start.
    """
    environment = proxy_environment(settings)
    if address is None:
        environment["RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S"] = str(_LOCAL_DRAIN_S)
        environment["RAY_AUTH_MODE"] = "token"
        environment["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    for name, value in environment.items():
        os.environ.setdefault(name, value)  # read when Ray is imported and its processes start
    import ray
    from ray import serve

    alone: dict[str, Any] = {
        "include_dashboard": False,  # a gigabyte of processes
        "object_store_memory": _OBJECT_BYTES,
        "_node_ip_address": _LOCAL,
    }
    try:
        ray.init(
            address="local" if address is None else address,
            namespace="serve",
            log_to_driver=address is None,
            **(alone if address is None else {}),
        )
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        where = "Ray does not start" if address is None else f"there is no Ray at {address!r}"
        raise RayError(f"{where}: {error}") from error
    given = {name: os.environ[name] for name in environment if name.startswith("RAY_SERVE_")}
    serve.start(
        proxy_location="EveryNode",
        # No limit of time for a whole request: the service has one for each of its parts, and
        # Ray's would end the upload of a job.
        http_options={"host": host, "port": port, "request_timeout_s": None},
        logging_config={"log_level": "WARNING"},
        controller_options={"runtime_env": {"env_vars": given}},
    )


def has_gpus() -> bool:
    """Whether any node of the cluster has a GPU."""
    import ray

    return bool(ray.cluster_resources().get("GPU", 0) >= 1)


def deploy(application: Application) -> None:
    """Deploy the service, or replace the one there is; returns when its replicas are ready.

    Raises:
        RayError: they do not start.
    """
    from ray import serve

    try:
        serve.run(application, name=NAME, route_prefix="/")
    except RuntimeError as error:
        raise RayError(f"the service does not start on Ray: {error}") from error


@contextmanager
def ending() -> Iterator[None]:
    """End the service, and the Ray that was started here, after the block."""
    try:
        yield
    finally:
        import ray  # it read its environment when it was imported, so not before `start_ray`
        from ray import serve

        serve.shutdown()
        ray.shutdown()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

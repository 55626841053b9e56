"""What an operator chooses, and Ray's options that follow from it."""

from __future__ import annotations

import math
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from maskzoo.models.errors import ZooError
from maskzoo.service.server import LAST_S
from maskzoo.service.settings import Settings

NAME = "maskzoo"
POLICY = "maskzoo.service.replicas.policy:QueuedSeconds"

DRAIN_S = 10
"""How long a replica that ends stays reachable, until all proxies have heard of it."""


class RayOptions(BaseModel):
    """The replicas of one service; also the `args` of an application of `serve deploy`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_replicas: int = Field(
        default=1, ge=1, description="Least replicas; loading models takes too long to start at 0."
    )
    max_replicas: int = Field(default=1, ge=1, description="Most replicas.")
    cpus: float = Field(default=1, gt=0, description="Cores of one replica.")
    gpus: float = Field(default=0, ge=0, le=1, description="GPUs of one replica: 1, or a part.")
    target_s: float = Field(
        default=2, gt=0, description="Seconds of queued work of one replica; above it, more start."
    )
    upscale_delay_s: float = Field(
        default=10, ge=0, description="How long more replicas must be wanted before they start."
    )
    downscale_delay_s: float = Field(
        default=300, ge=0, description="How long fewer must be enough before some end."
    )
    max_ongoing: int = Field(
        default=256,
        ge=1,
        description="Requests in one replica; its own limits by pixels and seconds come first.",
    )
    max_queued: int = Field(
        default=256, ge=0, description="Requests that wait for them; above it, 503."
    )
    surge_percent: int = Field(
        default=25,
        ge=0,
        le=100,
        description="Replicas that a rolling update may start beyond the number there is, in per "
        "cent and at least one; 0 where no cores or GPUs are free, which loses capacity meanwhile.",
    )
    settings: dict[str, JsonValue] = Field(
        default={},
        description="Settings of the service by name, before those of a replica's environment.",
    )

    @model_validator(mode="after")
    def _check_numbers(self) -> Self:
        if self.max_replicas < self.min_replicas:
            raise ValueError(
                f"max_replicas is {self.max_replicas}, below min_replicas {self.min_replicas}"
            )
        return self


def read_options(replicas: str | None, cpus: float | None, gpus: float | None) -> RayOptions:
    """Return the options of a command; what is None keeps its default.

    Args:
        replicas: their number, or the least and the most: ``2`` or ``1-8``.

    Raises:
        ZooError: one of them is not possible.
    """
    least, most = _read_range(replicas or "1")
    given = {"min_replicas": least, "max_replicas": most, "cpus": cpus, "gpus": gpus}
    try:
        return RayOptions.model_validate({k: v for k, v in given.items() if v is not None})
    except ValidationError as error:
        wrong = [f"{problem['loc'][0]}: {problem['msg'].lower()}" for problem in error.errors()]
        raise ZooError("; ".join(wrong)) from None


def _read_range(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    if first.isdecimal() and (last.isdecimal() if dash else True):
        least, most = int(first), int(last or first)
        if 1 <= least <= most:
            return least, most
    raise ZooError(f"replicas {text!r} is not a number of at least 1, nor a range like 1-8")


def ray_settings(settings: Settings, *, replicas: int) -> Settings:
    """Return the settings of a service on Ray.

    Replicas keep jobs in a folder of their machine, so a client that asks another replica would
    be told that its job does not exist. Jobs are therefore refused, unless the operator says by
    `MASKZOO_JOBS` that all replicas share the folder.

    Args:
        replicas: the most that there will be.

    Raises:
        ZooError: a setting contradicts replicas.
    """
    if settings.admin_token is not None and replicas > 1:
        raise ZooError(
            "MASKZOO_ADMIN_TOKEN is set, and a request under /admin would change one replica only; "
            "leave it out: new and changed bundles are found in their folders"
        )
    if settings.processes not in ("auto", 1):
        raise ZooError(
            f"MASKZOO_PROCESSES is {settings.processes}, and on Ray a replica is one process; "
            "leave it out and set the number of replicas"
        )
    if len(settings.device.split()) > 1:
        raise ZooError(
            f"MASKZOO_DEVICE names {settings.device!r}, and a replica has the one device that Ray "
            "gives it; leave it out and set the GPUs of a replica"
        )
    is_open = "jobs" not in settings.model_fields_set
    absolute: dict[str, Any] = {"bundles": tuple(path.absolute() for path in settings.bundles)}
    if settings.state_folder is not None:
        absolute["state_folder"] = settings.state_folder.absolute()
    return settings.model_copy(update=absolute | ({"jobs": False} if is_open else {}))


def deployment_options(options: RayOptions, settings: Settings) -> dict[str, Any]:
    """Return the arguments of `ray.serve.deployment`.

    Each limit is set, as Ray's defaults are made for other work: 5 requests at a time, any number
    that wait, a look-back of 30 s, and replicas that are stopped before their successors start.
    """
    return {
        "name": NAME,
        "ray_actor_options": {"num_cpus": options.cpus, "num_gpus": options.gpus},
        "max_ongoing_requests": options.max_ongoing,
        "max_queued_requests": options.max_queued,
        "backpressure_config": {"status_code": 503, "retry_after_s": 1},
        "autoscaling_config": {
            "min_replicas": options.min_replicas,
            "max_replicas": options.max_replicas,
            "look_back_period_s": 15,
            "upscale_delay_s": options.upscale_delay_s,
            "downscale_delay_s": options.downscale_delay_s,
            "policy": {
                "policy_function": POLICY,
                "policy_kwargs": {"target_s": options.target_s},
            },
        },
        "max_surge_percent": options.surge_percent,
        "graceful_shutdown_wait_loop_s": 0.5,
        # Longer than a request may take after the last proxy has heard of the end.
        "graceful_shutdown_timeout_s": DRAIN_S + math.ceil(settings.request_timeout_s) + LAST_S,
        "health_check_period_s": 5,
        "health_check_timeout_s": 15,
        "max_constructor_retry_count": 3,
        # The service logs each request itself.
        "logging_config": {"enable_access_log": False, "log_level": "WARNING"},
    }

"""Options of an operator become Ray's."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from maskzoo.models.errors import ZooError
from maskzoo.service.replicas.options import (
    RayOptions,
    deployment_options,
    ray_settings,
    read_options,
)
from maskzoo.service.replicas.proxies import proxy_environment
from maskzoo.service.settings import Settings


@pytest.mark.parametrize(
    ("text", "range_"), [(None, (1, 1)), ("2", (2, 2)), ("1-8", (1, 8)), ("3-3", (3, 3))]
)
def test_replicas_are_a_number_or_a_range(text: str | None, range_: tuple[int, int]) -> None:
    options = read_options(text, None, None)
    assert (options.min_replicas, options.max_replicas) == range_


@pytest.mark.parametrize("text", ["0", "8-1", "1-", "-1", "two", "1-2-3"])
def test_other_replicas_are_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ZooError, match="a range like 1-8"):
        read_options(text, None, None)


def test_wrong_parts_of_a_machine_are_all_named() -> None:
    with pytest.raises(ZooError, match=r"cpus: .*; gpus: "):
        read_options("1", 0, 2)


def test_what_a_command_does_not_give_stays_open() -> None:
    assert "gpus" not in read_options("2", 1.5, None).model_fields_set
    assert read_options("2", None, 0.5).gpus == 0.5


def test_arguments_of_a_configuration_file_are_checked() -> None:
    with pytest.raises(ValidationError, match="below min_replicas 3"):
        RayOptions(min_replicas=3, max_replicas=2)
    with pytest.raises(ValidationError, match="replica_count"):
        RayOptions(replica_count=2)  # type: ignore[call-arg]


def test_every_limit_of_ray_is_set() -> None:
    options = RayOptions(min_replicas=2, max_replicas=9, cpus=4, gpus=1, surge_percent=50)
    found = deployment_options(options, Settings(request_timeout_s=60))
    assert found["ray_actor_options"] == {"num_cpus": 4, "num_gpus": 1}
    assert (found["max_ongoing_requests"], found["max_queued_requests"]) == (256, 256)
    assert found["backpressure_config"] == {"status_code": 503, "retry_after_s": 1}
    assert found["max_surge_percent"] == 50
    scaling = found["autoscaling_config"]
    assert (scaling["min_replicas"], scaling["max_replicas"]) == (2, 9)
    assert scaling["policy"]["policy_kwargs"] == {"target_s": 2}


def test_a_replica_that_ends_has_the_time_of_a_whole_request() -> None:
    found = deployment_options(RayOptions(), Settings(request_timeout_s=90))
    drain_s = float(proxy_environment(Settings())["RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S"])
    assert found["graceful_shutdown_timeout_s"] > drain_s + 90


def test_ray_takes_these_options() -> None:
    serve = pytest.importorskip("ray.serve", reason="needs the extra ray")
    deployment = serve.deployment(**deployment_options(RayOptions(), Settings()))(object)
    assert deployment.name == "maskzoo"
    assert deployment._deployment_config.max_surge_percent == 25


def test_jobs_are_off_unless_the_operator_says_that_replicas_share_them() -> None:
    assert not ray_settings(Settings(), replicas=2).jobs
    assert ray_settings(Settings(jobs=True), replicas=2).jobs


def test_paths_hold_in_whatever_folder_a_replica_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = Settings(bundles=("mine",), state_folder=Path("state"))
    found = ray_settings(given, replicas=1)
    assert found.bundles == (tmp_path / "mine",)
    assert found.state_folder == tmp_path / "state"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(processes=4), "a replica is one process"),
        (Settings(device="cuda:0 cuda:1"), "the one device that Ray gives it"),
        (Settings(admin_token="a-token-of-sixteen"), "would change one replica only"),
    ],
)
def test_settings_that_contradict_replicas_are_refused(settings: Settings, message: str) -> None:
    with pytest.raises(ZooError, match=message):
        ray_settings(settings, replicas=2)


def test_one_replica_may_have_admin_routes_and_settings_are_read_once() -> None:
    once = ray_settings(Settings(admin_token="a-token-of-sixteen"), replicas=1)
    assert once.admin_token is not None
    assert ray_settings(once, replicas=1) == once

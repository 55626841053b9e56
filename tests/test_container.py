"""The container's files: what engines need is in the image, and the profile fits the machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from maskzoo.service.server import LAST_S
from maskzoo.service.settings import Settings

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = (ROOT / "docker-compose.yml").read_text()
SERVICES = yaml.safe_load(COMPOSE)["services"]
DRIVER_ERROR = 'could not select device driver "nvidia"'


STAGES = dict(re.findall(r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM|\Z)", DOCKERFILE, re.M | re.DOTALL))
OURS = [name for name, service in SERVICES.items() if "maskzoo" in service["image"]]


def environment() -> dict[str, str]:
    """Return what the Dockerfile sets for both images."""
    block = re.search(r"^ENV (.*?[^\\])$", STAGES["base"], re.MULTILINE | re.DOTALL)
    assert block is not None
    words = block[1].replace("\\\n", " ").split()
    return dict(word.split("=", 1) for word in words)


def test_only_the_image_for_gpus_has_a_compiler_and_is_the_default() -> None:
    assert list(STAGES)[-1] == "cuda"
    assert [name for name, text in STAGES.items() if "g++" in text] == ["cuda"]
    for name in ("cpu", "cuda"):
        assert re.search(rf"^FROM base AS {name}$", DOCKERFILE, re.MULTILINE)
        assert f"--from=packages-{name} " in STAGES[name]
        assert f"--from=sbom-{name} " in STAGES[name]
        assert STAGES[name].rstrip().endswith("USER 10001")


def test_the_image_keeps_what_it_builds_where_it_can_be_loaded() -> None:
    volumes = re.findall(r"^VOLUME (\S+)", STAGES["base"], re.MULTILINE)
    for name in ("TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "XDG_CACHE_HOME"):
        folder = Path(environment()[name])
        # /tmp is mounted noexec, and everything else is read-only
        assert any(Path(volume) in folder.parents for volume in volumes), name


def test_hadolint_has_nothing_to_say() -> None:
    program = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if program is None:
        pytest.skip("needs hadolint")
    done = subprocess.run(
        [program, "--failure-threshold", "style", "Dockerfile"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_takes_in_every_package() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert {"!maskzoo", "!models", "!training", "!service"} <= set(lines)


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_is_locked_down(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", OURS)
def test_each_container_of_ours_has_shared_memory_and_keeps_its_state(name: str) -> None:
    assert SERVICES[name]["shm_size"] == "1g"
    assert "state:/state" in SERVICES[name]["volumes"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_port_is_published_on_this_machine_only_unless_it_is_asked_for(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"\$\{MASKZOO_PUBLISH\w*:-127\.0\.0\.1:\d+\}:\d+", port)


def test_the_profiles_are_those_that_the_file_explains() -> None:
    profiles = {name: service["profiles"] for name, service in SERVICES.items()}
    assert profiles == {
        "maskzoo": ["gpu"],
        "maskzoo-cpu": ["cpu"],
        "replica": ["scale"],
        "haproxy": ["scale"],
        "prometheus": ["monitoring"],
        "grafana": ["monitoring"],
        "train": ["train"],
    }


def test_a_container_is_killed_after_all_limits_of_its_service() -> None:
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    for name in ("maskzoo", "maskzoo-cpu", "replica"):
        given = SERVICES[name].get("environment", {})
        leave_s = float(given.get("MASKZOO_LEAVE_S", defaults["leave_s"]))
        grace_s = float(SERVICES[name]["stop_grace_period"].removesuffix("s"))
        assert grace_s > leave_s + defaults["shutdown_s"] + LAST_S


def test_a_gpu_is_requested_only_in_the_profile_gpu_which_sees_all_or_those_that_are_named() -> (
    None
):
    requests = {
        service["profiles"][0]: service["deploy"]["resources"]["reservations"]["devices"]
        for service in SERVICES.values()
        if "deploy" in service
    }
    assert list(requests) == ["gpu"]
    (device,) = requests["gpu"]
    assert device["device_ids"] == ["${MASKZOO_GPUS:-all}"]
    assert (ROOT / ".env").read_text().splitlines()[-1] == "COMPOSE_PROFILES=gpu"


@pytest.mark.parametrize("page", ["README.md", "docker-compose.yml"])
def test_docker_s_own_error_is_named_with_its_cure(page: str) -> None:
    text = (ROOT / page).read_text()
    after = text[text.index(DRIVER_ERROR) :][:300]
    assert re.search(r"--profile cpu|profile\s+#?\s*cpu", after)


@pytest.mark.parametrize("has_plugin", [True, False])
@pytest.mark.parametrize(
    ("devices", "runtimes", "profile"),
    [
        ("GPU 0: NVIDIA H200 (UUID: GPU-1)", "Runtimes: nvidia runc", "gpu"),
        ("GPU 0: NVIDIA H200 (UUID: GPU-1)", "Runtimes: runc", "cpu"),
        ("", "Runtimes: nvidia runc", "cpu"),
        ("No devices were found", "Runtimes: nvidia runc", "cpu"),
    ],
)
def test_make_up_takes_the_profile_that_the_machine_can_run(
    tmp_path: Path, devices: str, runtimes: str, profile: str, has_plugin: bool
) -> None:
    says = 'echo "$(basename $0) $* for $COMPOSE_PROFILES"'
    without_plugin = "" if has_plugin else "[ $1 = compose ] && exit 1; "
    programs = {
        "nvidia-smi": f"echo '{devices}'",
        "docker": f"[ $1 = info ] && echo '{runtimes}' && exit; {without_plugin}{says}",
        "docker-compose": says,
    }
    for name, line in programs.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{line}\n")
        program.chmod(0o755)
    done = subprocess.run(
        ["make", "--no-print-directory", "up"],
        cwd=ROOT,
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    compose = "docker compose" if has_plugin else "docker-compose"
    assert done.stdout.splitlines()[-1] == f"{compose} up for {profile}"

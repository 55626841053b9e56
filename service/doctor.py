"""Diagnosis of an installation for `maskzoo doctor`: packages, devices, settings, bundles."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maskzoo.service.settings import Settings

_IMPORTED = ("torch", "torchvision", "segmentation_models_pytorch", "timm", "lightning", "cv2")
_INSTALLED = ("fastapi", "uvicorn", "prometheus-client")
_OPTIONAL = {
    "onnxruntime": "maskzoo[onnx]",
    "openvino": "faster on a CPU",
    "opentelemetry-sdk": "maskzoo[telemetry]",
    "ray": "maskzoo[ray]",
}


@dataclass
class Diagnosis:
    """The diagnosis of an installation.

    Args:
        packages: the version of each, or why it is missing.
        cuda: the names of the devices.
        service: features that the environment switches on and off, and settings with their reasons.
        training: what a run's plan decides by the machine.
        bundles: the engine of each shipped bundle.
        encoders: trained encoder weights on this machine, and how a run asks for them.
        problems: one line each; empty if all is well.
    """

    python: str
    cpus: int | None
    packages: dict[str, str] = field(default_factory=dict)
    cuda: list[str] = field(default_factory=list)
    service: dict[str, str] = field(default_factory=dict)
    training: dict[str, str] = field(default_factory=dict)
    bundles: dict[str, str] = field(default_factory=dict)
    encoders: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain data."""
        return asdict(self)

    def table(self) -> str:
        """Return the record as lines for a terminal."""
        lines = [("python", self.python), ("cpus", str(self.cpus)), *self.packages.items()]
        lines.append(("cuda", ", ".join(self.cuda) or "no device: the CPU is used"))
        for title, facts in (
            ("service", self.service),
            ("training", self.training),
            ("bundles", self.bundles),
            ("encoders", self.encoders),
        ):
            lines += [(title, f"{name}: {value}") for name, value in facts.items()]
        lines += [("problem", problem) for problem in self.problems] or [("problems", "none")]
        return "".join(f"{name:<28}{value}\n" for name, value in lines)


def examine() -> Diagnosis:
    """Examine this installation: versions, devices, settings and shipped bundles."""
    diagnosis = Diagnosis(platform.python_version(), os.cpu_count())
    _examine_packages(diagnosis)
    _examine_devices(diagnosis)
    settings = _examine_settings(diagnosis)
    if settings is not None:
        _examine_bundles(diagnosis, settings)
    _examine_encoders(diagnosis)
    return diagnosis


def _examine_packages(diagnosis: Diagnosis) -> None:
    for name in _IMPORTED:
        try:
            diagnosis.packages[name] = str(importlib.import_module(name).__version__)
        except ImportError as error:
            diagnosis.packages[name] = "cannot be imported"
            diagnosis.problems.append(f"{name} cannot be imported: {error}")
    for name in (*_INSTALLED, *_OPTIONAL):
        try:
            diagnosis.packages[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            use = _OPTIONAL.get(name)
            diagnosis.packages[name] = "not installed" + (f" (optional: {use})" if use else "")
            if use is None:
                diagnosis.problems.append(f"{name} is not installed: maskzoo serve cannot run")


def _examine_devices(diagnosis: Diagnosis) -> None:
    try:
        import torch
    except ImportError:  # reported with the packages
        return
    count = torch.cuda.device_count()
    diagnosis.cuda = [torch.cuda.get_device_name(index) for index in range(count)]


def _examine_settings(diagnosis: Diagnosis) -> Settings | None:
    """Read the environment as the service would; return None where it is wrong."""
    from pydantic import ValidationError

    from maskzoo.models.spec import describe_mistakes
    from maskzoo.service.settings import Settings

    try:
        settings = Settings()
    except ValidationError as error:
        mistakes = describe_mistakes(error)
        diagnosis.problems += [f"MASKZOO_*: {mistake}" for mistake in mistakes]
        return None
    switches = {
        "image by url": settings.url_input,
        "telemetry": settings.telemetry,
        "admin routes": settings.admin_token is not None,
        "other origins (CORS)": bool(settings.cors_origins),
        "metrics of several processes": "PROMETHEUS_MULTIPROC_DIR" in os.environ,
    }
    diagnosis.service = {name: "on" if is_on else "off" for name, is_on in switches.items()}
    diagnosis.service |= {"engine": settings.engine, "device": settings.device}
    _examine_machine(diagnosis, settings)
    diagnosis.problems += [
        f"MASKZOO_BUNDLES names {str(path)!r}, which is not a folder"
        for path in settings.bundle_folders
        if not path.is_dir()
    ]
    return settings


def _examine_machine(diagnosis: Diagnosis, settings: Settings) -> None:
    """Show the settings that the machine decides, with the reasons, and warn of small memory."""
    from maskzoo.models.machine import loader_workers, measure_machine, warn_of_shared_memory
    from maskzoo.service.machine import is_open, machine_defaults

    machine = measure_machine(settings.device)
    diagnosis.cpus = machine.cores
    for name, default in machine_defaults(machine, settings.engine).items():
        if is_open(settings, name):
            diagnosis.service[name] = f"{default.value}, {default.reason}"
        else:
            diagnosis.service[name] = f"{getattr(settings, name)}, set by MASKZOO_{name.upper()}"
    workers = loader_workers(machine)
    diagnosis.training["loader.num_workers"] = f"{workers.value}, {workers.reason}"
    warning = warn_of_shared_memory(machine)
    if warning is not None:
        diagnosis.problems.append(warning)


def _examine_bundles(diagnosis: Diagnosis, settings: Settings) -> None:
    """Open each shipped bundle as the service would."""
    from maskzoo.models.bundles.shipped import list_bundles
    from maskzoo.models.errors import ZooError
    from maskzoo.models.inference.predictor import Predictor
    from maskzoo.service.bundles.summaries import summarise_engine

    for path in list_bundles():
        try:
            predictor = Predictor.from_bundle(
                path,
                engine=settings.engine,
                device=settings.device,
                max_int8_loss=settings.max_int8_loss,
            )
        except ZooError as error:
            diagnosis.problems.append(f"{path.name}: {error}")
            continue
        found = summarise_engine(predictor)
        assert found is not None, "a predictor of a bundle has an engine"
        diagnosis.bundles[path.name] = (
            f"{found.name} on {found.device}, weights {found.weights}, "
            f"computes in {found.precision}: {found.reason}"
        )


def _examine_encoders(diagnosis: Diagnosis) -> None:
    """List the encoders that can start trained without a network."""
    try:
        from maskzoo.models.catalogue.encoders import local_weights
    except ImportError as error:
        diagnosis.problems.append(f"the encoders cannot be listed: {error}")
        return
    for row in local_weights():
        words = ["builtin"] if row.is_builtin else []
        words += ["imagenet"] if row.is_cached else []
        diagnosis.encoders[row.name] = " or ".join(f"encoder_weights={word}" for word in words)

"""What `maskzoo doctor` finds: versions, devices, shipped bundles, and what is wrong."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
from typing import Any

_OPTIONAL = {
    "onnxruntime": "maskzoo[onnx]",
    "openvino": "faster on a CPU",
    "opentelemetry-sdk": "maskzoo[telemetry]",
}


def examine() -> dict[str, Any]:
    """Return versions, devices and what is wrong with the installation."""
    report: dict[str, Any] = {"python": platform.python_version(), "cpus": os.cpu_count()}
    problems = []
    for name in ("torch", "torchvision", "segmentation_models_pytorch", "timm", "lightning", "cv2"):
        try:
            report[name] = importlib.import_module(name).__version__
        except ImportError as error:
            report[name] = None
            problems.append(f"{name} cannot be imported: {error}")
    for name in ("fastapi", "uvicorn", "prometheus-client"):
        try:
            report[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            report[name] = None
            problems.append(f"{name} is not installed: maskzoo serve cannot run")
    for name, use in _OPTIONAL.items():
        try:
            report[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            report[name] = f"not installed (optional: {use})"
    if report["torch"]:
        import torch

        names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        report["cuda"] = names or "no device: the CPU is used"
    report["service"], wrong = _examine_settings()
    problems += wrong
    report["bundles"], broken = _check_bundles(report["service"])
    report["problems"] = problems + broken
    return report


def _examine_settings() -> tuple[dict[str, str], list[str]]:
    """Return what the environment switches on and off, and what is wrong in it."""
    from pydantic import ValidationError

    from maskzoo.models.spec import describe_mistakes
    from maskzoo.service.settings import Settings

    try:
        settings = Settings()
    except ValidationError as error:
        return {}, [f"MASKZOO_*: {mistake}" for mistake in describe_mistakes(error)]
    switches = {
        "image by url": settings.url_input,
        "telemetry": settings.telemetry,
        "admin routes": settings.admin_token is not None,
        "other origins (CORS)": bool(settings.cors_origins),
        "metrics of several processes": "PROMETHEUS_MULTIPROC_DIR" in os.environ,
    }
    report = {name: "on" if is_on else "off" for name, is_on in switches.items()}
    report |= {"engine": settings.engine, "device": settings.device}
    missing = [str(path) for path in settings.bundle_folders if not path.is_dir()]
    return report, [f"MASKZOO_BUNDLES names {path!r}, which is no folder" for path in missing]


def _check_bundles(settings: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Open each shipped bundle as the service would; return what runs it, and what is wrong."""
    from maskzoo.models.bundles.shipped import list_bundles
    from maskzoo.models.errors import ZooError
    from maskzoo.models.inference.predictor import Predictor
    from maskzoo.service.bundles.engines import describe_engine

    good, broken = {}, []
    engine, device = settings.get("engine", "auto"), settings.get("device", "auto")
    for path in list_bundles():
        try:
            predictor = Predictor.from_bundle(path, engine=engine, device=device)
        except ZooError as error:
            broken.append(f"{path.name}: {error}")
            continue
        found = describe_engine(predictor) or {}
        good[path.name] = (
            "{name} on {device}, weights {weights}, computes in {precision}: {reason}"
        ).format(**found)
    return good, broken

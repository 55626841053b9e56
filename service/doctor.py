"""What `maskzoo doctor` finds: versions, devices, shipped bundles, and what is wrong."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
from typing import Any


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
    for name in ("onnxruntime", "openvino"):
        try:
            report[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            report[name] = "not installed (optional)"
    if report["torch"]:
        import torch

        names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        report["cuda"] = names or "no device: the CPU is used"
    report["bundles"], broken = _check_bundles()
    report["problems"] = problems + broken
    return report


def _check_bundles() -> tuple[list[str], list[str]]:
    from models.bundle import load_bundle
    from models.errors import BundleError
    from models.shipped import list_bundles

    good, broken = [], []
    for path in list_bundles():
        try:
            good.append(load_bundle(path).manifest.name)
        except BundleError as error:
            broken.append(str(error))
    return good, broken

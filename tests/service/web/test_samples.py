"""The shipped samples are what their script draws."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest

SAMPLES = Path(__file__).resolve().parents[3] / "service" / "web" / "samples"


@pytest.mark.parametrize("name", ["nuclei", pytest.param("aerial", marks=pytest.mark.slow)])
def test_a_sample_is_drawn_by_its_script(name):
    spec = importlib.util.spec_from_file_location("make_samples", SAMPLES / "make_samples.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    drawn = getattr(script, f"draw_{name}")()
    stored = cv2.cvtColor(cv2.imread(str(SAMPLES / f"{name}.jpg")), cv2.COLOR_BGR2RGB)
    assert drawn.shape == stored.shape
    assert np.abs(drawn.astype(int) - stored).mean() < 4, "JPEG loses little"

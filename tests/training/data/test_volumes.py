"""The lines of docs/training.md that make folders of slices from NIfTI volumes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np

from maskzoo.training.data.opening import accept, inspect

PAGE = Path(__file__).parents[3] / "docs" / "training.md"


def save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)


def test_the_slices_of_volumes_are_a_data_set(tmp_path):
    volumes = {}
    for name in ("case_1", "case_2", "case_10"):
        random = np.random.default_rng(len(volumes))
        mask = np.zeros((24, 32, 4), np.uint8)
        mask[4:12, 6:20], mask[14:20, 8:16] = 1, 2
        volumes[name] = mask
        image = random.normal(100 * mask + 50, 9).astype(np.float32)
        save(tmp_path / "imagesTr" / f"{name}_0000.nii.gz", image)
        save(tmp_path / "imagesTr" / f"{name}_0001.nii.gz", -image)
        save(tmp_path / "labelsTr" / f"{name}.nii.gz", mask)
    (lines,) = re.findall(r"^```python\n(.*?nibabel.*?)^```", PAGE.read_text(), re.M | re.S)
    arguments = [str(tmp_path / folder) for folder in ("imagesTr", "labelsTr", "out")]
    subprocess.run([sys.executable, "-c", lines, *arguments], check=True, timeout=120)
    (tmp_path / "out" / "dataset.yaml").write_text('splits: {group: "^(.*)_[0-9]+$"}')
    report = inspect(tmp_path / "out")
    assert report.num_errors == 0
    data = accept(report)
    assert data.bands.in_file == 2
    assert data.labels.num_classes == 3
    splits = {}
    for sample in data.all_samples:
        _, ids = data.read(sample)
        name, _, number = sample.stem.rpartition("_")
        assert np.array_equal(ids, volumes[name][:, :, int(number)])
        assert splits.setdefault(name, sample.split) == sample.split
    assert len(data.all_samples) == 12

from __future__ import annotations

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from maskzoo.models.errors import DataError
from maskzoo.training.data.masks.stored import arrays
from maskzoo.training.data.masks.stored.maskfile import read_raw_mask
from maskzoo.training.data.records.rawmask import MaskOptions
from tests.training.data.truth import assert_truth, write_pairs

IDS = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)


def codes(path, array=None):
    return read_raw_mask(path, MaskOptions(array=array)).codes.tolist()


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32, np.float16])
def test_a_saved_array_is_read_as_a_mask(tmp_path, dtype):
    np.save(tmp_path / "m.npy", (IDS > 0).astype(dtype))
    scale = 255 if dtype is bool else 1
    assert codes(tmp_path / "m.npy") == ((IDS > 0) * scale).tolist()


def test_the_array_of_a_usual_name_is_taken_from_several(tmp_path):
    np.savez(tmp_path / "m.npz", image=np.zeros((2, 3, 3)), mask=IDS)
    assert codes(tmp_path / "m.npz") == IDS.tolist()


def test_several_arrays_are_listed_and_dataset_yaml_names_one(tmp_path):
    np.savez(tmp_path / "m.npz", a=IDS, b=IDS + 1, number=3)
    with pytest.raises(DataError, match=r"arrays a \(2, 3\), b \(2, 3\).*`array: a`"):
        read_raw_mask(tmp_path / "m.npz")
    assert codes(tmp_path / "m.npz", "b") == (IDS + 1).tolist()
    with pytest.raises(DataError, match=r"no array 'c'.*it holds a \(2, 3\), b \(2, 3\)"):
        codes(tmp_path / "m.npz", "c")


def test_an_array_of_objects_runs_nothing(tmp_path):
    np.save(tmp_path / "m.npy", np.array([object()]), allow_pickle=True)
    with pytest.raises(DataError, match=r"cannot be read.*save the mask again"):
        read_raw_mask(tmp_path / "m.npy")


def test_a_file_without_an_array_of_two_sides_says_what_it_holds(tmp_path):
    np.savez(tmp_path / "m.npz", size=np.array([3, 4]))
    with pytest.raises(DataError, match=r"no array of numbers with two sides \(size \(int64\)\)"):
        read_raw_mask(tmp_path / "m.npz")


def test_the_field_of_a_struct_is_read_as_sbd_writes_it(tmp_path):
    content = {"GTcls": {"Segmentation": IDS, "CategoriesPresent": np.array([1, 2]), "note": "x"}}
    savemat(tmp_path / "m.mat", content)
    assert codes(tmp_path / "m.mat") == IDS.tolist()


def test_the_cells_of_several_annotators_are_named_as_bsds_writes_them(tmp_path):
    cells = np.empty(2, object)
    for number in range(2):
        cells[number] = {"Segmentation": IDS + number, "Boundaries": IDS > 0}
    savemat(tmp_path / "m.mat", {"groundTruth": cells})
    with pytest.raises(DataError, match=r"array: groundTruth\.1\.Segmentation"):
        read_raw_mask(tmp_path / "m.mat")
    assert codes(tmp_path / "m.mat", "groundTruth.2.Segmentation") == (IDS + 1).tolist()


def save_matlab_7_3(path, name, values):
    """Write an array as MATLAB does: HDF5 behind a header, the sides in the opposite order."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file[name] = values.T
        file["#refs#/a"] = np.zeros((4, 4))
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64")


def test_a_file_of_matlab_7_3_is_read_upright(tmp_path):
    save_matlab_7_3(tmp_path / "m.mat", "GT/labels", IDS)
    assert codes(tmp_path / "m.mat") == IDS.tolist()
    assert codes(tmp_path / "m.mat", "GT/labels") == IDS.tolist()


def test_hdf5_is_read_as_it_is(tmp_path):
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["image"] = np.zeros((2, 3), np.float32)
        file["label"] = IDS
    assert codes(tmp_path / "m.h5") == IDS.tolist()


def test_hdf5_without_h5py_names_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "find_spec", lambda name: None)
    (tmp_path / "m.h5").write_bytes(b"x")
    with pytest.raises(DataError, match=r"pip install 'maskzoo\[hdf5\]'"):
        read_raw_mask(tmp_path / "m.h5")


@pytest.mark.parametrize("suffix", [".mat", ".h5", ".npz", ".npy"])
def test_a_damaged_file_is_named(tmp_path, suffix):
    path = tmp_path / f"m{suffix}"
    path.write_bytes(b"nothing of the kind" * 20)
    with pytest.raises(DataError, match=r"m\..*the file cannot be read"):
        read_raw_mask(path)


def save_mat(path, mask, number):
    savemat(path, {"LabelMap": mask, "names": np.array(["a", "b"], object)})


def save_h5(path, mask, number):
    with h5py.File(path, "w") as file:
        file["label"] = mask


@pytest.mark.parametrize(("suffix", "write"), [(".mat", save_mat), (".h5", save_h5)])
def test_a_folder_of_such_masks_is_read(tmp_path, suffix, write):
    write_pairs(tmp_path, "images/{split}/{n}.png", "masks/{split}/{n}" + suffix, write)
    assert_truth(tmp_path)

"""Which images the inputs name, and which files are written for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from maskzoo.models.errors import DataError
from maskzoo.models.inference.outputs import OutputFiles, list_outputs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two images, one of them deeper, and a text."""
    for name in ("a.png", "deep/b.TIF", "notes.txt"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path / "in"


def test_a_folder_keeps_its_structure_below_masks_and_overlays(folder: Path, tmp_path: Path):
    out = tmp_path / "out"
    assert list_outputs([str(folder)], out) == [
        OutputFiles(folder / "a.png", out / "masks/a.png", out / "overlays/a.jpg"),
        OutputFiles(folder / "deep/b.TIF", out / "masks/deep/b.png", out / "overlays/deep/b.jpg"),
    ]


def test_linked_folders_are_followed_and_loops_are_cut(folder: Path, tmp_path: Path):
    (tmp_path / "more").mkdir()
    (tmp_path / "more/c.png").touch()
    (folder / "linked").symlink_to(tmp_path / "more")
    (folder / "deep/up").symlink_to(folder)
    images = [files.image for files in list_outputs([str(folder)], tmp_path / "out")]
    assert images == [folder / "a.png", folder / "deep/b.TIF", folder / "linked/c.png"]


def test_an_image_that_is_named_twice_is_listed_once_and_without_overlays(folder, tmp_path):
    inputs = [str(folder / "a.png"), str(folder / "*.png")]
    (files,) = list_outputs(inputs, tmp_path / "out", overlays=False)
    assert files == OutputFiles(folder / "a.png", tmp_path / "out/masks/a.png", None)


def test_images_that_are_in_the_output_folder_are_not_inputs(folder: Path):
    outputs = list_outputs([str(folder)], folder / "deep")
    assert [files.image.name for files in outputs] == ["a.png"]


def test_every_mistake_is_listed(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (folder / "a.jpg").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(folder)
    inputs = ["", str(folder / "a.png"), str(folder / "a.jpg"), "*.gif", str(tmp_path / "empty")]
    with pytest.raises(DataError) as caught:
        list_outputs(inputs, tmp_path / "out")
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "'' does not exist",
        f"{folder / 'a.png'} and {folder / 'a.jpg'} would both be written to "
        f"{tmp_path / 'out/masks/a.png'}",
        "no file matches '*.gif'",
        f"folder {str(tmp_path / 'empty')!r} has no images; looked for .bmp, .gif, .jpeg, .jpg, "
        ".png, .tif, .tiff, .webp",
    ]


def test_an_input_is_never_overwritten(tmp_path: Path):
    image = tmp_path / "masks" / "a.png"
    image.parent.mkdir()
    image.write_bytes(b"")
    with pytest.raises(DataError, match=r"is an input and would be overwritten"):
        list_outputs([str(image)], tmp_path)


def test_a_list_names_images_by_their_paths_below_its_folder(folder: Path, tmp_path: Path):
    (tmp_path / "else").mkdir()
    far = tmp_path / "else" / "a.png"
    far.write_bytes(b"")
    lines = ["a.png", "", f"{folder}/deep/b.TIF", "../else/a.png", "none.png"]
    (folder / "list.txt").write_text("\ufeff" + "\r\n".join(lines), encoding="utf-8")
    outputs = list_outputs([str(folder / "list.txt")], tmp_path / "out")
    names = [files.mask.relative_to(tmp_path / "out/masks") for files in outputs]
    whole = far.relative_to("/").with_suffix(".png")
    assert names == [Path("a.png"), Path("deep/b.png"), whole, Path("none.png")]
    assert all(files.image.exists() for files in outputs[:3])


def test_an_empty_list_is_refused(tmp_path: Path):
    (tmp_path / "list.txt").write_text("\n")
    with pytest.raises(DataError, match="names no image: give one path a line"):
        list_outputs([str(tmp_path / "list.txt")], tmp_path / "out")

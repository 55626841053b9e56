"""Which images a batch names, and what each is called below the target."""

from __future__ import annotations

import uuid
from pathlib import Path

import fsspec
import pytest

from maskzoo.models.errors import DataError
from maskzoo.service.batch.sources import Source, list_sources, open_url


@pytest.fixture
def bucket() -> str:
    """The URL of a folder in memory with three images and a text."""
    url = f"memory://{uuid.uuid4().hex}"
    system, root = fsspec.core.url_to_fs(url)
    for name in ("a/x.png", "b/x.png", "b/y.JPG", "b/notes.md"):
        system.pipe_file(f"{root}/{name}", b"")
    return url


def named(sources: list[Source]) -> dict[str, str]:
    return {source.location: source.name for source in sources}


def test_local_images_are_named_as_the_plain_command_names_them(images: Path, tmp_path: Path):
    found = named(list_sources([str(images)], str(tmp_path / "out")))
    assert found == {
        str(images / "a/bad.png"): "a/bad",
        str(images / "a/x.png"): "a/x",
        str(images / "b/x.png"): "b/x",
    }


def test_paths_are_whole_since_workers_have_folders_of_their_own(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(images)
    (source,) = list_sources(["a/x.png"], "out")
    assert source == Source(str(images / "a/x.png"), "x")


def test_a_folder_of_a_bucket_keeps_its_structure(bucket: str, tmp_path: Path):
    found = named(list_sources([bucket], str(tmp_path)))
    assert found == {
        f"{_root(bucket)}/a/x.png": "a/x",
        f"{_root(bucket)}/b/x.png": "b/x",
        f"{_root(bucket)}/b/y.JPG": "b/y",
    }


def test_images_and_patterns_of_a_bucket_are_named_by_their_files(bucket: str, tmp_path: Path):
    found = named(list_sources([f"{bucket}/a/x.png", f"{bucket}/*/*.JPG"], str(tmp_path)))
    assert found == {f"{_root(bucket)}/a/x.png": "x", f"{_root(bucket)}/b/y.JPG": "y"}


def test_images_of_a_bucket_that_are_in_the_target_are_not_inputs(bucket: str):
    found = list_sources([bucket], f"{_root(bucket)}/b")
    assert [source.name for source in found] == ["a/x"]


def test_a_list_in_a_bucket_names_paths_from_its_folder_and_urls(bucket: str, tmp_path: Path):
    system, root = open_url(bucket)
    system.pipe_file(f"{root}/list.txt", b"a/x.png\r\n\ns3://other/deep/x.png\n")
    found = named(list_sources([f"{bucket}/list.txt"], str(tmp_path)))
    assert found == {f"{bucket}/a/x.png": "a/x", "s3://other/deep/x.png": "other/deep/x"}


def test_a_local_list_of_urls_names_bucket_and_path(tmp_path: Path):
    (tmp_path / "list.txt").write_text("s3://one/x.png\ns3://two/x.png\n")
    found = named(list_sources([str(tmp_path / "list.txt")], str(tmp_path / "out")))
    assert found == {"s3://one/x.png": "one/x", "s3://two/x.png": "two/x"}


def test_a_list_that_mixes_paths_and_urls_is_refused(tmp_path: Path):
    (tmp_path / "list.txt").write_text("s3://one/x.png\nb.png\n")
    with pytest.raises(DataError, match=r"'b\.png' is a path in a list of URLs"):
        list_sources([str(tmp_path / "list.txt")], str(tmp_path / "out"))


def test_a_url_in_a_list_leads_to_no_place_above_the_target(tmp_path: Path):
    (tmp_path / "list.txt").write_text("s3://one/../../x.png\n")
    with pytest.raises(DataError, match=r"has '\.\.'"):
        list_sources([str(tmp_path / "list.txt")], str(tmp_path / "out"))


def test_two_images_that_would_have_one_mask_are_refused(bucket: str, images: Path, tmp_path: Path):
    with pytest.raises(DataError, match=r"would both be written to masks/a/x\.png"):
        list_sources([str(images), bucket], str(tmp_path / "out"))


def test_an_input_is_never_written_over(tmp_path: Path):
    image = tmp_path / "overlays" / "x.jpg"
    image.parent.mkdir()
    image.write_bytes(b"")
    with pytest.raises(DataError, match="is an input and would be overwritten"):
        list_sources([str(image)], str(tmp_path))


def test_a_url_without_images_and_an_unknown_protocol_are_refused(bucket: str, tmp_path: Path):
    with pytest.raises(DataError, match=r"/none' names no image"):
        list_sources([f"{bucket}/none"], str(tmp_path))
    with pytest.raises(DataError, match=r"'nothing://b/x\.png' cannot be opened"):
        list_sources(["nothing://b/x.png"], str(tmp_path))


def _root(bucket: str) -> str:
    """Return the URL as the file system writes it."""
    system, root = open_url(bucket)
    return str(system.unstrip_protocol(root))

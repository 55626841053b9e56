"""Sources of a batch: local images as `models.inference.outputs` lists them, and URLs of buckets.

A URL (`s3://bucket/folder`, read by fsspec) names an image, a folder, a glob pattern or a list. A
list, local or not, names local paths or URLs, not both.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from maskzoo.models.errors import DataError
from maskzoo.models.inference.outputs import LIST_SUFFIX, SUFFIXES, list_outputs, read_list


@dataclass(frozen=True, slots=True)
class Source:
    """An image to segment.

    Args:
        location: its whole path, as workers have folders of their own; or its URL.
        name: of its outputs below `masks/` and `overlays/`, without suffix.
    """

    location: str
    name: str


def is_url(text: str) -> bool:
    """Return whether a location is a URL, and not a local path."""
    return "://" in text


def open_url(url: str) -> tuple[Any, str]:
    """Return the fsspec file system of a URL, and the path in it.

    Raises:
        DataError: the protocol is unknown, or its package is not installed.
    """
    import fsspec

    try:
        return fsspec.core.url_to_fs(url)  # type: ignore[no-any-return]
    except (ImportError, ValueError) as error:  # fsspec names the package that it lacks
        raise DataError(f"{url!r} cannot be opened: {error}") from error


def list_sources(inputs: Sequence[str], out: str) -> list[Source]:
    """Return the images that `inputs` name, each once; no two share a name.

    Args:
        inputs: paths and URLs of images, folders, glob patterns and lists.
        out: the folder or URL to write below; images already in it are not inputs.

    Raises:
        DataError: lists every input that names no image and every pair that would collide.
    """
    urls: dict[str, str] = {}  # of images, and the name of each
    local, mistakes = [], []
    for text in inputs:
        named = dict(_expand_url(text, out)) if is_url(text) else _urls_of_list(Path(text))
        if named is None:
            local.append(text)
            continue
        if not named:
            mistakes.append(f"{text!r} names no image")
        urls.update(named)
    if mistakes:
        raise DataError("\n".join(mistakes))
    listed = list_outputs(local, Path(out)) if local else []
    masks = Path(out, "masks")
    names = [files.mask.relative_to(masks).with_suffix("").as_posix() for files in listed]
    sources = [
        Source(os.path.abspath(files.image), name)
        for files, name in zip(listed, names, strict=True)
    ] + [Source(url, name) for url, name in urls.items()]
    _check_names(sources)
    return sources


def _check_names(sources: Sequence[Source]) -> None:
    owners: dict[str, str] = {}
    mistakes = []
    for source in sources:
        owner = owners.setdefault(source.name, source.location)
        if owner != source.location:
            mistakes.append(
                f"{owner} and {source.location} would both be written to masks/{source.name}.png: "
                "rename one, or predict them into different folders"
            )
    if mistakes:
        raise DataError("\n".join(mistakes))


def _urls_of_list(file: Path) -> dict[str, str] | None:
    """Return the URLs of a local list and their names; None if it is none, or names paths."""
    if file.suffix.lower() != LIST_SUFFIX or not file.is_file():
        return None
    lines = read_list(file)
    return dict(_name_urls(lines, "")) if any(map(is_url, lines)) else None


def _expand_url(url: str, out: str) -> Iterator[tuple[str, str]]:
    """Yield the URL and the name of each image that a URL names."""
    system, path = open_url(url)
    if path.lower().endswith(LIST_SUFFIX):
        folder = url.rpartition("/")[0] + "/"
        lines = system.cat_file(path).decode("utf-8-sig").split("\n")
        stripped = [line.strip() for line in lines if line.strip()]
        yield from _name_urls(
            [line if is_url(line) else folder + line for line in stripped], folder
        )
    elif glob.has_magic(path):
        for file in system.glob(path):
            yield system.unstrip_protocol(file), PurePosixPath(file).stem
    elif system.isdir(path):
        for file in system.find(path):
            place = system.unstrip_protocol(file)
            if _is_image(file) and not place.startswith(out.rstrip("/") + "/"):
                yield place, _stripped(file.removeprefix(path).lstrip("/"))
    elif system.exists(path):
        yield system.unstrip_protocol(path), PurePosixPath(path).stem


def _name_urls(urls: Sequence[str], folder: str) -> Iterator[tuple[str, str]]:
    """Yield each URL with its path below the list's folder, or with bucket and path elsewhere."""
    for url in urls:
        if not is_url(url):
            raise DataError(f"{url!r} is a path in a list of URLs: give paths and URLs two lists")
        inside = url.removeprefix(folder) if folder and url.startswith(folder) else ""
        parts = PurePosixPath(inside or url.partition("://")[2]).parts
        if ".." in parts:
            raise DataError(f"{url!r} in a list has '..': give its whole URL")
        yield url, _stripped("/".join(part for part in parts if part != "/"))


def _stripped(path: str) -> str:
    return str(PurePosixPath(path).with_suffix(""))


def _is_image(path: str) -> bool:
    return PurePosixPath(path).suffix.lower() in SUFFIXES

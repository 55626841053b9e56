"""A published checkpoint becomes a bundle: fetched, checked, imported."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

import httpx

from maskzoo.models.errors import BundleError
from maskzoo.models.imports.bundle import write_imported
from maskzoo.models.imports.download import OnBytes, download
from maskzoo.models.imports.mmseg.importer import import_mmseg
from maskzoo.models.imports.mmseg.published import PublishedCheckpoint

DOWNLOADS = ".downloads"
"""Folder beside the bundles that holds the checkpoints until they are imported."""


def pull(
    checkpoint: PublishedCheckpoint,
    folder: Path,
    *,
    mirror: str | None = None,
    dtype: Literal["float16", "float32"] = "float32",
    on_bytes: OnBytes = lambda done, total: None,
    client: httpx.Client | None = None,
) -> Path:
    """Fetch a checkpoint and import it.

    Args:
        folder: gets a bundle of the checkpoint's name.
        mirror: where the files are, in place of the publisher's.
        dtype: of the bundle's large tensors.
        on_bytes: see `models.imports.download`.
        client: sends the requests; None makes one.

    Returns:
        The bundle's folder. The checkpoint itself is deleted.

    Raises:
        WeightsError: it cannot be fetched, or is not the published file.
        BundleError: the folder has something else of that name.
    """
    bundle = folder / checkpoint.name
    if bundle.exists():
        raise BundleError(f"{bundle} exists; remove it to pull the checkpoint again")
    url = checkpoint.url if mirror is None else f"{mirror.rstrip('/')}/{checkpoint.path}"
    file = download(
        url,
        folder / DOWNLOADS / checkpoint.file,
        sha256_start=checkpoint.sha256_start,
        on_bytes=on_bytes,
        client=client,
    )
    write_imported(import_mmseg(file), bundle, name=checkpoint.name, dtype=dtype)
    file.unlink()
    if not any(file.parent.iterdir()):
        shutil.rmtree(file.parent)
    return bundle

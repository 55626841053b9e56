"""The shipped bundles, and finding a bundle by name or folder.

A bundle is named by its folder, or by the bare name of a shipped one (`nuclei`). Nothing is
downloaded.
"""

from __future__ import annotations

from pathlib import Path

from maskzoo.models.bundles.manifest import MANIFEST_FILE
from maskzoo.models.errors import BundleError, UnknownNameError

SHIPPED_FOLDER = Path(__file__).parents[1] / "pretrained"


def list_bundles(folder: Path = SHIPPED_FOLDER) -> list[Path]:
    """Return the bundles in `folder`, sorted by name; `folder` may be a bundle itself."""
    if (folder / MANIFEST_FILE).is_file():
        return [folder]
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if (path / MANIFEST_FILE).is_file())


def find_bundle(name: str) -> Path:
    """Return the folder of the bundle that `name` means.

    Args:
        name: the folder of a bundle, or the name of a shipped one.

    Raises:
        BundleError: the folder is not a bundle; names the one inside it, if there is one.
        UnknownNameError: neither exists; says which shipped ones do.
    """
    folder = Path(name)
    if (folder / MANIFEST_FILE).is_file():
        return folder
    if folder.is_dir() and list_bundles(folder):
        inside = " or ".join(repr(str(path)) for path in list_bundles(folder)[:5])
        raise BundleError(f"{name!r} is not a bundle; did you mean {inside}?")
    if folder.is_dir():
        raise BundleError(f"{name!r} is not a bundle: it has no {MANIFEST_FILE}")
    shipped = {path.name: path for path in list_bundles()}
    if name not in shipped:
        raise UnknownNameError("bundle", name, shipped)
    return shipped[name]

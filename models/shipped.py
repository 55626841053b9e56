"""Where the bundles are that ship with the project, and how a person names a bundle.

A bundle is named by its folder, or by the bare name of a shipped one (`nuclei`). Nothing is
downloaded: what is not on the disk does not exist.
"""

from __future__ import annotations

from pathlib import Path

from models.errors import UnknownNameError

SHIPPED_FOLDER = Path(__file__).parent / "pretrained"
MANIFEST = "bundle.json"


def list_bundles(folder: Path = SHIPPED_FOLDER) -> list[Path]:
    """Return the bundles in `folder`, sorted by name; `folder` may be a bundle itself."""
    if (folder / MANIFEST).is_file():
        return [folder]
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if (path / MANIFEST).is_file())


def find_bundle(name: str) -> Path:
    """Return the folder of the bundle that `name` means.

    Args:
        name: the folder of a bundle, or the name of a shipped one.

    Raises:
        UnknownNameError: neither exists; says which shipped ones do.
    """
    if (Path(name) / MANIFEST).is_file():
        return Path(name)
    shipped = {path.name: path for path in list_bundles()}
    if name not in shipped:
        raise UnknownNameError("bundle", name, shipped)
    return shipped[name]

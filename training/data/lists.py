"""Data sets that are told by a list: a CSV or text file that names images and their masks."""

from __future__ import annotations

import csv
from pathlib import Path

from training.data.index import IMAGE_SUFFIXES, SPLIT_FOLDERS, Index, Pair, unique_stems

_IMAGE_COLUMNS = ("image", "images", "img", "image_path", "filename", "file")
_MASK_COLUMNS = ("mask", "masks", "label", "mask_path", "label_path", "annotation")


def find_lists(root: Path) -> Index | None:
    """CSV files with columns image and mask, or text files with two paths on each line."""
    pairs: list[Pair] = []
    missing: list[str] = []
    used: list[str] = []
    for file in sorted([*root.glob("*.csv"), *root.glob("*.txt")]):
        rows = _rows(file)
        for image_name, mask_name, told in rows:
            image, mask = _resolve(root, image_name), _resolve(root, mask_name)
            if image is None or mask is None:
                missing.append(f"{file.name}: {image_name if image is None else mask_name}")
                continue
            split = SPLIT_FOLDERS.get(told.lower() or file.stem.lower())
            stem = Path(image_name).with_suffix("").as_posix()
            pairs.append(Pair(stem, image, mask, split))
        used += [file.name] if rows else []
    if not pairs:
        return None
    notes = tuple(f"listed but absent, so not used: {line}" for line in missing)
    return Index(root, f"lists {', '.join(used)}", unique_stems(pairs), notes=notes)


def _rows(file: Path) -> list[tuple[str, str, str]]:
    """Return (image, mask, split) of each line; nothing where the file is no such list."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return []
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if file.suffix.lower() == ".csv":
        table = list(csv.DictReader(lines))
        columns = {name.lower().strip(): name for name in (table[0] if table else {}) if name}
        image = next((columns[name] for name in _IMAGE_COLUMNS if name in columns), None)
        mask = next((columns[name] for name in _MASK_COLUMNS if name in columns), None)
        if image is not None and mask is not None:
            split = columns.get("split", "")
            return [(row[image], row[mask], row.get(split) or "") for row in table]
    words = [line.replace(",", " ").replace("\t", " ").split() for line in lines]
    ours = [row for row in words if len(row) == 2 and _is_image(row[0]) and _is_image(row[1])]
    return [(row[0], row[1], "") for row in ours] if len(ours) == len(words) else []


def _is_image(name: str) -> bool:
    return Path(name).suffix.lower() in IMAGE_SUFFIXES


def _resolve(root: Path, name: str) -> Path | None:
    """Return the file that a list names: below `root`, or by its path, or nothing."""
    for path in (root / name, root / name.lstrip("/"), Path(name)):
        if path.is_file():
            return path
    return None

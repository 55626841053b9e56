"""The model card: `README.md` of a bundle, generated from its manifest.

Every number and statement comes from the manifest, so the two cannot disagree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import yaml

from maskzoo.models.errors import counted
from maskzoo.models.labels import hex_colour

if TYPE_CHECKING:
    from maskzoo.models.bundles.manifest import Manifest


_OF_CLASSES = ("mean_iou", "mean_dice", "mean_image_iou", "mean_image_dice")


def write_card(manifest: Manifest, weights_bytes: int) -> str:
    """Return the card as Markdown."""
    spec, labels = manifest.spec, manifest.labels
    size = f"{weights_bytes / 1e6:.1f} MB, {manifest.weights_dtype}"
    facts = {
        "architecture": spec.architecture,
        "encoder": spec.encoder,
        "output stride": spec.output_stride or "the architecture's own",
        "plug-ins": ", ".join(map(str, spec.plugins)) or "none",
        "architecture options": _flat(spec.options) or "defaults",
        "encoder options": _flat(spec.encoder_options) or "defaults",
        "input": f"{counted(spec.in_channels, 'channel')}, {_images(manifest)} of any size",
        "weights": size,
        "sha256": manifest.weights_sha256,
    }
    origin = manifest.provenance.model_dump()
    description = origin.pop("description", None)
    parts = [
        f"# {manifest.name}",
        *([description] if description else []),
        f"A segmentation network for {labels.num_classes} class(es), made with maskzoo.",
        "## Network",
        _table(("", ""), facts.items()),
        "## Classes",
        _table(("id", "name", "colour"), _class_rows(manifest)),
        f"Masks mark pixels that do not count by {labels.ignore_index}.",
        "## Scores",
        _section(_scores(manifest), "Not measured."),
        "## Where it comes from",
        _section(origin, "Not recorded."),
        "## Use",
        f"```sh\nmaskzoo predict {manifest.name} IMAGE -o masks/\nmaskzoo serve\n```",
    ]
    return "\n\n".join(parts) + "\n"


def _images(manifest: Manifest) -> str:
    bands = manifest.preprocessing.bands
    if bands is None:
        return "upright RGB images"
    return f"files of {counted(bands.in_file, 'band')} of {bands.dtype} ({bands.names})"


def _scores(manifest: Manifest) -> dict[str, Any]:
    """Return the metrics, with the foreground's beside the means of both classes."""
    foreground = manifest.foreground
    shown: dict[str, Any] = {}
    for key, value in manifest.metrics.model_dump().items():
        shown[key] = value
        if foreground is not None and key in _OF_CLASSES:
            name = key.removeprefix("mean_")
            shown[f"foreground_{name}"] = getattr(foreground, name)
    return shown


def _class_rows(manifest: Manifest) -> list[tuple[object, ...]]:
    labels = manifest.labels
    rows: list[tuple[object, ...]] = []
    for index, (name, colour) in enumerate(zip(labels.names, labels.colours, strict=True)):
        note = " (background)" if index == labels.background else ""
        rows.append((index, name + note, hex_colour(colour)))
    return rows


def _section(record: Mapping[str, Any], empty: str) -> str:
    """Return a table of the plain values, one for each list of records, the rest as YAML."""
    if not record:
        return empty
    nested = {key: value for key, value in record.items() if _is_nested(value)}
    plain = {key: value for key, value in record.items() if key not in nested}
    parts = [_table(("", ""), plain.items())] if plain else []
    for key, value in nested.items():
        parts += [f"### {_words(key)[0].upper()}{_words(key)[1:]}", _nested(value)]
    return "\n\n".join(parts)


def _is_nested(value: Any) -> bool:
    is_record = isinstance(value, Mapping)
    is_list = isinstance(value, (list, tuple)) and all(isinstance(row, Mapping) for row in value)
    return bool(value) and (is_record or is_list)


def _nested(value: Any) -> str:
    if isinstance(value, Mapping):
        if any(isinstance(entry, (Mapping, list, tuple)) for entry in value.values()):
            text = yaml.safe_dump(dict(value), sort_keys=False, default_flow_style=None, width=100)
            return f"```yaml\n{text}```"
        return _table(("", ""), value.items())
    columns = list(dict.fromkeys(column for row in value for column in row))
    return _table(tuple(columns), [[row.get(column) for column in columns] for row in value])


def _table(head: tuple[object, ...], rows: Any) -> str:
    lines = [_row(head), "|" + " --- |" * len(head)]
    return "\n".join(lines + [_row(row) for row in rows])


def _row(cells: Any) -> str:
    first, *rest = cells
    shown = [_words(str(first)), *(_cell(cell) for cell in rest)]
    return "| " + " | ".join(text.replace("|", "\\|").replace("\n", " ") for text in shown) + " |"


def _cell(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return _flat(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(_cell(item) for item in value) or "none"
    return str(value)


def _flat(record: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={_cell(value)}" for key, value in record.items())


def _words(key: str) -> str:
    return key.replace("_", " ")

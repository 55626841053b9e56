"""The model card: `README.md` of a bundle, generated from its manifest.

Every number and statement comes from the manifest, so the card cannot say anything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.bundle import Manifest


def write_card(manifest: Manifest, weights_bytes: int) -> str:
    """Return the card as Markdown."""
    spec, labels = manifest.spec, manifest.labels
    size = f"{weights_bytes / 1e6:.1f} MB, {manifest.weights_dtype}"
    facts = {
        "architecture": spec.architecture,
        "encoder": spec.encoder,
        "output stride": spec.output_stride or "the architecture's own",
        "plug-ins": ", ".join(map(str, spec.plugins)) or "none",
        "options": _flat({**spec.options, **spec.encoder_options}) or "defaults",
        "input": f"{spec.in_channels} channel(s), upright RGB images of any size",
        "weights": size,
        "sha256": manifest.weights_sha256,
    }
    parts = [
        f"# {manifest.name}",
        f"A segmentation network for {labels.num_classes} class(es), made with maskzoo.",
        "## Network",
        _table(("", ""), facts.items()),
        "## Classes",
        _table(("id", "name", "colour"), _class_rows(manifest)),
        f"Masks mark pixels that do not count by {labels.ignore_index}.",
        "## Scores",
        _section(manifest.metrics, "Not measured."),
        "## Where it comes from",
        _section(manifest.provenance, "Not recorded."),
        "## Use",
        f"```sh\nmaskzoo predict {manifest.name} IMAGE -o masks/\nmaskzoo serve\n```",
    ]
    return "\n\n".join(parts) + "\n"


def _class_rows(manifest: Manifest) -> list[tuple[object, ...]]:
    labels = manifest.labels
    rows: list[tuple[object, ...]] = []
    for index, (name, colour) in enumerate(zip(labels.names, labels.colours, strict=True)):
        note = " (background)" if index == labels.background else ""
        rows.append((index, name + note, "#{:02x}{:02x}{:02x}".format(*colour)))
    return rows


def _section(record: Mapping[str, Any], empty: str) -> str:
    """Return a table of the plain values, and one for each nested record."""
    if not record:
        return empty
    plain = {key: value for key, value in record.items() if not isinstance(value, Mapping)}
    parts = [_table(("", ""), plain.items())] if plain else []
    for key, value in record.items():
        if isinstance(value, Mapping) and value:
            parts += [f"### {_words(key)}", _nested(value)]
    return "\n\n".join(parts)


def _nested(record: Mapping[str, Any]) -> str:
    rows = list(record.values())
    if not all(isinstance(row, Mapping) for row in rows):
        return _table(("", ""), record.items())
    columns = list(dict.fromkeys(column for row in rows for column in row))
    body = [(key, *(row.get(column) for column in columns)) for key, row in record.items()]
    return _table(("", *columns), body)


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
        return ", ".join(_cell(item) for item in value)
    return str(value)


def _flat(record: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={_cell(value)}" for key, value in record.items())


def _words(key: str) -> str:
    return key.replace("_", " ")

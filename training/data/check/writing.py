"""Writing of a commented dataset.yaml from an inspection."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from maskzoo.models.errors import DataError
from maskzoo.training.data.records.codes import format_code
from maskzoo.training.data.records.description import BACKGROUND_NAME, FILE_NAME, Description
from maskzoo.training.data.records.encoding import IGNORE
from maskzoo.training.data.records.findings import Findings
from maskzoo.training.data.records.inspection import Inspection
from maskzoo.training.data.records.numbers import format_percent
from maskzoo.training.data.records.problems import DataProblem
from maskzoo.training.data.records.readings.index import Origin, YamlValue
from maskzoo.training.data.records.samples import SPLITS

_WIDTH = 96  # of a comment


def write_description(
    inspection: Inspection, path: Path | None = None, *, overwrite: bool = False
) -> Path:
    """Write a commented dataset.yaml and return its path.

    Args:
        inspection: what was found.
        path: the file; by default dataset.yaml in the folder of the data.
        overwrite: replace a file that exists.

    Raises:
        DataError: the file exists, or cannot be written.
    """
    path = path or inspection.findings.root / FILE_NAME
    if path.exists() and not overwrite:
        raise DataError(f"{path} exists and may hold edits; move it away, or write elsewhere")
    text = description_text(inspection.findings, inspection.problems, path.parent)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"{path} cannot be written ({error.strerror}); write it elsewhere and give that "
            "file instead of the folder"
        ) from error
    return path


def description_text(findings: Findings, problems: Sequence[DataProblem], folder: Path) -> str:
    """Return the content of a dataset.yaml that lies in `folder`."""
    described = findings.description
    root = Path(os.path.relpath(findings.root.resolve(), folder.resolve())).as_posix()
    lines = [
        "# Written by `maskzoo inspect`. Correct what is wrong; unknown keys are refused.",
        f"name: {_quoted(findings.name)}",
        f"root: {_quoted(root)}  # folder of the data, relative to this file",
    ]
    keys = {key: value for key, value in findings.index.origin.keys.items() if key != "splits"}
    lines += Origin("", keys).yaml().splitlines() if keys else []
    lines += ["", *(f"# {note}" for note in findings.notes), ""]
    lines += _class_lines(findings)
    lines += ["", *_split_lines(findings)]
    if described.apply_exif_to_masks:
        lines.append("apply_exif_to_masks: true")
    if described.threshold is not None:
        lines.append(f"threshold: {described.threshold:.9g}")
    if described.array is not None:
        lines.append(f"array: {_quoted(described.array)}")
    if described.bands:
        lines.append(f"bands: {list(described.bands)}")
    if described.band_names:
        lines.append(f"band_names: [{', '.join(map(_quoted, described.band_names))}]")
    if described.no_data is not None:
        lines.append(f"no_data: {described.no_data:g}")
    lines += ["", *_problem_lines(problems, described)]
    return "\n".join(lines).rstrip() + "\n"


def _quoted(text: str) -> str:
    """Return a string that YAML reads back as the same string."""
    return json.dumps(text, ensure_ascii=False)


def _class_lines(findings: Findings) -> list[str]:
    encoding, labels = findings.encoding, findings.interpretation.labels
    annotations = findings.index.annotations
    pixels: Counter[int] = Counter()
    masks: Counter[int] = Counter()
    for facts in findings.facts:
        counts = findings.class_counts(facts)
        pixels.update(counts)
        masks.update(counts.keys())
    total = max(1, sum(pixels.values()))

    def written(label: int) -> str:
        codes = [code for code, target in encoding.table if target == label]
        if annotations is not None:
            names = (BACKGROUND_NAME, *annotations.names)
            return ", ".join(_quoted(names[code]) for code in codes if code < len(names))
        if encoding.kind == "colours":
            return ", ".join(_quoted(format_code(code, "colours")) for code in codes)
        return ", ".join(_ranges(codes))

    lines = [
        f"encoding: {'names' if annotations is not None else encoding.kind}",
        f"nearest: {str(encoding.nearest).lower()}  # true: other values take the closest class",
        "classes:  # in the order of the class ids; rename them as you like",
    ]
    for label, (name, colour) in enumerate(zip(labels.names, labels.colours, strict=True)):
        shown = "#{:02X}{:02X}{:02X}".format(*colour)
        lines.append(
            f'  - {{name: {_quoted(name)}, values: [{written(label)}], colour: "{shown}"}}'
            f"  # {format_percent(pixels[label] / total, digits=3)} of the pixels, "
            f"{masks[label]} masks"
        )
    ignored = format_percent(pixels[IGNORE] / total, digits=3)
    lines.append(f"ignore: [{written(IGNORE)}]  # {ignored} of the pixels; they never count")
    background = None if labels.background is None else labels.names[labels.background]
    lines.append(f"background: {'null' if background is None else _quoted(background)}")
    return lines


def _ranges(codes: Sequence[int]) -> list[str]:
    """Return codes with runs of more than two written as `"a-b"`."""
    result: list[str] = []
    run: list[int] = []
    for code in [*codes, None]:
        if code is not None and (not run or code == run[-1] + 1):
            run.append(code)
            continue
        is_range = len(run) > 2 and run[0] >= 0
        result += (
            [f'"{run[0]}-{run[-1]}"'] if is_range else [format_code(item, "values") for item in run]
        )
        run = [] if code is None else [code]
    return result


def _split_lines(findings: Findings) -> list[str]:
    counts = Counter(sample.split for sample in findings.samples)
    lines = ["# " + ", ".join(f"{split}: {counts[split]}" for split in SPLITS)]
    rule = findings.description.splits
    folders = _folders(findings)
    if all(pair.split is not None for pair in findings.index.pairs) and rule.file is None:
        return (
            [*lines, f"splits: {{folders: {json.dumps(folders, ensure_ascii=False)}}}"]
            if folders
            else lines
        )
    shown = {split: rule.fractions.get(split, 0.0) for split in SPLITS}
    fractions = ", ".join(f"{split}: {fraction:g}" for split, fraction in shown.items())
    parts = [f"seed: {findings.seed}", f"fractions: {{{fractions}}}"]
    if rule.group is not None:
        parts.append(f"group: {_quoted(rule.group)}")
    if rule.file is not None:
        parts.append(f"file: {_quoted(rule.file)}")
    if folders:
        parts.append(f"folders: {json.dumps(folders, ensure_ascii=False)}")
    return [*lines, f"splits: {{{', '.join(parts)}}}"]


def _folders(findings: Findings) -> dict[str, YamlValue]:
    """Return the words that stand for splits, where they are not the usual ones."""
    said = findings.index.origin.keys.get("splits")
    found = said.get("folders") if isinstance(said, Mapping) else None
    if isinstance(found, Mapping):
        return dict(found)
    return {split: list(words) for split, words in findings.description.splits.folders.items()}


def _problem_lines(problems: Sequence[DataProblem], described: Description) -> list[str]:
    """Return the samples to exclude; those with errors as a comment that can be put in place."""
    lines = [f"exclude: [{', '.join(_quoted(stem) for stem in described.exclude)}]"]
    bad = [problem for problem in problems if problem.severity == "error" and problem.stems]
    if not bad:
        return lines
    lines.append("# To leave out the samples with errors, replace the line above by this:")
    lines.append("# exclude:")
    for problem in bad:
        lines.append(f"#   # {problem.title}"[:_WIDTH])
        lines += [f"#   - {_quoted(stem)}" for stem in problem.stems]
    return lines

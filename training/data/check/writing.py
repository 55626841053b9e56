"""Writing of a commented dataset.yaml from an inspection."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from maskzoo.models.errors import DataError
from maskzoo.training.data.records.codes import format_code
from maskzoo.training.data.records.description import BACKGROUND_NAME, FILE_NAME, Description
from maskzoo.training.data.records.encoding import IGNORE
from maskzoo.training.data.records.findings import Findings
from maskzoo.training.data.records.inspection import Inspection
from maskzoo.training.data.records.problems import DataProblem
from maskzoo.training.data.records.samples import SPLITS

_WIDTH = 96


def write_description(
    inspection: Inspection, path: Path | None = None, *, overwrite: bool = False
) -> Path:
    """Write the commented dataset.yaml, next to the data if no path is given.

    Raises:
        DataError: there is one already, or the folder cannot be written to.
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
            "file in place of the folder"
        ) from error
    return path


def description_text(findings: Findings, problems: Sequence[DataProblem], folder: Path) -> str:
    """Return dataset.yaml for `findings`, to be put into `folder`."""
    described = findings.description
    root = Path(os.path.relpath(findings.root.resolve(), folder.resolve())).as_posix()
    lines = [
        "# Written by `maskzoo inspect`. Correct what is wrong; unknown keys are refused.",
        f"name: {_quoted(findings.name)}",
        f"root: {_quoted(root)}  # folder of the data, relative to this file",
    ]
    if described.images is not None and described.masks is not None:
        lines += [f"images: {_quoted(described.images)}", f"masks: {_quoted(described.masks)}"]
    lines += ["", *(f"# {note}" for note in findings.notes), ""]
    lines += _class_lines(findings)
    lines += ["", *_split_lines(findings)]
    if described.turn_masks_with_exif:
        lines.append("turn_masks_with_exif: true")
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
    for fact in findings.facts:
        counts = findings.class_counts(fact)
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
        "classes:  # in the order of the ids; rename them as you like",
    ]
    for label, (name, colour) in enumerate(zip(labels.names, labels.colours, strict=True)):
        shown = "#{:02X}{:02X}{:02X}".format(*colour)
        lines.append(
            f'  - {{name: {_quoted(name)}, values: [{written(label)}], colour: "{shown}"}}'
            f"  # {100 * pixels[label] / total:.3g} % of the pixels, {masks[label]} masks"
        )
    ignored = 100 * pixels[IGNORE] / total
    lines.append(
        f"ignore: [{written(IGNORE)}]  # {ignored:.3g} % of the pixels, neither train nor count"
    )
    background = None if labels.background is None else labels.names[labels.background]
    lines.append(f"background: {'null' if background is None else _quoted(background)}")
    return lines


def _ranges(codes: Sequence[int]) -> list[str]:
    """Write runs of more than two codes as `"a-b"`."""
    result: list[str] = []
    run: list[int] = []
    for code in [*codes, None]:
        if code is not None and (not run or code == run[-1] + 1):
            run.append(code)
            continue
        result += [f'"{run[0]}-{run[-1]}"'] if len(run) > 2 else [str(item) for item in run]
        run = [] if code is None else [code]
    return result


def _split_lines(findings: Findings) -> list[str]:
    counts = Counter(sample.split for sample in findings.samples)
    lines = ["# " + ", ".join(f"{split}: {counts[split]}" for split in SPLITS)]
    rule = findings.description.splits
    if all(pair.split is not None for pair in findings.index.pairs) and rule.file is None:
        return lines
    shown = {split: rule.fractions.get(split, 0.0) for split in SPLITS}
    fractions = ", ".join(f"{split}: {fraction:g}" for split, fraction in shown.items())
    parts = [f"seed: {findings.seed}", f"fractions: {{{fractions}}}"]
    if rule.group is not None:
        parts.append(f"group: {_quoted(rule.group)}")
    if rule.file is not None:
        parts.append(f"file: {_quoted(rule.file)}")
    return [*lines, f"splits: {{{', '.join(parts)}}}"]


def _problem_lines(problems: Sequence[DataProblem], described: Description) -> list[str]:
    """Offer the samples with errors as a list that only has to be uncommented."""
    lines = [f"exclude: [{', '.join(_quoted(stem) for stem in described.exclude)}]"]
    bad = [problem for problem in problems if problem.severity == "error" and problem.stems]
    if not bad:
        return lines
    lines.append("# To leave out what is wrong, put this in place of the line above:")
    lines.append("# exclude:")
    for problem in bad:
        lines.append(f"#   # {problem.title}"[:_WIDTH])
        lines += [f"#   - {_quoted(stem)}" for stem in problem.stems]
    return lines

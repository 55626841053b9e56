"""Checks of classes: codes without a class, classes missing from a split, too few images."""

from __future__ import annotations

from collections import Counter

from maskzoo.training.data.records.codes import format_code
from maskzoo.training.data.records.description import FILE_NAME
from maskzoo.training.data.records.encoding import IGNORE
from maskzoo.training.data.records.findings import Findings
from maskzoo.training.data.records.problems import DataProblem, ProblemItem, exclude_cure
from maskzoo.training.data.records.samples import SPLITS

FEW_IMAGES = 10


def check_codes(findings: Findings) -> list[DataProblem]:
    """Codes in no class: each with its files, pixels and share."""
    if findings.encoding.nearest:
        return []
    table = findings.encoding.codes
    kind = findings.encoding.kind
    pixels: Counter[int] = Counter()
    total = 0
    items: list[ProblemItem] = []
    stems: list[str] = []
    for sample, fact in findings.rows:
        counts = findings.code_counts(fact)
        total += sum(counts.values())
        unknown = {code: count for code, count in counts.items() if code not in table}
        pixels.update(unknown)
        if unknown:
            listed = ", ".join(
                f"{format_code(code, kind)} ({count} px)"
                for code, count in sorted(unknown.items(), key=lambda row: -row[1])[:6]
            )
            items.append(ProblemItem(sample.mask, listed))
            stems.append(sample.stem)
    if not pixels:
        return []
    codes = [format_code(code, kind) for code, _ in pixels.most_common(8)]
    share = 100 * sum(pixels.values()) / max(1, total)
    title = (
        f"value(s) {', '.join(codes)} are in no class: {sum(pixels.values())} px "
        f"({share:.2g} %) in {len(items)} of {len(findings.samples)} masks"
    )
    written = ", ".join(f'"{code}"' if kind == "colours" else code for code in codes)
    cure = (
        f"in {FILE_NAME} add them to a class, or `ignore: [{written}]`; or `nearest: true` where "
        f"they are noise; or leave the files out: {exclude_cure(stems)}"
    )
    return [DataProblem("unknown-values", "error", title, cure, tuple(items), tuple(stems))]


def check_ignored(findings: Findings) -> list[DataProblem]:
    """Masks in which no pixel counts."""
    stems = []
    items = []
    for sample, fact in findings.rows:
        counts = findings.class_counts(fact)
        if counts and set(counts) == {IGNORE}:
            stems.append(sample.stem)
            items.append(ProblemItem(sample.mask, "every pixel is to be ignored"))
    if not items:
        return []
    cure = f"label them, or leave them out: `exclude` in {FILE_NAME} (they teach nothing)"
    title = f"{len(items)} mask(s) hold nothing but ignore"
    return [DataProblem("all-ignore", "warning", title, cure, tuple(items), tuple(stems))]


def check_classes(findings: Findings) -> list[DataProblem]:
    """Too few classes, classes that occur nowhere, classes missing from a split."""
    labels = findings.interpretation.labels
    if labels.num_classes < 2:
        return [
            DataProblem(
                "one-class",
                "error",
                f"all masks hold one class only ({labels.names[0]})",
                "check that these are the masks, and that they are not empty",
            )
        ]
    images: dict[str, Counter[int]] = {split: Counter() for split in SPLITS}
    for sample, fact in findings.rows:
        images[sample.split].update(set(findings.class_counts(fact)) - {IGNORE})
    used = [split for split in SPLITS if any(item.split == split for item in findings.samples)]
    items = []
    for label, name in enumerate(labels.names):
        without = [split for split in used if images[split][label] == 0]
        if len(without) == len(used):
            items.append(ProblemItem(None, f"{name}: in no mask at all"))
        elif without:
            counts = ", ".join(f"{images[split][label]} in {split}" for split in used)
            items.append(
                ProblemItem(None, f"{name}: not in {' and '.join(without)} (images: {counts})")
            )
    if not items:
        return []
    cure = (
        f"label more images with it; or let maskzoo split anew: `splits: {{file: splits.csv}}` in "
        f"{FILE_NAME}, with lines stem,split"
    )
    title = f"{len(items)} class(es) are missing from a split"
    return [DataProblem("missing-class", "warning", title, cure, tuple(items))]


def check_number(findings: Findings) -> list[DataProblem]:
    """Too few images to train, or to trust a score."""
    counts = Counter(sample.split for sample in findings.samples)
    empty = [split for split in ("train", "val") if counts[split] == 0]
    if empty:
        return [
            DataProblem(
                "empty-split",
                "error",
                f"{' and '.join(empty)} would be empty: there are {len(findings.samples)} samples",
                "add labelled images; two are the least, a few dozen give a first useful model",
            )
        ]
    few = [f"{counts[split]} in {split}" for split in SPLITS if 0 < counts[split] < FEW_IMAGES]
    if not few:
        return []
    title = f"few images ({', '.join(few)}): scores will be unsteady"
    cure = "label more; until then compare runs by several seeds of the split"
    return [DataProblem("few-images", "warning", title, cure)]


def check_instances(findings: Findings) -> list[DataProblem]:
    """Ids that count objects: each mask holds 0 … n with another n."""
    if (
        findings.encoding.kind != "values"
        or findings.description.classes
        or findings.index.annotations
    ):
        return []
    highest = []
    for _, fact in findings.rows:
        codes = sorted(code for code in findings.code_counts(fact) if code not in (0, 255, 65535))
        if codes and codes != list(range(1, len(codes) + 1)):
            return []
        highest.append(len(codes))
    if not highest or max(highest) < 12 or len(set(highest)) < max(4, len(highest) // 4):
        return []
    title = f"the masks look like numbers of objects (up to {max(highest)}), not like classes"
    cure = (
        f"in {FILE_NAME}: `encoding: values` and `classes: [{{name: background, values: [0]}}, "
        '{name: object, values: ["1-65535"]}]`'
    )
    return [DataProblem("instance-ids", "warning", title, cure)]

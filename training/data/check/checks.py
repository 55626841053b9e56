"""What can be wrong with a data set; `CHECKS` is the list that `find_problems` runs.

A check looks at the findings and returns the problems it sees, with the edit that cures each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from maskzoo.training.data.check.findings import Findings
from maskzoo.training.data.check.leakage import check_duplicates, check_near_duplicates
from maskzoo.training.data.check.problems import Item, Problem, exclude_cure, rows_of
from maskzoo.training.data.find.description import FILE_NAME
from maskzoo.training.data.find.index import SPLITS, Sample
from maskzoo.training.data.masks.encodings import IGNORE, format_code

FEW_IMAGES = 10


def find_problems(findings: Findings) -> tuple[Problem, ...]:
    """Run every check; errors come first."""
    found = [problem for check in CHECKS for problem in check(findings)]
    return tuple(sorted(found, key=lambda problem: problem.severity))


def check_readable(findings: Findings) -> list[Problem]:
    """Files that are truncated, damaged, or no pictures."""
    items = []
    stems = []
    for sample, fact in rows_of(findings):
        items += [Item(path, message) for path, message in fact.errors]
        stems += [sample.stem] if fact.errors else []
    if not items:
        return []
    title = f"{len(items)} file(s) cannot be read"
    cure = f"copy or export them again, or leave them out: {exclude_cure(stems)}"
    return [Problem("unreadable", "error", title, cure, tuple(items), tuple(stems))]


def check_sizes(findings: Findings) -> list[Problem]:
    """Masks of another size than their image; an EXIF turn is told from other causes."""
    turned: list[tuple[Sample, Item]] = []
    others: list[tuple[Sample, Item]] = []
    for sample, fact in rows_of(findings):
        if fact.image is None or fact.mask is None:
            continue
        image, mask = fact.image.height_width, fact.mask.height_width
        if image == mask:
            continue
        detail = f"mask {mask[1]} x {mask[0]}, image {image[1]} x {image[0]}"
        if fact.image.orientation >= 5 and mask == image[::-1]:
            detail += f" (upright; its EXIF orientation is {fact.image.orientation})"
            turned.append((sample, Item(sample.mask, detail)))
        else:
            others.append((sample, Item(sample.mask, detail)))
    return [
        *_size_problem(
            "exif-turn",
            turned,
            "mask(s) lie as the camera saw them, their images are turned by an EXIF tag",
            f"`turn_masks_with_exif: true` in {FILE_NAME}",
        ),
        *_size_problem(
            "size",
            others,
            "mask(s) differ in size from their image",
            "export masks at the size of the image (nearest neighbour), or leave them out: ",
        ),
    ]


def _size_problem(
    kind: str, rows: Sequence[tuple[Sample, Item]], title: str, cure: str
) -> list[Problem]:
    if not rows:
        return []
    stems = tuple(sample.stem for sample, _ in rows)
    cure = cure + exclude_cure(stems) if cure.endswith(": ") else cure
    items = tuple(item for _, item in rows)
    return [Problem(kind, "error", f"{len(rows)} {title}", cure, items, stems)]


def check_codes(findings: Findings) -> list[Problem]:
    """Codes in no class: each with its files, pixels and share."""
    if findings.encoding.nearest:
        return []
    table = findings.encoding.codes
    kind = findings.encoding.kind
    pixels: Counter[int] = Counter()
    total = 0
    items: list[Item] = []
    stems: list[str] = []
    for sample, fact in rows_of(findings):
        counts = findings.code_counts(fact)
        total += sum(counts.values())
        unknown = {code: count for code, count in counts.items() if code not in table}
        pixels.update(unknown)
        if unknown:
            listed = ", ".join(
                f"{format_code(code, kind)} ({count} px)"
                for code, count in sorted(unknown.items(), key=lambda row: -row[1])[:6]
            )
            items.append(Item(sample.mask, listed))
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
    return [Problem("unknown-values", "error", title, cure, tuple(items), tuple(stems))]


def check_orphans(findings: Findings) -> list[Problem]:
    """Images without a mask, masks without an image, masks that lost to another one."""
    index = findings.index
    problems = []
    if index.masks_without_image:
        items = tuple(Item(path, "no image of this name") for path in index.masks_without_image)
        problems.append(
            Problem(
                "masks-without-image",
                "warning",
                f"{len(items)} mask(s) have no image; they are not used",
                "rename them as their image is called, or remove them",
                items,
            )
        )
    if index.images_without_mask:
        items = tuple(Item(path, "no mask of this name") for path in index.images_without_mask)
        problems.append(
            Problem(
                "images-without-mask",
                "warning",
                f"{len(items)} image(s) have no mask; they are not used",
                "add the masks under the same stem, or go on without them",
                items,
            )
        )
    if index.ambiguous:
        items = tuple(Item(path, "another mask was taken") for path in index.ambiguous)
        problems.append(
            Problem(
                "second-mask",
                "warning",
                f"{len(items)} further mask(s) belong to images that have one; they are not used",
                f"name the folder that is meant in {FILE_NAME} (keys images and masks)",
                items,
            )
        )
    return problems


def check_ignored(findings: Findings) -> list[Problem]:
    """Masks in which no pixel counts."""
    stems = []
    items = []
    for sample, fact in rows_of(findings):
        counts = findings.class_counts(fact)
        if counts and set(counts) == {IGNORE}:
            stems.append(sample.stem)
            items.append(Item(sample.mask, "every pixel is to be ignored"))
    if not items:
        return []
    cure = f"label them, or leave them out: `exclude` in {FILE_NAME} (they teach nothing)"
    title = f"{len(items)} mask(s) hold nothing but ignore"
    return [Problem("all-ignore", "warning", title, cure, tuple(items), tuple(stems))]


def check_classes(findings: Findings) -> list[Problem]:
    """Too few classes, classes that occur nowhere, classes missing from a split."""
    labels = findings.detected.labels
    if labels.num_classes < 2:
        return [
            Problem(
                "one-class",
                "error",
                f"all masks hold one class only ({labels.names[0]})",
                "check that these are the masks, and that they are not empty",
            )
        ]
    images: dict[str, Counter[int]] = {split: Counter() for split in SPLITS}
    for sample, fact in rows_of(findings):
        images[sample.split].update(set(findings.class_counts(fact)) - {IGNORE})
    used = [split for split in SPLITS if any(item.split == split for item in findings.samples)]
    items = []
    for label, name in enumerate(labels.names):
        without = [split for split in used if images[split][label] == 0]
        if len(without) == len(used):
            items.append(Item(None, f"{name}: in no mask at all"))
        elif without:
            counts = ", ".join(f"{images[split][label]} in {split}" for split in used)
            items.append(Item(None, f"{name}: not in {' and '.join(without)} (images: {counts})"))
    if not items:
        return []
    cure = (
        f"label more images with it; or let maskzoo split anew: `splits: {{file: splits.csv}}` in "
        f"{FILE_NAME}, with lines stem,split"
    )
    title = f"{len(items)} class(es) are missing from a split"
    return [Problem("missing-class", "warning", title, cure, tuple(items))]


def check_number(findings: Findings) -> list[Problem]:
    """Too few images to train, or to trust a score."""
    counts = Counter(sample.split for sample in findings.samples)
    empty = [split for split in ("train", "val") if counts[split] == 0]
    if empty:
        return [
            Problem(
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
    return [Problem("few-images", "warning", title, cure)]


def check_instances(findings: Findings) -> list[Problem]:
    """Ids that count objects: each mask holds 0 … n with another n."""
    if findings.encoding.kind != "values" or findings.said.classes or findings.index.annotations:
        return []
    highest = []
    for _, fact in rows_of(findings):
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
    return [Problem("instance-ids", "warning", title, cure)]


CHECKS: tuple[Callable[[Findings], list[Problem]], ...] = (
    check_readable,
    check_sizes,
    check_codes,
    check_classes,
    check_number,
    check_duplicates,
    check_near_duplicates,
    check_orphans,
    check_ignored,
    check_instances,
)

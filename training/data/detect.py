"""Work out the encoding of a data set's masks from what is in them.

Every decision leaves a note in plain words, so that a person can object to it in dataset.yaml.
The order of questions: values or colours? a published table? noise around few codes? and then the
generic readings: 0/255, ids, grey levels, colours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from models.errors import DataError
from models.labels import Colour, LabelSet, distinct_colours
from training.data.classlists import ClassList
from training.data.encodings import IGNORE, MAX_CLASSES, MaskEncoding, format_code
from training.data.known import KnownLabels, recognise
from training.data.maskfile import Kind
from training.data.scan import MaskFacts

RARE_SHARE = 0.02  # black and grey below this share of the pixels are taken for "unlabelled"
_NO_CLASS = (255, 65535)
_BINARY = ("background", "foreground")


@dataclass(frozen=True)
class Detected:
    """An encoding with its classes, and what was decided in words.

    Args:
        encoding: code → class id.
        labels: names and colours.
        name: `ids`, `0/255`, `grey levels`, `indexed`, `per-file palettes`, `colours` …
        notes: the decisions.
    """

    encoding: MaskEncoding
    labels: LabelSet
    name: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Census:
    """Pixels and files of each code over all masks."""

    kind: Kind
    pixels: Counter[int]
    files: Counter[int]
    palette: Mapping[int, int]
    form: str

    def share(self, code: int) -> float:
        """Share of the pixels."""
        return self.pixels[code] / max(1, sum(self.pixels.values()))

    def describe(self, code: int) -> str:
        """Write a code with its share and its number of files."""
        return (
            f"{format_code(code, self.kind)} "
            f"({100 * self.share(code):.2g} % of the pixels, in {self.files[code]} files)"
        )


def take_census(facts: Sequence[MaskFacts]) -> Census:
    """Add up the codes of all masks and decide whether they are values or colours."""
    palettes = [fact.palette for fact in facts if fact.palette is not None]
    shared: dict[int, set[int]] = {}
    for palette in palettes:
        for index, colour in palette.items():
            shared.setdefault(index, set()).add(colour)
    conflict = any(len(colours) > 1 for colours in shared.values())
    chromatic = any(fact.kind == "colours" for fact in facts)
    kind: Kind = "colours" if chromatic or conflict else "values"
    pixels: Counter[int] = Counter()
    files: Counter[int] = Counter()
    for fact in facts:
        counts = fact.as_colours() if kind == "colours" else fact.counts
        pixels.update(counts)
        files.update(counts.keys())
    same = {index: min(colours) for index, colours in shared.items()} if not conflict else {}
    form = _form(kind, len(palettes), len(facts), conflict, {fact.mode for fact in facts})
    return Census(kind, pixels, files, same, form)


def _form(kind: Kind, num_palettes: int, num_files: int, conflict: bool, modes: set[str]) -> str:
    if kind == "colours":
        if num_palettes == num_files:
            return "per-file palettes"
        name = "RGBA colours" if modes == {"RGBA"} else "colours"
        return f"{name} and per-file palettes" if num_palettes else name
    if "onehot" in modes:
        return "one-hot planes"
    if num_palettes:
        return "indexed with palette"
    deep = any(mode.startswith(("I", "uint", "int", "F", "float")) for mode in modes)
    return "16-bit values" if deep else "values"


def detect(
    facts: Sequence[MaskFacts], mask_stems: Sequence[str], lists: Sequence[ClassList] = ()
) -> Detected:
    """Work out what the codes mean.

    Args:
        facts: what the masks hold.
        mask_stems: stems of the mask files.
        lists: class lists that came with the data.

    Raises:
        DataError: there are more codes than classes can be, or none at all.
    """
    census = take_census(facts)
    if not census.pixels:
        raise DataError("no mask could be read, so there is nothing to learn from")
    rare = {code for code in census.pixels if _is_neutral(code) and census.share(code) < RARE_SHARE}
    frequent = set(census.pixels) - (rare if census.kind == "colours" else set())
    known = recognise(census.kind, frequent, mask_stems)
    if known is not None:
        detected = _from_known(census, known)
    elif (peaks := _peaks(census)) is not None:
        detected = _from_noise(census, peaks)
    elif census.kind == "colours":
        detected = _from_colours(census)
    else:
        detected = _from_values(census)
    return _named(detected, lists, given_names=known is not None)


def _named(detected: Detected, lists: Sequence[ClassList], *, given_names: bool) -> Detected:
    """Take names from a class list that the masks bear out; say which lists they do not."""
    if detected.encoding.kind != "colours":
        return detected
    code_of = {label: code for code, label in detected.encoding.table if label != IGNORE}
    for found in lists:
        held = [code for code in code_of.values() if code in found.names]
        if 3 * len(held) < 2 * len(code_of):
            note = (
                f"{found.file.name} is not believed: {len(held)} of its {len(found.names)} colours "
                "are classes in the masks"
            )
            detected = replace(detected, notes=(*detected.notes, note))
        elif not given_names:
            names = [
                found.names.get(code_of[label], name)
                for label, name in enumerate(detected.labels.names)
            ]
            if len(set(names)) < len(names):
                continue
            labels = detected.labels.model_copy(update={"names": tuple(names)})
            note = f"names are those of {found.file.name}"
            detected = replace(detected, labels=labels, notes=(*detected.notes, note))
            given_names = True
    return detected


def from_names(names: Sequence[str], form: str) -> Detected:
    """Return the encoding of drawn polygons: 0 is the background, n + 1 is class n."""
    background = "background" if "background" not in names else "nothing"
    every = (background, *names)
    colours = ((0, 0, 0), *distinct_colours(len(names)))
    labels = LabelSet(names=every, colours=colours, background=0)
    table = tuple((code, code) for code in range(len(every)))
    return Detected(MaskEncoding("values", table), labels, form, ())


def _is_neutral(code: int) -> bool:
    return code >> 16 == code >> 8 & 255 == code & 255


def _from_known(census: Census, known: KnownLabels) -> Detected:
    table = {code: index for index, (_, code) in enumerate(known.codes)}
    table |= dict.fromkeys(known.ignore, IGNORE)
    names = tuple(name for name, _ in known.codes)
    notes = [f"classes and names are those of {known.title}"]
    for code in sorted(set(census.pixels) & set(known.ignore)):
        notes.append(f"{census.describe(code)} is void there: ignored")
    for code in sorted(set(census.pixels) - set(table)):
        table[code] = IGNORE
        notes.append(f"{census.describe(code)} is in no list: ignored")
    stored = known.colours or tuple(code for _, code in known.codes if census.kind == "colours")
    colours = tuple(map(_unpack, stored)) or distinct_colours(len(names))
    background = names.index(known.background) if known.background else None
    labels = LabelSet(names=names, colours=colours, background=background)
    encoding = MaskEncoding(census.kind, tuple(sorted(table.items())))
    form = "ids" if census.form == "values" else census.form
    return Detected(encoding, labels, form, tuple(notes))


def _unpack(code: int) -> Colour:
    return code >> 16, code >> 8 & 255, code & 255


def _from_colours(census: Census) -> Detected:
    codes = sorted(census.pixels, key=lambda code: (-census.pixels[code], code))
    neutral = [code for code in codes if _is_neutral(code)]
    ignored = [code for code in neutral if census.share(code) < RARE_SHARE]
    if len(codes) - len(ignored) < 2:
        ignored = []
    classes = sorted(set(codes) - set(ignored))
    _check_number(len(classes), census)
    black = 0 if 0 in classes else None
    names = tuple("background" if code == black else f"colour_{code:06X}" for code in classes)
    notes = [f"{census.describe(code)} looks like unlabelled: ignored" for code in ignored]
    if black is not None:
        notes.append("#000000 is taken for the background, as a class")
    table = {code: index for index, code in enumerate(classes)}
    table |= dict.fromkeys(ignored, IGNORE)
    labels = LabelSet(
        names=names,
        colours=tuple(_unpack(code) for code in classes),
        background=None if black is None else classes.index(black),
    )
    encoding = MaskEncoding("colours", tuple(sorted(table.items())))
    return Detected(encoding, labels, census.form, tuple(notes))


def _from_values(census: Census) -> Detected:
    present = sorted(census.pixels)
    if set(present) <= {0, 255} and len(present) == 2:
        return _binary(census, 255, "0/255")
    if present == [0, 1]:
        return _binary(census, 1, "ids 0 and 1")
    white = len(present) > 2 and _is_grey_scale(present)
    ignored = [
        code
        for code in _NO_CLASS
        if code in present and len(present) > 1 and not (code == 255 and white)
    ]
    codes = [code for code in present if code not in ignored]
    notes = [f"{census.describe(code)} is taken for void: ignored" for code in ignored]
    form = census.form
    if codes[-1] < 2 * len(codes) and codes[0] <= 1:
        missing = sorted(set(range(codes[0], codes[-1] + 1)) - set(codes))
        if missing:
            notes.append(f"ids {', '.join(map(str, missing))} occur in no mask; they stay classes")
        if codes[0] == 1:
            notes.append("ids begin at 1: id n is class n - 1 inside, and named class_n")
        codes = list(range(codes[0], codes[-1] + 1))
        form = "ids" if form == "values" else form
        names = tuple(f"class_{code}" for code in codes)
    else:
        notes.append("the values are far apart: each is a class of its own")
        form = "grey levels" if form == "values" else form
        names = tuple(f"value_{code}" for code in codes)
    _check_number(len(codes), census)
    table = {code: index for index, code in enumerate(codes)} | dict.fromkeys(ignored, IGNORE)
    labels = LabelSet(names=names, colours=_colours(codes, census.palette))
    encoding = MaskEncoding("values", tuple(sorted(table.items())))
    return Detected(encoding, labels, form, tuple(notes))


def _is_grey_scale(codes: Sequence[int]) -> bool:
    """Tell whether codes are levels from 0 to 255 at even distances, as 0, 127, 255."""
    step = 255 / (len(codes) - 1)
    even = all(abs(code - place * step) <= 1 for place, code in enumerate(codes))
    return even and step >= 5


def _binary(census: Census, foreground: int, form: str) -> Detected:
    labels = LabelSet(names=_BINARY, colours=((0, 0, 0), (255, 160, 0)), background=0)
    return Detected(MaskEncoding("values", ((0, 0), (foreground, 1))), labels, form, ())


def _colours(codes: Sequence[int], palette: Mapping[int, int]) -> tuple[Colour, ...]:
    """Return the palette's colours if it tells all classes apart, else our own."""
    stored = [palette.get(code, 0) for code in codes]
    if palette and len(set(stored)) == len(stored):
        return tuple(_unpack(code) for code in stored)
    return distinct_colours(len(codes))


def _check_number(count: int, census: Census) -> None:
    if count <= MAX_CLASSES:
        return
    raise DataError(
        f"the masks hold {count} different {census.kind}; at most {MAX_CLASSES} classes are "
        "possible. If these are numbers of objects, give them one class by a range in "
        "dataset.yaml (values: [1-65534]); if it is noise, set nearest: true and list the classes"
    )


def _peaks(census: Census) -> list[int] | None:
    """Return the few codes that the others are noise around, or None if there is no noise."""
    if census.kind == "colours" and (solid := _solid_colours(census)) is not None:
        return solid
    limit = 32 if census.kind == "values" else 64
    deep = census.kind == "values" and max(census.pixels) > 255
    if len(census.pixels) <= limit or deep:
        return None
    if census.kind == "values" and max(census.pixels) < 200:
        return None
    peaks: list[int] = []
    held: Counter[int] = Counter()
    for code, count in census.pixels.most_common():
        near = min(peaks, key=lambda peak: _distance(peak, code, census.kind), default=None)
        if near is None or _distance(near, code, census.kind) > _REACH[census.kind]:
            peaks.append(code)
            near = code
        held[near] += count
        if len(peaks) > 4 * MAX_CLASSES:
            return None
    total = sum(census.pixels.values())
    strong = [peak for peak in peaks if held[peak] >= 0.002 * total]
    if not 2 <= len(strong) <= 64 or sum(held[peak] for peak in strong) < 0.95 * total:
        return None
    return sorted(_without_blends(strong, held, census.kind))


def _solid_colours(census: Census) -> list[int] | None:
    """Return the colours that the others are blends of, or None if that is not what they are.

    It finds the few blends that a mask of straight edges gets when it is scaled.
    """
    solid = [code for code in census.pixels if census.share(code) >= 0.005]
    solid = _without_blends(solid, census.pixels, "colours")
    thin = {code: count for code, count in census.pixels.items() if code not in solid}
    if not 2 <= len(solid) <= 64 or len(thin) < 3 * len(solid):
        return None
    mass = sum(thin.values())
    if mass > 0.15 * sum(census.pixels.values()):
        return None
    blends = sum(count for code, count in thin.items() if _is_blend(code, solid))
    return sorted(solid) if blends >= 0.95 * mass else None


def _is_blend(code: int, solid: Sequence[int]) -> bool:
    return any(
        _distance(a, code, "colours") + _distance(code, b, "colours")
        < 1.02 * _distance(a, b, "colours")
        for place, a in enumerate(solid)
        for b in solid[place + 1 :]
    )


_REACH: dict[Kind, float] = {"values": 16.0, "colours": 44.0}


def _point(code: int, kind: Kind) -> tuple[int, ...]:
    return (code,) if kind == "values" else _unpack(code)


def _distance(first: int, second: int, kind: Kind) -> float:
    ours, theirs = _point(first, kind), _point(second, kind)
    return float(sum((a - b) ** 2 for a, b in zip(ours, theirs, strict=True)) ** 0.5)


def _without_blends(peaks: Sequence[int], held: Mapping[int, int], kind: Kind) -> list[int]:
    """Drop weak peaks that lie between two strong ones: anti-aliased edges."""

    def is_blend(peak: int) -> bool:
        strong = [other for other in peaks if held[other] > 20 * held[peak]]
        return any(
            _distance(a, peak, kind) + _distance(peak, b, kind) < 1.05 * _distance(a, b, kind)
            for place, a in enumerate(strong)
            for b in strong[place + 1 :]
        )

    return [peak for peak in peaks if not is_blend(peak)]


def _from_noise(census: Census, peaks: Sequence[int]) -> Detected:
    exact = sum(census.pixels[peak] for peak in peaks)
    share = 1 - exact / sum(census.pixels.values())
    kind = census.kind
    listed = ", ".join(format_code(peak, kind) for peak in peaks)
    note = (
        f"{len(census.pixels)} different {kind} lie around {listed}: compression noise or "
        f"anti-aliased edges ({100 * share:.2g} % of the pixels); each takes the closest class"
    )
    names: tuple[str, ...]
    binary = kind == "values" and len(peaks) == 2 and peaks[0] < 16 and peaks[1] > 239
    if binary:
        peaks, names = [0, 255], _BINARY
    elif kind == "values":
        names = tuple(f"value_{peak}" for peak in peaks)
    else:
        names = tuple(f"colour_{peak:06X}" for peak in peaks)
    if kind == "colours":
        colours = tuple(_unpack(peak) for peak in peaks)
    else:
        colours = distinct_colours(len(peaks))
    labels = LabelSet(names=names, colours=colours, background=0 if binary else None)
    table = tuple((peak, index) for index, peak in enumerate(peaks))
    form = f"{census.form} with noise"
    return Detected(MaskEncoding(kind, table, nearest=True), labels, form, (note,))

"""Detection of the encoding of a data set's masks.

Every decision leaves a note in plain words, so that a person can object to it in dataset.yaml.
The order of questions: values or colours? a published table? noise around few codes? and then the
generic readings: 0/255, ids, grey levels, colours. A class list beside the masks gives names last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from maskzoo.models.errors import DataError
from maskzoo.models.labels import Colour, LabelSet, distinct_colours
from maskzoo.training.data.masks.census import Census, take_census
from maskzoo.training.data.masks.classlists import ClassList
from maskzoo.training.data.masks.known import KnownLabels, recognise
from maskzoo.training.data.masks.naming import name_by_lists
from maskzoo.training.data.masks.noise import find_peaks
from maskzoo.training.data.records.codes import format_code, unpack_colour
from maskzoo.training.data.records.encoding import IGNORE, MAX_CLASSES, MaskEncoding
from maskzoo.training.data.records.facts import MaskFacts
from maskzoo.training.data.records.interpretation import Interpretation

RARE_FRACTION = 0.02  # black and grey below this share of the pixels are taken for "unlabelled"
_NO_CLASS = (255, 65535)
_BINARY = ("background", "foreground")


def detect(
    facts: Sequence[MaskFacts], mask_stems: Sequence[str], lists: Sequence[ClassList] = ()
) -> Interpretation:
    """Work out what the codes mean.

    Args:
        facts: what the masks hold; of one at least.
        mask_stems: stems of the mask files.
        lists: class lists that came with the data.

    Raises:
        DataError: there are more codes than classes can be.
    """
    census = take_census(facts)
    rare = {
        code
        for code in census.pixels
        if _is_neutral(code) and census.fraction(code) < RARE_FRACTION
    }
    frequent = set(census.pixels) - (rare if census.kind == "colours" else set())
    known = recognise(census.kind, frequent, mask_stems)
    if known is not None:
        detected = _from_known(census, known)
    elif (peaks := find_peaks(census)) is not None:
        detected = _from_noise(census, peaks)
    elif census.kind == "colours":
        detected = _from_colours(census)
    else:
        detected = _from_values(census)
    return name_by_lists(detected, census, lists, has_names=known is not None)


def from_names(names: Sequence[str], storage: str) -> Interpretation:
    """Return the encoding of drawn polygons: 0 is the background, n + 1 is class n."""
    background = "background" if "background" not in names else "nothing"
    every = (background, *names)
    colours = ((0, 0, 0), *distinct_colours(len(names)))
    labels = LabelSet(names=every, colours=colours, background=0)
    table = tuple((code, code) for code in range(len(every)))
    return Interpretation(MaskEncoding("values", table), labels, storage, ())


def _is_neutral(code: int) -> bool:
    return code >> 16 == code >> 8 & 255 == code & 255


def _from_known(census: Census, known: KnownLabels) -> Interpretation:
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
    colours = tuple(map(unpack_colour, stored)) or distinct_colours(len(names))
    background = names.index(known.background) if known.background else None
    labels = LabelSet(names=names, colours=colours, background=background)
    encoding = MaskEncoding(census.kind, tuple(sorted(table.items())))
    storage = "ids" if census.storage == "values" else census.storage
    return Interpretation(encoding, labels, storage, tuple(notes))


def _from_colours(census: Census) -> Interpretation:
    codes = sorted(census.pixels, key=lambda code: (-census.pixels[code], code))
    neutral = [code for code in codes if _is_neutral(code)]
    ignored = [code for code in neutral if census.fraction(code) < RARE_FRACTION]
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
        colours=tuple(unpack_colour(code) for code in classes),
        background=None if black is None else classes.index(black),
    )
    encoding = MaskEncoding("colours", tuple(sorted(table.items())))
    return Interpretation(encoding, labels, census.storage, tuple(notes))


def _from_values(census: Census) -> Interpretation:
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
    storage = census.storage
    if codes[-1] < 2 * len(codes) and codes[0] <= 1:
        missing = sorted(set(range(codes[0], codes[-1] + 1)) - set(codes))
        if missing:
            notes.append(f"ids {', '.join(map(str, missing))} occur in no mask; they stay classes")
        if codes[0] == 1:
            notes.append("ids begin at 1: id n is class n - 1 inside, and named class_n")
        codes = list(range(codes[0], codes[-1] + 1))
        storage = "ids" if storage == "values" else storage
        names = tuple(f"class_{code}" for code in codes)
    else:
        notes.append("the values are far apart: each is a class of its own")
        storage = "grey levels" if storage == "values" else storage
        names = tuple(f"value_{code}" for code in codes)
    _check_number(len(codes), census)
    table = {code: index for index, code in enumerate(codes)} | dict.fromkeys(ignored, IGNORE)
    labels = LabelSet(names=names, colours=_colours(codes, census.palette))
    encoding = MaskEncoding("values", tuple(sorted(table.items())))
    return Interpretation(encoding, labels, storage, tuple(notes))


def _is_grey_scale(codes: Sequence[int]) -> bool:
    """Tell whether codes are levels from 0 to 255 at even distances, as 0, 127, 255."""
    step = 255 / (len(codes) - 1)
    even = all(abs(code - place * step) <= 1 for place, code in enumerate(codes))
    return even and step >= 5


def _binary(census: Census, foreground: int, storage: str) -> Interpretation:
    labels = LabelSet(names=_BINARY, colours=((0, 0, 0), (255, 160, 0)), background=0)
    return Interpretation(MaskEncoding("values", ((0, 0), (foreground, 1))), labels, storage, ())


def _colours(codes: Sequence[int], palette: Mapping[int, int]) -> tuple[Colour, ...]:
    """Return the palette's colours if it tells all classes apart, else our own."""
    stored = [palette.get(code, 0) for code in codes]
    if palette and len(set(stored)) == len(stored):
        return tuple(unpack_colour(code) for code in stored)
    return distinct_colours(len(codes))


def _check_number(count: int, census: Census) -> None:
    if count <= MAX_CLASSES:
        return
    raise DataError(
        f"the masks hold {count} different {census.kind}; at most {MAX_CLASSES} classes are "
        "possible. If these are numbers of objects, give them one class by a range in "
        "dataset.yaml (values: [1-65534]); if it is noise, set nearest: true and list the classes"
    )


def _from_noise(census: Census, peaks: Sequence[int]) -> Interpretation:
    exact = sum(census.pixels[peak] for peak in peaks)
    fraction = 1 - exact / sum(census.pixels.values())
    kind = census.kind
    listed = ", ".join(format_code(peak, kind) for peak in peaks)
    note = (
        f"{len(census.pixels)} different {kind} lie around {listed}: compression noise or "
        f"anti-aliased edges ({100 * fraction:.2g} % of the pixels); each takes the closest class"
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
        colours = tuple(unpack_colour(peak) for peak in peaks)
    else:
        colours = distinct_colours(len(peaks))
    labels = LabelSet(names=names, colours=colours, background=0 if binary else None)
    table = tuple((peak, index) for index, peak in enumerate(peaks))
    storage = f"{census.storage} with noise"
    return Interpretation(MaskEncoding(kind, table, nearest=True), labels, storage, (note,))

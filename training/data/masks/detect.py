"""Detection of the encoding of a data set's masks.

Every decision leaves a note in plain words, so that a person can object to it in dataset.yaml.
The questions are asked in this order: values or colours? a published table? noise around a few
codes? Only then come the generic readings: 0/255, ids, grey levels, colours. Class lists beside the
masks give names last.
"""

from __future__ import annotations

from collections.abc import Sequence

from maskzoo.models.errors import DataError
from maskzoo.models.labels import LabelSet, distinct_colours, name_mistakes
from maskzoo.training.data.masks.census import Census, take_census
from maskzoo.training.data.masks.colours import interpret_colours, stray_neutrals
from maskzoo.training.data.masks.doubt import (
    refuse_near_colours,
    refuse_objects,
    refuse_palettes,
    refuse_soft,
    refuse_two_scales,
)
from maskzoo.training.data.masks.known import interpret_known, recognise
from maskzoo.training.data.masks.lists.classlists import ClassList
from maskzoo.training.data.masks.lists.naming import is_believed, name_by_lists
from maskzoo.training.data.masks.noise import find_peaks, interpret_noise
from maskzoo.training.data.masks.values import interpret_values, refuse_white
from maskzoo.training.data.records.codes import format_code
from maskzoo.training.data.records.description import BACKGROUND_NAME
from maskzoo.training.data.records.encoding import IGNORE, MaskEncoding
from maskzoo.training.data.records.facts import MaskFacts
from maskzoo.training.data.records.interpretation import Interpretation
from maskzoo.training.data.records.numbers import format_percent
from maskzoo.training.data.records.rawmask import VOID

_PAINTED = 0.3  # fraction of a mask's open pixels that are its image, of a painted photo


def detect(
    facts: Sequence[MaskFacts], mask_stems: Sequence[str], lists: Sequence[ClassList] = ()
) -> Interpretation:
    """Work out what the codes in all masks mean.

    Args:
        facts: facts of one mask at least.
        mask_stems: stems of the mask files.
        lists: class lists that came with the data.

    Raises:
        DataError: there are more codes than classes can be.
    """
    census = take_census(facts)
    _refuse_painted(facts, census)
    # A published table must hold all codes but stray blacks and greys, which tools leave behind.
    stray = stray_neutrals(census) if census.kind == "colours" else []
    is_listed = any(is_believed(found, census) for found in lists)  # a person's list stands above
    codes = census.pixels.keys()
    known = None if is_listed else recognise(census.kind, codes, mask_stems, stray)
    if known is not None:
        detected = interpret_known(census, known)
    elif (peaks := find_peaks(census)) is not None:
        detected = interpret_noise(census, peaks)
    elif census.kind == "colours":
        refuse_palettes(facts, census)
        if not is_listed:
            refuse_objects(census)
            refuse_near_colours(facts, census)
        detected = interpret_colours(census)
    else:
        refuse_two_scales(census)
        refuse_soft(census)
        if not is_listed:
            refuse_objects(census)
            refuse_white(census)
        detected = interpret_values(census)
    return name_by_lists(detected, census, lists, has_names=known is not None)


def _refuse_painted(facts: Sequence[MaskFacts], census: Census) -> None:
    """Raise `DataError` where most masks are their images with areas painted on them."""
    painted = [fact.painted for fact in facts if fact.painted >= _PAINTED]
    if 2 * len(painted) < len(facts):
        return
    alike = format_percent(sum(painted) / len(painted))
    solid = [code for code, _ in census.pixels.most_common(24) if census.fills_areas([code])]
    shown = ", ".join(format_code(code, census.kind) for code in solid[:6]) or "none"
    if {fact.mode for fact in facts} == {"RGBA"}:
        raise DataError(
            f"{len(painted)} of {len(facts)} masks are cut out of their photos: {alike} of their "
            "visible pixels are those of the image. Their alpha may be the mask: save it alone, "
            "`Image.open('x.png').getchannel('A').save('mask.png')` with `from PIL import Image`"
        )
    raise DataError(
        f"{len(painted)} of {len(facts)} masks are painted photos: but for their two main colours "
        f"{alike} of their pixels are those of the image, and would become classes; colours that "
        f"fill areas: {shown}. Export the painted areas alone on a plain background. If the "
        "photo's colours are far from the "
        "painted ones, dataset.yaml can say it: `encoding: colours`, `nearest: true`, `classes` "
        "with each painted colour and a background of several greys"
    )


def interpret_outlines(names: Sequence[str], storage: str) -> Interpretation:
    """Return the encoding of drawn outlines: 0 is the background, n + 1 is class n, or `VOID`.

    Raises:
        DataError: a class has too long a name, or none.
    """
    mistakes = name_mistakes(names)
    if mistakes:
        raise DataError("; ".join([*mistakes, "rename it in the annotations"]))
    background = BACKGROUND_NAME if BACKGROUND_NAME not in names else "nothing"
    every = (background, *names)
    colours = ((0, 0, 0), *distinct_colours(len(names)))
    labels = LabelSet(names=every, colours=colours, background=0)
    table = (*((code, code) for code in range(len(every))), (VOID, IGNORE))
    return Interpretation(MaskEncoding("values", table), labels, storage, ())

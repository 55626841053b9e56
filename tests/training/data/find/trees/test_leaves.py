from __future__ import annotations

import random
from pathlib import Path

from maskzoo.training.data.find.trees.leaves import LeavesByKey
from maskzoo.training.data.find.trees.records import Leaf


def leaf(number: int, key: tuple[str, ...]) -> Leaf:
    folder = Path(f"{number:03}")
    return Leaf(folder, key, (folder / "a.png",), None, None, "", key, frozenset(), key)


def fits(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    short, long = sorted((one, other), key=len)
    rest = iter(long)
    return all(part in rest for part in short)


def test_the_index_finds_what_a_look_at_every_folder_finds() -> None:
    rng = random.Random(0)
    keys = [tuple(rng.choices("abcd", k=rng.randrange(4))) for _ in range(200)]
    leaves = [leaf(number, key) for number, key in enumerate(keys)]
    index = LeavesByKey(leaves)
    for key in {*keys, ("a", "b", "c", "d", "a"), ("e",)}:
        assert index.equal(key) == [one for one in leaves if one.key == key]
        assert index.fitting(key) == [one for one in leaves if fits(one.key, key)]

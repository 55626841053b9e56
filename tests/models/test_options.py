"""Options given as text and data, checked against the signatures of constructors."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Literal

import pytest

from maskzoo.models.errors import SpecError
from maskzoo.models.options import check_options, option_defaults, option_names


class Mechanism:
    def __init__(
        self,
        channels: int,
        *,
        rates: tuple[int, ...] = (6, 12),
        mode: Literal["sum", "mean"] = "sum",
        width: int | None = None,
    ) -> None: ...


class Derived(Mechanism):
    pass


@dataclass(frozen=True)
class Common:
    sizes: tuple[int, ...]
    _: KW_ONLY
    dropout: float = 0.1


def test_the_keyword_only_arguments_of_all_constructors_are_the_options():
    assert option_names(Mechanism, Common) == ["rates", "mode", "width", "dropout"]
    assert option_defaults(Derived) == {"rates": (6, 12), "mode": "sum", "width": None}


def test_values_are_converted_and_defaults_are_not_filled_in():
    checked = check_options("it", {"rates": [1, 2], "dropout": 0}, Mechanism, Common)
    assert checked == {"rates": (1, 2), "dropout": 0.0}
    assert isinstance(checked["dropout"], float)
    assert check_options("it", {}, Mechanism) == {}


def test_every_unknown_name_and_every_wrong_value_is_listed():
    options = {"mod": "sum", "mode": "max", "rates": "six", "channels": 8}
    with pytest.raises(SpecError, match="mechanism 'it'") as caught:
        check_options("mechanism 'it'", options, Mechanism, Common)
    text = str(caught.value)
    assert len(caught.value.mistakes) == 4
    assert "unknown option 'mod'; did you mean 'mode'?" in text
    assert "unknown option 'channels'" in text
    assert "mode: Input should be 'sum' or 'mean', given 'max'" in text
    assert "rates: " in text

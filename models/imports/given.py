"""What a person says of a network whose file says too little: classes, normalisation."""

from __future__ import annotations

from pydantic import ValidationError

from maskzoo.models.errors import SpecError
from maskzoo.models.preprocessing import Preprocessing
from maskzoo.models.spec import describe_mistakes


def given_classes(text: str) -> tuple[str, ...]:
    """Return the names of classes, separated by commas; none for an empty text."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def given_normalisation(mean: str, std: str) -> Preprocessing | None:
    """Return the normalisation of images of 0 to 1; None where neither number is given.

    Args:
        mean, std: a number for each channel, separated by commas.

    Raises:
        SpecError: one of them is missing, is not numbers, or they are not as many.
    """
    if not mean and not std:
        return None
    try:
        numbers = [tuple(map(float, text.split(","))) for text in (mean, std)]
        return Preprocessing(mean=numbers[0], std=numbers[1])
    except ValidationError as error:
        raise SpecError("--mean and --std", describe_mistakes(error)) from None
    except ValueError:
        raise SpecError(
            "--mean and --std", [f"give both, a number for each channel: {mean!r} and {std!r}"]
        ) from None

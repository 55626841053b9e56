"""The arguments of an smp model, as its config.json holds them: each is taken once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from maskzoo.models.errors import WeightsError
from maskzoo.models.spec import Scalar


class Arguments:
    """The arguments of an smp model; each is taken once, and none may be left at the end.

    Attributes:
        model: smp's class.
        classes: logit channels of the model.
        left: arguments that were not taken yet.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.left = {key: value for key, value in values.items() if not key.startswith("_")}
        self.model = str(values.get("_model_class", ""))
        self.classes = int(self.take("classes", 1))

    def take(self, key: str, default: Any) -> Any:
        """Return an argument and note that it is used."""
        return self.left.pop(key, default)

    def take_others(self) -> dict[str, Scalar]:
        """Return all that are left, which smp hands to the encoder.

        Raises:
            WeightsError: one of them is not a plain value.
        """
        return {key: scalar(self.left.pop(key)) for key in list(self.left)}

    def take_left_out(self, notes: list[str]) -> None:
        """Take what no logit depends on, and note it for a person."""
        self.take("encoder_weights", None)
        if self.take("aux_params", None) is not None:
            notes.append("the classification head of aux_params is left out")
        activation = self.take("activation", None)
        if activation not in (None, "identity"):
            notes.append(f"activation {activation!r} is left out: maskzoo's networks give logits")


def scalar(value: Any) -> Scalar:
    """Return a value as an option of a network.

    Raises:
        WeightsError: it is not a plain value.
    """
    if isinstance(value, tuple | list):
        return list(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise WeightsError(f"config.json: {json.dumps(value)[:80]} is not a plain value")

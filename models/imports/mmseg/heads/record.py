"""What an importer of a head returns, and what it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from maskzoo.models.errors import WeightsError
from maskzoo.models.imports.mmseg.section import Section
from maskzoo.models.spec import Scalar


@dataclass(frozen=True)
class HeadMap:
    """A decode head in our terms.

    Args:
        architecture: a key of the table of architectures.
        options: of the architecture.
        names: beginnings of the head's tensors' names -> those in our network; of a cascade,
            with the number of the head in front.
        without: beginnings of tensors that our network does not need -> why.
    """

    architecture: str
    options: dict[str, Scalar]
    names: Mapping[str, str]
    without: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Tensors:
    """The tensors of one part of a checkpoint; widths are read from them.

    Args:
        state: tensors by their names within the part.
    """

    state: Mapping[str, Tensor]

    def width(self, name: str) -> int:
        """Return the output channels of a convolution or a layer of that name.

        Raises:
            WeightsError: there is none.
        """
        for key in (f"{name}.weight", f"{name}.conv.weight", name):
            if key in self.state and self.state[key].dim():
                return int(self.state[key].shape[0])
        raise WeightsError(f"the head has no tensor {name!r}, which its type needs")

    def inputs(self, name: str) -> int:
        """Return the input channels of a convolution of that name.

        Raises:
            WeightsError: there is none.
        """
        tensor = self.state.get(f"{name}.weight")
        if tensor is None or tensor.dim() < 2:
            raise WeightsError(f"the head has no convolution {name!r}, which its type needs")
        return int(tensor.shape[1])

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of the tensor of that name.

        Raises:
            WeightsError: there is none.
        """
        if name not in self.state:
            raise WeightsError(f"the head has no tensor {name!r}, which its type needs")
        return tuple(self.state[name].shape)

    def has(self, name: str) -> bool:
        """Tell whether a tensor's name begins so."""
        return any(key == name or key.startswith(f"{name}.") for key in self.state)

    def count(self, name: str) -> int:
        """Return how many numbered parts a list has."""
        numbers = {
            key.removeprefix(f"{name}.").split(".")[0]
            for key in self.state
            if key.startswith(f"{name}.")
        }
        return len(numbers)


ReadHead = Callable[[Section, Tensors], HeadMap]
"""Reads the settings and widths of a head."""


def check_input(head: Section, levels: tuple[int, ...], transform: str | None = None) -> None:
    """Raise unless the head reads the backbone's features `levels` (`in_index`, from 0).

    Raises:
        WeightsError: it reads others, or joins them in another way.
    """
    given = head.counts("in_index", (-1,))
    given = tuple(3 if level == -1 else level for level in given)
    joined = head.take("input_transform")
    if given != levels or joined not in (None, "multiple_select", transform):
        raise WeightsError(
            f"{head.name} reads features {given} ({joined or 'as they are'}); maskzoo's reads "
            f"{levels}"
        )

"""Records of the catalogue: an architecture or a plug-in with its options, cost and sites."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from maskzoo.models.catalogue.about import About

COST_CLASSES = {"light": 10.0, "medium": 50.0, "heavy": 200.0, "very heavy": float("inf")}
"""Class of a network's cost -> the GMAC for an image of 512 x 512 that it stays below."""


@dataclass(frozen=True)
class NetworkCost:
    """The cost of a whole network.

    Attributes:
        encoder: of the network.
        num_classes: K.
        size: (height, width) of the image.
        parameters: of encoder, decoder and classifier together.
        macs: multiply-accumulates for one image.
    """

    encoder: str
    num_classes: int
    size: tuple[int, int]
    parameters: int
    macs: int


@dataclass(frozen=True)
class CostRow:
    """One architecture on an encoder, as a line of a list.

    Attributes:
        name: of the architecture.
        stride: of the encoder's deepest feature, by the architecture's default.
        cost: of the network; None if it cannot be built on the encoder.
        refusal: why not; empty otherwise.
    """

    name: str
    stride: int
    cost: NetworkCost | None
    refusal: str = ""

    @property
    def cost_class(self) -> str:
        """The class of the cost by `COST_CLASSES`; empty without a cost."""
        if self.cost is None:
            return ""
        pixels = self.cost.size[0] * self.cost.size[1]
        gmac = self.cost.macs / 1e9 * 512 * 512 / pixels
        return next(name for name, limit in COST_CLASSES.items() if gmac < limit)

    def to_json(self) -> dict[str, Any]:
        """Return the row as plain data."""
        cost = None if self.cost is None else asdict(self.cost)
        return {
            "name": self.name,
            "stride": self.stride,
            "cost": cost,
            "class": self.cost_class or None,
            "refusal": self.refusal or None,
        }


@dataclass(frozen=True)
class ArchitectureRecord:
    """Everything that a person asks about one architecture.

    Attributes:
        about: name, papers and idea, from its docstring.
        auxiliary_head: whether it trains with a dense auxiliary head.
        default_output_stride: of the encoder, if the caller names none.
        options: name -> default, its own first.
        cost: on one encoder.
        sites: plug-in -> the sites on that encoder that fit it.
    """

    about: About
    auxiliary_head: bool
    default_output_stride: int
    options: dict[str, Any]
    cost: NetworkCost
    sites: dict[str, list[str]]

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain data."""
        return self.about.to_json() | {
            "auxiliary_head": self.auxiliary_head,
            "default_output_stride": self.default_output_stride,
            "options": self.options,
            "cost": asdict(self.cost),
            "sites": self.sites,
        }


@dataclass(frozen=True)
class HostNetwork:
    """The network in which the cost of a plug-in is shown.

    Attributes:
        architecture, encoder: of the network.
        size: (height, width) of the image.
    """

    architecture: str
    encoder: str
    size: tuple[int, int] = (512, 512)


@dataclass(frozen=True)
class AddedCost:
    """What one plug-in at one site adds to the cost of a network without plug-ins.

    Attributes:
        name: of the plug-in.
        site: where it is.
        parameters: that are added.
        macs: multiply-accumulates that are added, for one image.
    """

    name: str
    site: str
    parameters: int
    macs: int


@dataclass(frozen=True)
class PluginRecord:
    """Everything that a person asks about one plug-in.

    Attributes:
        about: name, papers and idea, from its docstring.
        places: kinds of sites that make sense.
        starts_as_identity: whether a fresh one leaves a network's logits as they are.
        options: name -> default.
        network: in which the cost is shown.
        adds: the cost at one site of each kind.
    """

    about: About
    places: tuple[str, ...]
    starts_as_identity: bool
    options: dict[str, Any]
    network: HostNetwork
    adds: tuple[AddedCost, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain data."""
        return self.about.to_json() | {
            "places": self.places,
            "starts_as_identity": self.starts_as_identity,
            "options": self.options,
            "network": asdict(self.network),
            "adds": [
                {"site": cost.site, "parameters": cost.parameters, "macs": cost.macs}
                for cost in self.adds
            ],
        }

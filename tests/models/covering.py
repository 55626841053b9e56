"""Networks that together have every plug-in in every architecture that it fits.

Export and compilation cost seconds a network, and there are more than eight hundred pairs of an
architecture and a plug-in. So each architecture gets `NETWORKS` tiny networks, each with about
fourteen plug-ins at different sites; sites rotate, so that over all architectures each plug-in
meets each kind of site that it fits. `test_plugin_contracts.py` proves that nothing is left out. A
contract that fails is tried again with each plug-in alone, and the message names those that fail.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

from maskzoo.models.network.network import SegmentationNetwork
from maskzoo.models.sites.sites import Site, Sites
from maskzoo.models.tables.architectures import ARCHITECTURES
from maskzoo.models.tables.plugins import PLUGINS
from tests.models import tiny

NETWORKS = 3
TINY_OPTIONS = {
    "psa": ":mask_size=[5,5]",
    "fpa": ":width=2",
    "grouped": ":groups=1",
    "knet": ":hidden=8",
    "pointrend": ":width=4,points=64",
}

# Only one plug-in can take the place of the decoder's convolutions; for these there is no other.
_DECODER_ONLY = ("ghost", "grouped")
_DECODER_TOO = ("dcnv1", "dcnv2", "coordconv", "sk")


@dataclass(frozen=True)
class Plan:
    """A network of the matrix.

    Attributes:
        architecture: a key of the table of architectures.
        plugins: (plug-in, site) of each plug-in.
    """

    architecture: str
    plugins: tuple[tuple[str, Site], ...] = ()

    def build(self, seed: int = 0, **options: object) -> SegmentationNetwork:
        """Return the tiny network, the same for the same seed."""
        plugins = [f"{name}@{site}{TINY_OPTIONS.get(name, '')}" for name, site in self.plugins]
        return tiny.build(self.architecture, seed, plugins=plugins, **options)


def keeps(contract: Callable[[Plan], None], plan: Plan) -> None:
    """Check a contract; on failure say which plug-ins fail it alone, or that the network does.

    Raises:
        AssertionError: the contract is broken.
    """
    try:
        contract(plan)
    except Exception as error:
        alone = [Plan(plan.architecture), *(replace(plan, plugins=(p,)) for p in plan.plugins)]
        blamed = [_breaks(contract, one) for one in alone]
        lines = [f"  {line}" for line in blamed if line] or ["  only all of them together"]
        listed = " ".join(f"{name}@{site}" for name, site in plan.plugins)
        raise AssertionError(
            f"{plan.architecture} with {listed}: {error}\nof these fail alone:\n" + "\n".join(lines)
        ) from error


def _breaks(contract: Callable[[Plan], None], plan: Plan) -> str | None:
    try:
        contract(plan)
    except Exception as error:
        name = "@".join(map(str, plan.plugins[0])) if plan.plugins else "the bare network"
        return f"{name}: {type(error).__name__}: {str(error)[:300]}"
    return None


@cache
def fitting_sites(architecture: str) -> dict[str, list[Site]]:
    """Return plug-in -> the sites of the tiny network of this architecture that fit it."""
    sites = Sites(tiny.build(architecture))
    return {name: sites.of(entry) for name, entry in PLUGINS.items()}


@cache
def covering(architecture: str) -> tuple[Plan, ...]:
    """Return the networks of an architecture."""
    turn = sorted(ARCHITECTURES).index(architecture)
    fitting = {name: sites for name, sites in fitting_sites(architecture).items() if sites}
    chosen: list[list[tuple[str, Site]]] = [[] for _ in range(NETWORKS)]
    at_convolutions = (*_DECODER_ONLY, _DECODER_TOO[turn % len(_DECODER_TOO)])
    for network, name in zip(chosen, at_convolutions, strict=True):
        network += [(name, s) for s in fitting.get(name, []) if s.place == "decoder.convs"]
    for index, (name, sites) in enumerate(fitting.items()):
        if name not in _DECODER_ONLY:
            network = chosen[(index + turn) % NETWORKS]
            network.append((name, _site(sites, turn + index)))
    _fill_places(chosen, fitting, turn)
    return tuple(Plan(architecture, tuple(plugins)) for plugins in chosen)


def _site(sites: list[Site], turn: int) -> Site:
    """Return the site whose turn it is, first its kind, then its level."""
    places = list(dict.fromkeys(s.place for s in sites if s.place != "decoder.convs"))
    place = places[turn % len(places)]
    levels = [site for site in sites if site.place == place]
    return levels[turn // len(places) % len(levels)]


def _fill_places(
    chosen: list[list[tuple[str, Site]]], fitting: dict[str, list[Site]], turn: int
) -> None:
    """Add a plug-in at each kind of site that the rotation has left without one."""
    for index, (name, sites) in enumerate(fitting.items()):
        for site in sites:
            if site.place not in {s.place for network in chosen for _, s in network}:
                chosen[(index + turn) % NETWORKS].append((name, site))

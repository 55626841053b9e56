"""Sites of plug-ins outside the encoder: `Plugged` chains, the `Neck` and the logits.

A chain of plug-ins hangs on a module as its child `plugins`, so the names of all other tensors stay
as they are: weights of the bare network load into the plugged one, and only `….plugins.<name>.…`
is new. A copy of the network copies the chain with its module.
"""

from __future__ import annotations

import keyword
from dataclasses import dataclass, field

from torch import Tensor, nn

from maskzoo.models.errors import SpecError


class PluginChain(nn.ModuleDict):
    """A chain of named plug-ins, run in order: (N, C, h, w) -> (N, C, h, w)."""

    def append(self, name: str, plugin: nn.Module) -> None:
        """Add a plug-in at the end.

        Raises:
            SpecError: the chain has one of this name.
        """
        # `torch.export` writes the path as Python: `….nonlocal.…` would be a syntax error.
        child = f"{name}_" if keyword.iskeyword(name) else name
        if child in self:
            raise SpecError(f"plug-in {name!r}", ["is given twice for the same site; keep one"])
        self[child] = plugin

    def forward(self, x: Tensor, deeper: Tensor | None = None) -> Tensor:
        """Run the chain; plug-ins of two inputs also get the next deeper feature."""
        for plugin in self.values():
            x = plugin(x, deeper) if getattr(plugin, "takes_deeper", False) else plugin(x)
        return x


def plug_after(module: nn.Module, name: str, plugin: nn.Module) -> None:
    """Apply `plugin` to every output of `module`.

    An `nn.Sequential` simply gets one more child. Any other module gets the child and a hook that
    calls it; the hook is a plain function of the module, so copies and pickles stay independent.
    """
    if "plugins" not in module._modules:
        module.add_module("plugins", PluginChain())
        if type(module).forward is not nn.Sequential.forward:
            module.register_forward_hook(_run_plugins)
    chain = module.get_submodule("plugins")
    assert isinstance(chain, PluginChain), "only plug_after makes a child of this name"
    chain.append(name, plugin)


def _run_plugins(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
    result: Tensor = module.get_submodule("plugins")(output)
    return result


class Neck(nn.Module):
    """Plug-ins on f0 … f5 between encoder and decoder; the identity without plug-ins.

    Fusion of several levels comes first, then the bottleneck, then the skips from deep to shallow,
    so that a plug-in of two inputs sees the deeper feature as the plug-ins have left it.

    Shape: [f0, …, f5] -> the same.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fusions = nn.ModuleDict()
        self.fused_levels: tuple[int, ...] = ()
        self.levels = nn.ModuleDict()

    def chain(self, level: int) -> PluginChain:
        """Return the chain of f_level, created if missing."""
        if str(level) not in self.levels:
            self.levels[str(level)] = PluginChain()
        chain = self.levels[str(level)]
        assert isinstance(chain, PluginChain), "levels holds chains"
        return chain

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Return the features after all plug-ins."""
        features = list(features)
        for fusion in self.fusions.values():
            fused = fusion([features[level] for level in self.fused_levels])
            for level, feature in zip(self.fused_levels, fused, strict=True):
                features[level] = feature
        deeper: Tensor | None = None
        for level in range(len(features) - 1, 0, -1):
            if str(level) in self.levels:
                features[level] = self.levels[str(level)](features[level], deeper)
            if features[level].shape[1]:
                deeper = features[level]
        return features


@dataclass(frozen=True)
class Classified:
    """What a plug-in at the logits gets beside them.

    Attributes:
        map: (N, C, h, w) that was classified.
        weight: (K, C, k, k) of the classifier's convolution.
        fine: (N, C_2, h_2, w_2), f2.
    """

    map: Tensor
    weight: Tensor
    fine: Tensor


@dataclass
class PointLogits:
    """Logits at points between the pixels, which training teaches.

    Attributes:
        logits: (N, K, P).
        places: (N, P, 2), x and y; -1 and 1 are the outer edges of the image.
    """

    logits: Tensor
    places: Tensor


@dataclass
class RefinedOutput:
    """What a plug-in at the logits returns in training.

    Attributes:
        logits: (N, K, h, w).
        aux: name -> logits (N, K, h', w') that training teaches too.
        points: logits at points, or None.
    """

    logits: Tensor
    aux: dict[str, Tensor] = field(default_factory=dict)
    points: PointLogits | None = None


class Refinement(nn.Module):
    """Base of the plug-ins at the logits.

    Attributes:
        aux_weights: loss weight of each auxiliary output.
    """

    def __init__(self) -> None:
        super().__init__()
        self.aux_weights: dict[str, float] = {}

    def forward(self, logits: Tensor, classified: Classified) -> Tensor:
        """Return other logits."""
        raise AssertionError(f"{type(self).__name__} must define forward")

    def forward_train(self, logits: Tensor, classified: Classified) -> RefinedOutput:
        """Return them with the outputs that only training needs."""
        raise AssertionError(f"{type(self).__name__} must define forward_train")


class Warp(nn.Module):
    """A warp of the image before the encoder, and its inverse on the logits.

    This one is the identity; a plug-in at `input` replaces it.
    """

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the warped image and what `restore` needs to undo it."""
        return x, None

    def restore(self, logits: Tensor, pose: Tensor | None) -> Tensor:
        """Return the logits (N, K, H, W) in the original image's place."""
        return logits

    def locate(self, places: Tensor, pose: Tensor | None) -> Tensor:
        """Return where places (N, P, 2) of the warped image are in the original one."""
        return places

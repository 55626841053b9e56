"""Third-party mechanisms to compare ours with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn


@dataclass(frozen=True)
class ModuleReference:
    """A mechanism of another project: its tensors, an input, its output, the gradients."""

    io: dict[str, Tensor]

    def load(self, module: nn.Module, names: Mapping[str, str]) -> nn.Module:
        """Put the reference's tensors into `module`, strictly; return it in float64, evaluating.

        Args:
            names: prefixes of the reference's tensors -> ours; the first that fits counts.
        """
        wanted = module.state_dict()
        state = {_rename(key, names): tensor for key, tensor in self._state().items()}
        for key, tensor in wanted.items():
            if key.endswith("num_batches_tracked"):
                state.setdefault(key, tensor)
            elif key in state:
                state[key] = state[key].reshape(tensor.shape)
        module.load_state_dict(state, strict=True)
        return module.double().eval()

    def check(
        self,
        module: nn.Module,
        names: Mapping[str, str],
        call: Callable[[Tensor], Tensor] | None = None,
        tolerance: float = 1e-9,
    ) -> None:
        """Compare output, gradient of the input and gradients of the weights.

        Args:
            call: what to run in place of `module`, such as a part of it.
        """
        self.load(module, names)
        x = self.io["input"].double().requires_grad_()
        y = (call or module)(x)
        torch.testing.assert_close(y, self.io["output_f64"], atol=tolerance, rtol=0)
        if "grad_input" not in self.io:
            return
        y.backward(self.io["grad_output"].double())
        _close(x.grad, self.io["grad_input"])
        ours = dict(module.named_parameters())
        for key, tensor in self.io.items():
            if key.startswith("grad."):
                parameter = ours[_rename(key.removeprefix("grad."), names)]
                if parameter.requires_grad:
                    _close(parameter.grad.reshape(tensor.shape), tensor)

    def _state(self) -> dict[str, Tensor]:
        return {
            key.removeprefix("state."): tensor
            for key, tensor in self.io.items()
            if key.startswith("state.")
        }


@pytest.fixture(scope="session")
def module_reference(shared: Path) -> Callable[[str], ModuleReference]:
    """Return a function from a name, such as ``official_PAM``, to its reference."""

    def load(name: str) -> ModuleReference:
        return ModuleReference(load_file(shared / "references/modules" / f"{name}_io.safetensors"))

    return load


def _rename(key: str, names: Mapping[str, str]) -> str:
    for theirs, ours in names.items():
        if key.startswith(theirs):
            return (ours + key.removeprefix(theirs)).replace(".bn.", ".norm.")
    return key.replace(".bn.", ".norm.")


def _close(ours: Tensor | None, theirs: Tensor) -> None:
    """Compare a gradient of ours with one that was computed in float32."""
    assert ours is not None
    size = max(1.0, float(theirs.abs().max()))
    torch.testing.assert_close(ours.float(), theirs, atol=1e-4 * size, rtol=0)

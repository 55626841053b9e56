"""`Start`: which tensors of a run's network come from where, and the table that says it.

| column | tensors |
| --- | --- |
| taken | as they were |
| resized | first convolutions for other channels; classifiers that lack rows or reorder them |
| in part | classifiers with rows of classes that the source has, and rows that are new |
| new | at random |
| left over | tensors of the source that this network has no place for |

Tensors in part learn at the rate of new ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from rich.table import Table
from torch.optim import Optimizer

from maskzoo.models.network.network import SegmentationNetwork
from maskzoo.models.weights.origin import WeightsOrigin
from maskzoo.training.loggers.display import table_text
from maskzoo.training.starts.classes import ClassMatch

START = "start.json"
_COLUMNS = ("taken", "resized", "in part", "new", "left over")


@dataclass(frozen=True)
class Start:
    """Where the tensors of a network come from.

    Args:
        kind: what they come from.
        origin: its name and content.
        taken, resized, in_part, new, left_over: names of tensors.
        classes: which classes were found by name; None where no classifier was looked at.
    """

    kind: Literal["bundle", "encoder weights"]
    origin: WeightsOrigin
    taken: tuple[str, ...] = ()
    resized: tuple[str, ...] = ()
    in_part: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    left_over: tuple[str, ...] = ()
    classes: ClassMatch | None = None

    @property
    def trained(self) -> frozenset[str]:
        """The tensors that start trained as a whole."""
        return frozenset(self.taken + self.resized)


def start_of_encoder(network: SegmentationNetwork) -> Start | None:
    """Return the start of a network whose encoder alone has trained weights; None without any."""
    encoder = network.encoder
    if encoder.origin is None:
        return None
    own = [f"encoder.body.{name}" for name in encoder.names]
    state = network.state_dict()
    first = [name for name in own if state[name].dim() == 4][:1] if encoder.in_channels != 3 else []
    return Start(
        kind="encoder weights",
        origin=encoder.origin,
        taken=tuple(name for name in own if name not in first),
        resized=tuple(first),
        new=tuple(name for name in state if name not in set(own)),
        left_over=tuple(f"encoder.body.{name}" for name in encoder.left_over),
    )


def start_table(start: Start, network: SegmentationNetwork, optimizer: Optimizer) -> str:
    """Return what came from where as text for a terminal, with the learning rates at their peak."""
    groups = (start.taken, start.resized, start.in_part, start.new, start.left_over)
    rates = {id(p): g["peak_lr"] for g in optimizer.param_groups for p in g["params"]}
    parts = list(dict.fromkeys(name.partition(".")[0] for group in groups for name in group))
    table = Table(title="weights at the start", title_justify="left")
    table.add_column("tensors of")
    for heading in (*_COLUMNS, "learning rate"):
        table.add_column(heading, justify="right")
    for part in sorted(parts, key=_place):
        counts = [sum(name.partition(".")[0] == part for name in group) for group in groups]
        own = [p for name, p in network.named_parameters() if name.partition(".")[0] == part]
        table.add_row(part, *map(str, counts), _rates([rates.get(id(p)) for p in own]))
    told = "" if start.classes is None else f"\n{start.classes.describe()}"
    return f"starts from {start.kind} {start.origin.describe()}\n{table_text(table)}{told}"


def keep_start(run_dir: Path, start: Start) -> None:
    """Record the start in the folder of the run."""
    text = json.dumps(asdict(start), indent=1, ensure_ascii=False)
    (run_dir / START).write_text(text, encoding="utf-8")


def read_start_bundle(run_dir: Path) -> WeightsOrigin | None:
    """Return the bundle that the run in `run_dir` started from; None where it did from none."""
    path = run_dir / START
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return WeightsOrigin(**kept["origin"]) if kept.get("kind") == "bundle" else None


def _place(part: str) -> int:
    order = ("encoder", "neck", "decoder", "refine", "classifier", "redraw")
    return order.index(part) if part in order else len(order)


def _rates(found: Iterable[float | None]) -> str:
    """Return the peak rates of a part's weights; None stands for frozen ones."""
    found = list(found)
    known = sorted({rate for rate in found if rate is not None})
    if not known:
        return "frozen" if found else "-"
    text = f"{known[0]:.2g}" if len(known) == 1 else f"{known[0]:.2g} to {known[-1]:.2g}"
    return text + (", partly frozen" if None in found else "")

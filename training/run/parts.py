"""Records of a run's parts; `training.run.build` builds them.

Types are imported for the type checker only, so this module imports none of the parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from lightning.fabric import Fabric
    from torch.optim import Optimizer

    from maskzoo.models.inference.predictor import Predictor
    from maskzoo.models.network.network import SegmentationNetwork
    from maskzoo.models.preprocessing import Preprocessing
    from maskzoo.training.config.run_config import RunConfig
    from maskzoo.training.data.feed.dataset import SegmentationData
    from maskzoo.training.loggers.display import Display
    from maskzoo.training.loggers.runlog import RunLog
    from maskzoo.training.losses.teacher import Teacher
    from maskzoo.training.planning.lengths import RunLengths
    from maskzoo.training.planning.survey import Survey
    from maskzoo.training.run.checkpoint import RunProgress
    from maskzoo.training.steps.optim import WeightAverage
    from maskzoo.training.steps.step import TrainStep


@dataclass(frozen=True)
class RunContext:
    """The surroundings of a run, independent of its plan.

    Attributes:
        data: the open data set.
        survey: of its training images.
        run_dir: the run's folder.
        fabric: launched, so each rank knows its device.
        display: shows progress; silent on all ranks but the first.
        command: that started the run.
        teacher: adds to the loss; None without one.
    """

    data: SegmentationData
    survey: Survey
    run_dir: Path
    fabric: Fabric
    display: Display
    command: str
    teacher: Teacher | None = None

    def notify(self, line: str) -> None:
        """Show one line to the person."""
        self.display.notify(line)


@dataclass(frozen=True)
class Parts:
    """The parts of a run.

    Attributes:
        config: with every value decided.
        network: the bare network; `step` holds it wrapped by Fabric.
        average: the running mean of its weights, or None.
        predictor: around the network that is validated.
        progress: of the run; advanced by the loop.
        log: None on all ranks but the first.
    """

    context: RunContext
    config: RunConfig
    network: SegmentationNetwork
    optimizer: Optimizer
    average: WeightAverage | None
    step: TrainStep
    predictor: Predictor
    preprocessing: Preprocessing
    progress: RunProgress
    lengths: RunLengths
    log: RunLog | None

    @property
    def evaluated(self) -> SegmentationNetwork:
        """The network that is validated and stored."""
        return self.average.network if self.average else self.network

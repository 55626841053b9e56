"""Settings of distillation: a bundle that teaches the network of the run."""

from __future__ import annotations

from pydantic import model_validator

from maskzoo.training.config.section import NonNegativeFloat, PositiveFloat, Section


class TeacherConfig(Section):
    """A trained network whose answers are added to the loss; without `bundle` there is none."""

    bundle: str | None = None
    """Folder of the teacher's bundle, or name of a shipped one. It takes the same bands and has
    all classes of the data, matched by name."""
    pixels: NonNegativeFloat = 1.0
    """Weight of the divergence from the teacher's probabilities at each pixel."""
    channels: NonNegativeFloat = 0.0
    """Weight of the divergence from where in the image the teacher sees each class."""
    features: NonNegativeFloat = 0.0
    """Weight of the difference between the attention maps of both encoders at strides 8 to 32."""
    images: str | None = None
    """Folder of images without masks, also below it, that the network learns from the teacher's
    answers alone. An epoch crops them as it does those of train."""
    temperature: PositiveFloat = 2.0
    """The logits of `pixels` and `channels` are divided by it; more shows more of the teacher's
    doubts."""

    @model_validator(mode="after")
    def _check(self) -> TeacherConfig:
        if self.bundle is None and self.images is not None:
            raise ValueError("images without masks need a teacher: give teacher.bundle too")
        if self.bundle is not None and not self.pixels + self.channels + self.features:
            raise ValueError("all weights of the teacher are 0: leave it out, or give one a weight")
        return self

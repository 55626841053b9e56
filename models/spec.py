"""`ModelSpec`: the complete description of a network; `PluginSpec`: of a plug-in in it.

The same record is written on the command line, in YAML, in `bundle.json` and in checkpoints.
It does not describe weights: those are in the bundle's tensor file.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from maskzoo.models.errors import SpecError, shown

Scalar = bool | int | float | str | list[int] | list[float] | list[str] | None

_PLUGIN = re.compile(r"(?P<name>[a-z0-9_]+)@(?P<site>[a-z0-9_.*]+)(:(?P<options>.+))?")
_COMMA = re.compile(r",(?![^\[]*\])")  # not the commas of a list


class PluginSpec(BaseModel):
    """One plug-in at one place: `name@site[:option=value,…]`.

    Args:
        name: a key of the table of plug-ins, such as ``cbam``.
        site: where it goes, such as ``encoder.4`` or ``skip.*``.
        options: keyword arguments of the mechanism.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    site: str
    options: dict[str, Scalar] = Field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> PluginSpec:
        """Read ``"cbam@encoder.4:reduction=8"``.

        Raises:
            SpecError: the text does not have this form.
        """
        match = _PLUGIN.fullmatch(text.strip())
        if match is None:
            raise SpecError(
                f"plug-in {text!r}", ["must read name@site[:option=value,…], as cbam@encoder.4"]
            )
        options = {}
        mistakes = []
        for item in filter(None, _COMMA.split(match["options"] or "")):
            key, equals, value = item.partition("=")
            if not equals:
                mistakes.append(f"option {item!r} must read option=value")
            try:
                options[key.strip()] = yaml.safe_load(value)
            except yaml.YAMLError:
                mistakes.append(f"option {item!r} has a value that is not YAML")
        if mistakes:
            raise SpecError(f"plug-in {text!r}", mistakes)
        return cls(name=match["name"], site=match["site"], options=options)

    def __str__(self) -> str:
        options = ",".join(f"{key}={_yaml(value)}" for key, value in self.options.items())
        return f"{self.name}@{self.site}" + (f":{options}" if options else "")


class ModelSpec(BaseModel):
    """Everything needed to build a network, without its weights.

    Args:
        architecture: a key of the table of architectures, such as ``danet``.
        encoder: an smp or timm (``tu-…``) encoder name.
        num_classes: K, the number of logit channels.
        in_channels: channels of the input image.
        output_stride: stride of the encoder's last feature; None takes the architecture's own, or
            32 where the encoder has no other.
        encoder_options: keyword arguments of the encoder's constructor, such as a width.
        options: keyword arguments of the architecture.
        plugins: mechanisms that are put into the network, in order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: str
    encoder: str = "resnet50"
    num_classes: int = Field(ge=1)
    in_channels: int = Field(default=3, ge=1)
    output_stride: Literal[8, 16, 32] | None = None
    encoder_options: dict[str, Scalar] = Field(default_factory=dict)
    options: dict[str, Scalar] = Field(default_factory=dict)
    plugins: tuple[PluginSpec, ...] = ()

    @field_validator("plugins", mode="before")
    @classmethod
    def _read_plugins(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = [value]
        return tuple(PluginSpec.parse(item) if isinstance(item, str) else item for item in value)

    @classmethod
    def build(cls, **fields: Any) -> ModelSpec:
        """Validate `fields`.

        Raises:
            SpecError: lists every mistake, with the value that was given.
        """
        try:
            return cls(**fields)
        except ValidationError as error:
            raise SpecError("model description", describe_mistakes(error)) from None


def describe_mistakes(error: ValidationError) -> list[str]:
    """Return one line for each mistake that pydantic found: place, reason, value given, cut."""
    lines = []
    for item in error.errors():
        place = ".".join(str(part) for part in item["loc"])
        given = "" if item["type"] == "missing" else f", given {shown(item['input'])}"
        lines.append(f"{place or 'value'}: {item['msg']}{given}")
    return lines


def _yaml(value: Scalar) -> str:
    return str(yaml.safe_dump(value, default_flow_style=True)).split("\n", 1)[0]

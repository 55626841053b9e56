"""Configurations in files: presets, YAML, dotted settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from maskzoo.models.errors import SpecError, UnknownNameError
from maskzoo.training.config.overrides import apply_override, merge, mistakes_in
from maskzoo.training.config.settings import TrainConfig

_PRESETS = Path(__file__).parent / "presets"


def list_presets() -> list[str]:
    """Return the names of the presets that come with maskzoo."""
    return sorted(path.stem for path in _PRESETS.glob("*.yaml"))


def load_config(
    overrides: Sequence[str] = (), file: Path | None = None, *, preset: str | None = None
) -> TrainConfig:
    """Read a configuration: defaults, then `preset`, then `file`, then `overrides`.

    Args:
        overrides: dotted settings such as ``"optimizer.lr=1e-3"``; values are YAML.
        file: a YAML file of the same fields.
        preset: a name of `list_presets`.

    Raises:
        SpecError: lists every mistake of all sources.
        UnknownNameError: there is no such preset.
    """
    values: dict[str, Any] = {}
    mistakes: list[str] = []
    if preset is not None:
        if preset not in list_presets():
            raise UnknownNameError("preset", preset, list_presets())
        merge(values, _read_yaml(_PRESETS / f"{preset}.yaml"))
    if file is not None:
        merge(values, _read_yaml(file))
    for override in overrides:
        mistakes += apply_override(values, override)
    try:
        config = TrainConfig.model_validate(values)
    except ValidationError as error:
        mistakes += mistakes_in(error, TrainConfig)
    if mistakes:
        raise SpecError("configuration", mistakes)
    return config


def dump_config(config: TrainConfig) -> str:
    """Return the configuration as YAML that `load_config` reads back to an equal record."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SpecError(f"configuration file {str(path)!r}", [str(error)]) from None
    if not isinstance(values or {}, dict):
        raise SpecError(f"configuration file {str(path)!r}", ["must hold keys and values"])
    return values or {}

"""Provenance of a run: its command line, and the commit of the code."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from maskzoo.models.weights.origin import WeightsOrigin
from maskzoo.training.config.settings import TrainConfig

ENCODER_WEIGHTS = "encoder_weights.json"


def run_command(argv: Sequence[str], data: Path, config: TrainConfig) -> str:
    """Return the command that repeats this run.

    Args:
        argv: of the process, empty if unknown. If it is `maskzoo train …`, that is the command,
            without `--resume`; otherwise the command is written out.
        data: the folder.
        config: as given, before planning; its set values are written out.
    """
    program, *arguments = argv or [""]
    if _is_maskzoo(Path(program)) and arguments[:1] == ["train"]:
        return shlex.join(["maskzoo", *(word for word in arguments if word != "--resume")])
    given = flat_settings(config.model_dump(mode="json", exclude_unset=True))
    settings = [f"{key}={_written(value)}" for key, value in given.items()]
    return shlex.join(["maskzoo", "train", str(data), *settings])


def keep_weights_origin(run_dir: Path, origin: WeightsOrigin) -> None:
    """Record the weights that the encoder started from; a resumed run no longer opens them."""
    (run_dir / ENCODER_WEIGHTS).write_text(json.dumps(asdict(origin), indent=1), encoding="utf-8")


def read_weights_origin(run_dir: Path) -> WeightsOrigin | None:
    """Return the weights that the encoder started from; None for random ones."""
    path = run_dir / ENCODER_WEIGHTS
    if not path.is_file():
        return None
    return WeightsOrigin(**json.loads(path.read_text(encoding="utf-8")))


def without_paths(text: str, sources: Iterable[str | None]) -> str:
    """Return `text` with the paths of files of weights and of bundles replaced by their names."""
    for source in sources:
        if source:
            text = text.replace(source, Path(source).name)
    return text


def resume_command(data: Path, run_dir: Path) -> str:
    """Return the command that resumes a run."""
    return f"maskzoo train {shlex.quote(str(data))} --out {shlex.quote(str(run_dir))} --resume"


def flat_settings(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings with dotted keys; an empty section stays a value."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict) and value:
            flat |= flat_settings(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def code_commit() -> str | None:
    """Return the commit of the running code, with `-dirty` if files have changed since.

    None if the code is not in a checkout of its own.
    """
    here = Path(__file__)
    if _git(here.parent, "ls-files", "--error-unmatch", here.name) is None:
        return None
    commit = _git(here.parent, "rev-parse", "HEAD")
    changed = _git(here.parent, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}-dirty" if commit and changed else commit


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _is_maskzoo(program: Path) -> bool:
    """Return whether a process's program is the command, or `python -m maskzoo`."""
    return program.stem == "maskzoo" or program.parts[-2:] == ("maskzoo", "__main__.py")


def _written(value: Any) -> str:
    """Return a value as YAML on one line; JSON is YAML, plain words need no quotes."""
    return value if isinstance(value, str) else json.dumps(value)

"""A report that is made again is the one that the run wrote; missing data is named."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from maskzoo.models.errors import DataError
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.report.rebuild import rebuild_report
from maskzoo.training.run.fit import TrainResult, train


@pytest.fixture(scope="module")
def result(
    discs: Path, tiny: Callable[..., TrainConfig], tmp_path_factory: pytest.TempPathFactory
) -> TrainResult:
    """A run of a few steps."""
    return train(discs, tiny(), run_dir=tmp_path_factory.mktemp("runs") / "one")


def test_the_report_of_an_old_run_is_made_again(result: TrainResult, discs: Path) -> None:
    path = result.run_dir / "report.html"
    before = path.read_text(encoding="utf-8")
    path.unlink()
    done: list[tuple[int, ...]] = []
    again = rebuild_report(result.run_dir, discs, on_image=lambda *pair: done.append(pair))
    assert again == path
    assert done == [(1, 3), (2, 3), (3, 3)]
    # times and memory differ from one evaluation to the next
    parts = [
        re.sub(r'<h2 id="speed">.*?<h2', "", text, flags=re.DOTALL)
        for text in (before, path.read_text(encoding="utf-8"))
    ]
    assert parts[0] == parts[1]


def test_data_that_the_run_does_not_name_must_be_given(result: TrainResult, tmp_path: Path) -> None:
    moved = tmp_path / "run"
    shutil.copytree(result.run_dir, moved)
    manifest = moved / "bundle" / "bundle.json"
    document = json.loads(manifest.read_text())
    document["provenance"]["command"] = "maskzoo train /nowhere --out x"
    manifest.write_text(json.dumps(document))
    with pytest.raises(DataError, match=r"is not at '/nowhere': name its folder with maskzoo rep"):
        rebuild_report(moved)

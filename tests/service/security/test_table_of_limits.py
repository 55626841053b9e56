"""The table of limits in docs/operating.md is that of the settings and of the code, both ways."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path
from typing import get_args

import pytest

import maskzoo.service
from maskzoo.service.settings import Settings

PAGE = Path(__file__).parents[3] / "docs" / "operating.md"
UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}

NO_LIMITS = {
    "reload_s": "an interval",
    "stall_s": "a word in the log; the load goes on",
    "network_threads": "how many work",
    "image_threads": "how many work",
    "job_threads": "how many work",
    "max_int8_loss": "which engine runs",
    "batch_pixels": "how work is divided",
    "batch_items": "how work is divided",
    "batch_s": "how work is divided",
    "batch_wait_s": "how work is divided",
    "job_keep_s": "how long a result is kept",
    "job_lease_s": "how soon another process takes over",
    "leave_s": "how long before a stop readiness is off",
}
"""Settings that are numbers and refuse nothing."""

NOT_OF_REQUESTS = {
    "service.adapters.label_studio._MOST_NAMES": "words in a message",
    "service.adapters.tensors._MAX_DIGITS": "digits that are read of a length",
    "service.bundles.manager._MOST_FAILURES": "when the wait for a retry stops growing",
    "service.decoding.process.MAX_MESSAGE": "between our own processes",
    "service.decoding.worker.MAX_MESSAGE": "between our own processes",
    "service.fronts.line.MOST_BYTES": "between our own processes",
    "service.fronts.line._MOST_DESCRIPTORS": "between our own processes",
    "service.fronts.line._MOST_MESSAGE": "between our own processes",
    "service.fronts.remote._MOST_RECORDS": "models that a front remembers",
    "service.inputs.bodies._MAX_DIGITS": "digits that are read of a length",
    "service.inputs.json_text._MAX_INTEGER": "what 64 bits hold",
    "service.jobs.records.MAX_ATTEMPTS": "restarts of a job",
    "service.jobs.records.MAX_KILLS": "restarts of a job",
    "service.machine._MOST_IMAGE_THREADS": "how many work",
    "service.machine._MOST_PROCESSES": "how many work",
    "service.scheduling.admission.MAX_LOAD_PX": "the weight of a large image",
    "service.scheduling.admission._MAX_RETRY_S": "of a Retry-After",
    "service.scheduling.pace._MOST_KEYS": "networks and sizes whose speed is remembered",
    "service.scheduling.queueing._MAX_NETWORKS": "networks whose limits are remembered",
    "service.schemas.MOST_IMAGES": "of the setting max_images",
    "service.schemas._MAX_HINTS": "words in a message",
    "service.shapes.polygons.MAX_CORNERS": "the setting max_corners",
    "service.shapes.runs.MAX_RUNS": "the setting max_runs",
}
"""Constants that are named like limits and refuse no request."""


def number(text: str) -> float | None:
    """Read `none`, `32 MiB`, `2^24` or a plain number."""
    if text == "none":
        return None
    value, _, unit = text.partition(" ")
    base, _, power = value.partition("^")
    return float(base) ** int(power or 1) * UNITS.get(unit, 1)


@pytest.fixture(name="rows", scope="module")
def rows_fixture() -> list[list[str]]:
    """The cells of the table."""
    text = PAGE.read_text().partition("## Limits\n")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def names_of(rows: list[list[str]]) -> dict[str, list[str]]:
    return {re.sub(r"[`\- ]", "", row[2]): row for row in rows}


def is_number(setting: str) -> bool:
    kind = Settings.model_fields[setting].annotation
    return bool({int, float} & {kind, *get_args(kind)})


def constants() -> dict[str, object]:
    """Return the constants of the service that are named like limits, by module and name."""
    found = {}
    for module in pkgutil.walk_packages(maskzoo.service.__path__, "maskzoo.service."):
        if ".client" in module.name or ".web" in module.name:
            continue
        path = Path(importlib.util.find_spec(module.name).origin)
        for name in re.findall(
            r"^((?:_?MAX|_?MOST)_[A-Z_]+|SMALL_BODY|FORM_ROOM)\b.* = ", path.read_text(), re.M
        ):
            value = getattr(importlib.import_module(module.name), name)
            found[f"{module.name.removeprefix('maskzoo.')}.{name}"] = value
    assert len(found) > 25
    return found


def test_each_row_is_a_setting_or_a_constant_with_its_default_and_says_what_follows(rows):
    code, settings = constants(), Settings.model_fields
    assert len(rows) == len(names_of(rows)), "a row is there twice"
    for what, most, setting, beyond in rows:
        name = re.sub(r"[`\- ]", "", setting)
        default = code[name] if setting.startswith("-") else settings[name].default
        assert number(most) == default, (what, most, default)
        assert beyond, what
        for status in re.findall(r"\d+", beyond):
            assert status in {"400", "413", "422", "429", "503", "504", "507"}, what


def test_each_setting_that_is_a_number_is_in_the_table_or_refuses_nothing(rows):
    numbers = {name for name in Settings.model_fields if is_number(name)}
    listed = {name for name in names_of(rows) if "." not in name}
    assert numbers - listed == NO_LIMITS.keys(), "a limit without a row, or an old exception"
    assert listed <= numbers


def test_each_constant_that_limits_requests_is_in_the_table(rows):
    listed = {name for name in names_of(rows) if "." in name}
    assert constants().keys() - listed == NOT_OF_REQUESTS.keys()


def test_each_setting_has_a_bound_of_its_own():
    """A limit of 0, or below it, would refuse everything or nothing."""
    for name in filter(is_number, Settings.model_fields):
        bounds = {type(bound).__name__ for bound in Settings.model_fields[name].metadata}
        assert bounds & {"Ge", "Gt"}, name

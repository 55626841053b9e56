"""Parts shared by the benchmarks: facts about the machine, tables, and writing into docs.

A page holds hand-written text, and parts that scripts write between `<!-- NAME -->` and
`<!-- end NAME -->`.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"
_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


def about(*packages: str) -> str:
    """Return date, machine and versions, as one line."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    return (
        f"{datetime.now(UTC):%Y-%m-%d}; {processor()}, {os.cpu_count()} cores; "
        f"Python {platform.python_version()}, {versions}"
    )


def processor() -> str:
    """Return the processor's name with what it has for matrices, as Linux tells it."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.machine()
    lines = dict(line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    named = {key.strip(): value.strip() for key, value in lines.items()}
    flags = set(named.get("flags", "").split())
    found = [flag for flag in _FLAGS if flag in flags]
    return f"{named.get('model name', platform.machine())} ({', '.join(found) or 'no AVX2'})"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; the first column is text, the others are numbers."""
    lines = [f"| {' | '.join(head)} |", "|---" + "|--:" * (len(head) - 1) + "|"]
    lines += [f"| {' | '.join(map(str, row))} |" for row in rows]
    return "\n".join(lines)


def put(path: Path, name: str, text: str) -> None:
    """Put `text` into the part `name` of a page; a page without it gets it at its end."""
    begin, end = f"<!-- {name} -->", f"<!-- end {name} -->"
    page = path.read_text(encoding="utf-8") if path.is_file() else ""
    if begin not in page:
        page = f"{page.rstrip()}\n\n{begin}\n{end}\n".lstrip()
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    path.write_text(f"{before}{begin}\n{text.strip()}\n{end}{after}", encoding="utf-8")

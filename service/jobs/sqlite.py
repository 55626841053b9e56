"""Jobs in an SQLite file: durable, and shared by the processes of one machine.

Each change is one durable transaction (`synchronous=FULL`). A job is claimed under SQLite's write
lock, so no two workers get the same one. The file must be on a local disk: SQLite's locks do not
work on network file systems.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from maskzoo.models.images.decode import ImageInfo
from maskzoo.service.errors import JobLostError
from maskzoo.service.jobs.life import Moment
from maskzoo.service.jobs.records import MAX_ATTEMPTS, MAX_KILLS, JobRecord, JobResult
from maskzoo.service.problems import problem_of
from maskzoo.service.schemas import SegmentOptions

_TYPES = {"float": "REAL", "int": "INTEGER"}
_JSON = ("info", "options", "trace", "error", "result")
_BUSY_S = 30
_COUNT = "SELECT count(*) FROM jobs WHERE state IN ('queued', 'running')"

Execute = Callable[..., sqlite3.Cursor]
"""Runs SQL with its values, in one transaction."""


class SqliteJobStore:
    """A `JobStore` in one file, which is created if missing."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(
            path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
        )
        self._connection.row_factory = sqlite3.Row
        try:
            self._prepare(path)
        except BaseException:
            self.close()
            raise

    def add(self, job: JobRecord, *, max_active: int | None = None) -> bool:
        """Store a job; False if `max_active` jobs wait or run already."""
        values = _to_row(job)
        marks = ", ".join("?" * len(values))
        with self._transaction() as execute:
            if max_active is not None and execute(_COUNT).fetchone()[0] >= max_active:
                return False
            execute(f"INSERT INTO jobs ({', '.join(values)}) VALUES ({marks})", *values.values())
        return True

    def get(self, job_id: str) -> JobRecord | None:
        """Return a job; None if it does not exist."""
        with self._transaction(write=False) as execute:
            row = execute("SELECT * FROM jobs WHERE id = ?", job_id).fetchone()
        return _of_row(row) if row else None

    def claim(
        self,
        worker: str,
        *,
        now: Moment,
        lease_s: float,
        tell_fault: Callable[[str], bool] = lambda worker: True,
        held: Collection[str] = (),
    ) -> JobRecord | None:
        """Give a worker the job that waits longest; those whose lease has expired wait again."""
        with self._transaction() as execute:
            _take_back(execute, now, tell_fault, held)
            # The order of arrival, and not `created`: the clock may have been set back since.
            row = execute("SELECT id FROM jobs WHERE state = 'queued' ORDER BY rowid").fetchone()
            if row is None:
                return None
            execute(
                "UPDATE jobs SET state = 'running', worker = ?, boot = ?, lease = ?, started = ?, "
                "attempts = attempts + 1, done = 0, total = 0 WHERE id = ?",
                worker,
                now.boot,
                now.uptime + lease_s,
                now.time,
                row["id"],
            )
            return _of_row(execute("SELECT * FROM jobs WHERE id = ?", row["id"]).fetchone())

    def renew(self, job: JobRecord, *, done: int, total: int, lease: float) -> bool:
        """Record progress and renew the lease; False if the job is no longer the worker's."""
        return self._update_held(job, "done = ?, total = ?, lease = ?", done, total, lease)

    def finish(
        self,
        job: JobRecord,
        *,
        now: Moment,
        error: Mapping[str, Any] | None = None,
        result: JobResult | None = None,
    ) -> bool:
        """Record the end of a job; False if it is no longer the worker's."""
        state = "done" if error is None else "failed"
        changes = "state = ?, finished = ?, error = ?, result = ?"
        return self._update_held(
            job,
            changes,
            state,
            now.time,
            None if error is None else _dump(error),
            None if result is None else _dump(asdict(result)),
        )

    def give_back(self, job: JobRecord) -> None:
        """Return a job to the queue; the attempt does not count."""
        self._update_held(job, "state = 'queued', worker = '', attempts = attempts - 1")

    def cancel(self, job_id: str, *, now: Moment) -> bool:
        """Cancel a job that has not ended; False if there is none."""
        with self._transaction() as execute:
            done = execute(
                "UPDATE jobs SET state = 'cancelled', finished = ? "
                "WHERE id = ? AND state IN ('queued', 'running')",
                now.time,
                job_id,
            )
        return bool(done.rowcount)

    def count_active(self) -> int:
        """Return the number of jobs that wait or run."""
        with self._transaction(write=False) as execute:
            return int(execute(_COUNT).fetchone()[0])

    def active(self) -> list[JobRecord]:
        """Return the jobs that wait or run."""
        with self._transaction(write=False) as execute:
            sql = "SELECT * FROM jobs WHERE state IN ('queued', 'running')"
            return [_of_row(row) for row in execute(sql).fetchall()]

    def finished_before(self, time: float) -> list[str]:
        """Return the ids of jobs that ended before a time."""
        with self._transaction(write=False) as execute:
            rows = execute("SELECT id FROM jobs WHERE finished < ?", time).fetchall()
        return [row["id"] for row in rows]

    def remove(self, job_id: str) -> None:
        """Delete a job."""
        with self._transaction() as execute:
            execute("DELETE FROM jobs WHERE id = ?", job_id)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _prepare(self, path: Path) -> None:
        """Create the table if it is missing, and check its columns."""
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        columns = ", ".join(_column(field.name, str(field.type)) for field in fields(JobRecord))
        with self._transaction() as execute:
            execute(f"CREATE TABLE IF NOT EXISTS jobs ({columns})")
            execute("CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, created)")
            there = {row["name"] for row in execute("PRAGMA table_info(jobs)")}
        wanted = {field.name for field in fields(JobRecord)}
        if there != wanted:
            raise sqlite3.DatabaseError(
                f"{path} has the columns {sorted(there)} of another version, not {sorted(wanted)}: "
                "let that version finish its jobs, then remove the file"
            )

    def _update_held(self, job: JobRecord, changes: str, *values: object) -> bool:
        """Update a job if its worker still holds it."""
        with self._transaction() as execute:
            done = execute(
                f"UPDATE jobs SET {changes} WHERE id = ? AND state = 'running' AND worker = ?",
                *values,
                job.id,
                job.worker,
            )
        return bool(done.rowcount)

    @contextmanager
    def _transaction(self, *, write: bool = True) -> Iterator[Execute]:
        """Yield a function that executes SQL in one transaction."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                yield lambda sql, *values: self._connection.execute(sql, values)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # a full disk ends it by itself
                    self._connection.execute("ROLLBACK")
                raise


def _column(name: str, kind: str) -> str:
    sql = _TYPES.get(kind.removesuffix(" | None"), "TEXT")
    return f"{name} {sql}" + (" PRIMARY KEY" if name == "id" else "")


def _take_back(
    execute: Execute, now: Moment, tell_fault: Callable[[str], bool], held: Collection[str]
) -> None:
    """Let the jobs of dead workers wait again; give up those that have met too many deaths."""
    lost = execute(
        "SELECT id, request_id, worker, boot, attempts, kills FROM jobs "
        "WHERE state = 'running' AND (boot != ? OR lease < ?)",
        now.boot,
        now.uptime,
    ).fetchall()
    for row in lost:
        if row["id"] in held:
            continue
        is_kill = row["boot"] != now.boot or not tell_fault(row["worker"])
        attempts, kills = row["attempts"] - is_kill, row["kills"] + is_kill
        execute(
            "UPDATE jobs SET state = 'queued', worker = '', attempts = ?, kills = ? WHERE id = ?",
            attempts,
            kills,
            row["id"],
        )
        if attempts >= MAX_ATTEMPTS or kills >= MAX_KILLS:
            problem = problem_of(JobLostError(attempts + kills))
            document = problem.document(path=f"/jobs/{row['id']}", request_id=row["request_id"])
            execute(
                "UPDATE jobs SET state = 'failed', finished = ?, error = ? WHERE id = ?",
                now.time,
                _dump(document),
                row["id"],
            )


def _dump(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)


def _to_row(job: JobRecord) -> dict[str, Any]:
    """Return the columns of a job: records are JSON."""
    return {
        **{field.name: getattr(job, field.name) for field in fields(job)},
        "info": _dump(job.info.to_json()),
        "options": _dump(job.options.model_dump(mode="json", exclude_unset=True)),
        "trace": _dump(job.trace),
        "error": None if job.error is None else _dump(job.error),
        "result": None if job.result is None else _dump(asdict(job.result)),
    }


def _of_row(row: sqlite3.Row) -> JobRecord:
    error, result = row["error"], row["result"]
    return JobRecord(
        **{name: row[name] for name in row.keys() if name not in _JSON},  # noqa: SIM118
        info=ImageInfo(**json.loads(row["info"])),
        options=SegmentOptions.model_validate_json(row["options"]),
        trace=json.loads(row["trace"]),
        error=None if error is None else json.loads(error),
        result=None if result is None else JobResult(**json.loads(result)),
    )

"""The store: each job goes to one worker, and what was accepted is not lost."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from maskzoo.service.jobs.records import MAX_ATTEMPTS, MAX_KILLS
from maskzoo.service.jobs.sqlite import SqliteJobStore
from maskzoo.service.schemas import SegmentOptions
from tests.service.headers import at


@pytest.fixture
def path(tmp_path):
    return tmp_path / "jobs.sqlite"


@pytest.fixture
def store(path):
    store = SqliteJobStore(path)
    yield store
    store.close()


def test_a_job_comes_back_as_it_was_also_from_the_file(store, path, job):
    store.add(job)
    assert store.get("a") == job
    assert SqliteJobStore(path).get("a") == job
    assert store.get("b") is None


def test_the_oldest_waits_shortest_and_each_job_goes_to_one_worker(store, job):
    for name, created in [("a", 2.0), ("b", 1.0)]:  # the clock was set back meanwhile
        store.add(replace(job, id=name, created=created))
    first = store.claim("w1", now=at(100), lease_s=10)
    assert (first.id, first.state, first.worker, first.attempts) == ("a", "running", "w1", 1)
    assert first.started == 100
    assert first.lease == 110
    assert store.claim("w2", now=at(100), lease_s=10).id == "b"
    assert store.claim("w3", now=at(100), lease_s=10) is None
    assert store.count_active() == 2


def test_fifty_jobs_and_eight_workers_of_two_processes(path, job):
    stores = [SqliteJobStore(path), SqliteJobStore(path)]
    for number in range(50):
        stores[0].add(replace(job, id=str(number), created=number))

    def work(worker: int) -> list[str]:
        taken = []
        while held := stores[worker % 2].claim(str(worker), now=at(1), lease_s=10):
            taken.append(held.id)
        return taken

    with ThreadPoolExecutor(8) as pool:
        taken = [held for part in pool.map(work, range(8)) for held in part]
    assert sorted(taken, key=int) == [str(number) for number in range(50)]
    for store in stores:
        store.close()


def test_progress_prolongs_the_lease_of_the_worker_alone(store, result, job):
    store.add(job)
    held = store.claim("w1", now=at(0), lease_s=10)
    assert store.renew(held, done=3, total=12, lease=20)
    assert store.get("a").progress == 0.25
    assert store.claim("w2", now=at(15), lease_s=10) is None
    taken = store.claim("w2", now=at(21), lease_s=10)
    assert (taken.worker, taken.attempts, taken.done, taken.total) == ("w2", 2, 0, 0)
    assert not store.renew(held, done=4, total=12, lease=99)
    assert not store.finish(held, now=at(22), result=result)
    assert store.finish(taken, now=at(22), result=replace(result, file="result.tif"))
    done = store.get("a")
    assert (done.state, done.finished, done.progress) == ("done", 22, 1)
    assert done.result == replace(result, file="result.tif")


def test_a_job_that_takes_processes_down_is_given_up(store, job):
    store.add(job)
    for attempt in range(MAX_ATTEMPTS):
        assert store.claim("w", now=at(100 * attempt), lease_s=10).attempts == attempt + 1
    assert store.claim("w", now=at(1000), lease_s=10) is None
    held = store.get("a")
    assert held.state == "failed"
    assert held.error["detail"] == "3 server processes ended while they worked on this job"
    assert held.error["type"] == "/docs#problem-internal"
    assert (held.error["instance"], held.error["request_id"]) == ("/jobs/a", "r")


def test_options_that_were_not_given_stay_so(store, job):
    store.add(replace(job, options=SegmentOptions(mode="tiled")))
    assert store.get("a").options.model_fields_set == {"mode"}


def test_a_file_of_another_version_is_refused_with_a_way_out(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE jobs (id TEXT PRIMARY KEY, state TEXT, created REAL)")
    with pytest.raises(sqlite3.DatabaseError, match=r"of another version.*then remove the file"):
        SqliteJobStore(path)


def test_a_job_that_is_given_back_waits_again_and_the_attempt_does_not_count(store, job):
    store.add(job)
    store.give_back(store.claim("w", now=at(0), lease_s=10))
    held = store.get("a")
    assert (held.state, held.attempts) == ("queued", 0)


def test_deaths_that_are_not_by_the_job_do_not_count_as_its_own(store, job):
    store.add(job)
    for kill in range(MAX_KILLS - 1):
        held = store.claim("w", now=at(100 * kill), lease_s=10, tell_fault=lambda worker: False)
        assert (held.attempts, held.kills) == (1, kill)
    for attempt in range(2, MAX_ATTEMPTS + 1):
        held = store.claim("w", now=at(5000 + 100 * attempt), lease_s=10)
        assert (held.attempts, held.kills) == (attempt, MAX_KILLS - 2)
    assert store.claim("w", now=at(9000), lease_s=10) is None
    assert store.get("a").state == "failed"


def test_there_is_an_end_to_kills_too(store, job):
    store.add(job)
    for kill in range(MAX_KILLS):
        store.claim("w", now=at(100 * kill), lease_s=10, tell_fault=lambda worker: False)
    assert store.claim("w", now=at(9000), lease_s=10, tell_fault=lambda worker: False) is None
    assert store.get("a").error["detail"].startswith("30 server processes ended")


def test_a_restart_of_the_machine_ends_all_leases_and_is_no_fault_of_a_job(store, job):
    store.add(job)
    store.claim("w", now=at(1e6), lease_s=10)
    held = store.claim("w", now=at(5, boot="second"), lease_s=10)
    assert (held.attempts, held.kills, held.boot, held.lease) == (1, 1, "second", 15)


@pytest.mark.parametrize("jump", [-1e6, 1e6])
def test_leases_do_not_follow_the_time_of_day(store, job, jump):
    store.add(job)
    store.claim("w1", now=at(0), lease_s=10)
    assert store.claim("w2", now=at(10, jumped=jump), lease_s=10) is None
    held = store.claim("w2", now=at(10.1, jumped=jump), lease_s=10)
    assert (held.worker, held.started) == ("w2", 10.1 + jump)


def test_a_cancelled_job_is_its_workers_no_longer(store, job):
    store.add(job)
    held = store.claim("w", now=at(0), lease_s=10)
    assert store.cancel("a", now=at(5))
    assert not store.cancel("a", now=at(6))
    assert not store.cancel("b", now=at(6))
    assert not store.renew(held, done=1, total=2, lease=20)
    assert not store.finish(held, now=at(7), error={"status": 500})
    assert store.get("a").state == "cancelled"
    assert store.count_active() == 0


def test_what_ended_long_ago_is_listed_and_can_be_forgotten(store, job):
    store.add(job)
    store.add(replace(job, id="b"))
    store.cancel("a", now=at(5))
    assert store.finished_before(5) == []
    assert store.finished_before(5.1) == ["a"]
    store.remove("a")
    assert store.get("a") is None
    assert store.get("b") is not None


def test_a_change_that_fails_leaves_nothing_behind(store, job):
    store.add(job)
    with pytest.raises(sqlite3.IntegrityError):
        store.add(job)
    store.add(replace(job, id="b"))
    assert store.count_active() == 2


def test_a_job_whose_worker_is_gone_keeps_its_place_before_those_that_came_later(store, job):
    store.add(replace(job, id="lost"))
    assert store.claim("killed", now=at(1), lease_s=1).id == "lost"
    store.add(replace(job, id="waiting"))
    assert store.claim("w", now=at(100), lease_s=10).id == "lost"
    assert store.claim("w", now=at(100), lease_s=10).id == "waiting"

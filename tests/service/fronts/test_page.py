"""The shared numbers: who has the least work, who is full, and how many bytes are held."""

from __future__ import annotations

import os

import pytest

from maskzoo.service.errors import OverloadedError, OwnerGoneError, StoppedError
from maskzoo.service.fronts.page import Page, SharedBudget
from maskzoo.service.scheduling.admission import MIN_COST_PX, Admission
from maskzoo.service.scheduling.cost import Cost


@pytest.fixture(name="page")
def page_fixture():
    """Two owners and three fronts."""
    page = Page.create(owners=2, fronts=3)
    yield page
    os.close(page.descriptor)


def test_what_one_process_notes_another_reads(page):
    other = Page(page.descriptor, owners=2, fronts=3)
    page.publish(1, Admission(10**6))
    assert other.least_loaded() == 1
    assert other.runs(1)
    assert not other.runs(0)


def test_a_request_goes_to_the_owner_with_the_fewest_pixels_inside(page):
    first, second = Admission(10**9), Admission(10**9)
    with first.admit(Cost(image_pixels=300_000)), second.admit(Cost(image_pixels=200_000)):
        page.publish(0, first)
        page.publish(1, second)
        assert page.least_loaded() == 1
        with second.admit(Cost(image_pixels=200_000)):
            page.publish(1, second)
            assert page.least_loaded() == 0


def test_a_full_owner_is_passed_over_and_all_full_ones_say_when(page):
    full, free = Admission(MIN_COST_PX), Admission(MIN_COST_PX)
    with full.admit(Cost()):
        page.publish(0, full)
        page.publish(1, free)
        assert page.least_loaded() == 1
        page.publish(1, full)
        with pytest.raises(OverloadedError) as caught:
            page.least_loaded()
        assert caught.value.retry_after_s >= 1
        page.forget_owner(1)
        with pytest.raises(OverloadedError):
            page.least_loaded()


def test_owners_that_stop_or_are_gone_are_told_apart(page):
    with pytest.raises(OwnerGoneError):
        page.least_loaded()
    stopping = Admission(10**6)
    stopping.close()
    page.publish(0, stopping)
    with pytest.raises(StoppedError):
        page.least_loaded()
    page.forget_owner(0)
    with pytest.raises(OwnerGoneError):
        page.least_loaded()


def test_all_processes_share_one_budget_of_bytes_and_one_that_ended_holds_none(page):
    first, second, answers = (
        SharedBudget(kind, 1000, page=page, process=process)
        for kind, process in (("bodies", 0), ("bodies", 4), ("answers", 0))
    )
    first.take(600)
    with pytest.raises(OverloadedError):
        second.take(401)
    second.take(400)
    answers.take(1000)
    first.give_back(100)
    second.take(100)
    assert (page.held("bodies"), page.held("answers")) == (1000, 1000)
    page.forget_process(0)
    assert (page.held("bodies"), page.held("answers")) == (500, 0)
    SharedBudget("bodies", 1000, page=page, process=4)  # its successor
    assert page.held("bodies") == 0

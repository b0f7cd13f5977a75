"""Jobs of several threads, done together by one of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from recon.usecases.runs.together import Together


class Work:
    """Doubles numbers; its first call waits to be let go, so that others come meanwhile. It fails with a 13."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __call__(self, jobs: Sequence[int]) -> list[int]:
        self.calls.append(list(jobs))
        self.begun.set()
        assert self.go_on.wait(10)
        if 13 in jobs:
            raise ValueError("13")
        return [2 * job for job in jobs]


@pytest.fixture
def work() -> Work:
    return Work()


def results(work: Work, jobs: list[tuple[int, str, int]], most: int = 100) -> list[int | None]:
    """Of the first job, and of all others, which come in this order while it is being done."""
    together, found = Together[int, int](work, most=most), list[Future[int | None]]()
    with ThreadPoolExecutor(len(jobs)) as pool:
        found.append(pool.submit(together, *jobs[0]))
        assert work.begun.wait(10)
        for number, job in enumerate(jobs[1:], start=1):
            found.append(pool.submit(together, *job))
            wait_until(lambda: len(together._waiting) == number)  # noqa: B023 - asked at once
        work.go_on.set()
        return [each.result(timeout=30) for each in found]


def wait_until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    while not condition():
        pause.wait(0.001)


def test_who_waits_is_done_together_in_the_order_of_coming(work):
    assert results(work, [(number, "a", 1) for number in range(1, 6)]) == [2, 4, 6, 8, 10]
    assert work.calls == [[1], [2, 3, 4, 5]]


def test_who_comes_alone_need_not_wait(work):
    work.go_on.set()
    together = Together[int, int](work, most=1, patience=60)
    assert [together(number, "a", 5) for number in (1, 2)] == [2, 4]
    assert work.calls == [[1], [2]]


def test_who_came_before_is_waited_for(work):
    """The second waits until the first is back with its next job, and both are done together."""
    together = Together[int, int](work, most=100, patience=10)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(lambda: [together(1, "a", 1), together(3, "a", 1)])
        assert work.begun.wait(10)
        second = pool.submit(together, 2, "a", 1)
        wait_until(lambda: len(together._waiting) == 1)
        work.go_on.set()
        assert (first.result(timeout=30), second.result(timeout=30)) == ([2, 6], 4)
    assert work.calls == [[1], [2, 3]]


def test_who_does_not_come_back_is_not_waited_for_long(work):
    assert results(work, [(1, "a", 1), (2, "a", 1)]) == [2, 4]
    assert work.calls == [[1], [2]]


def test_kinds_are_not_mixed_and_nobody_is_left_behind(work):
    jobs = [(1, "a", 1), (2, "b", 1), (3, "a", 1), (4, "b", 1), (5, "c", 1)]
    assert results(work, jobs) == [2, 4, 6, 8, 10]
    assert work.calls == [[1], [2, 4], [3], [5]]


def test_no_more_are_taken_than_there_is_room_for(work):
    jobs = [(1, "a", 1), (2, "a", 60), (3, "a", 50), (4, "a", 40), (5, "a", 200)]
    assert results(work, jobs) == [2, 4, 6, 8, 10]
    assert work.calls == [[1], [2, 4], [3], [5]]


def test_if_one_fails_each_is_told_to_do_its_own_and_the_next_go_on(work):
    jobs = [(1, "a", 1), (2, "a", 1), (13, "a", 1), (4, "b", 1)]
    assert results(work, jobs) == [2, None, None, 8]
    assert work.calls == [[1], [2, 13], [4]]


@pytest.mark.parametrize("comes", [True, False])
def test_who_is_on_the_way_is_waited_for_unless_it_turns_back(work, comes):
    together = Together[int, int](work, most=100, patience=10)
    on_the_way, arrive = threading.Event(), threading.Event()

    def late() -> int | None:
        with together.on_the_way():
            on_the_way.set()
            assert arrive.wait(10)
            return together(4, "a", 1) if comes else None

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(lambda: [together(1, "a", 1), together(3, "a", 1)])
        assert work.begun.wait(10)
        second, third = pool.submit(together, 2, "a", 1), pool.submit(late)
        wait_until(lambda: len(together._waiting) == 1 and on_the_way.is_set())
        work.go_on.set()
        wait_until(lambda: len(together._waiting) == 2 or len(work.calls) > 1)
        arrive.set()
        assert (first.result(timeout=30), second.result(timeout=30)) == ([2, 6], 4)
        assert third.result(timeout=30) == (8 if comes else None)
    assert work.calls == [[1], [2, 3, 4] if comes else [2, 3]]

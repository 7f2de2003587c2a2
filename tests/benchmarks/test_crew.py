"""Threads that do the same at once: each its share, and no failure is lost."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import pytest

from benchmarks.crew import REQUESTS, Crew, subject
from benchmarks.target import Target


def test_each_thread_does_its_share_in_every_call() -> None:
    who: list[int] = []

    def work() -> str:
        who.append(threading.get_ident())
        return "done"

    crew = Crew(work, 4)
    try:
        assert [crew.call(), crew.call()] == ["done", "done"]
    finally:
        crew.close()

    assert [who.count(thread) for thread in set(who)] == [REQUESTS // 4 * 2] * 4


def test_what_one_of_them_raises_is_raised_and_the_next_call_works() -> None:
    failures = [ValueError("once")]

    def work() -> None:
        if failures:
            raise failures.pop()

    crew = Crew(work, 2)
    try:
        with pytest.raises(ValueError, match="once"):
            crew.call()
        crew.call()
    finally:
        crew.close()


def test_a_crew_ends_in_the_middle_of_a_call_too() -> None:
    before = threading.active_count()
    crew = Crew(lambda: None, 8)
    for thread in range(8):
        assert threading.active_count() >= before + 8 - thread

    crew.close()

    assert threading.active_count() == before


def test_one_thread_is_the_caller_itself() -> None:
    with ExitStack() as stack:
        alone = subject("alone", threading.get_ident, Target(""), stack)

        assert (alone.batch, alone.call()) == (1, threading.get_ident())

"""What a traversal takes next: each key once, so many of a host at a time, and within bounds."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepwalker.links._frontier import Frontier, Numbered


def frontier(
    *, per_host: int = 10, most: int | None = None, ahead: int | None = None
) -> Frontier[str]:
    return Frontier(per_host=per_host, most=most, ahead=ahead)


def filled(made: Frontier[str], *names: str) -> Frontier[str]:
    """With tasks named by their host's letter and a number, such as ``a1``."""
    for name in names:
        assert made.add(name, name[0], name)
    return made


def taken(made: Frontier[str]) -> Numbered[str]:
    found = made.take()
    assert found is not None
    return found


def test_a_key_is_accepted_once() -> None:
    made = filled(frontier(), "a1")

    assert not made.add("a1", "a", "again")
    assert not made.add("a1", "b", "elsewhere")
    assert (made.accepted, made.waiting, made.left_out) == (1, 1, 0)


def test_a_key_that_was_asked_for_is_known_from_then_on() -> None:
    made = frontier()

    assert [made.knows("a1"), made.knows("a1")] == [False, True]
    assert not made.add("a1", "a", "a1")
    assert made.accepted == 0


def test_hosts_take_turns() -> None:
    made = filled(frontier(), "a1", "a2", "a3", "b1", "c1", "c2")

    assert [taken(made).task for _ in range(6)] == ["a1", "b1", "c1", "a2", "c2", "a3"]
    assert made.take() is None


def test_no_more_of_a_host_are_out_than_may_be() -> None:
    made = filled(frontier(per_host=2), "a1", "a2", "a3", "a4", "b1")
    first, other, second = taken(made), taken(made), taken(made)

    assert (first.task, other.task, second.task) == ("a1", "b1", "a2")
    assert made.take() is None
    made.done(second)
    assert taken(made).task == "a3"
    assert made.take() is None
    made.done(first)
    assert taken(made).task == "a4"
    assert (made.out, made.waiting) == (3, 0)


def test_what_comes_to_a_host_that_is_full_waits_until_it_is_not() -> None:
    made = filled(frontier(per_host=1), "a1")
    out = taken(made)
    filled(made, "a2")

    assert made.take() is None
    made.done(out)
    assert taken(made).task == "a2"


def test_what_is_too_many_is_left_out_and_what_is_known_is_not_counted_among_it() -> None:
    made = filled(frontier(most=2), "a1", "a2")

    assert not made.add("a3", "a", "a3")
    assert not made.add("a1", "a", "a1")
    assert not made.add("a3", "a", "a3")
    assert (made.accepted, made.waiting, made.left_out) == (2, 2, 2)


def test_in_order_nothing_is_taken_that_is_too_far_ahead() -> None:
    made = filled(frontier(ahead=2), "a1", "b1", "c1", "a2")

    assert [taken(made).task, taken(made).task] == ["a1", "b1"]
    assert made.take() is None
    made.delivered = 1
    assert taken(made).task == "c1"
    assert made.take() is None
    made.delivered = 2
    assert taken(made).task == "a2"


def test_a_host_that_is_too_far_ahead_does_not_keep_others_waiting() -> None:
    made = filled(frontier(ahead=3, per_host=1), "a1", "a2", "b1", "b2")
    first = taken(made)
    assert taken(made).task == "b1"
    made.done(first)

    assert taken(made).task == "a2"
    assert made.take() is None


def test_what_is_dropped_is_left_out() -> None:
    made = filled(frontier(), "a1", "a2", "b1")
    out = taken(made)

    made.drop()

    assert (made.waiting, made.left_out, made.out) == (0, 2, 1)
    assert not made.is_over
    assert made.take() is None
    made.done(out)
    assert made.is_over


def test_it_is_over_when_nothing_is_pending_nor_out() -> None:
    made = frontier()
    assert made.is_over
    filled(made, "a1")
    assert not made.is_over
    out = taken(made)
    assert not made.is_over
    made.done(out)
    assert made.is_over


@pytest.mark.parametrize("key", ["", "ü", "\ud800", "x" * 100_000])
def test_any_text_is_a_key(key: str) -> None:
    made = frontier()

    assert made.add(key, "host", key)
    assert not made.add(key, "host", key)


@given(
    hosts=st.lists(st.integers(0, 4), min_size=1, max_size=60),
    per_host=st.integers(1, 3),
    ahead=st.none() | st.integers(1, 5),
    most=st.none() | st.integers(1, 30),
    seed=st.integers(0, 2**32),
)
def test_whatever_the_order_each_task_is_taken_once_and_no_bound_is_passed(
    hosts: list[int], per_host: int, ahead: int | None, most: int | None, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - an order, no secret
    made: Frontier[int] = Frontier(per_host=per_host, most=most, ahead=ahead)
    pending = list(enumerate(hosts))
    out: list[Numbered[int]] = []
    done: set[int] = set()
    seen: list[int] = []
    while pending or not made.is_over:
        action = chance.randrange(3)
        if action == 0 and pending:
            number, host = pending.pop(0)
            made.add(str(number), host, number)
        elif action == 1 and out:
            finished = out.pop(chance.randrange(len(out)))
            made.done(finished)
            done.add(finished.number)
            while made.delivered in done:
                made.delivered += 1
        elif (one := made.take()) is not None:
            assert ahead is None or one.number < made.delivered + ahead
            out.append(one)
            seen.append(one.task)
        else:
            # What is next in order may always be taken, unless its host is full.
            assert out or not made.waiting
        assert all(count <= per_host for count in Counter(one.host for one in out).values())
        assert made.out == len(out)

    accepted = min(len(hosts), len(hosts) if most is None else most)
    assert sorted(seen) == list(range(accepted))
    assert made.left_out == len(hosts) - accepted

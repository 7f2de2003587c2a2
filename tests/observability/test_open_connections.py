"""What is told of connections without a lock is added up without a mistake."""

from __future__ import annotations

import sys
import threading
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from sleepwalker.observability.open_connections import MUCH, OpenConnection, OpenConnections
from tests.interrupting import Interrupter

SERIES: Final = ("https://host.example", "none")
STEPS: Final = {
    "active": OpenConnection.active,
    "idle": OpenConnection.idle,
    "closed": OpenConnection.closed,
}


def counted(connections: OpenConnections) -> tuple[int, int]:
    """Give what is active and idle in the one pool."""
    found = dict(connections.add_up())
    return found.get(SERIES, (0, 0))


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(sorted(STEPS)))))
def test_the_sums_are_those_of_the_states(steps: list[tuple[int, str]]) -> None:
    connections = OpenConnections()
    opened = [connections.opened(SERIES) for _ in range(5)]
    states = ["active"] * 5
    for which, step in steps:
        STEPS[step](opened[which])
        if states[which] != "closed":
            states[which] = step

    assert counted(connections) == (states.count("active"), states.count("idle"))


def test_one_that_is_dropped_is_closed() -> None:
    connections = OpenConnections()
    connections.opened(SERIES)

    assert counted(connections) == (0, 0)


def test_nothing_changed_is_nothing_to_tell() -> None:
    connections = OpenConnections()
    one = connections.opened(SERIES)
    assert counted(connections) == (1, 0)
    one.active()

    assert list(connections.add_up()) == []


def test_what_a_parent_opened_counts_nothing_in_its_child() -> None:
    connections = OpenConnections()
    parents = connections.opened(SERIES)
    assert counted(connections) == (1, 0)

    assert connections.forget() == [SERIES]
    parents.closed()
    own = connections.opened(SERIES)

    assert counted(connections) == (1, 0)
    own.closed()
    assert counted(connections) == (0, 0)


def test_an_interrupt_at_any_moment_makes_no_mistake() -> None:
    interrupted = 0
    for number in range(1, 100):
        interrupter = Interrupter(number, ("/open_connections.py",))
        connections = OpenConnections()
        one = None
        sys.setprofile(interrupter)
        try:
            one = connections.opened(SERIES)
            one.idle()
            one.active()
        except KeyboardInterrupt:
            interrupted += 1
        finally:
            sys.setprofile(None)
        states = (1, 0) if one is not None else (0, 0)
        one_is_idle = one is not None and one._state == "idle"  # noqa: SLF001 - as far as it came

        assert counted(connections) == ((0, 1) if one_is_idle else states)
        del one
        assert counted(connections) == (0, 0)
        if not interrupter.came:
            break

    assert interrupted > 5


def test_threads_lose_nothing() -> None:
    connections = OpenConnections()

    def use() -> None:
        for _ in range(500):
            one = connections.opened(SERIES)
            one.idle()
            one.active()
            one.closed()

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert connections.much
    assert counted(connections) == (0, 0)
    assert not connections.much


def test_much_is_known_before_it_is_too_much() -> None:
    connections = OpenConnections()
    one = connections.opened(SERIES)
    for _ in range(MUCH // 2):
        one.idle()
        one.active()

    assert connections.much

"""Rounds take turns, and count what they measure."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from benchmarks.measuring import WARMUP, Cost, Subject, block, interleaved

if TYPE_CHECKING:
    from collections.abc import Callable


def recorder(names: str, calls: list[str]) -> list[Subject]:
    def calling(name: str) -> Callable[[], None]:
        return lambda: calls.append(name)

    return [Subject(name, calling(name)) for name in names]


def test_a_block_calls_as_often_as_it_was_told_after_a_warm_up() -> None:
    calls: list[str] = []
    [subject] = recorder("a", calls)

    cost = block(subject, 7)

    assert len(calls) == WARMUP + 7
    assert min(cost) > 0


def test_a_batch_counts_as_the_operations_that_it_holds() -> None:
    calls: list[str] = []
    subject = Subject("a", lambda: calls.append("a"), batch=10)

    block(subject, 30)
    assert len(calls) == WARMUP + 3

    calls.clear()
    block(subject, 9)
    assert len(calls) == WARMUP + 1


def test_what_is_left_for_later_is_finished_before_and_within_the_block() -> None:
    events: list[str] = []
    subject = Subject("a", lambda: events.append("call"), settle=lambda: events.append("settle"))

    block(subject, 2)

    assert events == ["call"] * WARMUP + ["settle"] + ["call"] * 2 + ["settle"]


def test_each_round_measures_every_subject_once_in_an_order_of_its_own() -> None:
    calls: list[str] = []
    begun: list[int] = []

    rounds = interleaved(
        recorder("abc", calls), rounds=20, operations=1, seed=1, begun=begun.append
    )

    each = WARMUP + 1
    orders = ["".join(calls[i : i + 3 * each : each]) for i in range(0, len(calls), 3 * each)]
    assert begun == list(range(1, 21))
    assert len(orders) == 20
    assert {"".join(sorted(order)) for order in orders} == {"abc"}
    assert len(set(orders)) > 1
    assert {name: len(costs) for name, costs in rounds.items()} == {"a": 20, "b": 20, "c": 20}
    assert all(isinstance(cost, Cost) for costs in rounds.values() for cost in costs)


def test_the_same_seed_gives_the_same_order() -> None:
    def order(seed: int) -> list[str]:
        calls: list[str] = []
        interleaved(recorder("abcdef", calls), rounds=3, operations=1, seed=seed)
        return calls

    assert order(5) == order(5)
    assert order(5) != order(6)


def test_the_garbage_collector_is_left_as_it_was() -> None:
    frozen = gc.get_freeze_count()

    interleaved(recorder("a", []), rounds=1, operations=1, seed=0)

    assert gc.isenabled()
    assert gc.get_freeze_count() == frozen

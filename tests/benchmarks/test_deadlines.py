"""The benchmark of deadlines: what it measures is there, and who overshoots is told so."""

from __future__ import annotations

import socket

import pytest

from benchmarks import deadlines
from benchmarks.deadlines import CALLERS, CAP, LIMIT, SECONDS, Overshoot, measured
from tests.standstill import Standstill


def test_each_subject_meets_each_server_and_a_trickle_tells_them_apart() -> None:
    look_up = socket.getaddrinfo
    told: list[int] = []

    for _ in range(3):
        told.clear()
        with Standstill() as machine:
            found = measured(list(CALLERS), rounds=1, seed=0, begun=told.append)
        # Where the machine stands still, a timeout ends what only trickles.
        if machine.longest < SECONDS / 2:
            break

    assert told == [1]
    assert {(each.scenario, each.subject) for each in found} == {
        (scenario, name)
        for scenario in (
            "trickled body",
            "stalled handshake",
            "stalled CONNECT",
            "3 dead addresses",
        )
        for name in CALLERS
    }
    trickled = {each.subject: each for each in found if each.scenario == "trickled body"}
    # Whoever has only a timeout goes on until the server gives up.
    assert trickled["requests-timeout"].worst > CAP - SECONDS - 0.1
    assert trickled["httpx-timeout"].worst > CAP - SECONDS - 0.1
    assert trickled["sleepwalker-deadline"].worst < (CAP - SECONDS) / 2
    assert socket.getaddrinfo is look_up


def test_no_more_rounds_are_made_than_are_worth_waiting_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[int] = []
    monkeypatch.setattr(deadlines, "overshoot", lambda *_: 0.25)

    found = measured(["httpx-timeout"], rounds=60, seed=0, begun=told.append)

    assert told == list(range(1, deadlines.MOST_ROUNDS + 1))
    assert {(each.median, each.worst, each.met) for each in found} == {(0.25, 0.25, False)}


@pytest.mark.parametrize(("worst", "met"), [(0.0, True), (LIMIT, True), (LIMIT + 0.001, False)])
def test_the_worst_decides(worst: float, *, met: bool) -> None:
    assert Overshoot("server", "client", 0.0, worst).met is met

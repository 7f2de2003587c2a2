"""A stampede's budgets are judged by the worst count and by every round's time."""

from __future__ import annotations

import argparse

import pytest

from benchmarks import stampede
from benchmarks.conditions import ConditionsError
from benchmarks.stampede import THREADS, Stampede
from benchmarks.stampedes import NAME, findings


def test_the_most_calls_and_the_median_time_are_what_is_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = [Stampede(1, 0.1), Stampede(THREADS, 0.2), Stampede(2, 0.1), Stampede(THREADS, 0.4)]
    monkeypatch.setattr(stampede, "run", lambda _: told.pop(0))

    figures = findings([NAME], argparse.Namespace(rounds=2)).figures

    assert figures["stampede.one-key"].median == 2
    assert figures["stampede.many-keys"].median == pytest.approx(0.3)


def test_many_keys_that_are_not_as_many_calls_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stampede, "run", lambda _: Stampede(1, 0.1))

    with pytest.raises(ConditionsError, match="64 keys took 1 calls of the hook"):
        findings([NAME], argparse.Namespace(rounds=1))

"""Very many pools, in small: every figure is there, and of what it says."""

from __future__ import annotations

import argparse
import subprocess

import pytest

from benchmarks import many_pools
from benchmarks.conditions import ConditionsError
from benchmarks.many_pools import findings, keys
from benchmarks.ratios import verdicts

POOLS = 200


def test_the_keys_that_are_looked_up_are_equal_and_not_the_same() -> None:
    [held], [asked] = keys(1), keys(1)

    assert held == asked
    assert held[0] is not asked[0]
    assert held[1] is not asked[1]


def test_the_budgets_of_pools_are_judged_by_what_the_processes_tell() -> None:
    found = findings([many_pools.NAME], argparse.Namespace(pools=POOLS, rounds=1, seed=0))

    [table] = found.tables
    judged = {v.budget.name for v in verdicts([table.rounds], found.figures) if v.met is not None}
    assert judged == {
        "pools.before",
        "pools.after",
        "pools.hot",
        "pools.random",
        "pools.pruning",
    }


def test_a_pool_that_is_not_pruned_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = argparse.Namespace(pools=POOLS, rounds=1, seed=0)
    told = b'{"before": 1.0, "pruning": 1.0, "pruned": 199, "costs": {}, "connections": 200}'
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: argparse.Namespace(stdout=told))

    with pytest.raises(ConditionsError, match="199 pools pruned"):
        findings([many_pools.NAME], settings)

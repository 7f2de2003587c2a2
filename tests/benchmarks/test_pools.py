"""Very many pools, stampedes and bytes can be measured, and what is told of them adds up."""

from __future__ import annotations

import json
import tracemalloc
from typing import TYPE_CHECKING

from benchmarks import memory, pools, stampede

if TYPE_CHECKING:
    import pytest


def test_pools_are_found_and_pruned(capsys: pytest.CaptureFixture[str]) -> None:
    assert pools.main(["--pools", "20", "--rounds", "2"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert told["pools"] == 20
    assert set(told["ns"]) == {"few", "hot", "random", "dict, hot", "dict, random"}
    assert all(ratio > 0 for ratio in told["ratios"].values())


def test_a_stampede_is_one_establishment_for_each_key() -> None:
    for keys in (1, 4):
        found = stampede.run(keys, threads=8)
        assert found.calls == keys
        assert found.seconds >= stampede.HOOK_SECONDS / 2


def test_a_connection_keeps_to_its_bytes_before_its_first_request() -> None:
    try:
        found = memory.measured(50, memory.allocated)
    finally:
        tracemalloc.stop()

    assert found.before / 1024 <= memory.BEFORE
    assert found.before < found.after

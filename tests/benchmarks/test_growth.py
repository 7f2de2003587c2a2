"""What a process has after many requests: told by intervals, judged by the last and the first."""

from __future__ import annotations

import argparse

from benchmarks.budgets import named
from benchmarks.growth import INTERVALS, Sample, figures, findings
from benchmarks.process import MIB


def test_a_process_of_its_own_tells_every_interval() -> None:
    found = findings(["memory"], argparse.Namespace(million=200))

    assert [sample.requests for sample in found.memory] == [*range(20, 201, 20)]
    assert len(found.memory) == INTERVALS
    assert {sample.cycles for sample in found.memory[1:]} == {0}
    assert {sample.files for sample in found.memory} == {found.memory[0].files}
    assert min(sample.resident for sample in found.memory) > MIB


def test_growth_is_what_the_last_has_more_than_the_first() -> None:
    samples = [
        Sample(100, 50 * MIB, 200_000, 0, 7),
        Sample(200, 90 * MIB, 300_000, 0, 9),
        Sample(300, 53 * MIB, 200_500, 0, 8),
    ]

    grown = {name: spread.median for name, spread in figures(samples).items()}

    assert grown == {"memory.resident": 3.0, "memory.blocks": 500.0, "memory.files": 1.0}
    assert [named(name).met(value) for name, value in grown.items()] == [False, True, False]

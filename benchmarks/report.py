"""Tells what was measured: as a table for people, as JSON for programs.

Rules:

1. Times are per operation. Each figure is a median over the rounds, with the quartiles behind it
   where a decision hangs on it.
2. Nothing tells whose machine it was: no host names, no paths.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

from benchmarks.budgets import TIMES, described, figure
from benchmarks.deadlines import CAP, LIMIT, SECONDS
from benchmarks.process import MIB
from benchmarks.ratios import added, cost, ratio, verdicts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.budgets import Clock
    from benchmarks.deadlines import Overshoot
    from benchmarks.growth import Sample
    from benchmarks.ratios import Spread, Verdict
    from benchmarks.tables import Findings, Table

CLOCKS: tuple[Clock, ...] = ("process", "thread", "wall")


@dataclass(frozen=True)
class Report:
    """One run.

    :ivar settings: the options of the run
    :ivar machine: what it ran on
    :ivar versions: of what was compared
    :ivar findings: what was measured
    """

    settings: dict[str, Any]
    machine: dict[str, str | int]
    versions: dict[str, str]
    findings: Findings

    @property
    def verdicts(self) -> list[Verdict]:
        """Every budget, and what was measured of it."""
        judged = [table.rounds for table in self.findings.tables if table.judged]
        return verdicts(judged, self.findings.figures)

    def text(self) -> str:
        """Tell it to people."""
        parts = [
            listed(self.machine | self.settings),
            listed(self.versions),
            *(text_of(table) for table in self.findings.tables),
            *([_late(self.findings.late)] if self.findings.late else []),
            *([_memory(self.findings.memory)] if self.findings.memory else []),
            "budgets (CPU of the process, or time; medians of the rounds' ratios, and their "
            "quartiles)\n" + aligned([_told(verdict) for verdict in self.verdicts]),
            *(f"left out: {name}: {why}" for name, why in self.findings.left_out.items()),
        ]
        return "\n\n".join(parts)

    def data(self, *, rounds: bool = True) -> dict[str, Any]:
        """Tell it to programs; times in seconds.

        :param rounds: whether to tell every round's costs, beside what is made of them
        """
        return {
            "settings": self.settings,
            "machine": self.machine,
            "versions": self.versions,
            "tables": [data_of(table, rounds=rounds) for table in self.findings.tables],
            "budgets": [
                {
                    **described(verdict.budget),
                    "measured": _spread(verdict.measured),
                    "met": verdict.met,
                }
                for verdict in self.verdicts
            ],
            "deadlines": {
                "seconds": SECONDS,
                "cap": CAP,
                "limit": LIMIT,
                "overshoots": [
                    {**found._asdict(), "met": found.met} for found in self.findings.late
                ],
            },
            "memory": [sample._asdict() for sample in self.findings.memory],
            "left out": self.findings.left_out,
        }


def _late(late: Sequence[Overshoot]) -> str:
    rows = [["server", "client", "median ms", "worst ms", f"worst ≤ {LIMIT * 1e3:.0f} ms"]]
    for found in late:
        times = (f"{seconds * 1e3:.1f}" for seconds in (found.median, found.worst))
        rows.append([found.scenario, found.subject, *times, "met" if found.met else "missed"])
    return (
        f"overshoot of calls that were given {SECONDS:g} s (servers give up after {CAP:g} s; "
        f"the budget is Sleepwalker's)\n{aligned(rows)}"
    )


def _memory(samples: Sequence[Sample]) -> str:
    rows = [["requests", "resident MiB", "blocks", "in cycles", "open files"]]
    for found in samples:
        rows.append([f"{found.requests:,}", f"{found.resident / MIB:.1f}"])
        rows[-1] += [f"{number:,}" for number in (found.blocks, found.cycles, found.files)]
    return aligned(rows)


def text_of(table: Table) -> str:
    """Tell of one table to people."""
    unit, per_second = table.unit
    heads = [
        table.operation,
        *([table.rate] if table.rate else []),
        *(f"{name} {unit}" for name in ("CPU", "thread", "wall")),
        *(f"CPU {TIMES} {baseline}" for baseline in table.baselines),
        *(f"wall {TIMES} {baseline}" for baseline in table.timed),
        *([f"adds {unit}"] if table.plain else []),
    ]
    rows = [heads]
    for name in table.rounds:
        times = (cost(table.rounds, name, clock).median * per_second for clock in CLOCKS)
        ratios = [ratio(table.rounds, name, baseline, "process") for baseline in table.baselines]
        ratios += [ratio(table.rounds, name, baseline, "wall") for baseline in table.timed]
        row = [
            name,
            *([f"{1 / cost(table.rounds, name, 'wall').median:.0f}"] if table.rate else []),
        ]
        row += [*(f"{time:.1f}" for time in times), *(shown(found) for found in ratios)]
        if table.plain:
            row.append(shown(adds(table, name), 1, per_second))
        rows.append(row)
    return aligned(rows)


def adds(table: Table, name: str) -> Spread | None:
    """The seconds of CPU that a subject adds; `None` where that is no question."""
    if table.plain is None or name in {table.plain, *table.baselines}:
        return None
    return added(table.rounds, name, table.plain, "process")


def _told(verdict: Verdict) -> list[str]:
    budget, met = verdict.budget, verdict.met
    return [
        budget.what,
        str(budget),
        _judged(verdict),
        "not measured" if met is None else "met" if met else "missed",
    ]


def _judged(verdict: Verdict) -> str:
    """What is judged, and the quartiles around it where there are any."""
    unit, measured = verdict.budget.unit, verdict.measured
    if measured is None:
        return "-"
    if measured.low == measured.high:
        return figure(measured.median, unit)
    median, low, high = (figure(each, unit).removesuffix(f" {unit}") for each in measured)
    return f"{median} ({low}-{high}) {unit}"


def shown(spread: Spread | None, digits: int = 2, times: float = 1.0) -> str:
    """A median and its quartiles, all so many times what they are."""
    if spread is None:
        return "-"
    median, low, high = (f"{value * times:.{digits}f}" for value in spread)
    return f"{median} ({low} to {high})" if spread.low < 0 else f"{median} ({low}-{high})"


def listed(facts: Mapping[str, Any]) -> str:
    """Facts in one line."""
    return ", ".join(f"{name} {value}" for name, value in facts.items())


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns of one width each: the first to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def data_of(table: Table, *, rounds: bool = True) -> dict[str, Any]:
    """Tell of one table to programs; times in seconds."""
    return {
        "part": table.part,
        "operation": table.operation,
        "operations": table.operations,
        "subjects": {
            name: {
                **({"rounds": [found._asdict() for found in costs]} if rounds else {}),
                **{clock: _spread(cost(table.rounds, name, clock)) for clock in CLOCKS},
                "ratios": {
                    baseline: {
                        clock: _spread(ratio(table.rounds, name, baseline, clock))
                        for clock in CLOCKS
                    }
                    for baseline in table.baselines
                },
                **({"adds": _spread(adds(table, name))} if table.plain else {}),
            }
            for name, costs in table.rounds.items()
        },
    }


def _spread(spread: Spread | None) -> dict[str, float | None] | None:
    if spread is None:
        return None
    # JSON has no infinity: what never happened is told as nothing.
    return {name: value if isfinite(value) else None for name, value in spread._asdict().items()}

"""Tells what was measured: as a table for people, as JSON for programs.

Rules:

1. Times are per operation. Each figure is a median over the rounds, with the quartiles behind it
   where a decision hangs on it.
2. Nothing tells whose machine it was: no host names, no paths.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.deadlines import CAP, LIMIT, SECONDS
from benchmarks.ratios import cost, ratio, verdicts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.deadlines import Overshoot
    from benchmarks.measuring import Rounds
    from benchmarks.ratios import Clock, Spread, Verdict

TIMES = "×"  # noqa: RUF001 - the sign that it is
CLOCKS: tuple[Clock, ...] = ("process", "thread", "wall")


@dataclass(frozen=True)
class Table:
    """The subjects of one operation.

    :ivar operation: what they all do
    :ivar operations: how often in a round
    :ivar unit: of time, and how many of it are a second
    :ivar baselines: the subjects that the others are told as multiples of
    :ivar rounds: what was measured
    """

    operation: str
    operations: int
    unit: tuple[str, float]
    baselines: tuple[str, ...]
    rounds: Rounds


@dataclass(frozen=True)
class Report:
    """One run.

    :ivar settings: the options of the run
    :ivar machine: what it ran on
    :ivar versions: of what was compared
    :ivar tables: what was measured
    :ivar late: by how much calls overshot their deadline
    """

    settings: dict[str, Any]
    machine: dict[str, str | int]
    versions: dict[str, str]
    tables: list[Table]
    late: list[Overshoot] = field(default_factory=list)

    @property
    def verdicts(self) -> list[Verdict]:
        """Every budget, and what was measured of it."""
        merged: Rounds = {}
        for table in self.tables:
            merged |= table.rounds
        return verdicts(merged)

    def text(self) -> str:
        """Tell it to people."""
        parts = [
            _listed(self.machine | self.settings),
            _listed(self.versions),
            *(_text_of(table) for table in self.tables),
            *([_late(self.late)] if self.late else []),
            "budgets (CPU of the process; medians of the rounds' ratios, and their quartiles)\n"
            + aligned([_told(verdict) for verdict in self.verdicts]),
        ]
        return "\n\n".join(parts)

    def data(self) -> dict[str, Any]:
        """Tell it to programs; times in seconds."""
        return {
            "settings": self.settings,
            "machine": self.machine,
            "versions": self.versions,
            "tables": [_data_of(table) for table in self.tables],
            "budgets": [
                {
                    **verdict.budget._asdict(),
                    "measured": _spread(verdict.measured),
                    "met": verdict.met,
                }
                for verdict in self.verdicts
            ],
            "deadlines": {
                "seconds": SECONDS,
                "cap": CAP,
                "limit": LIMIT,
                "overshoots": [{**found._asdict(), "met": found.met} for found in self.late],
            },
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


def _text_of(table: Table) -> str:
    unit, per_second = table.unit
    heads = [
        table.operation,
        *(f"{name} {unit}" for name in ("CPU", "thread", "wall")),
        *(f"CPU {TIMES} {baseline}" for baseline in table.baselines),
        *(f"wall {TIMES} {baseline}" for baseline in table.baselines[:1]),
    ]
    rows = [heads]
    for name in table.rounds:
        times = (cost(table.rounds, name, clock).median * per_second for clock in CLOCKS)
        ratios = [ratio(table.rounds, name, baseline, "process") for baseline in table.baselines]
        ratios += [ratio(table.rounds, name, baseline, "wall") for baseline in table.baselines[:1]]
        rows.append(
            [name, *(f"{time:.1f}" for time in times), *(_shown(found) for found in ratios)]
        )
    return aligned(rows)


def _told(verdict: Verdict) -> list[str]:
    budget, met = verdict.budget, verdict.met
    return [
        budget.what,
        f"≤ {budget.limit:.2f} {TIMES} {budget.baseline}",
        _shown(verdict.measured),
        "not measured" if met is None else "met" if met else "missed",
    ]


def _shown(spread: Spread | None) -> str:
    return "-" if spread is None else f"{spread.median:.2f} ({spread.low:.2f}-{spread.high:.2f})"


def _listed(facts: dict[str, Any]) -> str:
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


def _data_of(table: Table) -> dict[str, Any]:
    return {
        "operation": table.operation,
        "operations": table.operations,
        "subjects": {
            name: {
                "rounds": [found._asdict() for found in costs],
                **{clock: _spread(cost(table.rounds, name, clock)) for clock in CLOCKS},
                "ratios": {
                    baseline: {
                        clock: _spread(ratio(table.rounds, name, baseline, clock))
                        for clock in CLOCKS
                    }
                    for baseline in table.baselines
                },
            }
            for name, costs in table.rounds.items()
        },
    }


def _spread(spread: Spread | None) -> dict[str, float] | None:
    return None if spread is None else spread._asdict()

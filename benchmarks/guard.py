"""Fails when a change makes calls dearer: ``python -m benchmarks.guard``, or ``make guard``.

Rules:

1. What can be counted is counted, and held to `ceilings`; a machine can't be too slow for that.
2. Budgets that are ratios are measured in short, beside the same peers, and again when one is
   missed: told is the lower. They may be missed by the tolerance that stands here, by which a busy
   machine is wrong.
3. Nothing is told as kept to that was not measured.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks import ceilings, environment, many_pools, scenarios, stampede
from benchmarks.budgets import figure, named
from benchmarks.certificates import certificates
from benchmarks.clients import CLIENTS
from benchmarks.command import progress
from benchmarks.conditions import ConditionsError, check_environment, rounds_of_requests
from benchmarks.counting import called, counted
from benchmarks.finds import FINDS, PER_REQUEST
from benchmarks.measuring import interleaved
from benchmarks.ratios import ratio
from benchmarks.report import aligned
from benchmarks.server import Server
from benchmarks.target import Target
from benchmarks.telemetry import logs_at_info

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.ceilings import Ceilings, Table
    from benchmarks.measuring import Rounds, Subject

COMMAND: Final = "python -m benchmarks.guard"
ROUNDS, REQUESTS, SEED = 20, 40, 0
"""Of the ratios."""
STAMPEDES: Final = 5
"""Of each kind: the best is told, since a machine that stands still is in none of ours."""
MANY, USED = 1000, 300
"""Pools that are weighed, without and with a connection. Few weigh more: they share what is one."""

TOLERANCES: Final[Mapping[str, float]] = {
    "request.urllib3": 0.15,
    "request.requests": 0.15,
    "request.by-hand": 0.15,
    "no-sdk.urllib3": 0.15,
    "find.hit": 0.15,
    "stampede.one-key": 0.0,
    "stampede.many-keys": 0.5,
    "pools.before": 0.1,
    "pools.after": 0.25,
}
"""The part of its limit by which each budget that is guarded may be missed.

Of requests: beside two busy processes on two CPUs runs differ by 3 %; beside ten by up to 25 % in
one run, and by 8 % in the lower of two. Of pools: few share what is made once.
"""

NAMES: Final = {
    "python": "calls of Python",
    "c": "calls of C",
    "system": "calls of the system",
    "peak": "bytes at once",
    "kept": "blocks left behind",
    "cycles": "objects in cycles",
}
"""What the table calls each of `Counts`."""

ADVICE: Final = f"""\
A count is above its ceiling: compare what is called now with what was called before,
  {COMMAND} --calls "all on" >now
and the same from the commit before; then diff the two. {COMMAND} --write raises
the ceilings: only with the reason in the commit's message.
A budget is missed: measure it in full, on a machine that does nothing else,
  make bench ARGS="--only clients --no-apart"
and see in docs/performance.md where the time goes. Budgets are the design's and not raised."""


class Row(NamedTuple):
    """One thing that was measured."""

    what: str
    measured: str
    limit: str
    tolerance: str
    met: bool | None
    """`None`: there is nothing that it could be held to."""

    def cells(self) -> list[str]:
        """As the table has it."""
        verdict = {True: "ok", False: "MISSED", None: "no ceiling"}[self.met]
        return [self.what, self.measured, self.limit, self.tolerance, verdict]


def rows_of_counts(table: Table, known: Ceilings) -> list[Row]:
    """Hold what was counted against its ceilings."""
    rows = []
    for scenario, counts in table.items():
        for name, measured in counts._asdict().items():
            limit = known.limit(scenario, name)
            rows.append(
                Row(
                    f"{scenario}: {NAMES[name]}",
                    f"{measured:,}",
                    "-" if limit is None else f"{limit:,}",
                    _shown(known.slack_of(name)),
                    None if limit is None else measured <= limit,
                )
            )
    return rows


def row_of_budget(name: str, measured: float) -> Row:
    """Hold a figure against a budget, and its tolerance."""
    budget = named(name)
    return Row(
        budget.what,
        figure(measured, budget.unit),
        str(budget),
        _shown(TOLERANCES[name]),
        kept(name, measured),
    )


def _shown(part: float) -> str:
    return f"{part:.0%}" if part else "none"


@contextmanager
def subjects() -> Iterator[list[Subject]]:
    """Make what is counted.

    :raises ConditionsError: when one does something else than it says
    """
    with certificates() as files, Server(files.server) as server, ExitStack() as stack:
        yield scenarios.subjects(server, files.bundle, stack)


def counts(found: Sequence[Subject]) -> Table:
    """Count what each does."""
    begun, table = progress("counts", len(found)), {}
    for number, subject in enumerate(found, 1):
        begun(number)
        table[subject.name] = counted(subject)
    return table


def figures() -> dict[str, float]:
    """Measure the budgets that have a tolerance, by their names.

    :raises ConditionsError: when a subject does something else than it says
    """
    found = ratios()
    if any(not kept(name, measured) for name, measured in found.items()):
        again = ratios()
        found = {name: min(measured, again[name]) for name, measured in found.items()}
    return found | alone()


def ratios() -> dict[str, float]:
    """Measure those that compare two, by their names.

    :raises ConditionsError: when a subject does something else than it says
    """
    found = {}
    tables = (_requests(), _finds())
    for name in TOLERANCES:
        budget = named(name)
        for costs in tables:
            spread = ratio(costs, budget.subject, budget.against, budget.clock)
            if spread is not None:
                found[name] = spread.median
    return found


def kept(name: str, measured: float) -> bool:
    """Whether a figure keeps to a budget, within its tolerance."""
    return measured <= named(name).limit * (1 + TOLERANCES[name])


def _requests() -> Rounds:
    budgets = [named(name) for name in TOLERANCES]
    names = {each for budget in budgets for each in (budget.subject, budget.against)}
    with ExitStack() as stack:
        server = stack.enter_context(Server())
        return rounds_of_requests(
            [make(Target(server.url), stack) for name, make in CLIENTS.items() if name in names],
            server,
            rounds=ROUNDS,
            operations=REQUESTS,
            seed=SEED,
            begun=progress("requests", ROUNDS),
        )


def _finds() -> Rounds:
    with ExitStack() as stack:
        return interleaved(
            [make(stack) for make in FINDS.values()],
            rounds=ROUNDS,
            operations=REQUESTS * PER_REQUEST,
            seed=SEED,
        )


def alone() -> dict[str, float]:
    """Measure those that compare nobody, by their names."""
    return _stampedes() | _pools()


def _stampedes() -> dict[str, float]:
    one_key = [stampede.run(1) for _ in range(STAMPEDES)]
    many_keys = [stampede.run(stampede.THREADS) for _ in range(STAMPEDES)]
    return {
        "stampede.one-key": max(found.calls for found in one_key),
        "stampede.many-keys": min(found.seconds for found in many_keys),
    }


def _pools() -> dict[str, float]:
    """Each in a process of its own, as all that measures memory."""
    found: dict[str, float] = {}
    for what, count in (("many", MANY), ("used", USED)):
        command = (many_pools.__name__, what, str(count), "1", str(SEED))
        ran = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-m", *command], stdout=subprocess.PIPE, check=True
        )
        found |= json.loads(ran.stdout)
    return {"pools.before": found["before"], "pools.after": found["after"]}


def told(rows: Sequence[Row], known: Ceilings) -> str:
    """What is printed: the table, and what to do where something is missed."""
    heads = ["what", "measured", "limit", "tolerance", ""]
    parts = [aligned([heads, *(row.cells() for row in rows)])]
    if known.others:
        parts.append(
            f"The ceilings were written with other versions ({'; '.join(known.others)}), so that "
            f"calls and bytes may be {known.slack:.0%} more."
        )
    if any(row.met is None for row in rows):
        parts.append(f"What has no ceiling gets one by {COMMAND} --write.")
    missed = [row.what for row in rows if row.met is False]
    parts.append(f"MISSED: {', '.join(missed)}\n\n{ADVICE}" if missed else "Nothing is missed.")
    return "\n\n".join(parts)


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Understand the command line."""
    parser = argparse.ArgumentParser(
        prog=COMMAND,
        description="Fails when a call does more than it did, or a budget is missed.",
    )
    parser.add_argument(
        "--write",
        action="store_true",
        help=f"count, and write {ceilings.FILE.name} anew for this Python; hold nothing against it",
    )
    parser.add_argument(
        "--calls",
        choices=scenarios.NAMES,
        metavar="SCENARIO",
        help="list what a call of it calls, and how often; one of: " + ", ".join(scenarios.NAMES),
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Count, measure, and print what came of it; 1 when something is missed."""
    settings = options(arguments)
    try:
        check_environment()
        environment.keep_to_one_cpu()
        with logs_at_info():
            return _guard(settings)
    except ConditionsError as error:
        print(f"The conditions of a run don't hold: {error}", file=sys.stderr)
        return 1


def _guard(settings: argparse.Namespace) -> int:
    with subjects() as found:
        if settings.calls:
            [subject] = [each for each in found if each.name == settings.calls]
            for name, times in sorted(called(subject).items()):
                print(f"{times:4} {name}")
            return 0
        table = counts(found)
    if settings.write:
        ceilings.write(table)
        return 0
    known = ceilings.read()
    rows = rows_of_counts(table, known)
    rows += [row_of_budget(name, measured) for name, measured in figures().items()]
    print(told(rows, known))
    return int(any(row.met is False for row in rows))


if __name__ == "__main__":
    options()  # a wrong one is told before anything is begun
    environment.enter()
    sys.exit(main())

"""The fault matrix: every cell is as the table says, and across it nothing is lost or done twice.

Rules:

1. What came of a cell is compared at each run of it; only the time may be taken again, since a
   machine that was busy elsewhere makes any call late. All times that were too long are told.
2. The promises are asserted of every cell on their own, whatever the table says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.faults.catalogue import FAULTS, GROUPS, Fault
from tests.faults.clients import Ours
from tests.faults.kinds import KINDS, Kind
from tests.faults.names import Resolver
from tests.faults.running import FLAWS, Seen, Tools, run_fault
from tests.faults.table import ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import CertificateAuthority

TIMES: Final = 3
"""How often a call may be timed."""


@pytest.fixture
def tools(ca: CertificateAuthority) -> Iterator[Tools]:
    with Resolver() as resolver:
        yield Tools(ca, resolver)


def complaints(fault: Fault, seen: Seen) -> list[str]:
    """What is not as the table says, or breaks a promise; times aside."""
    wanted = ROWS[fault.name][seen.kind.name]
    found = []
    if (seen.cell, seen.error) != wanted:
        got = f"{seen.cell} {seen.error}".strip()
        found.append(f"{' '.join(wanted).strip()} in the table, but it gave {got}")
    found += [FLAWS[flaw] for flaw in sorted(seen.flaws - {"late"})]
    if not seen.goes_on:
        found.append("the next request did not get its own answer")
    told = f"\n        {seen.told}" if found and seen.told else ""
    return [f"{seen.kind.name}: {'; '.join(found)}{told}"] if found else []


def lateness(fault: Fault, seen: Seen) -> str:
    """Say how late a call was."""
    return f"{seen.kind.name}: {seen.seconds:.3f} s of {fault.times.deadline} s"


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_every_request_ends_as_the_table_says(fault: Fault, tools: Tools) -> None:
    wrong, late = [], []
    kinds: tuple[Kind, ...] = KINDS
    for _ in range(TIMES):
        runs = run_fault(fault, Ours, tools, kinds)
        wrong += [each for seen in runs for each in complaints(fault, seen)]
        late += [lateness(fault, seen) for seen in runs if "late" in seen.flaws]
        kinds = tuple(seen.kind for seen in runs if "late" in seen.flaws)
        if not kinds or wrong:
            break
    assert not wrong, "\n".join([fault.story, *wrong, *late]) + "\n"
    assert not kinds, "\n".join([fault.story, f"late, {TIMES} times:", *late])


def test_the_table_has_exactly_the_faults_of_the_catalogue_in_their_order() -> None:
    assert list(ROWS) == list(FAULTS)
    assert len(FAULTS) == sum(len(group.faults) for group in GROUPS)
    assert len(FAULTS) >= 45


def test_the_table_allows_no_promise_to_be_broken() -> None:
    for name, row in ROWS.items():
        for kind in KINDS:
            sign, attempts, read = row[kind.name].cell[0], *row[kind.name].cell[1::2]
            assert int(read) <= int(attempts) <= 3, name
            assert kind.repeatable or int(read) <= 1, name
            assert sign != "=" or int(read) >= 1, name
            # To have only read something unsettles nothing.
            assert sign != "?" or kind.name != "GET", name

"""What is wrong with a cell of ours: not as the table says, or a promise broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults.running import FLAWS
from tests.faults.table import ROWS

if TYPE_CHECKING:
    from tests.faults.catalogue import Fault
    from tests.faults.running import Seen


def complaints(fault: Fault, seen: Seen) -> list[str]:
    """Say what is not as the table says, or breaks a promise; times aside."""
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
    """Say how long a call took, of how long it should at most."""
    return f"{seen.kind.name}: {seen.seconds:.3f} s of {fault.times.deadline} s"

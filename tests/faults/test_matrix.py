"""The fault matrix: every cell is as the table says, and across it nothing is lost or done twice.

Rules:

1. What came of a cell is compared at each run of it; only the time may be taken again, since a
   machine that was busy elsewhere makes any call late. All times that were too long are told.
2. The promises are asserted of every cell on their own, whatever the table says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.catalogue import FAULTS, GROUPS, Fault
from tests.faults.clients import Ours
from tests.faults.kinds import KINDS
from tests.faults.names import Resolver
from tests.faults.running import Tools, run_timed
from tests.faults.table import ROWS
from tests.faults.verdict import complaints, lateness

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import CertificateAuthority


@pytest.fixture
def tools(ca: CertificateAuthority) -> Iterator[Tools]:
    with Resolver() as resolver:
        yield Tools(ca, resolver)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_every_request_ends_as_the_table_says(fault: Fault, tools: Tools) -> None:
    every, last = run_timed(fault, Ours, tools)
    wrong = [each for seen in every for each in complaints(fault, seen)]
    late = [lateness(fault, seen) for seen in every if "late" in seen.flaws]
    assert not wrong, "\n".join([fault.story, *wrong, *late]) + "\n"
    assert not any("late" in seen.flaws for seen in last), "\n".join([fault.story, *late]) + "\n"


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

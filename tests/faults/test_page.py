"""The page in the docs says what the tests' table says."""

from __future__ import annotations

from tests.faults.catalogue import FAULTS, GROUPS
from tests.faults.clients import OTHERS, Ours
from tests.faults.page import PAGE, ours
from tests.faults.running import FLAWS
from tests.faults.table import ROWS

LINES = PAGE.read_text(encoding="utf-8").splitlines()
TABLES = [line for line in LINES if line.startswith("| **") and f" | {Ours.name} | " in line]


def test_the_page_has_our_cells_as_the_table_has_them() -> None:
    measured = [line.rstrip("| ").rpartition(" | ")[0] + " |" for line in TABLES]

    wanted = [ours(fault, ROWS[name].values()) for name, fault in FAULTS.items()]
    assert measured == wanted, "run `make faults`"


def test_the_page_has_every_fault_under_its_group_with_every_client() -> None:
    headings = [line.removeprefix("## ") for line in LINES if line.startswith("## ")]

    assert headings[-len(GROUPS) :] == [group.title for group in GROUPS]
    for client in OTHERS:
        assert sum(line.startswith(f"|  | {client.name} | ") for line in LINES) == len(FAULTS)


def test_the_page_was_written_of_a_run_in_which_we_broke_no_promise() -> None:
    for flaw, text in FLAWS.items():
        [row] = [line for line in LINES if line.startswith(f"| **{flaw}**: {text} | ")]

        assert row.split(" | ")[1] == "0", row

"""The page `docs/fault-matrix.md`, written of a run.

Rules:

1. What stands there was seen in the run, our cells too; a test compares those with the table.
2. What explains it is the same for every run.
"""

from __future__ import annotations

from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.faults.catalogue import FAULTS, GROUPS, PLENTY, SLOW, STALLING, Fault
from tests.faults.clients import OTHERS, Ours
from tests.faults.kinds import KINDS
from tests.faults.running import BEYOND, FLAWS, Flaw
from tests.faults.table import Cell

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tests.faults.running import Seen

    Run = Mapping[str, Mapping[str, list[Seen]]]
    """What came of all cells: by the client's name, then by the fault's."""

PAGE: Final = Path(__file__).parents[2] / "docs" / "fault-matrix.md"
_NAMED: Final = 8
"""How many faults a summary names."""
ALL: Final = (Ours, *OTHERS)


_INTRODUCTION: Final = Path(__file__).with_name("introduction.md")


def ours(fault: Fault, cells: Iterable[Cell]) -> str:
    """Give our line for a fault, but for the time."""
    cells = list(cells)
    return _line(
        [
            f"**{fault.name}**<br>{fault.story}",
            Ours.name,
            *(f"`{cell.cell}`" for cell in cells),
            _errors(cell.error for cell in cells),
        ]
    )


def page(run: Run) -> str:
    """Give the whole page."""
    introduction = _INTRODUCTION.read_text(encoding="utf-8").format(
        faults=len(FAULTS),
        kinds=len(KINDS),
        cells=len(FAULTS) * len(KINDS),
        summary="\n".join(_summary(run)),
        details="\n".join(_details(run)),
        beyond=BEYOND,
        plenty=PLENTY,
        stalling=STALLING,
        slow=SLOW,
        **{name: version(name) for name in ("requests", "urllib3", "httpx")},
        legend="\n".join(_line([f"**{flaw}**", text]) for flaw, text in FLAWS.items()),
    )
    return "\n".join([introduction, *_tables(run)])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _errors(names: Iterable[str]) -> str:
    counted = Counter(name for name in names if name)
    return ", ".join(f"`{name}`" for name in counted) or "-"


def _cells_with(flaw: Flaw, by_fault: Mapping[str, list[Seen]]) -> dict[str, int]:
    """How many cells of each fault have this flaw; only those that have any."""
    counts = {name: sum(flaw in seen.flaws for seen in cells) for name, cells in by_fault.items()}
    return {name: count for name, count in counts.items() if count}


def _summary(run: Run) -> Iterator[str]:
    yield _line(["", *(client.name for client in ALL)])
    yield "|---|" + "---|" * len(ALL)
    for flaw, text in FLAWS.items():
        counts = [sum(_cells_with(flaw, run[client.name]).values()) for client in ALL]
        yield _line([f"**{flaw}**: {text}", *map(str, counts)])


def _details(run: Run) -> Iterator[str]:
    for client in OTHERS:
        for flaw in FLAWS:
            found = _cells_with(flaw, run[client.name])
            if found:
                names, more = list(found)[:_NAMED], len(found) - _NAMED
                rest = f"; and {more} more" if more > 0 else ""
                yield f"- {client.name}, **{flaw}**: {'; '.join(names)}{rest}."


def _tables(run: Run) -> Iterator[str]:
    for group in GROUPS:
        yield f"## {group.title}\n"
        yield _line(["fault", "client", *(kind.label for kind in KINDS), "errors", "slowest"])
        yield "|---|---|" + "---|" * len(KINDS) + "---|---|"
        for fault in group.faults:
            mine = run[Ours.name][fault.name]
            cells_of_ours = [Cell(seen.cell, seen.error) for seen in mine]
            yield f"{ours(fault, cells_of_ours)} {_slowest(mine, fault)} |"
            for client in OTHERS:
                cells = run[client.name][fault.name]
                yield _line(
                    [
                        "",
                        client.name,
                        *map(_of_another, cells),
                        _errors(seen.error for seen in cells if seen.ended),
                        _slowest(cells, fault),
                    ]
                )
        yield ""


def _of_another(seen: Seen) -> str:
    return " ".join([f"`{seen.cell}`", *(f"**{flaw}**" for flaw in FLAWS if flaw in seen.flaws)])


def _slowest(cells: list[Seen], fault: Fault) -> str:
    seconds = max(seen.seconds for seen in cells)
    more = "" if all(seen.ended for seen in cells) else "> "
    return f"{more}{seconds:.2f} of {fault.times.deadline:g} s"

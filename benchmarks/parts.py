"""The parts of the benchmarks, in their order: what each measures, and what of it can be chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks import (
    deadlines,
    encoding,
    finds,
    growth,
    instruments,
    many_pools,
    single,
    stampedes,
    threads,
    traversal,
    wire,
)
from benchmarks.storm import part as storm

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Sequence

    from benchmarks.tables import Findings


class Part(NamedTuple):
    """Something that is measured by itself."""

    name: str
    findings: Callable[[Sequence[str], argparse.Namespace], Findings]
    """Measures the subjects of these names."""
    subjects: tuple[str, ...] = ()
    """Who can be chosen; none where it is measured as a whole."""
    long: bool = False
    """Whether it is measured only when it is asked for."""

    @property
    def names(self) -> tuple[str, ...]:
        """By which it, or some of it, is chosen."""
        return (self.name, *self.subjects)

    def chosen(self, names: Sequence[str]) -> list[str]:
        """Which of its subjects these names choose."""
        everybody = self.subjects or (self.name,)
        return [name for name in everybody if self.name in names or name in names]


PARTS: Final = (
    Part(single.NAME, single.findings, single.SUBJECTS),
    Part(wire.NAME, wire.findings),
    Part(threads.NAME, threads.findings),
    Part(encoding.NAME, encoding.findings),
    Part(instruments.NAME, instruments.findings),
    Part(finds.NAME, finds.findings, finds.SUBJECTS),
    Part(many_pools.NAME, many_pools.findings),
    Part(stampedes.NAME, stampedes.findings),
    Part(traversal.NAME, traversal.findings),
    Part(storm.NAME, storm.findings),
    Part(deadlines.NAME, deadlines.findings, tuple(deadlines.CALLERS)),
    Part(growth.NAME, growth.findings, long=True),
)

NAMES: Final = tuple(name for part in PARTS for name in part.names)
"""Everything that can be chosen."""
DEFAULT: Final = tuple(part.name for part in PARTS if not part.long)
WHOLE: Final = tuple(part.name for part in PARTS)


def measured(names: Sequence[str], settings: argparse.Namespace) -> Iterable[Findings]:
    """Measure what was chosen, part by part."""
    for part in PARTS:
        if chosen := part.chosen(names):
            yield part.findings(chosen, settings)

"""What a part of the benchmarks gives: tables of costs, figures for budgets, what was left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.deadlines import Overshoot
    from benchmarks.growth import Sample
    from benchmarks.measuring import Rounds
    from benchmarks.ratios import Spread


@dataclass(frozen=True)
class Table:
    """The subjects of one operation.

    :ivar operation: what they all do
    :ivar operations: how often in a round
    :ivar unit: of time, and how many of it are a second
    :ivar baselines: the subjects that the others are told as multiples of
    :ivar rounds: what was measured
    :ivar plain: the subject to which the others add something, if that is the question
    :ivar rate: what a second has how many of, if that is the question; it is one about time
    :ivar part: the part of the benchmarks that measured it
    :ivar judged: whether budgets are about it
    """

    operation: str
    operations: int
    unit: tuple[str, float]
    baselines: tuple[str, ...]
    rounds: Rounds
    plain: str | None = None
    rate: str | None = None
    part: str = ""
    judged: bool = True

    @property
    def timed(self) -> tuple[str, ...]:
        """The baselines that the others are told as multiples of in time, too."""
        return self.baselines if self.rate else self.baselines[:1]


@dataclass(frozen=True)
class Findings:
    """What was measured.

    :ivar tables: of costs that are compared
    :ivar figures: for budgets that compare nobody, by their names and in their units
    :ivar late: by how much calls overshot their deadline
    :ivar memory: how the process grew
    :ivar left_out: what was not measured, and why
    """

    tables: list[Table] = field(default_factory=list)
    figures: dict[str, Spread] = field(default_factory=dict)
    late: list[Overshoot] = field(default_factory=list)
    memory: list[Sample] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def add(self, others: Findings) -> None:
        """Take up what another part gave."""
        self.tables.extend(others.tables)
        self.figures.update(others.figures)
        self.late.extend(others.late)
        self.memory.extend(others.memory)
        self.left_out.update(others.left_out)

"""What there is to show while the demo runs, and how it is put into words."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sleepwalker.cli.demo.hosts import Host
    from sleepwalker.cli.demo.logs import Line, Log
    from sleepwalker.cli.demo.watch import Watch
    from sleepwalker.cli.demo.workload import Workload

UNTOLD = frozenset({"trace_id", "span_id"})
"""Fields of log lines that are not told: they are for machines."""
UNTOLD_VALUES = (None, "none")
"""Values that say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything that a view looks at."""

    threads: int
    seconds: float
    faults: bool
    seed: int
    metrics_url: str
    hosts: Sequence[Host]
    watch: Watch
    log: Log
    workload: Workload
    began: float = field(default_factory=time.monotonic)

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began

    @property
    def settings(self) -> str:
        """The options, in words."""
        faults = "on" if self.faults else "off"
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return f"{threads}, faults {faults}, seed {self.seed}"

    @property
    def created(self) -> int:
        """How many reviews the hosts have created."""
        return sum(len(host.ledger.counts().created) for host in self.hosts)

    def name_of(self, url: str) -> str:
        """A host's name by its URL; the URL when it is none of ours."""
        return next((host.name for host in self.hosts if host.url == url), url)

    def told(self, line: Line) -> str:
        """The fields of a log line, as text; pool and method need no names."""
        fields = dict(line.fields)
        first = [fields.pop(key, None) for key in ("host", "auth", "method")]
        told = [self.name_of(str(value)) for value in first if value is not None]
        for key, value in fields.items():
            if key not in UNTOLD and value not in UNTOLD_VALUES:
                shown = f"{value:.3f}" if isinstance(value, float) else self.name_of(str(value))
                told.append(f"{key}={shown}")
        return " ".join(told)


def milliseconds(seconds: float | None) -> str:
    """A duration; ``-`` for none."""
    return "-" if seconds is None else f"{seconds * 1000:,.0f} ms"


def counted(counts: Mapping[str, int], order: Sequence[str] = ()) -> str:
    """Counts with their names, as ``protocol 18, throttled 7``."""
    keys = [*order, *(key for key in counts if key not in order)]
    return ", ".join(f"{key} {counts[key]:,}" for key in keys if counts.get(key))

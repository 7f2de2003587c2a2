"""What is shown on a terminal while the demo runs: hosts, pools, rates, retries, the log's end.

Rules:

1. It fits 100 columns and 30 lines, and a smaller terminal shows less, not garbage.
2. It looks at the scene and changes nothing in it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from rich.console import Group
from rich.live import Live as RichLive
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sleepwalker.cli.demo.faults import Fault
from sleepwalker.cli.demo.hosts import RESTART
from sleepwalker.cli.demo.scene import milliseconds
from sleepwalker.observability.names import RETRY_REASONS

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from sleepwalker.cli.demo.logs import Line
    from sleepwalker.cli.demo.scene import Scene
    from sleepwalker.cli.demo.watch import Moment

LEVELS = {
    "info": (" ", ""),
    "warning": ("!", "yellow"),
    "error": ("!", "red"),
    "host": (">", "magenta"),
}
"""The sign and the style of a log line, by its level; `host` is for what happened to a host."""

NARROW = 4
"""Columns that a number, or a host's state, has at least."""


class Live:
    """Draws the scene again and again, in the same place.

    :ivar every: seconds between two calls of `refresh` at least
    """

    every = 0.125

    def __init__(self, console: Console, scene: Scene) -> None:
        self._console = console
        self._scene = scene
        self._live = RichLive(
            console=console, auto_refresh=False, transient=True, vertical_overflow="crop"
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def refresh(self) -> None:
        """Draw the scene as it is now."""
        self._live.update(self.drawn(), refresh=True)

    def drawn(self) -> RenderableType:
        """The scene as it is now."""
        scene, moment = self._scene, self._scene.watch.moment()
        parts: list[RenderableType] = [
            self._heading(),
            Text(""),
            self._hosts(),
            Text(""),
            self._pools(moment),
            Text(""),
            self._totals(moment),
            Text(""),
        ]
        height = len(self._console.render_lines(Group(*parts), pad=False))
        # One line less than there are: the cursor has one of its own.
        lines = scene.log.last(self._console.height - height - 1)
        return Group(*parts, self._log(lines))

    def _heading(self) -> RenderableType:
        scene = self._scene
        elapsed = min(scene.elapsed, scene.seconds)
        ending = "finishing" if scene.elapsed >= scene.seconds else f"of {scene.seconds:g} s"
        what = Text.assemble(("sleepwalker demo  ", "bold"), (scene.settings, "dim"))
        where = Text(f"metrics at {scene.metrics_url}", "dim")
        first = Table.grid(expand=True, padding=(0, 2))
        if what.cell_len + 2 + where.cell_len <= self._console.width:
            first.add_column()
            first.add_column(justify="right")
            first.add_row(what, where)
        else:
            first.add_row(what)
            first.add_row(where)
        second = Table.grid(expand=True, padding=(0, 2))
        second.add_column(ratio=1)
        second.add_column(justify="right", width=15)
        second.add_row(
            ProgressBar(total=scene.seconds, completed=elapsed), f"{elapsed:.1f} {ending}"
        )
        return Group(first, second)

    def _hosts(self) -> Table:
        table = _table("host", "url", "", "sockets", "read", "503", "resets", "stalls", "restarts")
        for host in self._scene.hosts:
            counts = host.ledger.counts()
            faults = counts.faults
            resets = faults.get(Fault.RESET_UNREAD, 0) + faults.get(Fault.RESET_PROCESSED, 0)
            table.add_row(
                Text(host.name, "bold"),
                Text(host.url, "dim"),
                Text("up", "green") if host.up else Text("down", "bold red"),
                f"{counts.open}",
                f"{counts.read:,}",
                f"{faults.get(Fault.UNAVAILABLE, 0)}",
                f"{resets}",
                f"{faults.get(Fault.STALL, 0)}",
                f"{faults.get(RESTART, 0)}",
            )
        return table

    def _pools(self, moment: Moment) -> Table:
        table = _table("pool", "auth", "", "in flight", "calls", "attempts", "retries", "p95")
        for pool in moment.pools:
            table.add_row(
                Text(self._scene.name_of(pool.host), "bold"),
                pool.auth,
                "",
                f"{pool.in_flight}",
                f"{pool.calls:,}",
                f"{pool.attempts:,}",
                f"{pool.retries:,}",
                milliseconds(pool.p95),
            )
        return table

    def _totals(self, moment: Moment) -> RenderableType:
        scene = self._scene
        numbers = [
            ("calls", f"{moment.calls:,}"),
            ("a second", f"{moment.rate:.0f}"),
            ("p50", milliseconds(moment.p50)),
            ("p95", milliseconds(moment.p95)),
            ("in flight", f"{moment.in_flight}"),
            ("traversals", f"{scene.workload.traversals:,}"),
            ("reviews", f"{scene.created:,}"),
            ("tours", f"{scene.workload.tours.toured().tours:,}"),
        ]
        retries = [(reason, f"{moment.retries.get(reason, 0):,}") for reason in RETRY_REASONS]
        return Group(_pairs("work", numbers), _pairs("retries", retries))

    def _log(self, lines: list[Line]) -> RenderableType:
        table = Table.grid(padding=(0, 1), expand=True)
        for width in (8, 1, 24):
            table.add_column(width=width, no_wrap=True, overflow="ellipsis")
        table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        for line in lines:
            at = time.strftime("%H:%M:%S", time.localtime(line.at))
            sign, style = LEVELS.get(line.level, LEVELS["info"])
            told = Text(self._scene.told(line))
            table.add_row(Text(at, "dim"), Text(sign, style), Text(line.event, style), told)
        return table


def _table(*columns: str) -> Table:
    table = Table(
        box=None, expand=True, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim underline"
    )
    for index, name in enumerate(columns):
        # Where there is too little room, the second gets less of it, and the others all they need.
        table.add_column(
            name,
            justify="left" if index < 3 else "right",
            no_wrap=index != 1,
            overflow="ellipsis",
            min_width=None if index == 1 else NARROW,
        )
    return table


def _pairs(title: str, pairs: list[tuple[str, str]]) -> Text:
    text = Text(f"{title:<9}", "bold")
    for name, value in pairs:
        text.append(f"{name} ", "dim").append(f"{value}  ", "not bold")
    return text

"""How far a walk is: on a terminal a bar, with rates and counts for each host, and lines above it.

Rules:

1. What is shown never slows the walk: lines are printed when the bar is drawn, all at once.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sleepwalker.cli._text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console, RenderableType

    from sleepwalker.links import Progress

HOSTS = 8
"""How many hosts are shown: those with most."""
BAR = 30
"""Columns."""
A_SECOND = 8
"""How often it is drawn."""


class View:
    """Lines where there is no bar.

    :param console: where they go
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, line: Text) -> None:
        """Print a line."""
        self._console.print(line, soft_wrap=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return


class Bar(View):
    """A bar that is drawn in place as long as the block lasts.

    :param console: a terminal
    :param progress: how far it is
    """

    def __init__(self, console: Console, progress: Callable[[], Progress]) -> None:
        super().__init__(console)
        self._lock = threading.Lock()
        self._lines: list[Text] = []
        self._live = _Drawing(
            console=console,
            get_renderable=lambda: drawn(progress()),
            refresh_per_second=A_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.before = self._print

    def say(self, line: Text) -> None:
        """Have a line printed when the bar is drawn next."""
        with self._lock:
            self._lines.append(line)

    def _print(self) -> None:
        with self._lock:
            lines, self._lines = self._lines, []
        if lines:
            super().say(Text("\n").join(lines))

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()


class _Drawing(Live):
    """Does something else before each drawing."""

    before: Callable[[], None] = staticmethod(lambda: None)

    def refresh(self) -> None:
        self.before()
        super().refresh()


def drawn(progress: Progress) -> RenderableType:
    """How far it is, as it is drawn."""
    done = progress.visited + progress.failed
    known = done + progress.in_flight + progress.waiting
    seconds = progress.seconds or 1.0
    top = Table.grid(padding=(0, 1))
    top.add_row(
        ProgressBar(total=max(known, 1), completed=done, width=BAR),
        Text(f"{done:,} of {known:,} known"),
        Text(f"{progress.failed:,} failed", "red" if progress.failed else "dim"),
        Text(f"{done / seconds:,.1f}/s  {_clock(progress.seconds)}"),
    )
    hosts = Table.grid(padding=(0, 2))
    hosts.add_column(overflow="ellipsis", no_wrap=True)
    hosts.add_column(justify="right", no_wrap=True)
    hosts.add_column(justify="right", no_wrap=True)
    most = sorted(progress.hosts.items(), key=lambda each: (-each[1], each[0]))
    for host, count in most[:HOSTS]:
        hosts.add_row(Text(one_line(host)), f"{count:,}", f"{count / seconds:,.1f}/s")
    if len(most) > HOSTS:
        rest = sum(count for _, count in most[HOSTS:])
        hosts.add_row(f"{len(most) - HOSTS:,} more hosts", f"{rest:,}", f"{rest / seconds:,.1f}/s")
    return Group(top, hosts)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"

"""What is shown where there is no terminal: a line now and then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from sleepwalker.cli.demo.scene import counted, milliseconds
from sleepwalker.observability.names import RETRY_REASONS

if TYPE_CHECKING:
    from rich.console import Console

    from sleepwalker.cli.demo.scene import Scene

EVERY = 1.0
"""Seconds between lines."""


class Plain:
    """Prints lines.

    :ivar every: seconds between two calls of `refresh` at least
    """

    every = 0.1

    def __init__(self, console: Console, scene: Scene) -> None:
        self._console = console
        self._scene = scene
        self._next = EVERY
        self._told = 0

    def __enter__(self) -> Self:
        scene = self._scene
        self._print(f"sleepwalker demo: {scene.settings}, {scene.seconds:g} s")
        for host in scene.hosts:
            self._print(f"  {host.name:<8} {host.url}")
        self._print(f"  {'metrics':<8} {scene.metrics_url}")
        return self

    def __exit__(self, *_: object) -> None:
        self.refresh()

    def refresh(self) -> None:
        """Print what happened to hosts, and the numbers when it is time."""
        scene = self._scene
        for at, text in scene.log.notes_since(self._told):
            self._told += 1
            self._print(f"{at - scene.began:5.1f} s  {text}")
        elapsed = scene.elapsed
        if elapsed < self._next:
            return
        self._next = elapsed - elapsed % EVERY + EVERY
        moment = scene.watch.moment()
        retries = counted(moment.retries, RETRY_REASONS)
        self._print(
            f"{elapsed:5.1f} s  {moment.calls:,} calls ({moment.rate:.0f}/s), "
            f"p95 {milliseconds(moment.p95)}, {moment.in_flight} in flight, "
            f"{scene.created:,} reviews; retries: {retries or 'none'}"
        )

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
        # Lines that nobody can read before the end are no lines.
        self._console.file.flush()

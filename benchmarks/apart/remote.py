"""The subject here whose work is done there: a worker's process, told what to do line by line."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.apart.peers import PEERS
from benchmarks.conditions import ConditionsError
from benchmarks.measuring import Cost, Subject

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import ExitStack

    from benchmarks.apart.environments import Environments
    from benchmarks.target import Target

WORKER: Final = Path(__file__).parent / "worker.py"
PATIENCE: Final = 10.0
"""Seconds to wait for the process to end."""


class WorkerError(ConditionsError):
    """A worker ended without an answer; what it had to say went to standard error."""


class Worker:
    """A peer's process, inside a ``with`` block.

    :param name: the peer's
    :param python: the Python of its environment
    :param target: what it gets
    :raises WorkerError: when it doesn't start
    """

    def __init__(self, name: str, python: Path, target: Target) -> None:
        self.name = name
        # -I: no folder or setting of the caller's decides what it imports.
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [str(python), "-I", str(WORKER), name, target.line()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        told = self._told()
        self._batch: int = told["batch"]
        self._warmup: int = told["warmup"]

    def subject(self) -> Subject:
        """It, as a subject among others."""
        return Subject(
            self.name,
            lambda: self._ask(None),
            batch=self._batch,
            warmup=self._warmup,
            measure=lambda operations: Cost(*self._ask(operations)),
        )

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=PATIENCE)

    def _ask(self, what: int | None) -> Any:
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        print(json.dumps(what), file=self._process.stdin, flush=True)
        return self._told()

    def _told(self) -> Any:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        line = self._process.stdout.readline()
        if not line:
            self.close()
            msg = f"the worker of {self.name} ended"
            raise WorkerError(msg)
        return json.loads(line)


def subjects(
    names: Iterable[str], target: Target, stack: ExitStack, environments: Environments | None
) -> list[Subject]:
    """Start the workers of those peers that have an environment."""
    if environments is None:
        return []
    found = []
    for name in names:
        if name in PEERS and (python := environments.python(name)) is not None:
            worker = Worker(name, python, target)
            stack.callback(worker.close)
            found.append(worker.subject())
    return found

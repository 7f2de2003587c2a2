"""`sleepwalker walk`: follow relations from a resource to all that they lead to.

Rules:

1. In a pipe each visit is a line of JSON, written whole and at once; on a terminal it is a line to
   read. How far it is stands on standard error.
2. What can't be followed is a line, too, and shows in the exit code.
3. However it ends, nothing that it wrote is torn, and a later one can go on from there.
"""

from __future__ import annotations

import fcntl
import io
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rich.text import Text

from sleepwalker.cli import _progress, _record
from sleepwalker.cli._failures import Exit, UsageError, failure_of
from sleepwalker.cli._interrupts import SIGNALLED, Interrupted, Interrupts
from sleepwalker.cli._text import one_line
from sleepwalker.observability.redaction import DEFAULT as REDACTION
from sleepwalker.resilience.deadline import LEAST_ATTEMPT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sleepwalker.cli._commands import Command
    from sleepwalker.cli._output import Output
    from sleepwalker.cli._services import Options
    from sleepwalker.links import Progress, Traversal, Visit


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command is told, beside what `Options` says."""

    options: Options
    rels: Sequence[str]
    resume: Sequence[str] = ()
    data: bool = False
    order: Literal["finished", "breadth"] = "finished"
    concurrency: int = 16
    per_host: int = 4
    max_depth: int | None = None
    max_resources: int | None = 10_000
    deadline: float | None = None


class Walk:
    """One run of the command."""

    def __init__(self, request: Request, command: Command) -> None:
        self._request = request
        self._command = command
        self._first: Visit | None = None

    def run(self) -> int:
        """Do what the command says; the exit code.

        :raises UsageError: for what can't be used
        :raises SleepwalkerException: for what keeps it from beginning
        """
        request, command = self._request, self._command
        with command.client(request.options) as client, Interrupts() as interrupts:
            earlier = self._earlier()
            found = client.services.traverse(
                client.url,
                request.rels,
                known=() if earlier is None else earlier,
                headers=client.headers,
                formats=client.formats,
                order=request.order,
                concurrency=request.concurrency,
                per_host=request.per_host,
                max_depth=request.max_depth,
                max_resources=request.max_resources,
                deadline=request.deadline,
            )
            with found:
                try:
                    with self._view(found) as view:
                        self._take(found, interrupts, view)
                except Interrupted:
                    pass
            return self._ended(found.progress, interrupts)

    def _earlier(self) -> _record.Earlier | None:
        request, command = self._request, self._command
        if not request.resume:
            return None
        earlier = _record.Earlier(request.resume, request.options.url, request.rels)
        for path in request.resume:
            mend(path, command.out)
        if earlier.passed_over:
            command.say(f"sleepwalker: --resume: {_lines(earlier.passed_over)} passed over")
        return earlier

    def _view(self, found: Traversal) -> _progress.View:
        errors = self._command.errors
        if errors.is_terminal and not errors.is_dumb_terminal:
            return _progress.Bar(errors, lambda: found.progress)
        return _progress.View(self._command.console)

    def _take(self, found: Traversal, interrupts: Interrupts, view: _progress.View) -> None:
        while True:
            with interrupts.waiting():
                visit = next(found, None)
            if visit is None:
                return
            if self._first is None:
                self._first = visit._replace(resource=None)
            self._tell(visit, view)

    def _tell(self, visit: Visit, view: _progress.View) -> None:
        if not self._command.to_terminal:
            request = self._request
            self._command.out.write_bytes(_record.line(visit, request.rels, data=request.data))
            return
        url = REDACTION.url(visit.url)
        if visit.error is None:
            status = visit.resource.status if visit.resource is not None else None
            told = Text(one_line(f"{status or ''} {url}"))
        else:
            told = Text(one_line(f"✗ {url}: {failure_of(visit.error).line}"), "red")
        view.say(told)

    def _ended(self, progress: Progress, interrupts: Interrupts) -> int:
        """Say how it went; the exit code."""
        code: int = Exit.DONE
        if interrupts.signal is not None:
            code = SIGNALLED + interrupts.signal
        elif self._is_late(progress):
            code = Exit.TIMEOUT
        elif progress.failed:
            code = Exit.INCOMPLETE
        first = self._first
        if code == Exit.INCOMPLETE and first and first.error and first.source is None:
            # It has not come further than its start: that is what is wrong.
            return self._command.fail(first.error)
        if code != Exit.DONE or progress.left_out or self._command.errors.is_terminal:
            late = code == Exit.TIMEOUT
            self._command.say(f"sleepwalker: {summary(progress, late=late)}")
        return code

    def _is_late(self, progress: Progress) -> bool:
        """Whether the deadline came, for the walk or for the last that was under way."""
        if progress.ended == "deadline":
            return True
        deadline = self._request.deadline
        # No attempt begins when there is so little time left.
        return (
            deadline is not None
            and progress.failed > 0
            and progress.seconds >= deadline - LEAST_ATTEMPT
        )


def run(request: Request, command: Command) -> int:
    """Do what the command says; the exit code.

    :raises UsageError: for what can't be used
    :raises SleepwalkerException: for what keeps it from beginning
    """
    return Walk(request, command).run()


def summary(progress: Progress, *, late: bool) -> str:
    """How a walk went, in a line.

    :param late: whether the deadline came
    """
    hosts = len(progress.hosts)
    of_hosts = "1 host" if hosts == 1 else f"{hosts:,} hosts"
    parts = [f"{progress.visited:,} resources from {of_hosts} in {progress.seconds:.1f} s"]
    if progress.failed:
        parts.append(f"{progress.failed:,} could not be had")
    if progress.left_out:
        were = "link was" if progress.left_out == 1 else "links were"
        parts.append(f"{progress.left_out:,} {were} left out")
    if late:
        parts.append("the deadline has passed")
    elif progress.ended == "closed":
        parts.append("cut short")
    if progress.failed or late or progress.ended == "closed":
        parts.append("--resume goes on from what was written")
    return "; ".join(parts)


def _lines(count: int) -> str:
    return (
        "1 line that can't be understood was"
        if count == 1
        else (f"{count:,} lines that can't be understood were")
    )


def mend(path: str, out: Output) -> None:
    """See to it that what is written after a file's last line is a line of its own.

    Where the output is appended to that very file, a line that was cut off is taken away.

    :raises UsageError: when the file can't be read, or is being overwritten
    """
    try:
        begins = _record.cut_off(path)
        there = os.stat(path)  # noqa: PTH116 - as it is compared
    except OSError as error:
        raise UsageError(f"--resume: {path} can't be read: {error.strerror}") from None
    try:
        number = out.fileno()
        same = os.path.samestat(os.fstat(number), there)
    except (OSError, io.UnsupportedOperation):
        same = False
    if same and not fcntl.fcntl(number, fcntl.F_GETFL) & os.O_APPEND:
        raise UsageError(f"--resume: {path} is the output as well: append to it, with >>")
    if begins is None:
        return
    if same and _record.is_begun(path, begins):
        os.ftruncate(number, begins)
    elif not out.isatty():
        # Maybe another process appends it to that file.
        out.write_bytes(b"\n")

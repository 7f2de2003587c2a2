"""How a command that asks hosts runs and ends: its streams, its log, its errors, its exit code."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from sleepwalker.cli import _logs, _services, _streams
from sleepwalker.cli._failures import Exit, failure_of, whole
from sleepwalker.cli._output import Output, OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from sleepwalker.cli._services import Client, Options


class Command:
    """One run of a command.

    :ivar out: standard output
    :ivar errors: standard error
    """

    def __init__(self, out: Output, errors: Console, verbosity: int) -> None:
        self.out = out
        self.errors = errors
        self._verbosity = verbosity
        self._secrets: tuple[str, ...] = ()

    @property
    def to_terminal(self) -> bool:
        """Whether somebody looks at the output."""
        return self.out.isatty()

    @property
    def console(self) -> Console:
        """What draws on standard output."""
        return _streams.console(self.out)

    @contextmanager
    def client(self, options: Options, *, tracer_provider: Any = False) -> Iterator[Client]:
        """What asks hosts; closed in the end.

        :raises UsageError: for options that can't be used
        :raises CredentialsError: when nobody says who we are
        """
        logger = _logs.logger(options.verbosity, self.say)
        with _services.client(options, logger=logger, tracer_provider=tracer_provider) as made:
            self._secrets = made.secrets
            yield made

    def say(self, line: str) -> None:
        """Write a line to standard error, if there is anybody to read it."""
        with suppress(OSError):
            self.errors.print(line, markup=False, soft_wrap=True)

    def fail(self, error: BaseException) -> Exit:
        """Tell of an error; the exit code."""
        code, line = failure_of(error)
        self.say(f"sleepwalker: {line}")
        if self._verbosity:
            self.say(whole(error, self._secrets).rstrip())
        return code


def run(work: Callable[[Command], int], verbosity: int) -> int:
    """Run a command to its end.

    :param work: does it; gives the exit code
    :param verbosity: how much is told of errors
    :returns: the exit code
    """
    out, errors = _streams.output(), _streams.errors()
    if out is None:
        errors.print("sleepwalker: there is no standard output")
        return Exit.UNWRITTEN
    command = Command(out, errors, verbosity)
    try:
        return work(command)
    except OutputError as error:
        return _streams.unwritten(error, to_terminal=command.to_terminal)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told in one line
        return command.fail(error)

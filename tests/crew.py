"""Who works and who watches in the tests of the manager: threads, hooks, witnesses, a clock.

Rule 1: nobody waits for ever: a thread that does not finish fails the test, and shows where it is.
Rule 2: whatever a thread raises, an interrupt too, is its outcome and reaches the test.
Rule 3: a test waits for something that was recorded, never for time to pass.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from sleepwalker import ConnectionManager
from sleepwalker.observability.events import LookedUp

if TYPE_CHECKING:
    from collections.abc import Callable

    from sleepwalker.observability.events import Event

PATIENCE: Final = 10.0  # seconds until a wait is a failed test

T = TypeVar("T")


class Job(Generic[T]):
    """A task in a thread of its own."""

    def __init__(self, task: Callable[[], T]) -> None:
        """Start it."""
        self._task = task
        self._result: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def finished(self) -> bool:
        """Whether it has returned or raised."""
        return not self._thread.is_alive()

    def wait(self, timeout: float = PATIENCE) -> None:
        """Wait until it has finished.

        Raises:
            AssertionError: it has not within `timeout` seconds; says where it is.
        """
        self._thread.join(timeout)
        if not self.finished:
            frame = sys._current_frames().get(self._thread.ident or 0)  # noqa: SLF001 - documented, only named so
            where = "".join(traceback.format_stack(frame)) if frame is not None else "?"
            raise AssertionError(f"not finished within {timeout} s; it is at\n{where}")

    def result(self, timeout: float = PATIENCE) -> T:
        """Wait, and give what it returned, or raise what it raised."""
        self.wait(timeout)
        if self._error is not None:
            raise self._error
        return self._result[0]

    def error(self, timeout: float = PATIENCE) -> BaseException | None:
        """Wait, and give what it raised."""
        self.wait(timeout)
        return self._error

    def _run(self) -> None:
        try:
            self._result.append(self._task())
        except BaseException as error:  # noqa: BLE001 - rule 2
            self._error = error


def at_once(tasks: list[Callable[[], T]]) -> list[Job[T]]:
    """Start tasks that all begin together, each in a thread of its own."""
    barrier = threading.Barrier(len(tasks))

    def begin(task: Callable[[], T]) -> T:
        barrier.wait(PATIENCE)
        return task()

    return [Job(partial(begin, task)) for task in tasks]


def until(holds: Callable[[], bool]) -> None:
    """Wait until a thread has come as far as that, where it records nothing.

    Raises:
        AssertionError: it doesn't within `PATIENCE`.
    """
    pause = threading.Event()
    for _ in range(int(PATIENCE * 1000)):
        if holds():
            return
        pause.wait(0.001)
    raise AssertionError("it did not come to that")


def wait_for(event: threading.Event) -> None:
    """Wait for an event.

    Raises:
        AssertionError: it is not set within `PATIENCE` seconds.
    """
    assert event.wait(PATIENCE), "what the test waits for did not happen"


class Witness:
    """An instrument that keeps every event."""

    def __init__(self) -> None:
        """Begin with none."""
        self._changed = threading.Condition()
        self._events: list[Event] = []

    def record(self, event: Event) -> None:
        """Keep an event."""
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()

    def of(self, kind: type[Any]) -> list[Any]:
        """Give the events of one kind, in order."""
        with self._changed:
            return [event for event in self._events if isinstance(event, kind)]

    def lookups(self) -> dict[str, int]:
        """Count the finds that were told of, by result."""
        counts: Counter[str] = Counter()
        for looked_up in self.of(LookedUp):
            counts[looked_up.result] += looked_up.times
        return dict(counts)

    def wait_until(self, predicate: Callable[[], bool]) -> None:
        """Wait until this holds; it is asked again after every event.

        Raises:
            AssertionError: it does not within `PATIENCE` seconds.
        """
        with self._changed:
            assert self._changed.wait_for(predicate, PATIENCE), self._events


class SteppedClock:
    """A clock that stands still until it is moved; sleeping moves it."""

    def __init__(self, now: float = 1_000.0) -> None:
        """Begin at `now` seconds."""
        self.now = now
        self.slept: list[float] = []

    def monotonic(self) -> float:
        """Seconds."""
        return self.now

    def time(self) -> float:
        """Seconds since the epoch."""
        return 1.7e9 + self.now

    def sleep(self, seconds: float) -> None:
        """Don't wait; be so many seconds later."""
        self.slept.append(seconds)
        self.now += seconds


class Plain:
    """Something similar to a connection: no more than `json_request`."""

    def json_request(self, method: str, uri: str, *_: object) -> dict[str, str]:
        """Say what was asked for."""
        return {"method": method, "uri": uri}


class Closable(Plain):
    """Something similar to a connection that can be closed."""

    def __init__(self) -> None:
        """Begin open."""
        self.closed = 0

    def close(self) -> None:
        """Count."""
        self.closed += 1


class Maker:
    """A hook, no subclass of ours, that makes an object each time and notes what it was asked."""

    def __init__(self, make: Callable[[Any, Any], Any] | None = None) -> None:
        """Make what `make` returns, or a `Plain`."""
        self._make = make
        self.asked: list[tuple[Any, Any]] = []
        self.made: list[Any] = []

    def connect(self, host: Any, auth: Any) -> Any:
        """Make one."""
        self.asked.append((host, auth))
        made = Plain() if self._make is None else self._make(host, auth)
        self.made.append(made)
        return made


def quiet(*hooks: Any, **options: Any) -> ConnectionManager:
    """Give a manager that tells only its observers."""
    silence: dict[str, Any] = {"registry": False, "tracer_provider": False, "logger": False}
    return ConnectionManager(hooks=hooks, **(silence | options))

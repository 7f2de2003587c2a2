"""Counts what one call does, in ways that don't depend on the machine, nor on how busy it is.

Rules:

1. Calls are counted in the calling thread alone, so that nobody's exporter is in the count; memory
   is the whole process's, and looked at when exporters have finished.
2. The garbage collector stands still while something is counted.
3. A count is the median of several calls in a row: what comes now and then (a line that is due
   every few seconds, a list that has to grow) is in none of them.

Python has no count of all that was ever allocated. What a call frees again before it ends shows in
the most memory that it had, and in the functions that it called to make it.
"""

from __future__ import annotations

import gc
import statistics
import sys
import tracemalloc
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from benchmarks.measuring import Subject

CALLS: Final = 15
"""Calls whose median is told."""
KEEPING: Final = 100
"""Calls over which it is told what each leaves behind; what comes now and then is less than one."""
FILLING: Final = 8
"""How often that is looked at, at most, as long as there is something."""

_MODULES: Final = frozenset({"posix", "select"})
"""Those whose functions ask the system, but for these."""
_QUIET_FUNCTIONS: Final = frozenset({"fspath", "poll"})
_TYPES: Final = frozenset({"_SSLSocket", "epoll", "kqueue", "poll", "socket"})
"""Those whose methods ask the system, but for these."""
_QUIET_METHODS: Final = frozenset(
    {"fileno", "gettimeout", "modify", "pending", "register", "unregister"}
)


class Counts(NamedTuple):
    """What one call does."""

    python: int
    """Functions in Python that are called."""
    c: int
    """Functions in C that Python calls."""
    system: int
    """Those among them that ask the system: of sockets, of `select`, of `os`."""
    peak: int
    """The most bytes of memory that it has at once, beside those that were there before."""
    kept: int
    """Blocks of memory that it leaves behind for good."""
    cycles: int
    """Objects that it leaves behind in cycles, for the collector to find."""


def counted(subject: Subject) -> Counts:
    """Count what a subject's call does."""
    with _no_collector():
        _repeat(subject, KEEPING)
        python, c, system = _calls(subject)
        peak = _peak(subject)
        kept, cycles = _left_behind(subject)
        return Counts(python, c, system, peak, kept, cycles)


def called(subject: Subject) -> Counter[str]:
    """How often a subject's call calls which function."""
    names: Counter[str] = Counter()
    _repeat(subject, KEEPING)  # what is looked at again after a while has been looked at

    def note(frame: FrameType, event: str, function: Any) -> None:
        if event == "call":
            names[f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}"] += 1
        elif event == "c_call" and function is not sys.setprofile:
            owner = function.__module__ or type(function.__self__).__module__
            names[f"{owner}.{function.__qualname__} (C)"] += 1

    _profiled(subject, note)
    return names


def asks_the_system(function: Any) -> bool:
    """Whether this function in C asks the operating system.

    What lies beneath is not seen: a `recv` that may wait is one call here, and two for the system.
    """
    if function.__module__ in _MODULES:
        return function.__name__ not in _QUIET_FUNCTIONS
    return function.__name__ not in _QUIET_METHODS and any(
        kind.__name__ in _TYPES for kind in type(function.__self__).__mro__
    )


class _Profile:
    """What `sys.setprofile` calls."""

    def __init__(self) -> None:
        self.python = self.c = self.system = 0

    def __call__(self, _: FrameType, event: str, function: Any) -> None:
        if event == "call":
            self.python += 1
        elif event == "c_call":
            self.c += 1
            self.system += asks_the_system(function)


def _profiled(subject: Subject, profile: Callable[[FrameType, str, Any], object]) -> None:
    call = subject.call
    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(None)


def _calls(subject: Subject) -> tuple[int, int, int]:
    found = []
    for _ in range(CALLS):
        profile = _Profile()
        _profiled(subject, profile)
        # Less the call that ended it.
        found.append((profile.python, profile.c - 1, profile.system))
    subject.settle()
    python, c, system = (statistics.median_low(each) for each in zip(*found, strict=True))
    return python, c, system


def _left_behind(subject: Subject) -> tuple[int, int]:
    kept = cycles = KEEPING
    # Python's cache of attributes keeps names until it is full, fewer at each time: a leak stays.
    for _ in range(FILLING):
        # Whoever collects also empties Python's reserves of small objects, which come and go.
        gc.collect()
        before = sys.getallocatedblocks()
        _repeat(subject, KEEPING)
        cycles = gc.collect()
        kept = sys.getallocatedblocks() - before
        if kept < KEEPING > cycles:
            break
    return max(kept, 0) // KEEPING, cycles // KEEPING


def _peak(subject: Subject) -> int:
    found = []
    tracemalloc.start()
    try:
        for _ in range(CALLS):
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            subject.call()
            found.append(tracemalloc.get_traced_memory()[1] - before)
            subject.settle()
    finally:
        tracemalloc.stop()
    return statistics.median_low(found)


def _repeat(subject: Subject, calls: int) -> None:
    for _ in range(calls):
        subject.call()
    subject.settle()
    subject.evidence()  # as a scrape would: what is to be added up then is


@contextmanager
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()

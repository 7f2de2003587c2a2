"""Many who ask at once: threads that are there from the start, and work when they are told to.

Rules:

1. Threads are started once, before anything is measured.
2. One call is `REQUESTS` requests, the same number for each thread, begun by all together; it ends
   when the last has ended.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from benchmarks.measuring import Subject

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from benchmarks.target import Target

REQUESTS: Final = 128
"""Of all threads together; so many threads, or fewer, must be a divisor of it."""
WARMUP: Final = 1
"""A call of many requests is warm-up enough."""


def subject(
    name: str, get: Callable[[], Any], target: Target, stack: ExitStack, **more: Any
) -> Subject:
    """A subject that gets something: by itself, or with as many threads as the target says."""
    if target.threads == 1:
        return Subject(name, get, **more)
    crew = Crew(get, target.threads)
    stack.callback(crew.close)
    return Subject(name, crew.call, batch=REQUESTS, warmup=WARMUP, **more)


class Crew:
    """Threads that do the same.

    :param work: what each does, again and again; it may be called by all at once
    :param threads: how many they are
    """

    def __init__(self, work: Callable[[], Any], threads: int) -> None:
        self._work = work
        self._share = REQUESTS // threads
        self._turn = threading.Barrier(threads + 1)
        self._last: Any = None
        self._failed: BaseException | None = None
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def call(self) -> Any:
        """Have them all do their share; what one of them got the last time.

        :raises BaseException: what was raised in one of them
        """
        self._turn.wait()
        self._turn.wait()
        failed, self._failed = self._failed, None
        if failed is not None:
            raise failed
        return self._last

    def close(self) -> None:
        """End the threads, wherever they are."""
        self._turn.abort()
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        with suppress(threading.BrokenBarrierError):
            while True:
                self._turn.wait()
                self._work_once()
                self._turn.wait()

    def _work_once(self) -> None:
        try:
            for _ in range(self._share):
                self._last = self._work()
        except BaseException as error:  # noqa: BLE001 - raised where it can be seen
            self._failed = error

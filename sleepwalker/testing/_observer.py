"""An observer that keeps what it is told."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

from sleepwalker.exceptions import ConfigurationError

if TYPE_CHECKING:
    from sleepwalker.observability.events import Event

AnyEvent = TypeVar("AnyEvent", bound=tuple[object, ...])


class RecordingObserver:
    """An observer that keeps every event, in order, of however many threads.

    ::

        observer = RecordingObserver()
        manager = ConnectionManager(hooks=[DirectHook()], observers=[observer])
        ...
        assert observer.count(RetryScheduled, reason="connect") == 2
    """

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._lock = threading.RLock()

    def record(self, event: Event) -> None:
        """Keep it."""
        with self._lock:
            self._events.append(event)

    @property
    def events(self) -> tuple[Event, ...]:
        """All events until now."""
        with self._lock:
            return tuple(self._events)

    def all(self, kind: type[AnyEvent], **fields: object) -> list[AnyEvent]:
        """The events of one kind until now, in order.

        :param kind: a class of `sleepwalker.observability.events`
        :param fields: what they must have, such as ``status=503``
        :raises ConfigurationError: for what is no kind of event, or a field that it doesn't have
        """
        known = getattr(kind, "_fields", None)
        if not isinstance(kind, type) or known is None:
            msg = "kind must be a class of sleepwalker.observability.events, such as RetryScheduled"
            raise ConfigurationError(msg)
        unknown = sorted(set(fields) - set(known))
        if unknown:
            msg = f"{kind.__name__} has no {', '.join(unknown)}; it has {', '.join(known)}"
            raise ConfigurationError(msg)
        return [
            event
            for event in self.events
            if isinstance(event, kind)
            and all(getattr(event, name) == value for name, value in fields.items())
        ]

    def count(self, kind: type[AnyEvent], **fields: object) -> int:
        """How many events of one kind there were until now; the arguments are those of `all`."""
        return len(self.all(kind, **fields))

    def clear(self) -> None:
        """Forget all events."""
        with self._lock:
            self._events.clear()

    def __repr__(self) -> str:
        return f"<RecordingObserver {len(self._events)} events>"

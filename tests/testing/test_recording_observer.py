"""A `RecordingObserver` keeps what it is told: all of it, in order, of all threads."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from sleepwalker import ANONYMOUS, Connection, ConnectionManager, DirectHook
from sleepwalker.exceptions import ConfigurationError
from sleepwalker.observability.events import (
    AttemptFinished,
    ConnectionEstablished,
    Event,
    Pool,
    PoolsChanged,
    RequestFinished,
    RequestStarted,
    RetryScheduled,
)
from sleepwalker.testing import Fault, FaultAdapter, RecordingObserver, faults, no_wait

QUIET: dict[str, Any] = {"registry": False, "tracer_provider": False, "logger": False}
POOL = Pool("https://books.example", "none", ("https://books.example", "none"))


def test_a_connections_events_are_kept_in_order() -> None:
    observer = RecordingObserver()
    adapter = FaultAdapter(answer=Fault.status(200))
    adapter.fail_next(1, Fault.status(503))
    options: dict[str, Any] = QUIET | {"observers": [observer]}
    with no_wait(), Connection("https://books.example", ANONYMOUS, **options) as conn:
        adapter.mount_on(conn)
        conn.request("GET", "/books")

    told = [RequestStarted, AttemptFinished, RetryScheduled, AttemptFinished, RequestFinished]
    assert [type(event) for event in observer.events if type(event) in told] == told


def test_a_managers_events_are_those_of_all_its_connections() -> None:
    observer = RecordingObserver()
    with (
        faults(answer=Fault.status(200)),
        ConnectionManager(hooks=[DirectHook()], observers=[observer], **QUIET) as manager,
    ):
        for host in ("books", "films"):
            manager.find(f"https://{host}.example", ANONYMOUS).request("GET", "/")

    assert [e.pool.host for e in observer.all(ConnectionEstablished)] == [
        "https://books.example",
        "https://films.example",
    ]
    assert observer.count(RequestFinished, outcome="success") == 2


def finished(number: int, status: int | None, error_type: str = "none") -> AttemptFinished:
    return AttemptFinished(POOL, "GET", number, 0.1, status, error_type)


def test_events_are_found_by_kind_and_by_their_fields() -> None:
    observer = RecordingObserver()
    told: list[Event] = [
        RequestStarted(POOL, "GET"),
        finished(1, 503),
        finished(2, None, "reset"),
        finished(3, 503),
    ]
    for event in told:
        observer.record(event)

    assert observer.all(AttemptFinished) == told[1:]
    assert observer.all(AttemptFinished, status=503) == [told[1], told[3]]
    assert observer.all(AttemptFinished, status=503, number=3) == [told[3]]
    assert observer.count(AttemptFinished, error_type="reset") == 1
    assert observer.count(RequestFinished) == 0
    assert repr(observer) == "<RecordingObserver 4 events>"


def test_what_was_told_can_be_forgotten() -> None:
    observer = RecordingObserver()
    observer.record(PoolsChanged(1))
    before = observer.events
    observer.clear()

    assert (before, observer.events) == ((PoolsChanged(1),), ())


def test_no_event_of_any_thread_is_lost() -> None:
    observer = RecordingObserver()

    def tell() -> None:
        for _ in range(500):
            observer.record(PoolsChanged(1))
            observer.count(PoolsChanged)

    threads = [threading.Thread(target=tell) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert observer.count(PoolsChanged, by=1) == 2000


@pytest.mark.parametrize(
    ("kind", "fields", "text"),
    [
        ("RetryScheduled", {}, "a class of sleepwalker.observability.events"),
        (str, {}, "a class of sleepwalker.observability.events"),
        (PoolsChanged(1), {}, "a class of sleepwalker.observability.events"),
        (PoolsChanged, {"to": 1}, "PoolsChanged has no to; it has by"),
    ],
)
def test_what_can_never_be_found_is_an_error(kind: Any, fields: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        RecordingObserver().all(kind, **fields)

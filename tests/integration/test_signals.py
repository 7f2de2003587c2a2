"""Signal handlers that make calls: Python runs them in the middle of whatever the main thread does.

Rule: each program runs as a process of its own, with a limit; one that waits for itself fails, and
shows where it is.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Final

import pytest

from tests.observability.programs import run
from tests.servers import MakeServer, respond

if TYPE_CHECKING:
    from tests.servers import ScriptedServer

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "setitimer"), reason="this system has no interval timers"
)

BEGINNING: Final = """
import faulthandler, signal, sys, threading
from sleepwalker import *
from prometheus_client import CollectorRegistry

faulthandler.dump_traceback_later(40, exit=True)
URL = {url!r}
"""

INSIDE: Final = (
    BEGINNING
    + """
conn = Connection(URL, ANONYMOUS, registry=CollectorRegistry())
manager = ConnectionManager(hooks=[DirectHook()], registry=CollectorRegistry())
mine = manager.find(URL, ANONYMOUS)
bearer = BearerAuth(lambda: ("token", 0))  # asked each time
with_token = Connection(URL + "/e", bearer, allow_plaintext=True, registry=CollectorRegistry())
signals = iter(range(1000))

def custom(request):
    return request

def locks():
    from sleepwalker.observability import metrics, standard, telemetry
    # First, since the default telemetry is made but once.
    yield telemetry._making
    yield metrics._making
    yield standard._making
    yield bearer._state.lock
    yield conn._lock
    yield mine._lock
    yield manager._lock
    for used in (conn._telemetry, mine._telemetry):
        yield used._metrics._counting._lock
        yield used._standard._recording._lock
        yield used._metrics.labels._lock
        yield used._logs._lock

def handler(*_):
    number = next(signals)
    conn.json_request("GET", "/signal")
    Connection(URL + "/b", ANONYMOUS, registry=CollectorRegistry()).json_request("GET", "/signal")
    Connection(URL + "/c", ANONYMOUS).json_request("GET", "/signal")
    # Warns, each time, that credentials go over plain http.
    manager.find(URL + "/d%d" % number, custom).json_request("GET", "/signal")
    with_token.json_request("GET", "/signal")
    manager.find(URL, ANONYMOUS).json_request("GET", "/signal")
    manager.find(URL + "/%d" % len(list(manager.conns)), ANONYMOUS)
    manager.reset(idle=1000)
    manager.add("added", None, object())

conn.json_request("GET", "/x")
mine.json_request("GET", "/x")
signal.signal(signal.SIGUSR1, handler)
for number, lock in enumerate(list(locks()), 1):
    with lock:
        # Runs the handler here and now, in this thread, which holds the lock.
        signal.raise_signal(signal.SIGUSR1)
    print(number)
manager.close()
conn.close()
"""
)

ANYWHERE: Final = (
    BEGINNING
    + """
conn = Connection(URL, ANONYMOUS, registry=CollectorRegistry())
manager = ConnectionManager(hooks=[DirectHook()], registry=CollectorRegistry())
numbers, going = iter(range(10**6)), [True]

def handler(*_):
    if not going:
        return
    manager.find(URL + "/%d" % next(numbers), ANONYMOUS)
    manager.reset()
    conn.json_request("GET", "/signal")
    # Only now again: on a slow machine nothing else would ever be done.
    signal.setitimer(signal.ITIMER_REAL, 0.0013)

signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.001)
for step in range(150):
    for number in range(5):
        manager.find(URL + "/k%d" % number, ANONYMOUS)
    manager.reset()
    conn.json_request("GET", "/x")
going.clear()
signal.setitimer(signal.ITIMER_REAL, 0)
assert next(numbers) > 10
assert conn.in_flight == 0
conn.close()
manager.close()
print("done")
"""
)


@pytest.fixture
def answering(make_server: MakeServer) -> ScriptedServer:
    return make_server(respond(json=[]))


def test_a_handler_may_make_calls_whatever_lock_its_thread_holds(
    answering: ScriptedServer,
) -> None:
    out, _ = run(INSIDE.format(url=answering.url))

    held = out.split()
    assert held == [str(number) for number in range(1, len(held) + 1)]
    assert len(held) == 15
    assert answering.count(target="/signal") == 2 * len(held)
    for path in ("/b", "/c", "/e"):
        assert answering.count(target=path + "/signal") == len(held)


def test_handlers_that_come_at_any_moment_hold_nobody_up(answering: ScriptedServer) -> None:
    out, _ = run(ANYWHERE.format(url=answering.url))

    assert out == "done\n"
    assert answering.count(target="/x") == 150

"""What a forked child has of its own: gauges that start anew, and no socket that it must warn of.

Rule 1: programs run as processes of their own, with a limit; every warning is an error there, and a
    child says what it saw by what it prints.
Rule 2: whatever a sub-class of the user's does with equality, each of its objects is renewed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.servers import MakeServer, respond

if TYPE_CHECKING:
    from tests.servers import ScriptedServer

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

ROOT: Final = Path(__file__).parents[2]
LIMIT: Final = 20.0  # seconds
BEGINNING: Final = """
import faulthandler, os, signal, sys, threading
# Not faulthandler's own timer: that one has a thread, without which a child waits for ever.
faulthandler.register(signal.SIGALRM, all_threads=True, chain=True)
signal.alarm(15)
from prometheus_client import CollectorRegistry
from sleepwalker import *

URL = sys.argv[1]
registry = CollectorRegistry()

def in_child(work):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        signal.alarm(10)
        try:
            work()
            import gc
            gc.collect()
            sys.stdout.flush()
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0, "the child failed"

def in_flight():
    return [
        sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "sleepwalker_requests_in_flight"
    ]
"""


def run(program: str, url: str) -> str:
    """Run a program that must end well and say nothing on stderr; give what it printed."""
    ran = subprocess.run(
        # Python 3.12 warns of forks beside threads, which some of these are about.
        [
            *(sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning"),
            *("-c", BEGINNING + textwrap.dedent(program), url),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
        cwd=ROOT,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


@pytest.fixture
def answering(make_server: MakeServer) -> ScriptedServer:
    return make_server(respond(json=[]))


def test_nothing_is_in_flight_in_a_child_whatever_its_parent_was_doing(
    answering: ScriptedServer,
) -> None:
    out = run(
        """
        conn = Connection(URL, ANONYMOUS, registry=registry)

        def fork_now(*_, **__):
            print("parent", in_flight(), conn.in_flight)
            thread = threading.Thread(target=in_child, args=(show,))
            thread.start()
            thread.join()
            print("parent", in_flight(), conn.in_flight)

        def show():
            print("child", in_flight(), conn.in_flight)
            conn.json_request("GET", "/child")
            print("child", in_flight(), conn.in_flight)

        conn.request("GET", "/", hooks={"response": fork_now})
        print("parent", in_flight(), conn.in_flight)
        """,
        answering.url,
    )

    assert out.splitlines() == [
        "parent [1.0] 1",
        "child [0.0] 0",
        "child [0.0] 0",
        "parent [1.0] 1",
        "parent [0.0] 0",
    ]


def test_a_call_that_goes_on_in_a_child_leaves_nothing_in_flight_there(
    answering: ScriptedServer,
) -> None:
    out = run(
        """
        conn = Connection(URL, ANONYMOUS, registry=registry)
        pids = []

        def fork_here(*_, **__):
            sys.stdout.flush()
            pids.append(os.fork())

        conn.request("GET", "/", hooks={"response": fork_here})
        if pids == [0]:
            print("child", in_flight(), conn.in_flight)
            conn.json_request("GET", "/child")
            print("child", in_flight(), conn.in_flight)
            sys.stdout.flush()
            os._exit(0)
        assert os.waitpid(pids[0], 0)[1] == 0
        print("parent", in_flight(), conn.in_flight)
        """,
        answering.url,
    )

    assert out.splitlines() == ["child [0.0] 0", "child [0.0] 0", "parent [0.0] 0"]


def test_a_child_lets_go_of_its_parents_idle_sockets_without_a_warning(
    answering: ScriptedServer,
) -> None:
    out = run(
        """
        conns = [Connection(URL, ANONYMOUS, registry=registry) for _ in range(3)]
        for conn in conns:
            conn.json_request("GET", "/parent")

        def ask():
            for conn in conns:
                conn.json_request("GET", "/child")
                conn.close()

        in_child(ask)
        for conn in conns:
            conn.json_request("GET", "/parent")
            conn.close()
        print("done")
        """,
        answering.url,
    )

    assert out == "done\n"
    assert answering.count(target="/parent") == 6
    assert answering.count(target="/child") == 3
    # Each process on sockets of its own, and the parent's were kept.
    assert len(answering.connections) == 6


EQUALITIES: Final = {
    "no hash": "def __eq__(self, other): return True",
    "one hash for all": ("def __eq__(self, other): return True\n    def __hash__(self): return 1"),
}


@pytest.mark.parametrize("equality", EQUALITIES.values(), ids=list(EQUALITIES))
def test_objects_of_a_sub_class_that_are_all_equal_are_each_renewed_in_a_child(
    answering: ScriptedServer, equality: str
) -> None:
    program = f"""
class Equal(Connection):
    {equality}

class EqualManager(ConnectionManager):
    {equality}
""" + textwrap.dedent("""
        conns = [Equal(URL, ANONYMOUS, registry=registry) for _ in range(3)]
        managers = [EqualManager(hooks=[DirectHook()], registry=registry) for _ in range(3)]
        for conn in conns:
            conn.json_request("GET", "/")
        locks = [thing._lock for thing in (*conns, *managers)]
        held, over = threading.Event(), threading.Event()

        def hold():
            for lock in locks:
                lock.acquire()
            held.set()
            over.wait()
            for lock in locks:
                lock.release()

        def use():
            for conn in conns:
                conn.json_request("GET", "/child")
                conn.close()
            for manager in managers:
                manager.find(URL, ANONYMOUS).json_request("GET", "/child")
                manager.close()

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        in_child(use)
        over.set()
        thread.join()
        for thing in (*conns, *managers):
            thing.close()
        print("done")
        """)

    assert run(program, answering.url) == "done\n"
    assert answering.count(target="/child") == 6

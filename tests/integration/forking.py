"""Programs that fork, run as processes of their own: `python forking.py PROGRAM URL [BUNDLE]`.

One job: to be what a service is that forks while its threads are busy, and to say what happened.

Rule 1: a child ends by itself, through the interpreter's ordinary exit; one that hangs says where
    it is, on stderr, and ends the program with an error.
Rule 2: each process marks its requests (`/parent/...`, `/child-3/...`), so that the server, which
    lives elsewhere, can tell whose socket they came on.
Rule 3: no child is forked while its parent shakes hands over TLS. OpenSSL has locks of its own that
    no fork renews, and its authors say so; a child that needs one waits for ever.
Rule 4: what a program has to report goes to stdout, as one line of JSON.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

_LOCKS: list[tuple[str, threading.Lock]] = []
"""Every lock that was made through `threading`, and by which module, in the program `held`."""

if __name__ == "__main__" and sys.argv[1].startswith("held"):
    # Before everything else is imported, so that no lock is made unseen.
    _make_lock, _make_rlock = threading.Lock, threading.RLock

    def _noted(make: Any) -> Any:
        def make_and_note() -> Any:
            lock = make()
            maker = sys._getframe(1).f_globals["__name__"]  # noqa: SLF001 - documented, only named so
            _LOCKS.append((maker, lock))
            return lock

        return make_and_note

    threading.Lock = _noted(_make_lock)
    threading.RLock = _noted(_make_rlock)

import faulthandler  # noqa: E402 - all of these come after the locks are noted
import gc  # noqa: E402 - as above
import http.cookiejar  # noqa: E402 - as above
import json  # noqa: E402 - as above
import logging  # noqa: E402 - as above
import multiprocessing  # noqa: E402 - as above
import os  # noqa: E402 - as above
import random  # noqa: E402 - as above
import signal  # noqa: E402 - as above
import time  # noqa: E402 - as above
import traceback  # noqa: E402 - as above
import warnings  # noqa: E402 - as above
from functools import partial  # noqa: E402 - as above
from typing import TYPE_CHECKING, Final  # noqa: E402 - as above

import prometheus_client  # noqa: E402 - as above

from sleepwalker import (  # noqa: E402 - as above
    ANONYMOUS,
    BearerAuth,
    ClosedError,
    Connection,
    ConnectionManager,
    DirectHook,
    Policy,
    ReentrantFindError,
)
from sleepwalker.links import ServiceManager  # noqa: E402 - as above

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Python warns of forking where threads are (from 3.12 on). That is what this file is about.
warnings.filterwarnings("ignore", message=".*fork.*", category=DeprecationWarning)

LIMIT: Final = 10.0
"""Seconds that a child may take before it counts as hanging."""
ONCE: Final = Policy(attempts=1)


# --- forking and reaping -----------------------------------------------------------------


def fork(work: Callable[[], object]) -> int:
    """Fork; the child does its work and exits as any program does."""
    pid = os.fork()
    if pid == 0:
        finish(work)
    return pid


def finish(work: Callable[[], object]) -> None:
    """In a child: work, and exit through the interpreter's ordinary end."""
    try:
        work()
    except SystemExit:  # of a child's own child, on its way out
        raise
    except BaseException:  # noqa: BLE001 - whatever it is, it is the child's failure
        traceback.print_exc()
        sys.exit(1)
    sys.exit(0)


def reap(*pids: int) -> None:
    """Wait for children.

    :raises SystemExit: when one fails, or hangs
    """
    end = time.monotonic() + LIMIT
    for pid in pids:
        while True:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                break
            if time.monotonic() > end:
                os.kill(pid, signal.SIGUSR1)  # upon which it says where it is
                time.sleep(0.5)
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                sys.exit(f"a child hangs: it did not exit within {LIMIT} s")
            time.sleep(0.002)
        if os.waitstatus_to_exitcode(status) != 0:
            sys.exit(f"a child failed: {os.waitstatus_to_exitcode(status)}")


def report(**what: object) -> None:
    """Say what happened."""
    print(json.dumps(what), flush=True)  # noqa: T201 - rule 4


def ask(conn: Connection, target: str) -> None:
    """Make a request, and see that the answer is its own."""
    answer = conn.json_request("GET", target)
    if answer["target"] != target:
        msg = f"asked for {target}, got the answer of {answer['target']}"
        raise AssertionError(msg)


def hook(bundle: str, **options: Any) -> DirectHook:
    """Give the hook for the server under test."""
    return DirectHook(verify=bundle or True, allow_plaintext=True, policy=ONCE, **options)


def lines_of(work: Callable[[], object], number: int) -> list[threading.Thread]:
    """Start threads that do this until the process ends."""

    def again_and_again() -> None:
        while not _over.is_set():
            try:
                work()
            except BaseException:  # noqa: BLE001 - said once, and the program fails
                traceback.print_exc()
                os._exit(2)

    threads = [threading.Thread(target=again_and_again, daemon=True) for _ in range(number)]
    for thread in threads:
        thread.start()
    return threads


_over = threading.Event()


def in_threads(work: Callable[[str], object], targets: list[str]) -> None:
    """Do something for each of these at once."""
    threads = [threading.Thread(target=work, args=(target,)) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def warm(conn: Connection, number: int) -> None:
    """Open so many sockets, which the connection keeps: see rule 3."""
    everyone = threading.Barrier(number)

    def meet(response: Any, **_: Any) -> None:
        del response
        everyone.wait(LIMIT)

    in_threads(
        lambda target: conn.request("GET", target, hooks={"response": meet}),
        [f"/parent/warm/{n}" for n in range(number)],
    )


# --- the programs ------------------------------------------------------------------------


class Names:
    """A hook that makes something for every name that is no URL."""

    def connect(self, host: Any, auth: Any) -> Any:
        """Make it."""
        del auth
        return None if host.startswith("http") else object()


class Nowhere(logging.Handler):
    """Writes the log to nowhere, without Python's buffers, whose locks no fork renews."""

    def __init__(self) -> None:
        super().__init__()
        self._nowhere = os.open(os.devnull, os.O_WRONLY)

    def emit(self, record: logging.LogRecord) -> None:
        """Write it."""
        os.write(self._nowhere, self.format(record).encode())


def busy(url: str, bundle: str) -> None:
    """Fork again and again while 16 threads make requests, find, count, log and scrape.

    All are busy at each fork. While the child does its work, only requests go on, fewer of them:
    what else the parent does can be nothing to a child that is there, and takes its processor.
    """
    children = 5 if bundle else 20
    logging.basicConfig(handlers=[Nowhere()], level=logging.DEBUG)
    manager = ConnectionManager(hooks=[hook(bundle), Names()], max_pools=20)
    auth = BearerAuth(lambda: ("token", 0.02))
    counted, sent = threading.Lock(), [0]
    go_on = threading.Event()

    def request() -> None:
        with counted:
            sent[0] += 1
            number = sent[0]
        ask(manager.find(url, auth), f"/parent/{number}")
        _over.wait(0.02 if go_on.is_set() else 0.1)

    def find() -> None:
        go_on.wait()
        manager.find(f"name-{random.randrange(40)}", None)  # noqa: S311 - a test's dice
        if not bundle and random.randrange(50) == 0:  # noqa: S311 - the same; see rule 3
            manager.reset(idle=0)
        _over.wait(0.001)

    def scrape() -> None:
        go_on.wait()
        prometheus_client.generate_latest()
        _over.wait(0.001)

    def in_child(number: int) -> None:
        conn = manager.find(url, auth)
        for step in range(3):
            ask(conn, f"/child-{number}/{step}")
            ask(manager.find(url, auth), f"/child-{number}/found/{step}")
            manager.find(f"child-{step}", None)
        in_threads(partial(ask, conn), [f"/child-{number}/thread/{n}" for n in range(4)])
        prometheus_client.generate_latest()
        manager.reset()
        ask(manager.find(url, ANONYMOUS), f"/child-{number}/after-reset")
        manager.close()

    warm(manager.find(url, auth), 10)
    threads = lines_of(request, 10) + lines_of(find, 4) + lines_of(scrape, 2)
    for number in range(children):
        go_on.set()
        before = sent[0]
        while sent[0] < before + 10:
            time.sleep(0.001)
        child = fork(partial(in_child, number))
        go_on.clear()
        reap(child)
    _over.set()
    go_on.set()
    for thread in threads:
        thread.join()
    manager.close()
    report(parent=10 + sent[0], children=children, each=11)


def keep_alive(url: str, bundle: str) -> None:
    """Fork between two requests on one socket of the parent's."""
    conn = Connection(url, ANONYMOUS, verify=bundle or True, policy=ONCE)
    ask(conn, "/parent/1")
    for number in range(3):
        reap(fork(lambda number=number: ask(conn, f"/child-{number}/1")))  # type: ignore[misc]
        ask(conn, f"/parent/{number + 2}")
    conn.close()


def closing(url: str, bundle: str) -> None:
    """The child closes what it got from its parent: its own business alone."""
    manager = ConnectionManager(hooks=[hook(bundle)])
    conn = manager.find(url, ANONYMOUS)
    ask(conn, "/parent/1")

    def in_child() -> None:
        manager.reset()
        conn.close()
        conn.session.close()
        manager.close()

    reap(fork(in_child))
    ask(conn, "/parent/2")
    manager.close()


def in_flight(url: str, bundle: str) -> None:
    """Fork while a request of another thread waits for its answer."""
    manager = ConnectionManager(hooks=[hook(bundle)])
    conn = manager.find(url, ANONYMOUS)
    ask(conn, "/parent/warm")  # see rule 3
    line = threading.Thread(target=ask, args=(conn, "/parent/stalled"), daemon=True)
    line.start()
    while not conn.in_flight:
        time.sleep(0.001)

    def in_child() -> None:
        # It is no business of the child's, whose closing waits for its own requests alone.
        assert conn.in_flight == 0
        assert conn.drained(0)
        started = time.monotonic()
        manager.close()
        assert time.monotonic() - started < LIMIT / 2
        ask(conn, "/child-0/go-on")  # upon which the server answers the parent

    reap(fork(in_child))
    line.join(LIMIT)
    assert not line.is_alive()
    ask(conn, "/parent/after")
    manager.close()


def streaming(url: str, bundle: str) -> None:
    """Fork in the middle of a streamed answer: the parent reads on, the child gets none of it."""
    conn = Connection(url, ANONYMOUS, verify=bundle or True, policy=ONCE)
    response = conn.request("GET", "/stream", stream=True)
    body = response.iter_content(5)
    first = next(body)

    def in_child() -> None:
        ask(conn, "/child-0/go-on")  # upon which the server sends the rest, to the parent
        try:
            got = next(body, b"")
        except Exception:  # noqa: BLE001 - any error will do; no byte will
            got = b""
        if got:
            msg = f"the child read {got!r} from its parent's socket"
            raise AssertionError(msg)

    reap(fork(in_child))
    report(body=(first + b"".join(body)).decode())
    conn.close()


def held(url: str, bundle: str) -> None:
    """Fork while another thread holds every lock that was made, but those of prometheus-client."""
    # Those are taken in the middle of an event or a scrape alone, for which a fork waits.
    pids: list[int] = []

    class Forking:
        """Forks in the middle of an establishment that another thread waits for."""

        def connect(self, host: Any, auth: Any) -> Any:
            if host != "fork here" or pids:
                return Names().connect(host, auth)
            waiting.start()
            while not manager._waiting:  # noqa: SLF001 - until the other thread is seen to wait
                time.sleep(0.001)
            release = hold(lambda maker: not maker.startswith("prometheus_client"))
            pids.append(os.fork())
            if pids != [0]:
                try:
                    reap(*pids)
                finally:
                    release()
            return object()

    manager = ConnectionManager(hooks=[hook(bundle), Forking()])
    waiting = threading.Thread(target=lambda: manager.find("fork here", None), daemon=True)
    auth = BearerAuth(lambda: ("token", 3600))
    conn = manager.find(url, auth)
    conn.session.cookies.set("name", "value")
    in_threads(partial(ask, conn), [f"/parent/{n}" for n in range(4)])
    manager.find("name", None)

    def in_child() -> None:
        ask(conn, "/child-0/1")
        ask(manager.find(url, auth), "/child-0/2")
        ask(manager.find(url, ANONYMOUS), "/child-0/3")
        manager.find("another name", None)
        manager.reset(idle=1000)
        conn.add_headers({"X-Child": "1"})
        ask(conn, "/child-0/4")
        with ConnectionManager(hooks=[hook(bundle)]) as new:
            ask(new.find(url, auth), "/child-0/new")
        manager.close()

    manager.find("fork here", None)
    if pids == [0]:
        finish(in_child)
    waiting.join()
    ask(conn, "/parent/after")
    manager.close()


def held_by_a_scrape(url: str, bundle: str) -> None:
    """Fork while another thread is in the middle of reading the metrics."""
    conn = ConnectionManager(hooks=[hook(bundle)]).find(url, ANONYMOUS)
    ask(conn, "/parent/1")
    release = hold(lambda maker: maker == "prometheus_client.values")
    scraper = threading.Thread(target=prometheus_client.generate_latest, daemon=True)
    scraper.start()
    while not _is_inside(scraper, "values.py"):
        time.sleep(0.001)
    threading.Timer(0.2, release).start()

    def in_child() -> None:
        ask(conn, "/child-0/1")
        prometheus_client.generate_latest()

    reap(fork(in_child))
    scraper.join()
    ask(conn, "/parent/2")


def _is_inside(thread: threading.Thread, name: str) -> bool:
    """Whether a thread is just now in a file of this name."""
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 - documented, only named so
    return frame is not None and frame.f_code.co_filename.endswith(name)


def foreign_jar(url: str, bundle: str) -> None:
    """Fork while another thread is in a cookie jar that the user brought, on one connection."""
    conn = Connection(url, ANONYMOUS, verify=bundle or True, policy=ONCE)
    earlier = Connection(url, ANONYMOUS, verify=bundle or True, policy=ONCE)
    later = Connection(url, ANONYMOUS, verify=bundle or True, policy=ONCE)
    jar = conn.session.cookies = http.cookiejar.CookieJar()  # type: ignore[assignment]
    ask(conn, "/parent/1")
    ask(earlier, "/parent/2")
    ask(later, "/parent/3")
    held, over = threading.Event(), threading.Event()

    def hold_jar() -> None:
        with jar._cookies_lock:  # type: ignore[attr-defined]  # noqa: SLF001 - as a request of another thread does inside the jar
            held.set()
            over.wait()

    threading.Thread(target=hold_jar, daemon=True).start()
    held.wait()

    def in_child() -> None:
        # Such a jar is the user's own, its lock as well; nobody else must suffer from it.
        ask(earlier, "/child-0/1")
        ask(later, "/child-0/2")

    try:
        reap(fork(in_child))
    finally:
        over.set()
    ask(conn, "/parent/4")


def hold(wanted: Callable[[str], bool]) -> Callable[[], None]:
    """Let another thread take all locks there are, until what this returns is called."""
    # Those that fork itself takes first hold up the fork, whoever has them, and not the child.
    excepted = {id(lock) for lock in _taken_by_fork()}
    locks = [lock for maker, lock in _LOCKS if wanted(maker) and id(lock) not in excepted]
    ready, over, done = threading.Event(), threading.Event(), threading.Event()

    def keep() -> None:
        kept = [lock for lock in locks if lock.acquire(blocking=False)]
        report(held=len(kept))
        ready.set()
        over.wait()
        for lock in kept:
            lock.release()
        done.set()

    def release() -> None:
        over.set()
        done.wait()

    threading.Thread(target=keep, daemon=True).start()
    ready.wait()
    return release


def _taken_by_fork() -> Iterator[Any]:
    from sleepwalker.observability import in_turn  # noqa: PLC0415 - nothing else here needs it

    yield in_turn._forking._lock  # noqa: SLF001 - there is no other way to these locks
    for made in in_turn._all:  # noqa: SLF001 - the same
        yield made._lock  # noqa: SLF001 - the same
    yield logging._lock  # type: ignore[attr-defined]  # noqa: SLF001 - logging's own hold it so


def in_hook(url: str, bundle: str) -> None:
    """Fork inside a hook: both processes go on from there."""
    pids: list[int] = []
    errors: list[str] = []

    class Forking:
        def connect(self, host: Any, auth: Any) -> Any:
            if not pids:
                pids.append(os.fork())
            try:
                manager.find(host, auth)
            except ReentrantFindError as error:
                errors.append(type(error).__name__)
            return hook(bundle).connect(host, auth)

    manager = ConnectionManager(hooks=[Forking()])
    conn = manager.find(url, ANONYMOUS)
    assert errors == ["ReentrantFindError"], errors
    assert manager.find(url, ANONYMOUS) is conn

    if pids == [0]:
        finish(partial(ask, conn, "/child-0/1"))
    ask(conn, "/parent/1")
    reap(*pids)
    ask(conn, "/parent/2")
    manager.close()


def in_call(url: str, bundle: str) -> None:
    """Fork inside a request: in an auth callable, in a token's provider, in a response hook."""
    auths: list[Any] = []
    pids: list[int] = []

    def custom(request: Any) -> Any:
        if not pids:
            pids.append(os.fork())
        return request

    def provider() -> str:
        if not pids:
            pids.append(os.fork())
        return "token"

    def on_response(response: Any, **_: Any) -> None:
        del response
        if not pids:
            pids.append(os.fork())

    auths = [custom, BearerAuth(provider), ANONYMOUS]
    for number, auth in enumerate(auths):
        pids.clear()
        conn = Connection(
            url, auth, verify=bundle or True, policy=ONCE, allow_plaintext=True, registry=False
        )
        watching = {"response": on_response} if auth is ANONYMOUS else None
        conn.request("GET", "/before", hooks=watching)  # forks, before or after it is sent

        def go_on(conn: Connection = conn, number: int = number) -> None:
            who = f"child-{number}" if pids == [0] else "parent"
            assert conn.in_flight == 0
            assert conn.drained(0)
            ask(conn, f"/{who}/{number}")
            conn.close()

        if pids == [0]:
            finish(go_on)
        reap(*pids)
        go_on()


def together(url: str, bundle: str) -> None:
    """Two threads fork at the same time, again and again, while others make requests."""
    manager = ConnectionManager(hooks=[hook(bundle)])
    conn = manager.find(url, ANONYMOUS)

    def fork_and_end() -> None:
        for _ in range(40):
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            os.waitpid(pid, 0)

    numbers = iter(range(1_000_000))
    warm(conn, 2)
    lines = lines_of(lambda: ask(conn, f"/parent/{next(numbers)}"), 2)
    forking = [threading.Thread(target=fork_and_end, daemon=True) for _ in range(4)]
    for thread in forking:
        thread.start()
    for thread in forking:
        thread.join(LIMIT)
        if thread.is_alive():
            faulthandler.dump_traceback()
            sys.exit("forks in several threads hold each other up")
    _over.set()
    for thread in lines:
        thread.join(LIMIT)
    ask(conn, "/parent/after")
    manager.close()


def by_multiprocessing(url: str, bundle: str) -> None:
    """Fork by `multiprocessing`, as processes and as a pool, while threads are busy."""
    manager = ConnectionManager(hooks=[hook(bundle)])
    conn = manager.find(url, ANONYMOUS)
    numbers = iter(range(1_000_000))
    warm(conn, 4)
    lines = lines_of(lambda: ask(conn, f"/parent/{next(numbers)}"), 4)
    context = multiprocessing.get_context("fork")

    def work(number: int) -> None:
        for step in range(3):
            ask(manager.find(url, ANONYMOUS), f"/child-{number}/{step}")
        ask(conn, f"/child-{number}/held")

    processes = [context.Process(target=work, args=(number,)) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(LIMIT)
        if process.exitcode is None:
            os.kill(process.pid or 0, signal.SIGUSR1)
            process.join(0.5)
            process.kill()
        if process.exitcode != 0:
            sys.exit(f"a child process failed or hung: {process.exitcode}")
    global _pooled  # noqa: PLW0603 - what a pool's worker runs has to be found by name
    _pooled = partial(ask, conn)
    with context.Pool(2) as pool:
        pool.map_async(_in_pool, range(6)).get(LIMIT)
    _over.set()
    for thread in lines:
        thread.join()
    manager.close()


_pooled: Callable[[str], None]


def _in_pool(number: int) -> None:
    _pooled(f"/child-of-pool-{os.getpid()}/{number}")


def generations(url: str, bundle: str) -> None:
    """A child forks, and its child forks."""
    conn = Connection(url, ANONYMOUS, verify=bundle or True, policy=ONCE)

    def generation(number: int) -> None:
        ask(conn, f"/child-{number}/before")
        if number < 3:
            reap(fork(partial(generation, number + 1)))
        ask(conn, f"/child-{number}/after")
        conn.close()

    generation(0)


def through_proxy(url: str, bundle: str) -> None:
    """Fork while sockets to a proxy are open; `HTTPS_PROXY` names it."""
    one = Connection(url, ANONYMOUS, verify=bundle or True, policy=ONCE)
    other = Connection(url, ANONYMOUS, verify=bundle or True, policy=ONCE)
    ask(one, "/parent/1")
    ask(other, "/parent/2")

    def in_child() -> None:
        ask(one, "/child-0/1")
        ask(other, "/child-0/2")

    reap(fork(in_child))
    ask(one, "/parent/3")
    ask(other, "/parent/4")
    one.close()
    other.close()


def traversing(url: str, bundle: str) -> None:
    """Fork in the middle of a traversal: the child can't go on with it, and begins its own."""
    connections = ConnectionManager(hooks=[hook(bundle)])
    services = ServiceManager(connections, credentials={"*": ANONYMOUS})
    begun = services.traverse(f"{url}/parent/1", ["item"], buffer=1)
    fresh = services.traverse(f"{url}/child-0/1", ["item"])
    next(begun)

    def in_child() -> None:
        try:
            next(begun)
        except ClosedError as error:
            report(refused=str(error))
        begun.close()
        report(fresh=[visit.ok for visit in fresh])
        with services.traverse(f"{url}/child-0/1", ["item"]) as own:
            report(own=[visit.ok for visit in own])

    reap(fork(in_child))
    report(parent=[visit.ok for visit in begun])
    services.close()
    connections.close()


def traversing_held(url: str, bundle: str) -> None:
    """Fork while another thread holds the locks of a traversal, its services and cancellation."""
    connections = ConnectionManager(hooks=[hook(bundle)])
    services = ServiceManager(connections, credentials={"*": ANONYMOUS})
    begun = services.traverse(f"{url}/parent/1", ["item"], buffer=1)
    next(begun)
    held, over = threading.Event(), threading.Event()

    def keep() -> None:
        with services._lock, begun._run._lock, begun._run._cancellation._lock:  # noqa: SLF001 - as their own threads may at the fork
            held.set()
            over.wait()

    threading.Thread(target=keep, daemon=True).start()
    held.wait()

    def in_child() -> None:
        report(told=repr(begun).split(":")[0])
        begun.close()
        with services.traverse(f"{url}/child-0/1", ["item"]) as own:
            report(own=[visit.ok for visit in own])

    try:
        reap(fork(in_child))
    finally:
        over.set()
    report(parent=[visit.ok for visit in begun])
    connections.close()


PROGRAMS: Final[dict[str, Callable[[str, str], None]]] = {
    program.__name__: program
    for program in (
        busy,
        by_multiprocessing,
        closing,
        foreign_jar,
        generations,
        held,
        held_by_a_scrape,
        in_call,
        in_flight,
        in_hook,
        keep_alive,
        streaming,
        through_proxy,
        together,
        traversing,
        traversing_held,
    )
}

if __name__ == "__main__":
    # Not a timer: that one has a thread of its own, and hangs a child that forks again.
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    # What was imported is no garbage: no child has to look through it, and so copy it, at its exit.
    gc.freeze()
    PROGRAMS[sys.argv[1]](sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else "")

"""How long a call lasts beyond the time that it was given, against servers that are never done.

Rules:

1. Ours has ``deadline=``, the others ``timeout=``, of the same seconds: what their users write.
2. A server gives up after `CAP` seconds: whoever would go on for ever is cut there.
3. Overshoot is wall time, the machine's own lateness included; a call that ends early has none.
"""

from __future__ import annotations

import random
import socket
import statistics
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import httpx
import requests

from benchmarks.budgets import named
from benchmarks.command import progress
from benchmarks.ratios import Spread
from benchmarks.tables import Findings
from sleepwalker import ANONYMOUS, Connection, Policy, SleepwalkerException

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping, Sequence

SECONDS: Final = 0.2
"""What a call is given."""
CAP: Final = 1.0
"""Seconds after which a server closes the connection."""
LIMIT: Final = named("deadline.trickle").limit / 1e3
"""Seconds: the budget of the design for the overshoot, the same against all servers."""
MOST_ROUNDS: Final = 10
"""Those who wait for a server to give up take a second each time."""
TRICKLE: Final = 0.02
"""Seconds between the bytes of a server that trickles."""
MANY: Final = "several-addresses.invalid"
"""A host whose addresses are all dead."""
DEAD: Final = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
BUDGETS: Final = {
    "trickled body": "deadline.trickle",
    "stalled handshake": "deadline.handshake",
    "stalled CONNECT": "deadline.connect",
    f"{len(DEAD)} dead addresses": "deadline.addresses",
}
"""The budget that each scenario is judged by."""
NAME: Final = "deadlines"
OURS: Final = "sleepwalker-deadline"


class Overshoot(NamedTuple):
    """What one subject took beyond its time against one server, in seconds."""

    scenario: str
    subject: str
    median: float
    worst: float

    @property
    def met(self) -> bool:
        """Whether the worst of it keeps to the budget."""
        return self.worst <= LIMIT


# Who calls


def _sleepwalker(url: str, proxy: str | None, stack: ExitStack) -> Callable[[], object]:
    policy = Policy(attempts=1)
    conn = stack.enter_context(
        Connection(url, ANONYMOUS, policy=policy, registry=False, tracer_provider=False)
    )
    conn.session.trust_env = False
    conn.session.proxies = {"https": proxy} if proxy else {}
    return lambda: conn.request("GET", "/", deadline=SECONDS)


def _requests(url: str, proxy: str | None, stack: ExitStack) -> Callable[[], object]:
    session = stack.enter_context(requests.Session())
    session.trust_env = False
    session.proxies = {"https": proxy} if proxy else {}
    return lambda: session.get(url, timeout=SECONDS)


def _httpx(url: str, proxy: str | None, stack: ExitStack) -> Callable[[], object]:
    client = httpx.Client(timeout=SECONDS, proxy=proxy, trust_env=False)
    stack.enter_context(client)
    return lambda: client.get(url)


CALLERS: Final[Mapping[str, Callable[[str, str | None, ExitStack], Callable[[], object]]]] = {
    OURS: _sleepwalker,
    "requests-timeout": _requests,
    "httpx-timeout": _httpx,
}
"""What makes each subject's call of a URL, maybe by way of a proxy; the stack closes it."""


# Whom they call


def _trickle(sock: socket.socket) -> None:
    """Answer with a body that comes a byte at a time."""
    sock.recv(65536)
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    end = time.monotonic() + CAP
    while time.monotonic() < end:
        sock.sendall(b"x")
        time.sleep(TRICKLE)


def _stall(sock: socket.socket) -> None:
    """Say nothing: to a handshake, or to a CONNECT."""
    sock.settimeout(CAP)
    with suppress(TimeoutError):
        while sock.recv(65536):
            pass


@contextmanager
def _serving(behaviour: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server's host and port; each connection has a thread."""

    def serve(sock: socket.socket) -> None:
        with sock, suppress(OSError):
            behaviour(sock)

    def accept() -> None:
        with suppress(OSError):
            while True:
                sock, _ = listener.accept()
                threading.Thread(target=serve, args=(sock,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        # Closing it would not wake the thread.
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()


@contextmanager
def _dead() -> Iterator[str]:
    """A name and a port: on each of its addresses the queue is full, and nothing is answered."""
    look_up = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        hosts = DEAD if host in {MANY, MANY.encode()} else (host,)
        return [found for each in hosts for found in look_up(each, port, *rest, **more)]

    with ExitStack() as stack:
        port = 0
        for host in DEAD:
            listener = stack.enter_context(socket.create_server((host, port), backlog=0))
            port = listener.getsockname()[1]
            for _ in range(3):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)  # noqa: FBT003 - the standard library's own signature
                waiting.connect_ex((host, port))
        socket.getaddrinfo = getaddrinfo
        stack.callback(setattr, socket, "getaddrinfo", look_up)
        yield f"{MANY}:{port}"


@contextmanager
def _scenarios() -> Iterator[dict[str, tuple[str, str | None]]]:
    """The URL and the proxy of each."""
    with _serving(_trickle) as trickling, _serving(_stall) as stalling, _dead() as dead:
        places = (
            (f"http://{trickling}", None),
            (f"https://{stalling}", None),
            ("https://example.invalid", f"http://{stalling}"),
            (f"http://{dead}", None),
        )
        yield dict(zip(BUDGETS, places, strict=True))


# What comes of it


def overshoot(name: str, url: str, proxy: str | None) -> float:
    """Make a call that can't succeed, over a new connection; the seconds beyond its time."""
    with ExitStack() as stack:
        # What a client does when it is made (httpx reads certificates) is not the call's.
        call = CALLERS[name](url, proxy, stack)
        began = time.monotonic()
        with suppress(SleepwalkerException, requests.RequestException, httpx.HTTPError):
            call()
        return max(time.monotonic() - began - SECONDS, 0.0)


def measured(
    names: Sequence[str],
    *,
    rounds: int,
    seed: int,
    begun: Callable[[int], object],
) -> list[Overshoot]:
    """Let each subject call each server once a round, in an order that the seed shuffles.

    :param rounds: at most `MOST_ROUNDS` are made
    :param begun: is told the number of each round, from 1
    """
    turns = random.Random(seed)  # noqa: S311 - an order, no secret
    taken: dict[tuple[str, str], list[float]] = {}
    with _scenarios() as scenarios:
        pairs = [(scenario, name) for scenario in scenarios for name in names]
        for name in names:
            # Whatever is loaded or made at the first call.
            overshoot(name, *scenarios["stalled handshake"])
        for number in range(1, min(rounds, MOST_ROUNDS) + 1):
            begun(number)
            for scenario, name in turns.sample(pairs, len(pairs)):
                late = overshoot(name, *scenarios[scenario])
                taken.setdefault((scenario, name), []).append(late)
    return [Overshoot(*pair, statistics.median(taken[pair]), max(taken[pair])) for pair in pairs]


def figures(late: Sequence[Overshoot]) -> dict[str, Spread]:
    """The worst of ours for each budget, in milliseconds."""
    return {
        BUDGETS[found.scenario]: Spread.of([found.worst * 1e3])
        for found in late
        if found.subject == OURS
    }


def findings(names: Sequence[str], settings: argparse.Namespace) -> Findings:
    """Measure these callers."""
    rounds = min(settings.rounds, MOST_ROUNDS)
    late = measured(names, rounds=rounds, seed=settings.seed, begun=progress(NAME, rounds))
    return Findings(figures=figures(late), late=late)

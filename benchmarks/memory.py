"""The bytes of a connection that nobody uses now: ``python -m benchmarks.memory``.

Rules:

1. Python's own count of what it allocated (`tracemalloc`) is told beside the growth of the process,
   which has the allocator's waste in it. They are measured in runs, and processes, of their own.
2. The last response of the thread is there, as `conn.response` has it; the kernel's buffers of the
   socket are not the process's.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from prometheus_client import CollectorRegistry

from benchmarks.command import positive
from benchmarks.server import PATH, Server
from sleepwalker import ANONYMOUS, Connection, ConnectionManager

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CONNECTIONS = 1000
REQUESTS = 1_000_000
SETTLING = 1000
"""Requests before those over which nothing may grow."""
LEAK = 0.01
"""Blocks a request: what is more is a leak, and not what Python keeps now or then."""
WARMUP = 300
"""Connections before the first that counts: more than there are pools with labels of their own."""
BEFORE, AFTER = 6.4, 20.0
"""KiB: what a pool and its connection may be before the first request, and after it."""


class Bytes(NamedTuple):
    """Of one connection and its pool, on average."""

    before: float
    """Before its first request."""
    after: float
    """After it."""


class _Hook:
    def connect(self, host: str, auth: Any) -> Connection:
        return Connection(host, auth, allow_plaintext=True)


def measured(connections: int, size: Callable[[], int]) -> Bytes:
    """Make so many connections, then send a request over each.

    :param size: the bytes of everything at a time
    """
    with (
        Server() as server,
        ConnectionManager(hooks=[_Hook()], max_pools=0, registry=CollectorRegistry()) as manager,
    ):
        pairs = [
            (server.url, (f"reader {number}", "password")) for number in range(WARMUP + connections)
        ]
        for host, auth in pairs[:WARMUP]:
            manager.find(host, auth).json_request("GET", PATH)
        sizes = [_settled(size)]
        for host, auth in pairs[WARMUP:]:
            manager.find(host, auth)
        sizes.append(_settled(size))
        for host, auth in pairs[WARMUP:]:
            manager.find(host, auth).json_request("GET", PATH)
        sizes.append(_settled(size))
    start, before, after = sizes
    return Bytes((before - start) / connections, (after - start) / connections)


def _settled(size: Callable[[], int]) -> int:
    gc.collect()
    return size()


def grown(requests: int, url: str) -> int:
    """Send so many requests over one connection; by how many blocks of memory Python's grew.

    Those before, which don't count, have everything there that is made once.
    """
    with Connection(url, ANONYMOUS, registry=CollectorRegistry()) as conn:
        for _ in range(SETTLING):
            conn.json_request("GET", PATH)
        gc.collect()
        before = sys.getallocatedblocks()
        for _ in range(requests):
            conn.json_request("GET", PATH)
        gc.collect()
        return sys.getallocatedblocks() - before


def allocated() -> int:
    """What Python has allocated, from when it was first asked on."""
    if not tracemalloc.is_tracing():
        tracemalloc.start()
    return tracemalloc.get_traced_memory()[0]


def resident() -> int:
    """The memory of this process that is there (on Linux)."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


SIZES: dict[str, Callable[[], int]] = {"allocated": allocated, "resident": resident}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and tell it as JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory",
        description="The bytes of a connection, and whether requests leave any.",
    )
    parser.add_argument("--connections", type=positive, default=CONNECTIONS, metavar="N")
    parser.add_argument(
        "--requests",
        type=positive,
        default=REQUESTS,
        metavar="N",
        help="over which nothing may grow; %(default)s by default",
    )
    parser.add_argument("--size", choices=[*SIZES], help="measure only this, in this process")
    settings = parser.parse_args(arguments)
    if settings.size is not None:
        kib = [
            round(each / 1024, 2) for each in measured(settings.connections, SIZES[settings.size])
        ]
        print(json.dumps({"before_kib": kib[0], "after_kib": kib[1]}))
        return 0
    command = [sys.executable, "-m", "benchmarks.memory", "--connections"]
    told: dict[str, Any] = {"connections": settings.connections}
    for size in SIZES:
        ran = subprocess.run(  # noqa: S603 - this very module
            [*command, str(settings.connections), "--size", size],
            stdout=subprocess.PIPE,
            check=True,
        )
        told[size] = json.loads(ran.stdout)
    kib = told["allocated"]
    told["met"] = kib["before_kib"] <= BEFORE and kib["after_kib"] <= AFTER
    with Server() as server:
        blocks = grown(settings.requests, server.url)
    told["requests"], told["blocks_grown"] = settings.requests, blocks
    told["leaks"] = blocks > max(settings.requests * LEAK, SETTLING)
    print(json.dumps(told, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())

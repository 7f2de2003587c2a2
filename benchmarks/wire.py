"""The same GET with a small and a large body, by http and https, over kept and fresh connections.

Rule: a fresh connection is the client's own way of making one: the client is kept, with its
settings and its TLS context, and each request says that the connection ends with it.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from benchmarks.apart import remote
from benchmarks.certificates import certificates
from benchmarks.clients import CLIENTS
from benchmarks.command import part_of, progress
from benchmarks.conditions import rounds_of_requests
from benchmarks.server import LARGE_PATH, PATH, Server
from benchmarks.single import BASELINES, SUBJECTS
from benchmarks.tables import Findings, Table
from benchmarks.target import Target

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from pathlib import Path

NAME: Final = "wire"
SIZES: Final = {"small": PATH, "100 KB": LARGE_PATH}
ROUNDS, REQUESTS = 1 / 5, 1 / 5
"""The part of the rounds, and of the requests in each, that these are worth."""


def findings(names: Sequence[str], settings: argparse.Namespace) -> Findings:
    """Check and measure, one scenario after the other.

    :raises ConditionsError: when a subject doesn't do what it is said to
    """
    del names  # a part that is measured as a whole
    operations = part_of(settings.requests, REQUESTS)
    tables = []
    with certificates() as files, Server(files.server) as server:
        for name, target in targets(server, files.bundle):
            with ExitStack() as stack:
                subjects = [make(target, stack) for make in CLIENTS.values()]
                subjects += remote.subjects(SUBJECTS, target, stack, settings.apart)
                rounds = part_of(settings.rounds, ROUNDS)
                measured = rounds_of_requests(
                    subjects,
                    server,
                    rounds=rounds,
                    operations=operations,
                    seed=settings.seed,
                    begun=progress(name, rounds),
                    target=target,
                )
            tables.append(
                Table(name, operations, ("µs", 1e6), BASELINES, measured, part=NAME, judged=False)
            )
    return Findings(tables)


def targets(server: Server, bundle: Path) -> Iterator[tuple[str, Target]]:
    """Every scenario: what people call it, and what is asked for."""
    assert server.secure_url is not None  # noqa: S101 - it was given a certificate
    for scheme, origin in (("http", server.url), ("https", server.secure_url)):
        for reuse, fresh in (("kept", False), ("fresh", True)):
            for size, path in SIZES.items():
                trusted = str(bundle) if scheme == "https" else None
                yield f"{scheme}, {reuse}, {size}", Target(origin, path, trusted, fresh)

"""The calls whose counts are guarded: `json_request` as services make it, and `find`.

Rules:

1. Where it isn't said otherwise, all is on (recorded spans, metrics, logs at INFO), and the
   connection is kept.
2. Whoever doesn't get its document, or doesn't record what it says, is not counted at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from prometheus_client import CollectorRegistry

from benchmarks.clients import recorded
from benchmarks.conditions import check_client
from benchmarks.measuring import Evidence, Subject
from benchmarks.server import DOCUMENT, MISSING_PATH, PATH
from benchmarks.target import Target
from benchmarks.telemetry import Spans
from sleepwalker import ANONYMOUS, BearerAuth, Connection, ConnectionManager, HTTPNotFound

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack
    from pathlib import Path

    from benchmarks.server import Server


@dataclass(frozen=True)
class Request:
    """One `json_request`.

    :ivar on: everything, everything but an SDK of OpenTelemetry, or nothing
    """

    method: str = "GET"
    path: str = PATH
    body: Any = None
    auth: Any = ANONYMOUS
    secure: bool = False
    on: Literal["all", "no SDK", "nothing"] = "all"

    @property
    def each(self) -> Evidence:
        """What one call must add to the evidence."""
        return Evidence(spans=2 * (self.on == "all"), requests=int(self.on != "nothing"))


REQUESTS: Final[Mapping[str, Request]] = {
    "all on": Request(),
    "no SDK": Request(on="no SDK"),
    "all off": Request(on="nothing"),
    "with a body": Request("POST", body=DOCUMENT),
    "over TLS": Request(secure=True),
    "bearer token": Request(auth=BearerAuth("token")),
    "404": Request(path=MISSING_PATH),
}
FIND: Final = "find that hits"
NAMES: Final = (*REQUESTS, FIND)


def subjects(server: Server, bundle: Path, stack: ExitStack) -> list[Subject]:
    """Make all of them, and see that they do what they say.

    :param server: one that speaks https, too
    :param bundle: the authority to trust then
    :param stack: closes them
    :raises ConditionsError: when one does something else
    """
    made = []
    for name, request in REQUESTS.items():
        origin = (server.secure_url if request.secure else server.url) or ""
        target = Target(origin, request.path, str(bundle) if request.secure else None)
        subject = _requesting(name, request, target, stack)
        check_client(subject, server, target)
        made.append(subject)
    return [*made, _finding(stack)]


def _requesting(name: str, request: Request, target: Target, stack: ExitStack) -> Subject:
    registry, spans = CollectorRegistry(), Spans()
    stack.callback(spans.close)
    options: dict[str, Any] = {"registry": registry}
    if request.on == "all":
        options["tracer_provider"] = spans.provider
    elif request.on == "nothing":
        instruments = ("registry", "tracer_provider", "meter_provider", "logger")
        options = dict.fromkeys(instruments, False)
    conn = stack.enter_context(
        Connection(
            target.origin,
            request.auth,
            verify=target.verify,
            allow_plaintext=True,  # for the token, on loopback
            **options,
        )
    )

    def call() -> Any:
        try:
            return conn.json_request(request.method, request.path, request.body)
        except HTTPNotFound as error:
            return error.json_data

    return Subject(
        name,
        call,
        each=request.each,
        evidence=lambda: Evidence(spans.exported, recorded(registry)),
        settle=spans.flush,
    )


def _finding(stack: ExitStack) -> Subject:
    manager = stack.enter_context(ConnectionManager(registry=CollectorRegistry()))
    host, auth = "https://books.example", ("reader", "password")
    manager.add(host, auth, Connection(host, auth))
    return Subject(FIND, lambda: manager.find(host, auth))

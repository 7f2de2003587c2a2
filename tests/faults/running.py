"""Runs cells of the matrix: one fault, one kind of request, one client; and says what is wrong.

Rules:

1. What was processed is asked of the server, never of the client.
2. Every cell has a world of its own; those of one fault run at the same time.
3. What never ends is ended: the world goes away under it.
"""

from __future__ import annotations

import itertools
import re
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from sleepwalker.exceptions import SleepwalkerException
from tests.crew import Job, at_once
from tests.faults.clients import Answer, Times
from tests.faults.kinds import KINDS, MARK, Kind, Sent, whole_answer
from tests.faults.scene import Scene
from tests.standstill import Standstill

if TYPE_CHECKING:
    from tests.faults.catalogue import Fault
    from tests.faults.clients import Client
    from tests.faults.names import Resolver
    from tests.servers import CertificateAuthority

OVERRUN: Final = 0.05
"""Seconds that a call may end after its deadline."""
TIMINGS: Final = 3
"""How often a call may be timed."""
STOOD_STILL: Final = 0.1
"""Seconds: a machine that stands still for so long lets timeouts end that would not have."""
BEYOND: Final = 3.0
"""Seconds after the deadline at which a call that has not ended is ended."""
_PATIENT: Final = Times(5.0, 5.0, 10.0)
"""For requests that no fault is meant to meet."""
_END: Final = 10.0
"""Seconds until a call whose world is gone must have ended."""

Flaw = Literal["twice", "cut upload", "cut answer", "mixed up", "foreign error", "late"]
FLAWS: Final[dict[Flaw, str]] = {
    "twice": "a POST without a key was processed more than once",
    "cut upload": "a request was sent without its whole body, and the server took it for the whole",
    "cut answer": "a part of the answer was taken for the whole",
    "mixed up": "something that is not the answer to this request was taken for it",
    "foreign error": "an exception came up that is none of the client's own",
    "late": f"the call ended more than {OVERRUN * 1000:.0f} ms after its deadline",
}


class Tools(NamedTuple):
    """What every scene needs."""

    authority: CertificateAuthority
    resolver: Resolver


@dataclass(frozen=True)
class Seen:
    """What came of one cell."""

    kind: Kind
    outcome: str
    """`=`: its own answer; `!`: an error; `?`: an error that says "outcome unknown"; `~`: something
    else was taken for the answer."""
    attempts: int | None
    read: int
    """How often the server read the request completely."""
    error: str
    """The class of the error, or nothing."""
    told: str
    """The error's text, for whoever has to look."""
    seconds: float
    ended: bool
    """Whether it ended by itself."""
    flaws: frozenset[Flaw]
    goes_on: bool
    """Whether the next request through the same client got its own answer, where it could."""

    @property
    def cell(self) -> str:
        """As the table has it; `…` is a call that did not end."""
        sign = self.outcome if self.ended else "…"
        return f"{sign}{'' if self.attempts is None else self.attempts}:{self.read}"


class _Ended(NamedTuple):
    """How a call ended."""

    answer: Answer | None
    error: Exception | None
    seconds: float


_numbers: Final = itertools.count(1)


def run_fault(
    fault: Fault, client: type[Client], tools: Tools, kinds: tuple[Kind, ...] = KINDS
) -> list[Seen]:
    """Run a fault with each kind of request, all at the same time."""
    jobs = at_once([partial(run_cell, fault, kind, client, tools) for kind in kinds])
    return [job.result(fault.times.deadline + 2 * (BEYOND + _END)) for job in jobs]


def run_timed(fault: Fault, client: type[Client], tools: Tools) -> tuple[list[Seen], list[Seen]]:
    """Run a fault, and again, as often as `TIMINGS` says, what was late and nothing else.

    A machine that is busy elsewhere makes any call late; a call that is late by itself is so each
    time. A run in which the machine stood still tells nothing: it is made again, as often. Gives
    what came of all runs, and the last of each kind of request.
    """
    for _ in range(TIMINGS):
        with Standstill() as machine:
            every = run_fault(fault, client, tools)
        if machine.longest < STOOD_STILL:
            break
    last = {seen.kind: seen for seen in every}
    for _ in range(TIMINGS - 1):
        again = tuple(kind for kind, seen in last.items() if seen.flaws == {"late"} and seen.ended)
        if not again:
            break
        runs = run_fault(fault, client, tools, again)
        every += runs
        last |= {seen.kind: seen for seen in runs}
    return every, list(last.values())


def run_cell(fault: Fault, kind: Kind, client_type: type[Client], tools: Tools) -> Seen:
    """Run one cell."""
    number = next(_numbers)
    label = f"{re.sub('[^a-z0-9]+', '-', fault.name.lower())}-{kind.name.lower()}-{number}"
    with Scene(f"s{number}", *tools) as scene:
        fault.arrange(scene)
        client = client_type(scene, fault.times)
        try:
            if fault.primed:
                _prime(client, label, scene)
            sent = Sent(kind, f"{label}-now", fault.size)
            _ = sent.body  # made before its time counts
            job = Job(partial(_timed, client, sent, fault.times))
            ended, seconds = _wait(job, fault.times.deadline + BEYOND)
            if not ended:
                scene.close()
                _wait(job, _END)
            attempts = client.attempts
            follow, after = Sent(KINDS[0], f"{label}-next"), None
            if ended and fault.heals:
                scene.heal()
                after = _timed(client, follow, _PATIENT)
            # Of one that does not even end when its world does, there is nothing more to be said.
            call = job.result() if job.finished else _Ended(None, None, seconds)
        finally:
            client.close()
        return _judged(fault, kind, client, sent, call, follow, after, scene, ended, attempts)


def _prime(client: Client, label: str, scene: Scene) -> None:
    first = Sent(KINDS[0], f"{label}-first")
    assert client.send(first, _PATIENT).body == whole_answer(first.mark, b"")
    scene.settled()


def _timed(client: Client, sent: Sent, times: Times) -> _Ended:
    began = time.monotonic()
    try:
        answer = client.send(sent, times)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the outcome
        return _Ended(None, error, time.monotonic() - began)
    return _Ended(answer, None, time.monotonic() - began)


def _wait(job: Job[_Ended], seconds: float) -> tuple[bool, float]:
    try:
        job.wait(seconds)
    except AssertionError:
        return False, seconds
    return True, job.result().seconds


def _judged(  # noqa: PLR0917 - all that is known of a cell
    fault: Fault,
    kind: Kind,
    client: Client,
    sent: Sent,
    call: _Ended,
    follow: Sent,
    after: _Ended | None,
    scene: Scene,
    ended: bool,  # noqa: FBT001 - as above
    attempts: int | None,
) -> Seen:
    flaws: set[Flaw] = set()
    outcome = _outcome(call, sent, flaws) if ended else "!"
    if ended and call.error is not None and not isinstance(call.error, client.errors):
        flaws.add("foreign error")
    follows = "" if after is None else _outcome(after, follow, flaws)
    if after is not None and after.error is not None and not isinstance(after.error, client.errors):
        flaws.add("foreign error")
    read = [request for request in scene.read if request.headers.get(MARK) == sent.mark]
    if any(request.body != sent.body for request in read):
        flaws.add("cut upload")
    if len(read) > 1 and not kind.repeatable:
        flaws.add("twice")
    if call.seconds > fault.times.deadline + OVERRUN:
        flaws.add("late")
    goes_on = not fault.heals or follows == "="
    told = "" if call.error is None else repr(call.error)
    if not goes_on:
        told += f"; the next request: {after!r}"
    return Seen(
        kind=kind,
        outcome=outcome,
        attempts=attempts,
        read=len(read),
        error="" if call.error is None else type(call.error).__name__,
        told=told,
        seconds=call.seconds,
        ended=ended,
        flaws=frozenset(flaws),
        goes_on=goes_on,
    )


def _outcome(call: _Ended, sent: Sent, flaws: set[Flaw]) -> str:
    """Give the sign of how a call ended; add to the flaws if what it took is not the answer."""
    if call.answer is None:
        unknown = isinstance(call.error, SleepwalkerException) and call.error.outcome_unknown
        return "?" if unknown else "!"
    body = call.answer.body.rstrip(b" ")  # what bombs are padded with
    whole = whole_answer(sent.mark, sent.body)
    if body == whole:
        return "="
    if f'{{"mark": "{sent.mark}"'.encode() in body and body.endswith(b"}"):
        return "~"  # the whole answer to a request that did not come whole: a flaw of its own
    cut = call.answer.status >= 200 and whole.startswith(body)
    flaws.add("cut answer" if cut else "mixed up")
    return "~"

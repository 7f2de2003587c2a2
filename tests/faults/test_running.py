"""The matrix sees what is wrong with a client that does wrong on purpose."""

from __future__ import annotations

import http.client
import threading
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

import pytest

from tests.faults import running
from tests.faults.catalogue import Fault, once
from tests.faults.clients import Answer, Client, Times
from tests.faults.kinds import KINDS, whole_answer
from tests.faults.names import Resolver
from tests.faults.running import Flaw, Seen, Tools, run_cell, run_fault, run_timed
from tests.servers import close_without_answer
from tests.standstill import Standstill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.kinds import Kind, Sent
    from tests.faults.scene import Scene
    from tests.servers import CertificateAuthority

NONE = Fault("none", "All is well.", once(), Times(0.5, 0.5, 0.5))
GET, PUT, _, POST, KEYED, STREAM = KINDS


class OwnError(Exception):
    """Of the client's own tree."""


class Plain(Client):
    """Sends each request once and gives what comes."""

    name = "plain"
    errors = (OwnError,)

    def __init__(self, scene: Scene, times: Times) -> None:
        del times
        self._where = urlsplit(scene.url).netloc
        self.calls = 0

    def send(self, sent: Sent, times: Times) -> Answer:
        del times
        self.calls += 1
        return self.ask(sent, sent.body)

    def ask(self, sent: Sent, body: bytes) -> Answer:
        connection = http.client.HTTPConnection(self._where, timeout=5)
        try:
            key = {"Idempotency-Key": sent.key} if sent.key else {}
            connection.request(sent.kind.method, "/", body, sent.headers | key)
            response = connection.getresponse()
            return Answer(response.status, response.read())
        except OSError as error:
            raise OwnError from error
        finally:
            connection.close()

    def close(self) -> None:
        pass


class Twice(Plain):
    def send(self, sent: Sent, times: Times) -> Answer:
        super().send(sent, times)
        return super().send(sent, times)


class Empty(Plain):
    def send(self, sent: Sent, times: Times) -> Answer:
        del times
        return self.ask(sent, b"")


class Half(Plain):
    def send(self, sent: Sent, times: Times) -> Answer:
        status, body = super().send(sent, times)
        return Answer(status, body[: len(body) // 2])


class Nothing(Plain):
    def send(self, sent: Sent, times: Times) -> Answer:
        return Answer(super().send(sent, times).status, b"")


class Interim(Plain):
    def send(self, sent: Sent, times: Times) -> Answer:
        del sent, times
        return Answer(103, b"")


class Mixed(Plain):
    """Gives the next request the answer to this one."""

    last: ClassVar[dict[str, Answer]] = {}

    def send(self, sent: Sent, times: Times) -> Answer:
        answer = super().send(sent, times)
        return self.last.setdefault(self._where, answer)


class Foreign(Plain):
    def send(self, sent: Sent, times: Times) -> Answer:
        raise ValueError(sent.mark, times)


class Own(Plain):
    def send(self, sent: Sent, times: Times) -> Answer:
        raise OwnError(sent.mark, times)


class Late(Plain):
    def send(self, sent: Sent, times: Times) -> Answer:
        threading.Event().wait(times.deadline + 0.1 if self.calls == 0 else 0)
        return super().send(sent, times)


@pytest.fixture
def tools(ca: CertificateAuthority) -> Iterator[Tools]:
    with Resolver() as resolver:
        yield Tools(ca, resolver)


@pytest.fixture
def see(tools: Tools) -> Callable[[type[Client], Kind], Seen]:
    return lambda client, kind: run_cell(NONE, kind, client, tools)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_client_that_does_right_has_no_flaw(
    see: Callable[[type[Client], Kind], Seen], kind: Kind
) -> None:
    seen = see(Plain, kind)

    assert (seen.cell, seen.error, seen.flaws) == ("=:1", "", frozenset())
    assert seen.goes_on
    assert seen.ended


@pytest.mark.parametrize(
    ("client", "kind", "cell", "flaws"),
    [
        (Twice, GET, "=:2", []),
        (Twice, PUT, "=:2", []),
        (Twice, POST, "=:2", ["twice"]),
        (Twice, KEYED, "=:2", []),
        (Empty, STREAM, "~:1", ["cut upload"]),
        (Empty, POST, "~:1", ["cut upload"]),
        (Half, GET, "~:1", ["cut answer"]),
        (Nothing, PUT, "~:1", ["cut answer"]),
        (Interim, GET, "~:0", ["mixed up"]),
        (Foreign, GET, "!:0", ["foreign error"]),
        (Own, GET, "!:0", []),
        (Late, GET, "=:1", ["late"]),
    ],
)
def test_each_flaw_is_seen(
    see: Callable[[type[Client], Kind], Seen],
    client: type[Client],
    kind: Kind,
    cell: str,
    flaws: list[Flaw],
) -> None:
    seen = see(client, kind)

    assert (seen.cell, seen.flaws) == (cell, frozenset(flaws))
    assert seen.goes_on == (client not in {Half, Nothing, Interim, Foreign, Own})


def test_an_answer_that_reaches_the_next_request_is_seen(
    see: Callable[[type[Client], Kind], Seen],
) -> None:
    seen = see(Mixed, PUT)

    assert (seen.cell, seen.flaws) == ("=:1", frozenset({"mixed up"}))
    assert not seen.goes_on


def test_a_call_that_does_not_end_is_ended_and_said_so(
    tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "BEYOND", 0.2)
    never = threading.Event()

    class Waiting(Plain):
        def send(self, sent: Sent, times: Times) -> Answer:
            never.wait(1)
            return super().send(sent, times)

    seen = run_cell(NONE, GET, Waiting, tools)

    assert seen.cell == "…:0"
    assert "late" in seen.flaws
    assert not seen.ended


def test_what_is_late_once_is_timed_again_and_nothing_else_is(tools: Tools) -> None:
    slow = [POST]

    class Sometimes(Plain):
        def send(self, sent: Sent, times: Times) -> Answer:
            if sent.kind in slow:
                slow.remove(sent.kind)
                threading.Event().wait(times.deadline + 0.1)
            return super().send(sent, times)

    every, last = run_timed(NONE, Sometimes, tools)

    assert [seen.kind for seen in every] == [*KINDS, POST]
    assert [seen.kind for seen in last] == list(KINDS)
    assert ["late" in seen.flaws for seen in every].count(True) == 1
    assert not any(seen.flaws for seen in last)


def test_a_run_in_which_the_machine_stood_still_is_made_again(
    tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    still = [0.3, 0.3, 0.0]
    made = []

    class Standing(Standstill):
        def __exit__(self, *_: object) -> None:
            super().__exit__()
            self.longest = still.pop(0)
            made.append(self)

    monkeypatch.setattr(running, "Standstill", Standing)
    every, last = run_timed(NONE, Plain, tools)

    assert len(made) == 3
    assert [seen.kind for seen in every] == [seen.kind for seen in last] == list(KINDS)


def test_what_is_late_each_time_stays_so(tools: Tools) -> None:
    every, last = run_timed(NONE, Late, tools)

    assert len(every) == 3 * len(KINDS)
    assert all(seen.flaws == {"late"} for seen in last)


def test_a_fault_is_run_with_each_kind_of_request(tools: Tools) -> None:
    lost = Fault("lost", "", once(close_without_answer()))

    seen = run_fault(lost, Plain, tools)

    assert [each.kind for each in seen] == list(KINDS)
    assert [each.cell for each in seen] == ["!:1"] * 6
    assert [each.error for each in seen] == ["OwnError"] * 6


def test_no_part_of_an_answer_is_the_answer_to_another_request() -> None:
    assert whole_answer("a", b"x") != whole_answer("a", b"y")
    assert not whole_answer("a", b"x").startswith(whole_answer("b", b"x")[:12])

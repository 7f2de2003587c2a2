"""The host beside the three: what it answers, and what becomes of calls while it is away.

Rule: nothing waits for a time: what is to come is looked for until it is there.
"""

from __future__ import annotations

import io
import ssl
import time
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from prometheus_client import CollectorRegistry, Counter
from rich.console import Console

from sleepwalker.cli.demo import ratings, summary
from sleepwalker.cli.demo.apis import NOT_FOUND, Reply, Request
from sleepwalker.cli.demo.hosts import RESTART
from sleepwalker.cli.demo.ledger import HostCounts
from sleepwalker.cli.demo.metrics import Metrics
from sleepwalker.cli.demo.ratings import ANSWERED, FAILED, REFUSED, Aside, Ratings, Side
from sleepwalker.observability import names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE = 20.0
CALLS = f"{names.REQUEST_DURATION}_count"
HOOK_CALLS = f"{names.HOOK_DURATION}_count"


class Beside:
    """The host and who asks it, and what is told of them."""

    def __init__(self, folder: Path, *, away: bool) -> None:
        """Start nothing yet."""
        authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.cert_pem.write_to_path(str(folder / "authority.pem"))
        authority.issue_cert(ratings.ADDRESS).configure_cert(tls)
        self.registry = CollectorRegistry()
        self.happened: list[str] = []
        self.side = Side(
            *(tls, folder / "authority.pem", self.registry),
            seconds=3.0,
            away=away,
            told=self.happened.append,
        )

    def wait_for(self, condition: Callable[[Aside], Any]) -> None:
        """Wait until the counts are so."""
        deadline = time.monotonic() + PATIENCE
        while not condition(self.side.counts()):
            assert time.monotonic() < deadline, self.side.counts()
            time.sleep(0.01)


@pytest.fixture
def beside(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Beside]:
    """Start both, which end with the test and leave nothing open."""
    made = Beside(tmp_path, away=request.param)
    made.side.start()
    yield made
    made.side.stop()
    host = made.side.counts().host
    assert (host.open, host.errors) == (0, ())


@pytest.mark.parametrize("beside", [True], indirect=True)
def test_while_it_is_away_calls_are_refused_and_finds_fail_and_then_it_is_asked_again(
    beside: Beside,
) -> None:
    beside.wait_for(lambda counts: counts.calls.get(ANSWERED))
    beside.wait_for(lambda counts: counts.calls.get(REFUSED))
    beside.wait_for(lambda counts: counts.given_up)
    before = beside.side.counts().calls[ANSWERED]
    beside.wait_for(lambda counts: counts.calls[ANSWERED] > before)
    beside.side.stop()
    counts, metrics = beside.side.counts(), Metrics(beside.registry)

    assert set(beside.happened) == {"ratings: goes away for a while"}
    assert counts.host.faults == {RESTART: len(beside.happened)}
    unsent = metrics.by(names.LABEL_ERROR_TYPE, names.ATTEMPTS)["refused_connection"]
    assert metrics.total(names.ATTEMPTS) == counts.host.read + counts.host.unread + unsent
    ready = metrics.total(HOOK_CALLS, outcome="connected")
    assert ready == counts.given_up + 1
    assert metrics.total(CALLS, outcome="success") == counts.calls[ANSWERED] + ready
    assert metrics.total(CALLS, outcome="refused") == counts.calls[REFUSED]
    assert metrics.total(names.CONNECT_FAILURES) >= 1
    assert metrics.by(names.LABEL_REASON, names.POOL_EVICTIONS)["reset"] == counts.given_up
    assert metrics.total(names.BREAKER_STATE) == names.BREAKER_STATES.index("closed")
    assert 0 < metrics.total(names.RETRY_QUOTA) < 500


@pytest.mark.parametrize("beside", [False], indirect=True)
def test_where_it_never_goes_away_every_call_is_answered(beside: Beside) -> None:
    beside.wait_for(lambda counts: counts.calls.get(ANSWERED, 0) >= 3)
    beside.side.stop()
    counts = beside.side.counts()

    assert counts.calls == {ANSWERED: counts.host.read - 1}
    assert counts.host.statuses == {200: counts.host.read}
    assert beside.happened == []


def test_what_it_answers() -> None:
    def ask(path: str) -> Reply:
        return Ratings().reply(Request("GET", path, {}, {}, None))

    assert ask("/ready") == Reply(200, {"ready": True})
    assert ask("/ratings/4") == Reply(200, {"book": 4, "stars": 5})
    assert ask("/ratings/x") == ask("/books/1") == NOT_FOUND


def test_its_samples_are_told_but_not_counted_by_the_proof() -> None:
    registry = CollectorRegistry()
    counter = Counter("calls", "Calls.", [names.LABEL_HOST], registry=registry)
    counter.labels("https://a").inc(2)
    counter.labels("https://b").inc(3)
    metrics = Metrics(registry, beside="https://b")

    assert metrics.total("calls_total") == 2
    assert 'host="https://b"' in metrics.text
    assert Metrics(registry).total("calls_total") == 5


def test_what_became_of_its_calls_is_told_in_a_line() -> None:
    on = Console(file=io.StringIO(), width=100, highlight=False)
    host = HostCounts(name="ratings", url="https://127.0.0.4:1", read=1_201)
    on.print(
        summary.beside(Aside(host=host, calls={FAILED: 2, ANSWERED: 1_200, REFUSED: 3}, given_up=1))
    )
    assert isinstance(on.file, io.StringIO)

    assert on.file.getvalue().splitlines()[-1].rstrip() == (
        "ratings at https://127.0.0.4:1: 1,205 calls (answered 1,200, refused 3, failed 2),"
        " 1,201 read"
    )

"""Every client gets every document in every way, and who doesn't is found out."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
import urllib3

from benchmarks import aio, crew
from benchmarks.certificates import certificates
from benchmarks.clients import CLIENTS
from benchmarks.conditions import ConditionsError, check_client
from benchmarks.measuring import Subject
from benchmarks.server import DOCUMENTS, LARGE_PATH, PATH, Server
from benchmarks.target import Target
from benchmarks.telemetry import logs_at_info
from benchmarks.wire import targets

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def scenarios() -> Iterator[tuple[Server, dict[str, Target]]]:
    with certificates() as files, Server(files.server) as server, logs_at_info():
        yield server, dict(targets(server, files.bundle))


def test_the_scenarios_are_all_that_can_be_combined(
    scenarios: tuple[Server, dict[str, Target]],
) -> None:
    _, found = scenarios

    assert [*found] == [
        f"{scheme}, {reuse}, {size}"
        for scheme in ("http", "https")
        for reuse in ("kept", "fresh")
        for size in ("small", "100 KB")
    ]
    assert len(set(found.values())) == len(found)


@pytest.mark.parametrize("name", CLIENTS)
def test_every_client_does_what_it_says_in_every_scenario(
    name: str, scenarios: tuple[Server, dict[str, Target]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aio, "REQUESTS", 2)
    server, found = scenarios
    for target in found.values():
        with ExitStack() as stack:
            check_client(CLIENTS[name](target, stack), server, target)


@pytest.mark.parametrize("name", CLIENTS)
def test_every_client_can_be_shared_by_threads(
    name: str, scenarios: tuple[Server, dict[str, Target]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "REQUESTS", 32)
    server, _ = scenarios
    target = Target(server.url, threads=16)
    with ExitStack() as stack:
        subject = CLIENTS[name](target, stack)

        assert subject.batch == 32
        check_client(subject, server, target)


def test_the_documents_are_of_the_sizes_that_they_are_called_by() -> None:
    small, large = (len(str(DOCUMENTS[path])) for path in (PATH, LARGE_PATH))

    assert 200 < small < 300
    assert 90_000 < large < 110_000


def test_who_keeps_a_connection_that_is_to_be_fresh_is_refused(
    scenarios: tuple[Server, dict[str, Target]],
) -> None:
    server, found = scenarios
    target = found["http, fresh, small"]
    with urllib3.PoolManager() as pools:
        keeps = Subject("keeps", lambda: pools.request("GET", target.url).json())

        with pytest.raises(ConditionsError, match=r"connections=0.*, not .*connections=3"):
            check_client(keeps, server, target)


def test_a_target_is_the_same_behind_a_line() -> None:
    target = Target("http://127.0.0.1:1", LARGE_PATH, "bundle.pem", fresh=True, threads=4)

    assert Target.of_line(target.line()) == target

"""Who doesn't do what is promised is not measured."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
import requests
import urllib3

from benchmarks.clients import CLIENTS
from benchmarks.conditions import (
    ConditionsError,
    check_client,
    check_environment,
    rounds_of_requests,
)
from benchmarks.measuring import Evidence, Subject
from benchmarks.server import DOCUMENT, PATH, Server
from benchmarks.target import Target
from benchmarks.telemetry import logs_at_info

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as started:
        yield started


@pytest.mark.parametrize("name", CLIENTS)
def test_every_client_does_what_it_says(name: str, server: Server) -> None:
    with logs_at_info(), ExitStack() as stack:
        subject = CLIENTS[name](Target(server.url), stack)

        assert subject.name == name
        check_client(subject, server)


def test_the_same_features_means_the_same_spans_and_metrics(server: Server) -> None:
    with logs_at_info(), ExitStack() as stack:
        ours = CLIENTS["sleepwalker"](Target(server.url), stack)
        by_hand = CLIENTS["by-hand"](Target(server.url), stack)
        bare = CLIENTS["sleepwalker-no-sdk"](Target(server.url), stack)

        assert ours.each == by_hand.each == Evidence(spans=2, requests=1)
        assert bare.each == Evidence(spans=0, requests=1)


def test_only_the_assembly_by_hand_is_instrumented(server: Server) -> None:
    before = requests.Session.send
    with logs_at_info(), ExitStack() as stack:
        CLIENTS["by-hand"](Target(server.url), stack)

        assert requests.Session.send is before


def test_an_answer_that_is_not_the_document_is_refused(server: Server) -> None:
    with pytest.raises(ConditionsError, match="did not return the document"):
        check_client(Subject("other", lambda: {"id": 18}), server)


def test_an_answer_without_a_request_is_refused(server: Server) -> None:
    with pytest.raises(ConditionsError, match="requests and connections"):
        check_client(Subject("cached", lambda: DOCUMENT), server)


def test_a_connection_for_each_request_is_refused(server: Server) -> None:
    def fetch() -> object:
        with urllib3.PoolManager() as pools:
            return pools.request("GET", server.url + PATH).json()

    with pytest.raises(ConditionsError, match=r"connections=3.*, not .*connections=0"):
        check_client(Subject("fresh", fetch), server)


def test_a_connection_that_is_replaced_between_turns_is_no_fault(server: Server) -> None:
    with urllib3.PoolManager() as pools:
        keeps = Subject("keeps", lambda: pools.request("GET", server.url + PATH).json())

        found = rounds_of_requests(
            [keeps], server, rounds=2, operations=2, seed=0, begun=lambda _: pools.clear()
        )

    assert len(found["keeps"]) == 2


def test_a_connection_that_is_replaced_within_a_turn_is_refused(server: Server) -> None:
    calls: list[None] = []
    with urllib3.PoolManager() as pools:

        def fetch() -> object:
            calls.append(None)
            if len(calls) > 10:
                pools.clear()
            return pools.request("GET", server.url + PATH).json()

        with pytest.raises(ConditionsError, match=r"all of them: .*connections=16.*connections=2"):
            rounds_of_requests([Subject("fresh", fetch)], server, rounds=2, operations=6, seed=0)


def test_a_span_that_was_promised_and_not_recorded_is_refused(server: Server) -> None:
    with urllib3.PoolManager() as pools:
        silent = Subject(
            "silent",
            lambda: pools.request("GET", server.url + PATH).json(),
            each=Evidence(spans=2, requests=1),
        )

        with pytest.raises(
            ConditionsError, match=r"\(spans=0, requests=0, .*\(spans=6, requests=3, "
        ):
            check_client(silent, server)


def test_who_stops_recording_within_a_run_is_told_of_after_it(server: Server) -> None:
    calls: list[None] = []
    with urllib3.PoolManager() as pools:

        def fetch() -> object:
            calls.append(None)
            return pools.request("GET", server.url + PATH).json()

        tired = Subject(
            "tired",
            fetch,
            each=Evidence(requests=1),
            evidence=lambda: Evidence(requests=min(len(calls), 20)),
        )

        with pytest.raises(ConditionsError, match=r"tired: .* in 22 calls: .*requests=16, "):
            rounds_of_requests([tired], server, rounds=2, operations=6, seed=0)


def test_who_sends_less_within_a_run_than_before_is_told_of_after_it(server: Server) -> None:
    calls: list[None] = []
    with urllib3.PoolManager() as pools:

        def fetch() -> object:
            calls.append(None)
            if len(calls) > 10:
                return DOCUMENT
            return pools.request("GET", server.url + PATH).json()

        with pytest.raises(ConditionsError, match=r"all of them: .* in 22 calls: .*requests=6, "):
            rounds_of_requests([Subject("cached", fetch)], server, rounds=2, operations=6, seed=0)


def test_an_environment_that_is_not_that_of_a_run_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.example")

    with pytest.raises(ConditionsError, match="variables of proxies: http_proxy"):
        check_environment()

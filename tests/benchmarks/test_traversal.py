"""Everybody who is measured gets every resource once, and whoever doesn't is refused."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks.conditions import ConditionsError
from benchmarks.measuring import Evidence, Subject
from benchmarks.traversal import HOSTS, check
from benchmarks.traversers import PER_HOST, TRAVERSERS
from benchmarks.web import HOST, Web, WebAccount

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent.parent
RESOURCES = 60


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with Web(HOSTS, RESOURCES) as started:
        yield started


@pytest.mark.parametrize("name", TRAVERSERS)
def test_every_subject_gets_every_resource_once_and_keeps_its_connections(
    name: str, web: Web
) -> None:
    with ExitStack() as stack:
        subject = TRAVERSERS[name](web, stack)

        assert (subject.name, subject.batch, subject.warmup) == (name, RESOURCES, 0)
        check(subject, web, RESOURCES)
        web.account()
        subject.call()
        assert web.account().connections <= HOSTS * PER_HOST


def test_the_resources_are_on_all_hosts_and_lead_to_others(web: Web) -> None:
    web.account()
    ports = [int(origin.rpartition(":")[2]) for origin in web.origins]
    assert len(set(ports)) == HOSTS
    found = {}
    for number in range(RESOURCES):
        with closing(http.client.HTTPConnection(HOST, ports[number % HOSTS], timeout=10)) as conn:
            conn.request("GET", f"/items/{number}")
            found[number] = json.loads(conn.getresponse().read())

    assert [document["number"] for document in found.values()] == [*range(RESOURCES)]
    assert [link["href"] for link in found[17]["_links"]["item"]] == [
        f"{web.origins[number % HOSTS]}/items/{number}" for number in (35, 36, 37)
    ]
    assert web.account() == WebAccount(RESOURCES, RESOURCES, RESOURCES)
    assert web.account() == WebAccount(0, 0, 0)


def test_a_subject_that_leaves_something_out_is_refused(web: Web) -> None:
    with pytest.raises(ConditionsError, match="did not read every resource"):
        check(Subject("lazy", lambda: 0), web, RESOURCES)
    with pytest.raises(ConditionsError, match="did not get every resource once"):
        check(Subject("from memory", lambda: sum(range(RESOURCES))), web, RESOURCES)


def test_a_subject_that_records_less_than_it_says_is_refused(web: Web) -> None:
    with ExitStack() as stack:
        silent = TRAVERSERS["sleepwalker, all off"](web, stack)
        told = Subject("told", silent.call, each=Evidence(spans=3, requests=1))

        with pytest.raises(ConditionsError, match=r"told: spans recorded of 60 resources: 0"):
            check(told, web, RESOURCES)


def test_a_long_traversal_keeps_nothing_of_what_it_got() -> None:
    size = ("--hosts", "50", "--resources", "700")

    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.traversal_memory", *size],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    told = json.loads(ran.stdout)
    assert (told["hosts"], told["resources"]) == (50, 700)
    # Five hundred of them, were they kept, would take twice as much, and more once they are read.
    assert told["grown_mib"] <= 6

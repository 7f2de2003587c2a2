"""The retry storm: a simulation that gives the same figures everywhere, and a run over sockets."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from benchmarks.retry_storm import CALLS, QUICK, SEEDS, SHORT, main, options
from benchmarks.storm import sockets
from benchmarks.storm.budgets import verdicts
from benchmarks.storm.client import Client
from benchmarks.storm.events import Events
from benchmarks.storm.plot import drawn
from benchmarks.storm.scenarios import (
    Counted,
    Recoveries,
    World,
    failures,
    outage,
    stall,
    stalls,
)
from benchmarks.storm.server import ServerSettings, SimulatedServer
from benchmarks.storm.socket_server import PATH, StormServer
from benchmarks.storm.subjects import (
    DEFAULT,
    NONE,
    QUOTA,
    QUOTA_AIMD,
    STAMINA,
    SUBJECTS,
    URLLIB3,
    Subject,
    stamina_wait,
)
from sleepwalker.resilience.layers import Result
from sleepwalker.resilience.policy import Breaker

ROOT = Path(__file__).parent.parent.parent
TINY = World(processes=4, warm=3.0, watched=3.0)


# The ledger


@pytest.mark.parametrize("seed", [0, 1])
def test_in_a_total_outage_one_caller_makes_exactly_the_retries_that_500_tokens_pay_for(
    seed: int,
) -> None:
    found = outage(QUOTA, calls=10_000, seed=seed)

    assert (found.calls, found.sent, found.good) == (10_000, 10_035, 0)
    assert found.load == 1.0035


@pytest.mark.parametrize(("subject", "load"), [(NONE, 1), (URLLIB3, 4), (STAMINA, 10)])
def test_in_a_total_outage_peers_multiply_the_load(subject: Subject, load: int) -> None:
    assert outage(subject, calls=100, seed=0) == Counted(100, 100 * load, 0)


def test_with_the_breaker_on_a_total_outage_is_less_load_than_the_calls() -> None:
    found = outage(DEFAULT, calls=10_000, seed=0)

    # 20 that open it, and a probe about every 5 of the 1,000 seconds and more that the calls take.
    assert 20 + 170 < found.sent < 20 + 220
    assert found.good == 0


# The budgets


def test_a_tenth_of_failures_is_hidden_for_little_load() -> None:
    found = failures(World(processes=20), DEFAULT, failing=0.1, calls=CALLS, seed=0)

    assert found.calls == CALLS
    assert found.success >= 0.998
    assert found.load <= 1.12


# The short form below holds the same against its own seeds.
OTHER_SEEDS = range(SEEDS, SEEDS + 3)


def test_by_default_goodput_is_back_within_7_seconds_after_a_stall_mostly() -> None:
    found = stalls(SHORT, DEFAULT, seeds=OTHER_SEEDS)

    assert found.median is not None
    assert found.median <= 7


def test_with_the_adaptive_limit_it_is_back_within_2_every_time() -> None:
    found = stalls(SHORT, QUOTA_AIMD, seeds=OTHER_SEEDS)

    assert found.worst is not None
    assert found.worst <= 2


def test_without_either_it_is_not() -> None:
    found = stall(SHORT, NONE, seed=1)

    assert found.seconds is None
    assert found.peak == 1.0


def test_a_breaker_that_looks_back_for_10_seconds_misses_the_7() -> None:
    others = replace(
        DEFAULT, policy=replace(DEFAULT.policy, breaker=Breaker(calls=20, window=10.0))
    )

    seconds = stall(replace(SHORT, warm=10.0, watched=20.0), others, seed=0).seconds

    assert seconds is not None
    assert 7 < seconds < 15


@pytest.mark.timeout(180)
def test_the_short_form_tells_that_every_budget_is_met(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    plot, report = tmp_path / "storm.svg", tmp_path / "storm.json"

    assert main(["--quick", "--plot", str(plot), "--json", str(report)]) == 0

    told = capsys.readouterr().out
    budgets = told.partition("\nbudgets\n")[2].splitlines()
    assert len(budgets) == 5
    assert [line.split()[-1] for line in budgets] == ["met"] * 5
    assert [line.count(f"median of {SEEDS}: ") for line in budgets] == [0, 0, 0, 1, 1]
    found = json.loads(report.read_text(encoding="utf-8"))
    assert list(found["subjects"]) == [subject.name for subject in QUICK]
    assert {name: len(each) for name, each in found["recoveries"].items()} == {
        DEFAULT.name: SEEDS,
        QUOTA_AIMD.name: SEEDS,
    }
    assert found["subjects"]["quota"]["outage"] == {"calls": 10_000, "sent": 10_035, "good": 0}
    assert plot.read_text(encoding="utf-8").startswith("<svg ")


def test_a_budget_that_was_missed_or_not_measured_is_told_so() -> None:
    late, never = Recoveries((7.1, 4.0, 7.2)), Recoveries((None, 1.0, None))
    found = verdicts(
        {QUOTA.name: Counted(1000, 1005, 0)},
        {DEFAULT.name: Counted(1000, 1000, 997)},
        {DEFAULT.name: late, QUOTA_AIMD.name: never},
    )

    assert [verdict.met for verdict in found] == [False, None, False, False, False]
    assert [verdict.measured for verdict in found][3:] == [
        "median of 3: 7.1 s, worst: 7.2 s",
        "median of 3: never, worst: never",
    ]
    assert [verdict.met for verdict in verdicts({}, {}, {})] == [None] * 5


def test_recovery_is_judged_on_the_median_and_the_worst_is_told() -> None:
    found = Recoveries((None, 7.0, 2.0))

    assert (found.median, found.worst, found.within(7.0), found.within(6.9)) == (7.0, None, 2, 1)
    [*_, told, _] = verdicts({}, {}, {DEFAULT.name: found})
    assert told.met is True
    assert told.measured == "median of 3: 7.0 s, worst: never"


# The simulation


def test_the_same_seed_gives_the_same_story_and_another_seed_another() -> None:
    stories = [stall(TINY, DEFAULT, seed=seed) for seed in (3, 3, 4)]

    assert stories[0] == stories[1]
    assert stories[0] != stories[2]


def test_every_subject_meets_the_same_callers() -> None:
    arrived = {tuple(stall(TINY, subject, seed=0).story.arrived) for subject in SUBJECTS}

    assert len(arrived) == 1


def test_callers_come_as_often_as_the_world_says() -> None:
    world = replace(TINY, processes=100)
    story = stall(world, NONE, seed=0).story

    seconds = world.warm + world.stall + world.watched
    assert sum(story.arrived) == pytest.approx(1000 * seconds, rel=0.03)
    assert sum(story.sent) == sum(story.arrived)


def test_what_is_due_first_happens_first_and_at_the_same_time_in_the_order_of_planning() -> None:
    events, done = Events(), list[tuple[str, float]]()
    for name, after in (("c", 2.0), ("a", 1.0), ("b", 1.0)):
        events.after(after, lambda name=name: done.append((name, events.monotonic())))  # type: ignore[misc]

    events.sleep(1.5)
    assert (done, events.now) == ([("a", 1.0), ("b", 1.0)], 1.5)
    events.run_out()
    assert done[2:] == [("c", 2.0)]


class Request:
    """A request in a server's hands, of a client that may have gone."""

    def __init__(self, *, over: bool = False) -> None:
        self.over = over
        self.results: list[Result] = []

    def ended(self, result: Result) -> None:
        self.results.append(result)


class Even:
    """A source of randomness that has none: everything takes its average."""

    def expovariate(self, rate: float) -> float:
        return 1 / rate

    def random(self) -> float:
        return 0.5


def server(events: Events, **settings: object) -> SimulatedServer:
    made = ServerSettings(**{"workers": 1, "service": 1.0, **settings})  # type: ignore[arg-type]
    return SimulatedServer(made, events, Even())  # type: ignore[arg-type]


def test_a_server_works_on_what_comes_first_also_for_nobody() -> None:
    events, requests = Events(), [Request(), Request(over=True), Request()]
    served = server(events)
    for request in requests:
        served.receive(request)

    assert served.waiting == 2
    events.run(2.5)

    assert [request.results for request in requests] == [[Result.SUCCESS], [Result.SUCCESS], []]
    assert served.received == 3


def test_a_server_that_knows_the_dead_leaves_them_out() -> None:
    events, requests = Events(), [Request(), Request(over=True), Request()]
    served = server(events, knows_the_dead=True)
    for request in requests:
        served.receive(request)

    events.run(2.5)

    assert [len(request.results) for request in requests] == [1, 0, 1]


def test_a_full_queue_refuses_at_once() -> None:
    events, requests = Events(), [Request(), Request(), Request()]
    served = server(events, queue=1)
    for request in requests:
        served.receive(request)

    events.run(0.0)

    assert [request.results for request in requests] == [[], [], [Result.FAILURE]]


def test_in_a_stall_nothing_is_done_and_what_was_being_done_takes_as_much_longer() -> None:
    events, before, within = Events(), Request(), Request()
    served = server(events, workers=2)
    served.receive(before)
    events.run(0.4)
    served.stall(10.0)
    served.receive(within)

    events.run(10.9)
    assert (before.results, within.results) == ([], [])
    events.run(11.0)
    assert (before.results, within.results) == ([Result.SUCCESS], [])
    events.run(11.4)
    assert within.results == [Result.SUCCESS]


def test_a_client_without_a_deadline_retries_for_nobody_and_its_answer_is_no_good() -> None:
    events, told = Events(), list[bool]()
    served = server(events)
    client = Client(URLLIB3, served, events, Even(), timeout=1.5, patience=3.0)  # type: ignore[arg-type]
    served.stall(3.2)
    client.call(lambda *, good: told.append(good))

    events.run_out()

    assert (served.received, told) == (4, [False])


def test_staminas_waits_are_its_defaults() -> None:
    assert [stamina_wait(retry, 0.0) for retry in range(1, 8)] == [
        0.1,
        0.2,
        0.4,
        0.8,
        1.6,
        3.2,
        5.0,
    ]
    assert stamina_wait(1, 1.0) == pytest.approx(1.1)
    assert stamina_wait(9, 1.0) == 5.0


# The picture


def test_the_picture_has_a_line_for_each_subject_in_both_diagrams_and_names_it_once() -> None:
    recoveries = {subject.name: stall(TINY, subject, seed=0) for subject in SUBJECTS}

    picture = drawn(TINY, recoveries)

    assert picture == drawn(TINY, recoveries)
    root = ET.fromstring(picture)  # noqa: S314 - our own
    space = root.tag.removesuffix("svg")
    lines = root.findall(f"{space}polyline")
    assert [line.findtext(f"{space}title") for line in lines] == [
        subject.name for subject in SUBJECTS for _ in range(2)
    ]
    texts = [text.text for text in root.findall(f"{space}text")]
    assert [texts.count(subject.name) for subject in SUBJECTS] == [1] * len(SUBJECTS)


def test_the_picture_and_the_page_of_the_docs_show_every_subject() -> None:
    picture = (ROOT / "docs" / "images" / "retry-storm.svg").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "retry-storm.md").read_text(encoding="utf-8")

    assert "images/retry-storm.svg" in page
    assert [s.name for s in SUBJECTS if f">{s.name}<" not in picture] == []
    assert [s.name for s in SUBJECTS if s.name not in page] == []


# Over sockets


def test_the_servers_over_sockets_count_what_reached_them() -> None:
    with StormServer(workers=1, service=0.0) as served:
        assert served.received() == 0
        statuses = [requests.get(served.url + PATH, timeout=10).status_code for _ in range(2)]
        served.fail(1.0)
        statuses.append(requests.get(served.url + PATH, timeout=10).status_code)
        assert served.received() == 3

    assert statuses == [200, 200, 503]


# However slowly this machine goes.
UNHURRIED = replace(
    DEFAULT, policy=replace(DEFAULT.policy, breaker=Breaker(window=60.0, open_for=60.0))
)


@pytest.mark.parametrize(
    ("subject", "sent"), [(URLLIB3, 160), (STAMINA, 400), (QUOTA_AIMD, 75), (UNHURRIED, 20)]
)
def test_over_sockets_an_outage_is_what_the_simulation_says(subject: Subject, sent: int) -> None:
    found = sockets.counted(subject, sockets.SmallWorld(calls=40), 1.0)

    assert found == Counted(40, sent, 0)


def test_over_sockets_what_a_stall_leaves_is_told() -> None:
    world = sockets.SmallWorld(
        processes=1, service=0.01, warm=0.2, stall=0.3, watched=1.0, timeout=5.0, patience=8.0
    )

    found = sockets.Stalled(NONE, world, [0.1, 0.3, 0.6, 1.2]).run()

    # Everybody is patient enough for this one.
    assert found == sockets.Aftermath(load=1.0, answered=1.0, recovered=0.0)


def test_the_long_form_is_the_default() -> None:
    settings = options([])

    assert (settings.seed, settings.quick, settings.no_sockets, settings.sensitivity) == (
        0,
        False,
        False,
        False,
    )

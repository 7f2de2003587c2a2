"""Metrics: each event moves exactly these samples, on a registry that may be shared or forked.

Rules:

1. Every test has a registry of its own and compares all of its samples, not only those expected.
2. What a fork does is shown by programs of their own.
"""

from __future__ import annotations

import gc
import math
import os
import weakref
from functools import partial
from typing import TYPE_CHECKING, get_args

import prometheus_client
import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram

from sleepwalker.exceptions import ConfigurationError
from sleepwalker.observability import events, names
from sleepwalker.observability.metrics import BATCH, Metrics
from tests.crew import at_once
from tests.observability.examples import ONE_OF_EACH, POOL, a_pool, finished
from tests.observability.programs import run
from tests.telemetry import sample, samples

if TYPE_CHECKING:
    from pathlib import Path

    from sleepwalker.observability.events import Event

LABELS = {"host": POOL.host, "auth": POOL.auth}
WITHOUT_LABELS = {
    sample(name): 0.0 for name in (names.POOLS, names.LABEL_OVERFLOW, names.TELEMETRY_ERRORS)
}


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def counted(registry: CollectorRegistry, *recorded: Event) -> dict[str, float]:
    """Record events and give the samples that moved."""
    metrics = Metrics.on(registry)
    for event in recorded:
        metrics.record(event)
    return {
        name: value
        for name, value in samples(registry).items()
        if value != WITHOUT_LABELS.get(name)
    }


def of(name: str, **labels: str) -> str:
    """Name a sample of the pool."""
    return sample(name, **LABELS, **labels)


def of_host(name: str) -> str:
    """Name a sample of the pool's host."""
    return sample(name, host=LABELS["host"])


# What each event moves


def test_there_is_an_example_of_every_event() -> None:
    assert {type(event) for event in ONE_OF_EACH} == set(get_args(events.Event))


def test_before_anything_happened_only_what_has_no_labels_is_there(
    registry: CollectorRegistry,
) -> None:
    Metrics.on(registry)

    assert samples(registry) == WITHOUT_LABELS


def test_a_call_is_in_flight_from_its_start_to_its_end(registry: CollectorRegistry) -> None:
    started = events.RequestStarted(POOL, "GET")

    assert counted(registry, started, started) == {of(names.IN_FLIGHT): 2.0}
    assert counted(registry, finished()) == {
        of(names.IN_FLIGHT): 1.0,
        of(f"{names.REQUEST_DURATION}_count", method="GET", outcome="success"): 1.0,
        of(f"{names.REQUEST_DURATION}_sum", method="GET", outcome="success"): 0.25,
    }


@pytest.mark.parametrize("outcome", names.REQUEST_OUTCOMES)
def test_the_end_of_a_call_is_counted_under_its_outcome(
    registry: CollectorRegistry, outcome: str
) -> None:
    moved = counted(registry, finished(outcome), finished(outcome))

    # The gauge never falls below 0: a forked child may see the end of a call alone.
    assert moved == {
        of(names.IN_FLIGHT): 0.0,
        of(f"{names.REQUEST_DURATION}_count", method="GET", outcome=outcome): 2.0,
        of(f"{names.REQUEST_DURATION}_sum", method="GET", outcome=outcome): 0.5,
    }


@pytest.mark.parametrize(
    ("status", "code", "status_class"),
    [
        (100, "100", "1xx"),
        (200, "200", "2xx"),
        (304, "304", "3xx"),
        (404, "404", "4xx"),
        (503, "503", "5xx"),
        (599, "599", "5xx"),
        (None, "none", "none"),
        (0, "none", "none"),
        (99, "none", "none"),
        (600, "none", "none"),
        (999, "none", "none"),
        (-1, "none", "none"),
        (10**9, "none", "none"),
    ],
)
def test_an_attempt_is_counted_under_its_status_if_that_is_one(
    registry: CollectorRegistry, status: int | None, code: str, status_class: str
) -> None:
    attempt = events.AttemptFinished(POOL, "GET", 1, 0.5, status, "none")

    assert counted(registry, attempt) == {
        of(names.ATTEMPTS, method="GET", code=code, error_type="none"): 1.0,
        of(f"{names.ATTEMPT_DURATION}_count", method="GET", status_class=status_class): 1.0,
        of(f"{names.ATTEMPT_DURATION}_sum", method="GET", status_class=status_class): 0.5,
    }


@pytest.mark.parametrize(
    ("method", "label"),
    [
        *((m, m) for m in sorted(names.METHODS)),
        ("PURGE", "_OTHER"),
        ("", "_OTHER"),
        ("get", "_OTHER"),
    ],
)
def test_methods_are_from_a_closed_set(
    registry: CollectorRegistry, method: str, label: str
) -> None:
    moved = counted(
        registry,
        events.AttemptFinished(POOL, method, 1, 0.5, None, "reset"),
        finished()._replace(method=method),
    )

    assert moved[of(names.ATTEMPTS, method=label, code="none", error_type="reset")] == 1.0
    assert moved[of(f"{names.REQUEST_DURATION}_count", method=label, outcome="success")] == 1.0


def test_a_retry_is_counted_with_its_reason_and_wait(registry: CollectorRegistry) -> None:
    moved = counted(
        registry,
        events.RetryScheduled(POOL, "GET", 1, "throttled", 1.5, 429, "status"),
        events.RetryScheduled(POOL, "GET", 2, "throttled", 0.25, 429, "status"),
        events.RetryScheduled(POOL, "GET", 3, "auth", 0.0, 401, "status"),
    )

    assert moved == {
        of(names.RETRIES, reason="throttled"): 2.0,
        of(names.RETRIES, reason="auth"): 1.0,
        of(names.RETRY_WAIT): 1.75,
    }


@pytest.mark.parametrize("result", names.LOOKUP_RESULTS)
def test_finds_are_counted_as_often_as_they_were_made(
    registry: CollectorRegistry, result: str
) -> None:
    moved = counted(registry, events.LookedUp(POOL, result, 7), events.LookedUp(POOL, result, 1))

    assert moved == {of(names.POOL_LOOKUPS, result=result): 8.0}


def test_waits_for_another_threads_establishment_are_timed(registry: CollectorRegistry) -> None:
    moved = counted(registry, events.EstablishmentAwaited(POOL, 0.5))

    assert moved == {of(f"{names.POOL_WAIT}_count"): 1.0, of(f"{names.POOL_WAIT}_sum"): 0.5}


@pytest.mark.parametrize("outcome", names.HOOK_OUTCOMES)
def test_calls_of_hooks_are_timed_under_their_outcome(
    registry: CollectorRegistry, outcome: str
) -> None:
    moved = counted(registry, events.HookCalled(POOL, "Vault", 2, outcome, 0.5, "none"))

    assert moved == {
        of(f"{names.HOOK_DURATION}_count", hook="Vault", outcome=outcome): 1.0,
        of(f"{names.HOOK_DURATION}_sum", hook="Vault", outcome=outcome): 0.5,
    }


@pytest.mark.parametrize(
    ("event", "moved"),
    [
        (
            events.ConnectionFailed(POOL, 2, 0.5, "tls"),
            {of(names.CONNECT_FAILURES, error_type="tls"): 1.0},
        ),
        (
            events.BreakerChanged(POOL, "https://host.example", "half-open", 0.0),
            {of_host(names.BREAKER_STATE): 1.0},
        ),
        (
            events.BreakerChanged(POOL, "https://host.example", "open", 5.0),
            {of_host(names.BREAKER_STATE): 2.0},
        ),
        (
            events.RetryQuotaChanged(POOL, "https://host.example", 486),
            {of_host(names.RETRY_QUOTA): 486.0},
        ),
        (events.PoolsChanged(3), {names.POOLS: 3.0}),
        (events.PoolsChanged(-1), {names.POOLS: -1.0}),
        (events.PoolEvicted(POOL, "idle"), {of(names.POOL_EVICTIONS, reason="idle"): 1.0}),
        (events.Redirected(POOL, "GET", 302, "https://other.example", cross_origin=True), {}),
        (events.ConnectionEstablished(POOL, "Vault", 0.5), {}),
        (events.CloseFailed(POOL, "other"), {}),
        (events.ManagerReset(1, 2, 3, 4), {}),
        (events.PlaintextAuth(POOL), {}),
        (events.EventLoopBlocked(POOL), {}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_other_events_move_one_sample_or_none(
    registry: CollectorRegistry, event: Event, moved: dict[str, float]
) -> None:
    assert counted(registry, event) == moved


def test_every_family_is_one_of_those_named_and_says_what_it_is(
    registry: CollectorRegistry,
) -> None:
    counted(registry, *ONE_OF_EACH)

    families = {
        f"{family.name}_total" if family.type == "counter" else family.name: family
        for family in registry.collect()
    }
    named = {v for v in vars(names).values() if isinstance(v, str) and v.startswith("sleepwalker_")}
    assert set(families) == named
    assert [
        name for name, family in families.items() if not family.documentation.endswith(".")
    ] == []


def test_every_family_of_pools_has_the_pools_labels(registry: CollectorRegistry) -> None:
    counted(registry, *ONE_OF_EACH)

    without = {
        one.name
        for family in registry.collect()
        for one in family.samples
        if not {"host", "auth"} <= set(one.labels)
    }

    of_hosts = {names.BREAKER_STATE, names.RETRY_QUOTA}
    assert {name for name in without if not name.endswith("_created")} == {
        *WITHOUT_LABELS,
        *of_hosts,
    }


# Labels


def test_pools_beyond_the_limit_share_a_series_and_are_counted(registry: CollectorRegistry) -> None:
    metrics = Metrics.on(registry)
    pools = [metrics.labels.pool(f"https://{n}.example", "basic", 0) for n in range(203)]

    moved = counted(registry, *(events.LookedUp(pool, "miss", 1) for pool in pools))

    assert moved[sample(names.POOL_LOOKUPS, host="_other", auth="_other", result="miss")] == 3.0
    assert moved[names.LABEL_OVERFLOW] == 3.0
    assert len(moved) == 200 + 2


def test_scopes_of_a_host_beyond_the_limit_share_a_series_of_its_breaker_and_quota(
    registry: CollectorRegistry,
) -> None:
    hosts = [f"{POOL.host} (tenant {n})" for n in range(203)]

    moved = counted(
        registry,
        *(events.BreakerChanged(POOL, host, "open", 5.0) for host in hosts),
        *(events.RetryQuotaChanged(POOL, host, 486) for host in reversed(hosts)),
    )

    shown = [*hosts[:200], "_other"]
    assert moved == {
        **{sample(names.BREAKER_STATE, host=host): 2.0 for host in shown},
        **{sample(names.RETRY_QUOTA, host=host): 486.0 for host in shown},
    }


def test_all_pools_of_a_host_tell_its_breaker_and_quota_under_one_name(
    registry: CollectorRegistry,
) -> None:
    one_of_many = POOL._replace(series=("_other", "_other"))

    moved = counted(
        registry,
        events.BreakerChanged(one_of_many, POOL.host, "open", 5.0),
        events.RetryQuotaChanged(one_of_many, POOL.host, 486),
        events.BreakerChanged(POOL, POOL.host, "closed", 0.0),
        events.RetryQuotaChanged(POOL, POOL.host, 487),
    )

    assert moved == {of_host(names.BREAKER_STATE): 0.0, of_host(names.RETRY_QUOTA): 487.0}


def test_an_overflow_is_told_with_the_next_event_of_any_kind(registry: CollectorRegistry) -> None:
    metrics = Metrics.on(registry)
    pools = [metrics.labels.pool(f"https://{n}.example", "basic", 0) for n in range(201)]

    moved = counted(registry, finished(pool=pools[-1]))

    assert moved[names.LABEL_OVERFLOW] == 1.0
    assert counted(registry, finished(pool=pools[-1]))[names.LABEL_OVERFLOW] == 1.0


def test_a_second_identity_under_one_name_has_series_of_its_own(
    registry: CollectorRegistry,
) -> None:
    metrics = Metrics.on(registry)
    first, second = (metrics.labels.pool("https://h.example", "basic", user) for user in "ab")

    moved = counted(registry, *(events.LookedUp(pool, "hit", 1) for pool in (first, second)))

    assert moved == {
        sample(names.POOL_LOOKUPS, host="https://h.example", auth="basic", result="hit"): 1.0,
        sample(names.POOL_LOOKUPS, host="https://h.example", auth="basic#2", result="hit"): 1.0,
    }


@pytest.mark.parametrize("host", ['quo"te', "line\nbreak", "back\\slash", "ünïcode"])
def test_an_odd_host_name_is_a_label_like_any_other(registry: CollectorRegistry, host: str) -> None:
    Metrics.on(registry).record(events.LookedUp(a_pool(host, "basic"), "hit", 1))

    labels = {"host": host, "auth": "basic", "result": "hit"}
    assert registry.get_sample_value(names.POOL_LOOKUPS, labels) == 1.0
    assert prometheus_client.generate_latest(registry)


# Registries


def test_two_users_of_one_registry_share_its_metrics(registry: CollectorRegistry) -> None:
    one, other = Metrics.on(registry), Metrics.on(registry)

    one.record(events.PoolsChanged(1))
    other.record(events.PoolsChanged(2))

    assert one is other
    assert registry.get_sample_value(names.POOLS) == 3.0


def test_64_threads_that_are_first_make_the_families_once(registry: CollectorRegistry) -> None:
    jobs = at_once([partial(Metrics.on, registry)] * 64)

    assert len({id(job.result()) for job in jobs}) == 1


def test_registries_do_not_count_for_each_other(registry: CollectorRegistry) -> None:
    other = CollectorRegistry()
    Metrics.on(other)

    counted(registry, events.PoolsChanged(1))

    assert other.get_sample_value(names.POOLS) == 0.0


def test_who_gives_no_registry_uses_the_default_one() -> None:
    assert Metrics.on() is Metrics.on(prometheus_client.REGISTRY)


def test_a_registry_that_has_other_metrics_keeps_them(registry: CollectorRegistry) -> None:
    mine = Counter("books_total", "Books.", registry=registry)
    mine.inc(5)

    counted(registry, *ONE_OF_EACH)

    assert registry.get_sample_value("books_total") == 5.0


def buckets_of(registry: CollectorRegistry) -> list[float]:
    """Give the bounds of one histogram."""
    return [
        float(one.labels["le"])
        for family in registry.collect()
        if family.name == names.POOL_WAIT
        for one in family.samples
        if one.name.endswith("_bucket")
    ]


def test_buckets_are_those_of_the_first_to_use_a_registry(registry: CollectorRegistry) -> None:
    Metrics.on(registry, buckets=(0.5, 1.0)).record(events.EstablishmentAwaited(POOL, 0.75))
    Metrics.on(registry, buckets=(7.0,))

    assert buckets_of(registry) == [0.5, 1.0, float("inf")]


@pytest.mark.parametrize(
    "buckets",
    [[math.inf], [math.nan], [-math.inf, 1.0], [1.0, math.nan], [math.nan, 1.0], [1.0, 10**400]],
)
def test_buckets_that_are_no_numbers_of_seconds_are_an_error(
    registry: CollectorRegistry, buckets: list[float]
) -> None:
    with pytest.raises(ConfigurationError, match="buckets must be ascending numbers of seconds"):
        Metrics.on(registry, buckets)


def test_buckets_of_prometheus_client_may_be_ours(registry: CollectorRegistry) -> None:
    Metrics.on(registry, Histogram.DEFAULT_BUCKETS).record(events.EstablishmentAwaited(POOL, 0.75))

    assert buckets_of(registry) == list(Histogram.DEFAULT_BUCKETS)


def test_buckets_go_from_5_ms_to_60_s_by_default(registry: CollectorRegistry) -> None:
    Metrics.on(registry).record(events.EstablishmentAwaited(POOL, 0.75))

    assert buckets_of(registry) == [*names.TIME_BUCKETS, float("inf")]


def test_metrics_live_as_long_as_their_registry(registry: CollectorRegistry) -> None:
    metrics = Metrics.on(registry)
    alive = weakref.ref(metrics)
    del metrics
    gc.collect()

    kept = alive()

    assert kept is not None
    assert Metrics.on(registry) is kept


# Threads


def test_no_count_is_lost_between_threads(registry: CollectorRegistry) -> None:
    metrics = Metrics.on(registry)

    def work() -> None:
        for _ in range(200):
            metrics.record(events.RequestStarted(POOL, "GET"))
            metrics.record(finished())
            metrics.telemetry_error()

    for job in at_once([work] * 16):
        job.result()

    assert samples(registry) == {
        of(names.IN_FLIGHT): 0.0,
        of(f"{names.REQUEST_DURATION}_count", method="GET", outcome="success"): 3200.0,
        of(f"{names.REQUEST_DURATION}_sum", method="GET", outcome="success"): 800.0,
        names.POOLS: 0.0,
        names.LABEL_OVERFLOW: 0.0,
        names.TELEMETRY_ERRORS: 3200.0,
    }


def test_an_event_that_cannot_be_counted_leaves_the_metrics_usable(
    registry: CollectorRegistry,
) -> None:
    metrics = Metrics.on(registry)

    with pytest.raises(ValueError, match="non-negative"):
        metrics.record(events.RetryScheduled(POOL, "GET", 1, "status", -1.0, 503, "status"))

    metrics.record(events.PoolsChanged(1))
    assert registry.get_sample_value(names.POOLS) == 1.0


@pytest.mark.parametrize("ends", [1, BATCH - 1, BATCH, BATCH + 1])
def test_ends_that_are_counted_at_one_go_are_all_there_at_a_scrape(
    registry: CollectorRegistry, ends: int
) -> None:
    moved = counted(registry, *[finished()] * ends)

    key = of(f"{names.REQUEST_DURATION}_count", method="GET", outcome="success")
    assert moved[key] == ends


def test_an_end_that_cannot_be_counted_takes_no_other_along(registry: CollectorRegistry) -> None:
    bad = finished()._replace(duration="soon")  # type: ignore[arg-type] # on purpose

    moved = counted(registry, finished(), bad, finished())

    key = of(f"{names.REQUEST_DURATION}_count", method="GET", outcome="success")
    assert (moved[key], moved[names.TELEMETRY_ERRORS]) == (2.0, 1.0)


# Forks


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_has_its_parents_ends_and_no_call_of_its_parents_in_flight() -> None:
    told, problems = run(
        """
        import os
        from prometheus_client import CollectorRegistry
        from sleepwalker.observability import events, names
        from sleepwalker.observability.metrics import Metrics
        from tests.observability.examples import POOL, finished

        registry = CollectorRegistry()
        metrics = Metrics.on(registry)

        def show():
            series = {"host": POOL.series[0], "auth": POOL.series[1]}
            ended = {**series, "method": "GET", "outcome": "success"}
            print(registry.get_sample_value(names.IN_FLIGHT, series), end=" ")
            count = f"{names.REQUEST_DURATION}_count"
            print(registry.get_sample_value(count, ended), flush=True)

        for _ in range(3):
            metrics.record(events.RequestStarted(POOL, "GET"))
        metrics.record(finished())
        child = os.fork()
        if child == 0:
            metrics.record(events.RequestStarted(POOL, "GET"))
            show()
            metrics.record(finished())
            show()
            os._exit(0)
        os.waitpid(child, 0)
        show()
        """
    )

    assert (told.splitlines(), problems) == (["1.0 1.0", "0.0 2.0", "2.0 1.0"], "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_children_forked_while_threads_count_can_count_and_be_scraped() -> None:
    told = run(
        """
        import os, signal, threading
        from prometheus_client import CollectorRegistry, generate_latest
        from sleepwalker.observability import events
        from sleepwalker.observability.metrics import Metrics

        registry, over = CollectorRegistry(), threading.Event()
        metrics = Metrics.on(registry)
        pool = metrics.labels.pool("host", "basic", 0)

        def count():
            number = 0
            while not over.is_set():
                number += 1
                named = metrics.labels.pool(f"host{number}", "basic", 0)
                metrics.record(events.LookedUp(named, "hit", 1))
                metrics.record(events.RequestStarted(pool, "GET"))

        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        codes = []
        for _ in range(40):
            child = os.fork()
            if child == 0:
                signal.alarm(20)
                metrics.labels.pool("host-of-the-child", "basic", 0)
                metrics.record(events.LookedUp(pool, "miss", 3))
                text = generate_latest(registry).decode()
                ok = 'auth="basic",host="host",result="miss"} 3.0' in text
                os._exit(0 if ok else 3)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        over.set()
        for thread in threads:
            thread.join()
        print(codes == [0] * 40, sorted(set(codes)))
        """
    )

    assert told == ("True [0]\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_what_workers_of_a_prefork_server_count_is_summed(tmp_path: Path) -> None:
    told, problems = run(
        """
        import os
        from prometheus_client import CollectorRegistry
        from prometheus_client.multiprocess import MultiProcessCollector
        from sleepwalker.observability import events, names
        from sleepwalker.observability.metrics import Metrics

        metrics = Metrics.on(CollectorRegistry())
        pool = metrics.labels.pool("host", "basic", 0)
        readers, children = [], []
        for worker in range(3):
            told, tell = os.pipe()
            hold, let_go = os.pipe()
            child = os.fork()
            if child == 0:
                metrics.record(events.RequestStarted(pool, "GET"))
                metrics.record(events.PoolsChanged(2))
                metrics.record(events.LookedUp(pool, "hit", 5))
                os.write(tell, b"x")
                os.read(hold, 1)
                os._exit(0)
            os.read(told, 1)
            children.append((child, let_go))

        scraped = CollectorRegistry()
        MultiProcessCollector(scraped)
        series = {"host": "host", "auth": "basic"}
        print(scraped.get_sample_value(names.POOLS))
        print(scraped.get_sample_value(names.IN_FLIGHT, series))
        print(scraped.get_sample_value(names.POOL_LOOKUPS, {**series, "result": "hit"}))
        for child, let_go in children:
            os.write(let_go, b"x")
            os.waitpid(child, 0)
        """,
        {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
    )

    assert (told.split(), problems) == (["6.0", "3.0", "15.0"], "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_pools_that_workers_inherit_are_counted_and_closed_as_theirs(tmp_path: Path) -> None:
    told, problems = run(
        """
        import os
        from prometheus_client import CollectorRegistry
        from prometheus_client.multiprocess import MultiProcessCollector
        from sleepwalker import ANONYMOUS, ConnectionManager, DirectHook
        from sleepwalker.observability import names

        def pools():
            scraped = CollectorRegistry()
            MultiProcessCollector(scraped)
            return scraped.get_sample_value(names.POOLS)

        manager = ConnectionManager(hooks=[DirectHook()], registry=CollectorRegistry())
        for number in range(3):
            manager.find(f"https://host{number}.example", ANONYMOUS)
        print(pools())
        works = (
            manager.close,
            lambda: manager.find("https://another.example", ANONYMOUS),
            lambda: None,
        )
        children = []
        for work in works:
            told, tell = os.pipe()
            hold, let_go = os.pipe()
            child = os.fork()
            if child == 0:
                work()
                os.write(tell, b"x")
                os.read(hold, 1)
                os._exit(0)
            os.read(told, 1)
            children.append((child, let_go))
            print(pools())
        files = os.listdir(os.environ["PROMETHEUS_MULTIPROC_DIR"])
        print(len([name for name in files if name.startswith("gauge_livesum")]))
        for child, let_go in children:
            os.write(let_go, b"x")
            os.waitpid(child, 0)
        """,
        {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
    )

    # The master's; none in the first worker; four in the second. The third has counted nothing.
    assert (told.split(), problems) == (["3.0", "3.0", "7.0", "7.0", "3"], "")


def test_what_is_told_of_connections_is_added_up_though_nobody_scrapes() -> None:
    metrics = Metrics(None)
    one = metrics.connections.opened(POOL.series)
    while not metrics.connections.much:
        one.idle()
        one.active()

    metrics.record(events.PoolsChanged(1))

    assert not metrics.connections.much


def test_an_attempt_that_is_sampled_has_an_exemplar() -> None:
    registry = CollectorRegistry()
    trace = events.TracePoint("0" * 31 + "7", "0" * 15 + "9")
    for each in (trace, None):
        Metrics.on(registry).record(
            events.AttemptFinished(POOL, "GET", 1, 0.25, 200, "none", "h", 443, "1.1", each)
        )

    exemplars = [
        sample.exemplar.labels
        for family in registry.collect()
        for sample in family.samples
        if sample.exemplar is not None
    ]
    assert exemplars == [{"trace_id": trace.trace_id, "span_id": trace.span_id}]


def test_an_exemplar_that_is_refused_takes_no_count_along() -> None:
    registry = CollectorRegistry()
    trace = events.TracePoint("7" * 200, "9")
    Metrics.on(registry).record(
        events.AttemptFinished(POOL, "GET", 1, 0.25, 200, "none", "h", 443, "1.1", trace)
    )

    pool = {"host": POOL.series[0], "auth": POOL.series[1], "method": "GET"}
    attempts = {**pool, "code": "200", "error_type": "none"}
    durations = {**pool, "status_class": "2xx"}
    assert registry.get_sample_value(names.ATTEMPTS, attempts) == 1
    assert registry.get_sample_value(f"{names.ATTEMPT_DURATION}_count", durations) == 1
    assert registry.get_sample_value(names.TELEMETRY_ERRORS) == 1


def test_much_is_added_up_when_a_connection_is_used_though_no_event_comes() -> None:
    metrics = Metrics(None)
    one = metrics.connections.opened(POOL.series)
    while not metrics.connections.much:
        one.idle()
        one.active()

    metrics.tell_connections()

    assert not metrics.connections.much


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_worker_tells_the_levels_that_it_inherits_and_no_overflow_of_its_parents(
    tmp_path: Path,
) -> None:
    told, problems = run(
        """
        import os
        from prometheus_client import CollectorRegistry
        from prometheus_client.multiprocess import MultiProcessCollector
        from sleepwalker.observability import events, names
        from sleepwalker.observability.labels import LabelSpace
        from sleepwalker.observability.metrics import Metrics

        def show():
            scraped = CollectorRegistry()
            MultiProcessCollector(scraped)
            value = scraped.get_sample_value
            print(
                value(names.RETRY_QUOTA, {"host": "host"}),
                value(names.BREAKER_STATE, {"host": "host"}),
                value(names.LABEL_OVERFLOW),
                flush=True,
            )

        metrics = Metrics.on(CollectorRegistry())
        metrics.labels = LabelSpace(limit=1)
        pool = metrics.labels.pool("host", "basic", 0)
        metrics.record(events.RetryQuotaChanged(pool, "host", 472))
        metrics.record(events.BreakerChanged(pool, "host", "open", 5.0))
        show()
        metrics.labels.pool("host beyond", "basic", 0)
        child = os.fork()
        if child == 0:
            metrics.record(events.LookedUp(pool, "hit", 1))
            show()
            metrics.record(events.RetryQuotaChanged(pool, "host", 473))
            metrics.record(events.BreakerChanged(pool, "host", "closed", 0.0))
            os._exit(0)
        os.waitpid(child, 0)
        metrics.record(events.RetryQuotaChanged(pool, "host", 500))
        show()
        """,
        {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
    )

    lines = ["472.0 2.0 0.0", "472.0 2.0 0.0", "473.0 2.0 1.0"]
    assert (told.splitlines(), problems) == (lines, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_counts_the_pools_that_it_has_and_no_find_of_its_parents() -> None:
    told, problems = run(
        """
        import os, threading, time
        from prometheus_client import CollectorRegistry
        from sleepwalker import ANONYMOUS, ConnectionManager, DirectHook
        from sleepwalker.observability import names
        from sleepwalker.observability.metrics import Metrics

        registry = CollectorRegistry()
        manager = ConnectionManager(hooks=[DirectHook()], registry=registry)

        def show():
            series = {"host": "https://host.example", "auth": "none"}
            for result in "miss", "hit":
                labels = {**series, "result": result}
                print(registry.get_sample_value(names.POOL_LOOKUPS, labels), end=" ")
            print(registry.get_sample_value(names.POOLS), flush=True)

        for _ in range(4):
            manager.find("https://host.example", ANONYMOUS)
        # A pool is put in, and the thread that did can't tell of it before the fork.
        Metrics.on(registry)._counting.hold()
        thread = threading.Thread(target=manager.add, args=("name", None, object()))
        thread.start()
        while len(manager.conns) < 2:
            time.sleep(0.001)
        child = os.fork()
        if child == 0:
            show()
            manager.find("https://host.example", ANONYMOUS)
            manager.find("https://another.example", ANONYMOUS)
            manager.find("https://host.example", ANONYMOUS)
            manager.close()
            show()
            os._exit(0)
        os.waitpid(child, 0)
        Metrics.on(registry)._counting.release()
        thread.join()
        show()
        manager.close()
        show()
        """
    )

    lines = ["1.0 None 2.0", "1.0 2.0 0.0", "1.0 3.0 2.0", "1.0 3.0 0.0"]
    assert (told.splitlines(), problems) == (lines, "")


def test_of_many_attempts_that_are_sampled_the_last_of_each_bucket_is_shown() -> None:
    registry = CollectorRegistry()
    instrument = Metrics.on(registry)
    durations = [0.001, 0.2, 0.001, 0.2, 0.002, 7.0] * 9

    for number, duration in enumerate(durations):
        trace = events.TracePoint(f"{number:032x}", f"{number:016x}")
        instrument.record(
            events.AttemptFinished(
                POOL, "GET", 1, duration, 200, "none", "b.example", 443, "1.1", trace
            )
        )

    buckets = {
        sample.labels["le"]: (sample.value, sample.exemplar)
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == f"{names.ATTEMPT_DURATION}_bucket"
    }
    shown = {
        bucket: int(exemplar.labels["trace_id"], 16)
        for bucket, (_, exemplar) in buckets.items()
        if exemplar is not None
    }
    assert shown == {"0.005": 52, "0.25": 51, "10.0": 53}
    assert buckets["+Inf"][0] == len(durations)

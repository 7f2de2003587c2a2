"""The harness gives what a real Prometheus has scraped, and says so when it has not."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, start_http_server

from sleepwalker.observability import events, names
from sleepwalker.observability.metrics import Metrics
from tests.dashboards import prometheus
from tests.dashboards.prometheus import NEEDED, Prometheus, PrometheusError, Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.dashboards.conftest import StartPrometheus

POOL = events.Pool("https://books.example", "basic", ("https://books.example", "basic"))
RULES = Path(__file__).parent.parent.parent / "dashboards" / "prometheus" / "sleepwalker.rules.yml"
TWICE = f"""
groups:
  - name: wrong
    rules:
      - record: twice
        expr: label_replace({names.ATTEMPT_DURATION}_bucket, "le", "", "", "")
      - record: after
        expr: sum({names.ATTEMPT_DURATION}_bucket)
"""
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(scope="module")
def scraping(
    start_prometheus: StartPrometheus, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """Give one that scrapes our metrics, of a traced attempt among others."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    for _ in range(3):
        metrics.record(events.LookedUp(POOL, "hit", 2))
    metrics.record(events.RequestStarted(POOL, "GET"))
    metrics.record(
        events.AttemptFinished(
            *(POOL, "GET", 1, 0.2, 200, "none"), trace=events.TracePoint(TRACE, "00f067aa0ba902b7")
        )
    )
    server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
    url = f"http://127.0.0.1:{server.server_port}/metrics"
    twice = tmp_path_factory.mktemp("rules") / "twice.yml"
    twice.write_text(TWICE)
    running = start_prometheus(Target("shop", url), rules=[RULES, twice], interval="200ms")
    try:
        running.wait_for_scrape()
        yield running
    finally:
        running.stop()
        server.shutdown()
        thread.join()
        server.server_close()


def test_what_was_scraped_is_queried_back_with_its_labels(scraping: Prometheus) -> None:
    [sample] = scraping.query(names.POOL_LOOKUPS)

    assert sample.value == 6.0
    assert sample.labels == {
        "__name__": names.POOL_LOOKUPS,
        "job": "shop",
        "instance": sample.labels["instance"],
        names.LABEL_HOST: "https://books.example",
        names.LABEL_AUTH: "basic",
        names.LABEL_RESULT: "hit",
    }
    assert scraping.query("vector(2) * scalar(vector(3))") == [({}, 6.0)]
    assert scraping.query("scalar(vector(3))") == [({}, 3.0)]
    assert scraping.query("absent_from_here") == []


def test_a_range_has_each_step(scraping: Prometheus) -> None:
    now = time.time()

    [series] = scraping.query_range(f"{names.IN_FLIGHT} + 1", now, now + 2, 1)

    assert series.labels[names.LABEL_AUTH] == "basic"
    assert [value for _, value in series.points] == [2.0, 2.0, 2.0]
    assert [round(when - now) for when, _ in series.points] == [0, 1, 2]


def test_exemplars_are_stored(scraping: Prometheus) -> None:
    [exemplar] = scraping.exemplars(f'{names.ATTEMPT_DURATION}_bucket{{job="shop"}}')

    assert exemplar.labels["trace_id"] == TRACE
    assert exemplar.value == 0.2
    assert exemplar.series["le"] == "0.25"
    assert scraping.exemplars(names.IN_FLIGHT) == []


def test_the_rules_are_evaluated(scraping: Prometheus) -> None:
    [sample] = scraping.wait_for('{__name__=~"job_host:.*in_flight.*"}')

    assert sample.value == 1 / 64
    assert set(sample.labels) == {"__name__", "job", names.LABEL_HOST}
    scraping.wait_for("after")
    # Before that in its group is one that can't be evaluated: it gives two series of one name.
    assert set(scraping.rule_errors()) == {"twice"}


def test_an_expression_that_can_not_be_read_is_an_error(scraping: Prometheus) -> None:
    with pytest.raises(PrometheusError, match="parse error"):
        scraping.query("rate(")


def test_a_configuration_that_can_not_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PrometheusError, match="not a valid duration"):
        Prometheus(tmp_path, [Target("shop", "http://127.0.0.1:1/metrics")], interval="soon")


def test_what_does_not_come_is_an_error(
    scraping: Prometheus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prometheus, "PATIENCE", 0.1)

    with pytest.raises(PrometheusError, match="not 2 series of up"):
        scraping.wait_for("up", at_least=2)


def test_a_missing_program_skips_a_test_or_fails_it_where_it_is_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv(NEEDED, raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt install prometheus"):
        prometheus.program("promtool")

    monkeypatch.setenv(NEEDED, "1")
    with pytest.raises(pytest.fail.Exception, match=NEEDED):
        prometheus.program("promtool")

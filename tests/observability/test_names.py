"""Names stand once, in one file; closed sets are closed, and what the code says is in them."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import sleepwalker
from sleepwalker import exceptions
from sleepwalker.exceptions import HTTPError, ProtocolError, SleepwalkerException
from sleepwalker.observability import names

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(sleepwalker.__path__[0])
CONSTANTS = {name: value for name, value in vars(names).items() if name.isupper()}
METRICS = {
    name: value
    for name, value in CONSTANTS.items()
    if isinstance(value, str) and value.startswith("sleepwalker_")
}


def named(prefix: str) -> list[str]:
    """Give the values of the constants that begin so."""
    return [value for name, value in CONSTANTS.items() if name.startswith(prefix)]


# Names


@pytest.mark.parametrize("kind", ["SPAN_", "ATTR_", "LABEL_", "EVENT_"])
def test_no_name_is_given_twice(kind: str) -> None:
    given = named(kind)

    assert given
    assert len(set(given)) == len(given)


def test_metrics_have_the_names_that_prometheus_wants() -> None:
    pattern = re.compile(r"sleepwalker_[a-z]+(_[a-z]+)*")

    assert [name for name in METRICS.values() if not pattern.fullmatch(name)] == []
    assert len(set(METRICS.values())) == len(METRICS)


def test_the_metrics_of_the_design_are_there() -> None:
    assert set(METRICS.values()) == {
        "sleepwalker_request_duration_seconds",
        "sleepwalker_attempt_duration_seconds",
        "sleepwalker_attempts_total",
        "sleepwalker_retries_total",
        "sleepwalker_retry_wait_seconds_total",
        "sleepwalker_retry_quota_tokens",
        "sleepwalker_breaker_state",
        "sleepwalker_requests_in_flight",
        "sleepwalker_pool_connections",
        "sleepwalker_pools",
        "sleepwalker_pool_lookups_total",
        "sleepwalker_pool_wait_seconds",
        "sleepwalker_pool_evictions_total",
        "sleepwalker_hook_duration_seconds",
        "sleepwalker_connect_failures_total",
        "sleepwalker_link_follows_total",
        "sleepwalker_label_overflow_total",
        "sleepwalker_telemetry_errors_total",
    }


def test_spans_have_the_names_of_the_design_and_a_traversal_has_one_of_its_own() -> None:
    of_the_design = {
        "sleepwalker.connect",
        "sleepwalker.hook",
        "sleepwalker.request",
        "sleepwalker.follow",
    }
    # An addition of ours: without it the links that a traversal follows would be as many traces.
    ours = {"sleepwalker.traverse"}

    assert set(named("SPAN_")) == of_the_design | ours


def test_log_events_are_words_with_dots_and_all_listed() -> None:
    assert set(named("EVENT_")) == names.LOG_EVENTS
    assert [e for e in names.LOG_EVENTS if not re.fullmatch(r"[a-z]+(\.[a-z_]+)+", e)] == []
    assert {
        "connection.established",
        "hook.attempt.failed",
        "connection.failed",
        "request.retry_scheduled",
        "request.retries_exhausted",
        "breaker.opened",
        "pool.evicted",
        "link.cross_host",
    } - names.LOG_EVENTS == set()


def test_time_buckets_go_from_5_ms_to_60_s() -> None:
    assert names.TIME_BUCKETS[0] == 0.005
    assert names.TIME_BUCKETS[-1] == 60.0
    assert list(names.TIME_BUCKETS) == sorted(set(names.TIME_BUCKETS))


def literals(*, but_for: str) -> Iterator[tuple[str, str]]:
    """Give every text in the package's code (docstrings too), with its file."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.relative_to(PACKAGE).as_posix() == but_for:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield path.relative_to(PACKAGE).as_posix(), node.value


def test_a_name_stands_in_one_file_alone() -> None:
    once = {*METRICS.values(), *named("SPAN_"), *named("ATTR_"), *named("EVENT_")}

    again = [
        (place, text) for place, text in literals(but_for="observability/names.py") if text in once
    ]

    assert again == []


# Closed sets


def test_the_closed_sets_are_those_of_the_design() -> None:
    assert names.REQUEST_OUTCOMES == (
        "success",
        "error",
        "exhausted",
        "refused",
        "timeout",
        "cancelled",
    )
    assert names.RETRY_REASONS == (
        "timeout",
        "connect",
        "protocol",
        "status",
        "throttled",
        "auth",
    )
    assert names.LOOKUP_RESULTS == ("hit", "miss", "coalesced")
    assert names.HOOK_OUTCOMES == ("connected", "declined", "failed", "timeout")
    assert names.CONNECTION_STATES == ("active", "idle")


@pytest.mark.parametrize(
    "closed",
    [
        names.REQUEST_OUTCOMES,
        names.RETRY_REASONS,
        names.LOOKUP_RESULTS,
        names.EVICTION_REASONS,
        names.HOOK_OUTCOMES,
        names.FOLLOW_OUTCOMES,
        names.CONNECTION_STATES,
        names.BREAKER_STATES,
        names.STATUS_CLASSES,
        names.ERROR_TYPES,
    ],
)
def test_a_closed_set_has_no_value_twice(closed: tuple[str, ...]) -> None:
    assert len(set(closed)) == len(closed)


ERRORS: list[type[SleepwalkerException]] = [getattr(exceptions, n) for n in exceptions.__all__]


@pytest.mark.parametrize("cls", ERRORS, ids=lambda c: c.__name__)
def test_the_type_of_every_error_is_in_the_closed_set(cls: type[SleepwalkerException]) -> None:
    expected = "status" if cls in HTTPError.code_map.values() else cls.error_type
    error = cls.__new__(cls)

    assert names.error_type_of(error) == expected
    assert expected in names.ERROR_TYPES


def test_every_error_type_that_the_code_names_is_in_the_closed_set() -> None:
    said = {
        keyword.value.value
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "error_type" and isinstance(keyword.value, ast.Constant)
    }

    assert said
    assert said - {None, *names.ERROR_TYPES} == set()


class OddError(Exception):
    """An exception of a user's, with an attribute of that name by chance."""

    error_type: object = "made up"


@pytest.mark.parametrize("odd", ["made up", "", None, 7, "none\n", ("reset",), "٤٠٤"])
def test_what_others_raise_is_of_type_other(odd: object) -> None:
    error = OddError()
    error.error_type = odd

    assert names.error_type_of(error) in {"other", "status"}
    assert names.error_type_of(error) in names.ERROR_TYPES
    assert names.error_type_of(KeyError()) == "other"
    assert names.error_type_of(KeyboardInterrupt()) == "other"


def test_an_error_may_be_of_a_more_special_type_than_its_class() -> None:
    assert names.error_type_of(ProtocolError("reset", error_type="reset")) == "reset"

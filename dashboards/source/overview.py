"""The dashboard "Sleepwalker / Overview": every pool at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dashboards.source import queries, thresholds, views
from dashboards.source.panels import (
    COUNT,
    NUMBER,
    OVERVIEW,
    PER_SECOND,
    POOL,
    REQUESTS,
    SECONDS,
    SHARE,
    Column,
    Query,
    Row,
    assembled,
    counts,
    lines,
    pools_table,
    stat_of,
)
from sleepwalker.observability import names

if TYPE_CHECKING:
    from grafana_foundation_sdk.builders import table, timeseries

_HOST = (names.LABEL_HOST,)
_POOL = (names.LABEL_HOST, names.LABEL_AUTH)
_BY_HOST = views.legend_of(*_HOST)


def build() -> dict[str, Any]:
    """The dashboard, as JSON has it."""
    return assembled(
        "Sleepwalker / Overview",
        OVERVIEW,
        "Every connection pool of every service that embeds Sleepwalker: rate, errors,"
        " durations, retries, breakers, pools, hooks and links.",
        [
            Row(
                "At a glance",
                [
                    views.request_rate(),
                    views.error_ratio(),
                    views.slow_requests(),
                    views.amplification(),
                    views.in_flight(),
                    stat_of(
                        "Open breakers",
                        "Hosts that are left alone at the moment, since they failed too often."
                        " Their callers get errors at once. The timeline below names them.",
                        Query(queries.open_breakers(), "open"),
                        unit=COUNT,
                        too_much=1,
                    ),
                ],
            ),
            Row("Requests by host", [*_red(), _table()]),
            Row(
                "Latency",
                [views.attempt_heat(), views.attempt_quantiles(), views.request_quantiles()],
            ),
            Row(
                "Attempts and retries",
                [
                    views.attempts_by_code(),
                    views.attempts_by_error(),
                    views.retries_by_reason(),
                    _amplification(),
                    views.retry_wait(*_HOST),
                    views.retry_quota(),
                    views.breaker(),
                ],
            ),
            Row("Pools", _pools()),
            Row(
                "Hooks",
                [
                    views.hook_calls(names.LABEL_OUTCOME),
                    views.hook_durations(),
                    views.connect_failures(),
                ],
            ),
            Row("Links", _links()),
            Row("The library's own health", _health()),
        ],
        several=True,
        leads_to=POOL,
    )


def _red() -> list[timeseries.Panel]:
    """Rate, errors and durations of each host."""
    return [
        lines(
            "Request rate by host",
            "Calls that ended, by host. Click a series to see its pools in depth.",
            Query(queries.requests(by=_HOST), _BY_HOST),
            unit=REQUESTS,
            opens_pool=True,
        ),
        lines(
            "Error ratio by host",
            "Share of calls to each host that failed after all retries. Above the dashed line"
            f" the alert counts. Below {thresholds.MIN_REQUESTS_PER_SECOND:g} requests a second"
            " it means little, and no alert is made of it.",
            Query(queries.error_ratio(by=_HOST), _BY_HOST),
            unit=SHARE,
            too_much=thresholds.ERROR_RATIO,
            opens_pool=True,
        ),
        lines(
            f"Request duration by host, {views.SLOW_NAME}",
            f"{views.SLOW:.0%} of calls to each host took no longer, retries and waits included.",
            Query(queries.request_quantile(views.SLOW, by=_HOST), _BY_HOST),
            unit=SECONDS,
            too_much=thresholds.LATENCY_SECONDS,
            opens_pool=True,
        ),
    ]


def _table() -> table.Panel:
    errors = "Error ratio"
    return pools_table(
        "Pools, the worst first",
        "Every (host, auth) pool as of now. A host and an auth of `_other` are all pools beyond"
        f" the first {names.LABELLED_POOLS}. Click a host to see its pool in depth.",
        Column("Requests/s", queries.requests(by=_POOL), REQUESTS),
        Column(errors, queries.error_ratio(by=_POOL), SHARE, thresholds.ERROR_RATIO),
        Column(
            f"Duration, {views.SLOW_NAME}",
            queries.request_quantile(views.SLOW, by=_POOL),
            SECONDS,
            thresholds.LATENCY_SECONDS,
        ),
        Column(
            "Attempts per request",
            queries.amplification(by=_POOL),
            NUMBER,
            thresholds.AMPLIFICATION,
        ),
        Column("In flight", queries.gauge(names.IN_FLIGHT, by=_POOL), COUNT),
        sorted_by=errors,
    )


def _amplification() -> timeseries.Panel:
    return lines(
        "Amplification by host",
        "Wire attempts for each call. 1 is no retries; above the dashed line retries are a good"
        " part of the host's load.",
        Query(queries.amplification(by=_HOST), _BY_HOST),
        unit=NUMBER,
        too_much=thresholds.AMPLIFICATION,
        opens_pool=True,
    )


def _pools() -> list[timeseries.Panel]:
    return [
        views.connections(),
        lines(
            "Saturation by host",
            f"Calls in flight by the limit of a host in one process ({thresholds.POOL_LIMIT} by"
            " default), in the process that has the most. At 1 callers wait for each other: the"
            " host is too slow for what is asked, or the limit too low.",
            Query(queries.saturation(), _BY_HOST),
            unit=SHARE,
            too_much=thresholds.POOL_SATURATION,
            opens_pool=True,
        ),
        counts(
            "Finds that waited, by host",
            "Finds that met an establishment of the same connection under way, and waited for it"
            " rather than log in a second time.",
            Query(queries.count(names.POOL_WAIT, by=_HOST, suffix="_count"), _BY_HOST),
            opens_pool=True,
        ),
        views.waits(),
        views.hit_ratio(),
        views.evictions(),
        lines(
            "Pools held",
            "Connections that managers hold, in each process, whatever host is chosen. One that"
            " only grows makes a new auth object for each find, or needs `idle=` or"
            " `max_pools=`.",
            Query(
                queries.gauge(names.POOLS, by=(queries.JOB, queries.INSTANCE)),
                views.legend_of(queries.JOB, queries.INSTANCE),
            ),
            unit=COUNT,
            span=24,
            height=6,
        ),
    ]


def _links() -> list[timeseries.Panel]:
    by = (names.LABEL_OUTCOME,)
    return [
        lines(
            "Links followed",
            "Links that were followed to a host, from itself or from another one. From another,"
            " only credentials registered for the target go along.",
            Query(queries.follows(across=False), "same host"),
            Query(queries.follows(across=True), "across hosts"),
            unit=PER_SECOND,
            span=12,
            stacked=True,
        ),
        lines(
            "Links followed, by outcome",
            "How following ended. `refused` is a link that Sleepwalker would not follow: no"
            " credentials for the target, or from https to http.",
            Query(queries.rate(names.LINK_FOLLOWS, by=by), views.legend_of(*by)),
            unit=PER_SECOND,
            span=12,
            stacked=True,
        ),
    ]


def _health() -> list[timeseries.Panel]:
    by = (queries.JOB, queries.INSTANCE)
    legend = views.legend_of(*by)
    return [
        counts(
            "Telemetry errors",
            "Errors of instruments. None reached a caller, but what they had to tell is missing"
            " here. Any at all is a bug, of Sleepwalker or of an observer: see the process's"
            " logs.",
            Query(queries.count(names.TELEMETRY_ERRORS, by=by), legend),
            span=12,
        ),
        counts(
            "Pools without series of their own",
            f"New pools beyond the first {names.LABELLED_POOLS}, which share the series"
            f" `{names.OVERFLOW}`. Any at all: give pools names with `auth_label=`, or find out"
            " who makes so many.",
            Query(queries.count(names.LABEL_OVERFLOW, by=by), legend),
            span=12,
        ),
    ]

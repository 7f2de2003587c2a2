"""The panels that both dashboards have: of all chosen pools in one, of one pool in the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dashboards.source import queries, thresholds
from dashboards.source.panels import (
    COUNT,
    NUMBER,
    PER_SECOND,
    REQUESTS,
    SECONDS,
    SHARE,
    Query,
    counts,
    heat,
    lines,
    stat_of,
    states,
)
from sleepwalker.observability import names

if TYPE_CHECKING:
    from collections.abc import Callable

    from grafana_foundation_sdk.builders import heatmap, stat, statetimeline, timeseries

QUANTILES: Final = (0.5, 0.95, 0.99)
SLOW: Final = thresholds.LATENCY_QUANTILE
SLOW_NAME: Final = f"p{SLOW * 100:g}"


def legend_of(*labels: str) -> str:
    """A legend that names each series by its labels."""
    return " · ".join(f"{{{{{label}}}}}" for label in labels)


# --- at a glance -----------------------------------------------------------------------------


def request_rate() -> stat.Panel:
    """How much is asked."""
    return stat_of(
        "Requests per second",
        "Logical calls that ended, whatever their outcome. At zero nobody calls, or Prometheus"
        " can't scrape: look at the targets.",
        Query(queries.requests(), "requests"),
        unit=REQUESTS,
    )


def error_ratio() -> stat.Panel:
    """How much of it fails."""
    return stat_of(
        "Error ratio",
        "Share of calls that failed after all retries: given up, refused, timed out, or answered"
        f" with a status that raises ({', '.join(thresholds.ANSWERS_ASKED_FOR)} are not counted:"
        " programs ask for them). This is what users feel. See attempts by status and by error"
        " for the cause.",
        Query(queries.error_ratio(), "errors"),
        unit=SHARE,
        too_much=thresholds.ERROR_RATIO,
    )


def slow_requests() -> stat.Panel:
    """How long it takes, for the caller and on the wire."""
    return stat_of(
        f"Duration, {SLOW_NAME}",
        f"{SLOW:.0%} of calls (retries and waits included) and of single wire attempts took no"
        " longer. Calls much slower than attempts are waiting between retries.",
        Query(queries.request_quantile(SLOW), "requests"),
        Query(queries.attempt_quantile(SLOW), "attempts"),
        unit=SECONDS,
        too_much=thresholds.LATENCY_SECONDS,
    )


def amplification() -> stat.Panel:
    """How much load retries add."""
    return stat_of(
        "Amplification",
        "Wire attempts for each call: 1 is no retries (redirects and repeated logins count too)."
        " Well above it, retries add load to a host that already fails: see retries by reason.",
        Query(queries.amplification(), "attempts per request"),
        unit=NUMBER,
        too_much=thresholds.AMPLIFICATION,
        decimals=2,
    )


def in_flight() -> stat.Panel:
    """How much is under way."""
    return stat_of(
        "Requests in flight",
        "Calls under way now, those that wait between attempts included. It rises when a host"
        " becomes slow; compare it with the duration.",
        Query(queries.gauge(names.IN_FLIGHT), "in flight"),
        unit=COUNT,
    )


# --- latency ---------------------------------------------------------------------------------


def attempt_heat() -> heatmap.Panel:
    """How attempts' durations are spread."""
    return heat(
        "Durations of attempts",
        "How many wire attempts a second took how long. Two bands are two kinds of answers, or a"
        " timeout. A dot is one attempt: click it to open its trace.",
        names.ATTEMPT_DURATION,
    )


def attempt_quantiles() -> timeseries.Panel:
    """Quantiles of attempts."""
    return _quantiles(
        "Attempt duration",
        "Quantiles of single wire attempts: how fast the hosts are. The dots are traces of"
        " attempts.",
        queries.attempt_quantile,
        exemplars=True,
    )


def request_quantiles() -> timeseries.Panel:
    """Quantiles of calls."""
    return _quantiles(
        "Request duration",
        "Quantiles of whole calls, retries and waits included: what callers wait for. Far above"
        " the attempts' durations, it is the waits between retries that cost.",
        queries.request_quantile,
        too_much=thresholds.LATENCY_SECONDS,
    )


def _quantiles(
    title: str,
    description: str,
    quantile: Callable[[float], str],
    *,
    exemplars: bool = False,
    too_much: float | None = None,
) -> timeseries.Panel:
    asked = [Query(quantile(q), f"p{q * 100:g}", exemplars) for q in QUANTILES]
    return lines(title, description, *asked, unit=SECONDS, too_much=too_much)


# --- attempts and retries --------------------------------------------------------------------


def attempts_by_code() -> timeseries.Panel:
    """What the hosts answer."""
    return lines(
        "Attempts by status",
        "What the hosts answered to each wire attempt; `none` is no answer at all. 5xx and 429"
        " are the host's trouble, 401 and 403 are credentials.",
        Query(queries.attempts(by=(names.LABEL_CODE,)), legend_of(names.LABEL_CODE)),
        unit=PER_SECOND,
        stacked=True,
    )


def attempts_by_error() -> timeseries.Panel:
    """What goes wrong on the wire."""
    return lines(
        "Attempts that failed, by error",
        "Why attempts failed. `status` is an answer; `resolution`, `connect`, `tls` and the like"
        " are the way there; `reset`, `closed`, `read_timeout` are a host that gave up in"
        " between.",
        Query(queries.errors_of_wire(), legend_of(names.LABEL_ERROR_TYPE)),
        unit=PER_SECOND,
        stacked=True,
    )


def retries_by_reason() -> timeseries.Panel:
    """Why things are sent again."""
    return lines(
        "Retries by reason",
        "Attempts that were followed by another. `throttled` is a host that asks for less: lower"
        " the rate rather than retry more.",
        Query(queries.rate(names.RETRIES, by=(names.LABEL_REASON,)), legend_of(names.LABEL_REASON)),
        unit=PER_SECOND,
        stacked=True,
    )


def retry_wait(*by: str) -> timeseries.Panel:
    """What waiting costs."""
    return lines(
        "Calls waiting for a retry",
        "How many calls were asleep between two attempts, on average: seconds waited in each"
        " second. These are threads of the application that do nothing.",
        Query(queries.rate(names.RETRY_WAIT, by=by), legend_of(*by) or "waiting"),
        unit=COUNT,
        opens_pool=names.LABEL_HOST in by,
    )


def retry_quota() -> timeseries.Panel:
    """What is left to retry with."""
    by = (names.LABEL_HOST,)
    return lines(
        "Retry quota",
        "Tokens that are left for retries, in the process that has the fewest. At zero, calls"
        " fail without a retry until the host is well again. Shown from a host's first retry on;"
        " all pools of a host share it.",
        Query(queries.lowest(names.RETRY_QUOTA, by=by), legend_of(*by)),
        unit=COUNT,
        opens_pool=True,
    )


def breaker() -> statetimeline.Panel:
    """Which hosts are left alone."""
    by = (names.LABEL_HOST,)
    return states(
        "Circuit breakers",
        "The state of each host's breaker, the worst of all processes. While it is open, calls"
        " are refused at once: look at the host, not at the callers. Shown from a breaker's"
        " first change on; all pools of a host share it. It changes only when somebody calls.",
        Query(queries.highest(names.BREAKER_STATE, by=by), legend_of(*by)),
    )


# --- pools and hooks -------------------------------------------------------------------------


def connections() -> timeseries.Panel:
    """Sockets."""
    return lines(
        "Connections by state",
        "Open sockets, in use (`active`) or kept for the next request (`idle`). Many active ones"
        " with few requests are a slow host; none idle under steady traffic is a host that"
        " closes them.",
        Query(
            queries.gauge(names.POOL_CONNECTIONS, by=(names.LABEL_STATE,)),
            legend_of(names.LABEL_STATE),
        ),
        unit=COUNT,
        stacked=True,
    )


def hit_ratio() -> timeseries.Panel:
    """Whether connections are found."""
    return lines(
        "Lookup hit ratio",
        "Share of finds for which a connection was there. It is near 1 in a service that runs;"
        " low, it has more pools than the manager may hold, or new auth objects for each find.",
        Query(queries.hit_ratio(), "hits"),
        unit=SHARE,
        at_most=1,
    )


def evictions() -> timeseries.Panel:
    """Which connections are forgotten."""
    return counts(
        "Evictions by reason",
        "Pools that managers forgot. Many by `max_pools`: raise the limit, or find out who makes"
        " so many pools.",
        Query(
            queries.count(names.POOL_EVICTIONS, by=(names.LABEL_REASON,)),
            legend_of(names.LABEL_REASON),
        ),
        stacked=True,
    )


def waits() -> timeseries.Panel:
    """How long threads wait for each other's establishing."""
    return lines(
        f"Wait for a connection, {SLOW_NAME}",
        "How long finds waited that met an establishment under way, by another thread. They wait"
        " as long as the hook takes: see the hooks' durations.",
        Query(queries.quantile_of_rare(SLOW, names.POOL_WAIT), "wait"),
        unit=SECONDS,
    )


def hook_calls(*by: str) -> timeseries.Panel:
    """What hooks do."""
    return counts(
        "Hook calls by outcome",
        "Calls of connection hooks. `declined` is a hook that leaves it to the next; `failed`"
        " and `timeout` are logins that don't work.",
        Query(queries.count(names.HOOK_DURATION, by=by, suffix="_count"), legend_of(*by)),
        stacked=True,
    )


def hook_durations() -> timeseries.Panel:
    """How long hooks take."""
    by = (names.LABEL_HOOK,)
    return lines(
        f"Hook duration, {SLOW_NAME}",
        "How long logins take. All threads that want the same connection wait for one hook.",
        Query(queries.quantile_of_rare(SLOW, names.HOOK_DURATION, by=by), legend_of(*by)),
        unit=SECONDS,
    )


def connect_failures() -> timeseries.Panel:
    """Why there is no connection."""
    by = (names.LABEL_ERROR_TYPE,)
    return counts(
        "Finds that failed, by error",
        "Finds for which no hook gave a connection. `credentials` is a secret that is wrong or"
        " gone; the rest is the way to the host.",
        Query(queries.count(names.CONNECT_FAILURES, by=by), legend_of(*by)),
        stacked=True,
    )

"""The dashboard "Sleepwalker / Pool": one (host, auth) pool in depth."""

from __future__ import annotations

from typing import Any

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
    Query,
    Row,
    assembled,
    breaker_states,
    counts,
    lines,
    stat_of,
)
from sleepwalker.observability import names

_OUTCOME = (names.LABEL_OUTCOME,)
_METHOD = (names.LABEL_METHOD,)
_CLASS = (names.LABEL_STATUS_CLASS,)
_RESULT = (names.LABEL_RESULT,)
_FOLLOWED = (names.LABEL_CROSS_HOST, names.LABEL_OUTCOME)


def build() -> dict[str, Any]:
    """The dashboard, as JSON has it."""
    return assembled(
        "Sleepwalker / Pool",
        POOL,
        "One connection pool, of one host and one auth. Choose it above, or click a host on the"
        " overview; with All, what is shown is of all of them together.",
        [
            Row(
                "This pool",
                [
                    views.request_rate(),
                    views.error_ratio(),
                    views.slow_requests(),
                    views.amplification(),
                    views.in_flight(),
                    stat_of(
                        "Breaker",
                        "The worst state of the host's breaker in any process. Open: calls are"
                        " refused at once, and the host is asked again now and then. None: it"
                        " has never changed.",
                        Query(f"max({queries.select(names.BREAKER_STATE)})", "breaker"),
                        unit=NUMBER,
                        mappings=[breaker_states()],
                    ),
                ],
            ),
            Row(
                "Requests",
                [
                    lines(
                        "Requests by outcome",
                        "How calls ended. `exhausted`: attempts ran out. `error`: an answer or a"
                        " failure that is not to be sent again. `refused`: nothing was sent."
                        " `timeout`: the deadline was over.",
                        Query(queries.requests(by=_OUTCOME), views.legend_of(*_OUTCOME)),
                        unit=REQUESTS,
                        stacked=True,
                    ),
                    lines(
                        "Requests by method",
                        "Calls that ended, by HTTP method. What is not idempotent is sent again"
                        " only where it certainly never arrived.",
                        Query(queries.requests(by=_METHOD), views.legend_of(*_METHOD)),
                        unit=REQUESTS,
                        stacked=True,
                    ),
                    lines(
                        "Error ratio over time",
                        "Share of calls that failed after all retries, as the alert counts them.",
                        Query(queries.error_ratio(), "errors"),
                        unit=SHARE,
                        too_much=thresholds.ERROR_RATIO,
                    ),
                    views.request_quantiles(),
                    lines(
                        f"Request duration by outcome, {views.SLOW_NAME}",
                        "How long calls took that ended so. Failures that are slower than"
                        " successes cost callers twice: think of a shorter deadline.",
                        Query(
                            queries.quantile(views.SLOW, names.REQUEST_DURATION, by=_OUTCOME),
                            views.legend_of(*_OUTCOME),
                        ),
                        unit=SECONDS,
                    ),
                    lines(
                        "Requests in flight over time",
                        "Calls under way, those that wait between attempts included. It rises"
                        " when the host becomes slow, or when more is asked of it.",
                        Query(queries.gauge(names.IN_FLIGHT), "in flight"),
                        unit=COUNT,
                    ),
                ],
            ),
            Row(
                "Attempts",
                [
                    views.attempt_heat(),
                    views.attempt_quantiles(),
                    lines(
                        f"Attempt duration by class of status, {views.SLOW_NAME}",
                        "How long attempts took that were answered so; `none` got no answer."
                        " Fast 5xx are a host that sheds load, slow ones a host that is stuck.",
                        Query(
                            queries.attempt_quantile(views.SLOW, by=_CLASS),
                            views.legend_of(*_CLASS),
                            exemplars=True,
                        ),
                        unit=SECONDS,
                    ),
                    views.attempts_by_code(),
                    views.attempts_by_error(),
                    lines(
                        "Attempts by method",
                        "Wire attempts by HTTP method, retries and redirects included.",
                        Query(queries.attempts(by=_METHOD), views.legend_of(*_METHOD)),
                        unit=PER_SECOND,
                        stacked=True,
                    ),
                ],
            ),
            Row(
                "Retries, quota and breaker",
                [
                    views.retries_by_reason(),
                    lines(
                        "Amplification over time",
                        "Wire attempts for each call. 1 is no retries; above the dashed line"
                        " retries are a good part of the host's load.",
                        Query(queries.amplification(), "attempts per request"),
                        unit=NUMBER,
                        too_much=thresholds.AMPLIFICATION,
                    ),
                    views.retry_wait(),
                    views.retry_quota().span(24).height(6),
                    views.breaker(),
                ],
            ),
            Row(
                "Connections and lookups",
                [
                    views.connections(),
                    lines(
                        "Lookups by result",
                        "Finds: `hit` found the connection, `miss` established it, `coalesced`"
                        " waited for another thread that did.",
                        Query(
                            queries.rate(names.POOL_LOOKUPS, by=_RESULT), views.legend_of(*_RESULT)
                        ),
                        unit=PER_SECOND,
                        stacked=True,
                    ),
                    views.hit_ratio(),
                    counts(
                        "Finds that waited",
                        "Finds that met an establishment of this connection under way, and"
                        " waited for it rather than log in a second time.",
                        Query(queries.count(names.POOL_WAIT, suffix="_count"), "waited"),
                    ),
                    views.waits(),
                    views.evictions(),
                ],
            ),
            Row(
                "Hooks",
                [
                    views.hook_calls(names.LABEL_HOOK, names.LABEL_OUTCOME),
                    views.hook_durations(),
                    views.connect_failures(),
                ],
            ),
            Row(
                "Links",
                [
                    lines(
                        "Links followed, by kind and outcome",
                        "Links that led to this pool, from another host (`true`) or from its own"
                        " (`false`), and how following them ended.",
                        Query(
                            queries.rate(names.LINK_FOLLOWS, by=_FOLLOWED),
                            f"across hosts: {views.legend_of(*_FOLLOWED)}",
                        ),
                        unit=PER_SECOND,
                        span=24,
                        stacked=True,
                    ),
                ],
            ),
        ],
        several=False,
        leads_to=OVERVIEW,
    )

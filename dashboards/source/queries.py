"""The PromQL of both dashboards.

Rules:

1. Every name of a metric, a label or a label's value comes from `sleepwalker.observability.names`.
2. Every selector asks for the variables that the metric has labels for: job and instance always,
   host, or host and auth, where there are such labels.
3. Rates are over `$__rate_interval`. Nothing is divided by zero: where there was no traffic there
   is no point, rather than NaN. Where there was, and nothing of what is asked for, there is zero.
4. A counter's series begins with its first count, which rates don't see. Of what is frequent they
   may miss it; what is rare (logins, evictions) is counted, the first of it too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dashboards.source import rules, thresholds
from sleepwalker.observability import names

if TYPE_CHECKING:
    from collections.abc import Collection

JOB: Final = "job"
INSTANCE: Final = "instance"
"""The two labels that Prometheus' scrape configuration gives."""

BUCKET: Final = "le"
"""The label of a histogram's buckets."""

_PROCESS: Final = (JOB, INSTANCE)
_HOST: Final = (*_PROCESS, names.LABEL_HOST)
_POOL: Final = (*_HOST, names.LABEL_AUTH)

_LABELS: Final = {
    names.POOLS: _PROCESS,
    names.LABEL_OVERFLOW: _PROCESS,
    names.TELEMETRY_ERRORS: _PROCESS,
    names.BREAKER_STATE: _HOST,
    names.RETRY_QUOTA: _HOST,
}
"""The labels with a variable, of the metrics that don't have all four."""

_MEMORY: Final = "1h"
"""A series that was seen in this time before an interval is not new in it: it has only been away,
while a scrape failed or Prometheus restarted."""

OPEN: Final = names.BREAKER_STATES.index("open")


def select(metric: str, *matchers: str, suffix: str = "") -> str:
    """The series of a metric that the variables ask for.

    :param matchers: more of them, as `matching` gives
    :param suffix: which of a histogram's series: `_bucket`, `_count` or `_sum`
    """
    of_variables = (f'{label}=~"${label}"' for label in _LABELS.get(metric, _POOL))
    return f"{metric}{suffix}{{{', '.join([*of_variables, *matchers])}}}"


def matching(label: str, value: str, *, among: Collection[str], negated: bool = False) -> str:
    """A matcher for a value of a closed set.

    :raises ValueError: for one that the set doesn't have
    """
    if value not in among:
        msg = f"{label} is never {value!r}"
        raise ValueError(msg)
    return f'{label}{"!=" if negated else "="}"{value}"'


def rate(metric: str, *matchers: str, by: Collection[str] = (), suffix: str = "") -> str:
    """How often a second, added up."""
    return total(f"rate({select(metric, *matchers, suffix=suffix)}[$__rate_interval])", by=by)


def count(metric: str, *matchers: str, by: Collection[str] = (), suffix: str = "") -> str:
    """How often in the interval, the count with which a series began in it among it (rule 4)."""
    series = select(metric, *matchers, suffix=suffix)
    known = f"last_over_time({series}[{_MEMORY}] offset $__rate_interval)"
    return total(f"({series} unless {known}) or increase({series}[$__rate_interval])", by=by)


def total(expr: str, *, by: Collection[str] = ()) -> str:
    """Series added up."""
    return _aggregated("sum", expr, by)


def highest(metric: str, *, by: Collection[str]) -> str:
    """The highest of a gauge's series, where several processes tell of one thing."""
    return _aggregated("max", select(metric), by)


def lowest(metric: str, *, by: Collection[str]) -> str:
    """The lowest of a gauge's series."""
    return _aggregated("min", select(metric), by)


def gauge(metric: str, *matchers: str, by: Collection[str] = ()) -> str:
    """A gauge, added up over processes and pools."""
    return total(select(metric, *matchers), by=by)


def _aggregated(how: str, expr: str, by: Collection[str]) -> str:
    grouping = f" by ({', '.join(by)}) " if by else ""
    return f"{how}{grouping}({expr})"


def ratio(part: str, whole: str) -> str:
    """One rate by another, both grouped alike (rule 3)."""
    return f"{_or_zero(part, whole)} / ({whole} > 0)"


def _or_zero(part: str, whole: str) -> str:
    """A rate, and zero where only the other is counted: a series begins with its first count."""
    return f"({part} or 0 * {whole})"


def quantile(q: float, histogram: str, *matchers: str, by: Collection[str] = ()) -> str:
    """A quantile in seconds, where anything was observed."""
    return _quantile(q, rate(histogram, *matchers, by=(*by, BUCKET), suffix="_bucket"))


def quantile_of_rare(q: float, histogram: str, *, by: Collection[str] = ()) -> str:
    """The same of what is rare (rule 4)."""
    return _quantile(q, count(histogram, by=(*by, BUCKET), suffix="_bucket"))


def _quantile(q: float, buckets: str) -> str:
    # The quantile of nothing is NaN, which is not >= 0.
    return f"histogram_quantile({q:g}, {buckets}) >= 0"


def buckets(histogram: str) -> str:
    """Observations a second by bucket, for a heatmap."""
    return rate(histogram, by=(BUCKET,), suffix="_bucket")


# --- what both dashboards ask ----------------------------------------------------------------


def requests(*matchers: str, by: Collection[str] = ()) -> str:
    """Logical calls that ended, a second."""
    return rate(names.REQUEST_DURATION, *matchers, by=by, suffix="_count")


def attempts(*matchers: str, by: Collection[str] = ()) -> str:
    """Wire attempts a second."""
    return rate(names.ATTEMPTS, *matchers, by=by)


def error_ratio(*, by: Collection[str] = ()) -> str:
    """The share of calls that failed, as the alert's rules count them.

    That is: all that were given up, refused or timed out; and those that ended with an answer that
    raises, less the answers that programs ask for.
    """
    all_of_them = requests(by=by)
    failed = requests(f'{names.LABEL_OUTCOME}=~"{rules.FAILED}"', by=by)
    raised = requests(matching(names.LABEL_OUTCOME, "error", among=names.REQUEST_OUTCOMES), by=by)
    codes = "|".join(thresholds.ANSWERS_ASKED_FOR)
    asked_for = attempts(f'{names.LABEL_CODE}=~"{codes}"', by=by)
    return (
        f"({_or_zero(failed, all_of_them)}"
        f" + clamp_min({_or_zero(raised, all_of_them)} - {_or_zero(asked_for, all_of_them)}, 0))"
        f" / ({all_of_them} > 0)"
    )


def amplification(*, by: Collection[str] = ()) -> str:
    """Wire attempts for each logical call."""
    return ratio(attempts(by=by), requests(by=by))


def request_quantile(q: float, *, by: Collection[str] = ()) -> str:
    """How long calls took that were sent and ended, retries and waits included."""
    timed = f'{names.LABEL_OUTCOME}!~"{rules.NOT_TIMED}"'
    return quantile(q, names.REQUEST_DURATION, timed, by=by)


def attempt_quantile(q: float, *, by: Collection[str] = ()) -> str:
    """How long wire attempts took."""
    return quantile(q, names.ATTEMPT_DURATION, by=by)


def hit_ratio() -> str:
    """The share of finds for which a connection was there."""
    hits = matching(names.LABEL_RESULT, "hit", among=names.LOOKUP_RESULTS)
    return ratio(rate(names.POOL_LOOKUPS, hits), rate(names.POOL_LOOKUPS))


def saturation() -> str:
    """Calls in flight by the limit of a host in one process: the fullest of them."""
    in_one_process = gauge(names.IN_FLIGHT, by=(JOB, INSTANCE, names.LABEL_HOST))
    return f"max by ({names.LABEL_HOST}) ({in_one_process}) / {thresholds.POOL_LIMIT:g}"


def open_breakers() -> str:
    """How many hosts' breakers are open; zero where none has ever changed."""
    return f"count({highest(names.BREAKER_STATE, by=(names.LABEL_HOST,))} == {OPEN}) or vector(0)"


def errors_of_wire() -> str:
    """Attempts that went wrong, by what went wrong."""
    wrong = matching(names.LABEL_ERROR_TYPE, "none", among=names.ERROR_TYPES, negated=True)
    return attempts(wrong, by=(names.LABEL_ERROR_TYPE,))


def follows(*, across: bool) -> str:
    """Links that were followed, a second, within a host or from one to another."""
    where = matching(names.LABEL_CROSS_HOST, "true" if across else "false", among=names.CROSS_HOST)
    return rate(names.LINK_FOLLOWS, where)


# --- what the variables offer ----------------------------------------------------------------


def values_of(label: str) -> str:
    """What a variable can be, given those before it.

    Every process has a gauge of its pools; a pool shows first where it is looked up or asked.
    """
    if label in _PROCESS:
        series = names.POOLS + _given(_PROCESS[: _PROCESS.index(label)])
    else:
        shown = f"{names.REQUEST_DURATION}_count|{names.POOL_LOOKUPS}"
        series = _given(_POOL[: _POOL.index(label)], f'__name__=~"{shown}"')
    return f"label_values({series}, {label})"


def _given(labels: Collection[str], *matchers: str) -> str:
    given = [*matchers, *(f'{label}=~"${label}"' for label in labels)]
    return f"{{{', '.join(given)}}}" if given else ""

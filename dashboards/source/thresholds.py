"""Every threshold of the alerts, which the dashboards draw too.

Rules:

1. A figure stands here and nowhere else, with the reason for it.
2. Durations are text as PromQL has it. Each window holds at least two scrapes that are a minute
   apart, or a rate over it would be empty.
"""

from __future__ import annotations

from typing import Final

from sleepwalker.resilience.policy import Limit

WINDOW: Final = "5m"
"""Over which rates are taken: short enough to notice, long enough for the slowest usual scrape."""

MIN_REQUESTS_PER_SECOND: Final = 0.1
"""Traffic below which no ratio or quantile counts: 30 calls in a window. With fewer, one failure
would be a large share."""

# --- what users feel: pages ------------------------------------------------------------------

ERROR_RATIO: Final = 0.05
"""Of calls that fail. Retries have been made by then: at 10 % failing attempts, one call in 500
fails. Who sees more than this has an outage, or is refused."""
ERROR_RATIO_FOR: Final = "5m"
"""A restart of the host, or one open breaker that closes again, is over by then."""

ANSWERS_ASKED_FOR: Final = ("404", "409", "410", "412")
"""Statuses that programs ask for to learn something (is it there? was somebody faster?). They
raise, but nobody is to be woken for them. 401 and 403 are none: losing access is an outage."""

LATENCY_QUANTILE: Final = 0.95
"""One call in twenty is slower. Higher ones need more calls than many a pool has in a window."""
LATENCY_SECONDS: Final = 5.0
"""What a user waits for before trying again. A boundary of the default buckets, so that being above
it is known, not interpolated."""
LATENCY_FOR: Final = "10m"
"""Longer than for errors: what is slow still works."""

CONNECT_FAILURE_RATIO: Final = 0.5
"""Of establishments, in a window. Where most succeed, callers get a connection at the next find."""
CONNECT_MIN_FINDS: Final = 3
"""In a window, of finds that need a new connection: with fewer, one failure is a large share. They
are few in a service that runs, and where each waits long for a login that fails."""
CONNECT_FOR: Final = "6m"
"""Longer than the window, so that finds must go on failing: one login that failed calls nobody."""

# --- what nobody feels yet: tickets ----------------------------------------------------------

AMPLIFICATION: Final = 1.25
"""Attempts for each request: every fourth call is sent twice. The retry quota allows 1.07 for good
where retries fail, and more only where they help."""
AMPLIFICATION_FOR: Final = "10m"
"""A host that restarts makes a peak of it, and is to be forgiven."""

BREAKER_WINDOW: Final = "2m"
"""An open breaker half-opens every five seconds to probe: between two scrapes it may look well."""
BREAKER_FOR: Final = "5m"
"""A breaker that opens once did its work. One that keeps opening has a host that is down."""

POOL_LIMIT: Final = Limit().calls
"""Calls that may be in flight to a host, by default: in one process, over all its pools there."""
POOL_SATURATION: Final = 0.9
"""Of the limit, on average over a window: peaks are above it then, and callers wait."""
POOL_SATURATION_FOR: Final = "10m"
"""A batch may fill the pool; it is filled for good when a host is too slow for what is asked."""

OVERFLOWED_POOLS: Final = 0
"""Pools without series of their own: none of the other alerts sees one of them alone."""
OVERFLOW_FOR: Final = "15m"
"""They stay so for the process's life, so there is no hurry; one that ends soon needs nobody."""

TELEMETRY_ERRORS: Final = 0
"""Errors of instruments in a window. They never reach a caller, but what was to be told is lost."""
TELEMETRY_FOR: Final = "15m"
"""Longer than the window, so that one error alone doesn't call anybody."""

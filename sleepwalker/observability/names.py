"""Every name that telemetry shows to the world: metrics, labels, spans, attributes, events.

Rules:

1. A name stands here once; instruments, dashboards, docs and tests take it from here.
2. These names are public: one changes only as the API does, with an entry in the changelog.
3. A label that has a closed set of values has that set here.
"""

from __future__ import annotations

INSTRUMENTATION = "sleepwalker"
"""The instrumentation scope of our spans and the name of our stdlib logger."""

SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"
"""The semantic conventions that our HTTP attributes follow."""

# --- spans and their attributes --------------------------------------------------------------

SPAN_CONNECT = "sleepwalker.connect"
SPAN_HOOK = "sleepwalker.hook"
SPAN_REQUEST = "sleepwalker.request"
SPAN_TRAVERSE = "sleepwalker.traverse"
SPAN_FOLLOW = "sleepwalker.follow"

ATTR_HOST = "sleepwalker.host"
ATTR_AUTH = "sleepwalker.auth"
ATTR_HOOK = "sleepwalker.hook.name"
ATTR_HOOK_ATTEMPT = "sleepwalker.hook.attempt"
ATTR_OUTCOME = "sleepwalker.outcome"
ATTR_ATTEMPTS = "sleepwalker.attempts"
ATTR_WAITED = "sleepwalker.waited"
ATTR_LOOKUP = "sleepwalker.lookup"
ATTR_VISITED = "sleepwalker.traverse.visited"
ATTR_FAILED = "sleepwalker.traverse.failed"
ATTR_LEFT_OUT = "sleepwalker.traverse.left_out"
ATTR_RELATION = "sleepwalker.link.relation"
ATTR_SOURCE_HOST = "sleepwalker.link.source_host"
ATTR_TARGET_HOST = "sleepwalker.link.target_host"
ATTR_CROSS_HOST = "sleepwalker.link.cross_host"

ATTR_METHOD = "http.request.method"
ATTR_METHOD_ORIGINAL = "http.request.method_original"
ATTR_RESEND_COUNT = "http.request.resend_count"
ATTR_STATUS = "http.response.status_code"
ATTR_URL = "url.full"
ATTR_URL_TEMPLATE = "url.template"
ATTR_SERVER_ADDRESS = "server.address"
ATTR_SERVER_PORT = "server.port"
ATTR_PROTOCOL_VERSION = "network.protocol.version"
ATTR_ERROR_TYPE = "error.type"

# --- metrics ---------------------------------------------------------------------------------

REQUEST_DURATION = "sleepwalker_request_duration_seconds"
ATTEMPT_DURATION = "sleepwalker_attempt_duration_seconds"
ATTEMPTS = "sleepwalker_attempts_total"
RETRIES = "sleepwalker_retries_total"
RETRY_WAIT = "sleepwalker_retry_wait_seconds_total"
RETRY_QUOTA = "sleepwalker_retry_quota_tokens"
BREAKER_STATE = "sleepwalker_breaker_state"
IN_FLIGHT = "sleepwalker_requests_in_flight"
POOL_CONNECTIONS = "sleepwalker_pool_connections"
POOLS = "sleepwalker_pools"
POOL_LOOKUPS = "sleepwalker_pool_lookups_total"
POOL_WAIT = "sleepwalker_pool_wait_seconds"
POOL_EVICTIONS = "sleepwalker_pool_evictions_total"
HOOK_DURATION = "sleepwalker_hook_duration_seconds"
CONNECT_FAILURES = "sleepwalker_connect_failures_total"
LINK_FOLLOWS = "sleepwalker_link_follows_total"
LABEL_OVERFLOW = "sleepwalker_label_overflow_total"
TELEMETRY_ERRORS = "sleepwalker_telemetry_errors_total"

LABEL_HOST = "host"
LABEL_AUTH = "auth"
LABEL_METHOD = "method"
LABEL_OUTCOME = "outcome"
LABEL_STATUS_CLASS = "status_class"
LABEL_CODE = "code"
LABEL_ERROR_TYPE = "error_type"
LABEL_REASON = "reason"
LABEL_RESULT = "result"
LABEL_HOOK = "hook"
LABEL_STATE = "state"
LABEL_CROSS_HOST = "cross_host"

CLIENT_DURATION = "http.client.request.duration"
"""The standard histogram of wire attempts, through OpenTelemetry's metrics API."""
CLIENT_DURATION_BUCKETS = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0),
)
"""Seconds: its bucket boundaries, as the semantic conventions advise."""

TIME_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Seconds: the default buckets of every histogram."""

OVERFLOW = "_other"
"""The host and auth of every pool beyond the first `LABELLED_POOLS`."""

LABELLED_POOLS = 200
"""How many (host, auth) pairs have series of their own."""

# --- closed sets -----------------------------------------------------------------------------

METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"}
)
OTHER_METHOD = "_OTHER"
"""What stands for any other method (as the semantic conventions say)."""

REQUEST_OUTCOMES = ("success", "error", "exhausted", "refused", "timeout", "cancelled")
RETRY_REASONS = ("timeout", "connect", "protocol", "status", "throttled", "auth")
BREAKER_STATES = ("closed", "half-open", "open")
"""What a circuit breaker can be: 0, 1 and 2 in its metric."""
CONNECTION_STATES = ("active", "idle")
CROSS_HOST = ("true", "false")
FOLLOW_OUTCOMES = ("success", "error", "refused", "timeout", "cancelled")
LOOKUP_RESULTS = ("hit", "miss", "coalesced")
EVICTION_REASONS = ("idle", "max_pools", "reset", "replaced", "closed")
HOOK_OUTCOMES = ("connected", "declined", "failed", "timeout")
STATUS_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx", "none")
ERROR_TYPES = (
    "none",
    # before anything is sent
    "resolution",
    "refused_connection",
    "connect",
    "connect_timeout",
    "tls",
    "certificate",
    "proxy",
    # the wire
    "read_timeout",
    "timeout",
    "deadline",
    "reset",
    "closed",
    "truncated",
    "protocol",
    "too_large",
    "transport",
    # the answer
    "status",
    "decode",
    "too_many_redirects",
    # our own refusals
    "configuration",
    "encode",
    "url",
    "cross_origin",
    "credentials",
    "token",
    "plaintext",
    "redirect",
    "closed_manager",
    "circuit_open",
    "concurrency_limit",
    "private_address",
    "unguarded",
    "cancelled",
    "refused",
    # links
    "link",
    "relation",
    "template",
    "form",
    "link_format",
    "crossing",
    "downgrade",
    "template_host",
    "too_many_hops",
    "link_loop",
    # establishing
    "connection",
    "establishment",
    "other",
)
"""Every value of `error_type`. A span's `error.type` is one of these too, or the status."""

# --- log events ------------------------------------------------------------------------------

EVENT_REQUEST_COMPLETED = "request.completed"
EVENT_REQUEST_FAILED = "request.failed"
EVENT_REQUEST_REFUSED = "request.refused"
EVENT_REQUEST_CANCELLED = "request.cancelled"
EVENT_RETRY_SCHEDULED = "request.retry_scheduled"
EVENT_RETRIES_EXHAUSTED = "request.retries_exhausted"
EVENT_BREAKER_OPENED = "breaker.opened"
EVENT_BREAKER_HALF_OPEN = "breaker.half_open"
EVENT_BREAKER_CLOSED = "breaker.closed"
EVENT_REDIRECTED = "request.redirected"
EVENT_BLOCKING = "request.blocks_event_loop"
EVENT_PLAINTEXT_AUTH = "auth.plaintext"
EVENT_ESTABLISHED = "connection.established"
EVENT_CONNECT_FAILED = "connection.failed"
EVENT_HOOK_FAILED = "hook.attempt.failed"
EVENT_EVICTED = "pool.evicted"
EVENT_LINK_CROSS_HOST = "link.cross_host"
EVENT_LINK_DEPRECATED = "link.deprecated"
EVENT_RESET = "manager.reset"
EVENT_CLOSE_FAILED = "pool.close_failed"

LOG_EVENTS = frozenset(v for k, v in list(globals().items()) if k.startswith("EVENT_"))
"""Every name of a log event."""


def failure_of(error_type: str, status: int | None) -> str | None:
    """The `error.type` of an attempt: its status from 400 on, else its `error_type`, if any."""
    if status is not None and status >= 400:
        return str(status)
    return None if error_type == "none" else error_type


def known_method(method: str) -> str:
    """An HTTP method as telemetry shows it: of a closed set."""
    return method if method in METHODS else OTHER_METHOD


def error_type_of(error: BaseException) -> str:
    """The closed-set `error_type` of any exception."""
    try:
        kind = str(getattr(error, "error_type", "other"))
    except Exception:  # noqa: BLE001 - what looks like an attribute may be the user's code
        return "other"
    if kind.isdecimal():
        return "status"
    return kind if kind in _ERROR_TYPES else "other"


_ERROR_TYPES = frozenset(ERROR_TYPES)

"""The same features assembled by hand: what a careful author writes around `requests`.

Rules:

1. The features are those of one `json_request`: a span for the call and one for the attempt,
   context in the headers, attempts with full jitter under a deadline, timeouts, metrics of calls
   and attempts, a log line for success at DEBUG (so none is written at INFO).
2. Each part is used in its cheapest documented form: one `Retrying` for all calls, labels by
   position, a session that is kept.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import requests
import structlog
import tenacity
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from benchmarks.sessions import requests_session
from benchmarks.telemetry import Spans, total

if TYPE_CHECKING:
    from benchmarks.target import Target

_AUTH = "none"
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_TIMEOUT = (3.0, 10.0)
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
_CALLS = "by_hand_call_duration_seconds"


class ByHand:
    """Gets JSON from one host.

    :param target: what it gets
    :param spans: where its spans go
    """

    def __init__(self, target: Target, spans: Spans) -> None:
        self._url = target.origin
        self._session = requests_session(target, _instrumented(spans)())
        self._tracer = spans.provider.get_tracer("benchmarks.by_hand")
        self._log = structlog.get_logger("by_hand")
        self._registry = CollectorRegistry()
        labels = ("host", "auth", "method")
        self._calls = Histogram(
            _CALLS, "Calls.", (*labels, "outcome"), registry=self._registry, buckets=_BUCKETS
        )
        self._durations = Histogram(
            "by_hand_attempt_duration_seconds",
            "Attempts.",
            (*labels, "status_class"),
            registry=self._registry,
            buckets=_BUCKETS,
        )
        self._attempts = Counter(
            "by_hand_attempts", "Attempts.", (*labels, "code"), registry=self._registry
        )
        self._retries = Counter("by_hand_retries", "Retries.", labels, registry=self._registry)
        self._in_flight = Gauge(
            "by_hand_in_flight", "Calls under way.", ("host", "auth"), registry=self._registry
        )
        self._retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(3) | tenacity.stop_after_delay(30),
            wait=tenacity.wait_random_exponential(multiplier=0.05, max=20),
            retry=tenacity.retry_if_exception(_transient),
            before_sleep=self._before_sleep,
            reraise=True,
        )

    @property
    def recorded(self) -> int:
        """How many calls the metrics know of."""
        return total(self._registry, f"{_CALLS}_count")

    def get_json(self, path: str) -> Any:
        """Get a document."""
        in_flight = self._in_flight.labels(self._url, _AUTH)
        in_flight.inc()
        started, outcome = time.perf_counter(), "error"
        attributes = {"host": self._url, "auth": _AUTH, "http.request.method": "GET"}
        try:
            with self._tracer.start_as_current_span("call", attributes=attributes) as span:
                response: requests.Response = self._retrying(self._attempt, self._url + path)
                outcome = "success"
                span.set_attribute("outcome", outcome)
                span.set_attribute("http.response.status_code", response.status_code)
        finally:
            took = time.perf_counter() - started
            in_flight.dec()
            self._calls.labels(self._url, _AUTH, "GET", outcome).observe(took)
        self._log.debug("call.completed", host=self._url, status=response.status_code, took=took)
        return response.json()

    def _attempt(self, url: str) -> requests.Response:
        started = time.perf_counter()
        response = self._session.get(
            url, headers={"Accept": "application/json"}, timeout=_TIMEOUT, allow_redirects=False
        )
        status = response.status_code
        self._durations.labels(self._url, _AUTH, "GET", f"{status // 100}xx").observe(
            time.perf_counter() - started
        )
        self._attempts.labels(self._url, _AUTH, "GET", str(status)).inc()
        response.raise_for_status()
        return response

    def _before_sleep(self, state: tenacity.RetryCallState) -> None:
        self._retries.labels(self._url, _AUTH, "GET").inc()
        self._log.info("retry", host=self._url, attempt=state.attempt_number)

    def close(self) -> None:
        """Close the session's sockets."""
        self._session.close()


def _transient(error: BaseException) -> bool:
    if isinstance(error, requests.HTTPError):
        return error.response is not None and error.response.status_code in _TRANSIENT
    return isinstance(error, requests.ConnectionError | requests.Timeout)


def _instrumented(spans: Spans) -> type[requests.Session]:
    """A class of sessions that are instrumented, while all others stay as they are.

    The instrumentation replaces `requests.Session.send` for the whole process, where every other
    subject would pay for it: so what it puts there is kept, and the original put back.
    """
    instrumentor = RequestsInstrumentor()
    instrumentor.instrument(tracer_provider=spans.provider)
    send = requests.Session.send
    instrumentor.uninstrument()
    return type("InstrumentedSession", (requests.Session,), {"send": send})

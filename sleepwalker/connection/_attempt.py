"""One wire attempt: its span, its context in the headers, what became of it.

Each attempt has a CLIENT span of its own, also the replays that an auth object makes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sleepwalker.observability import events, names

from ._wire import Exchange, version_of

if TYPE_CHECKING:
    import requests
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from sleepwalker.observability.telemetry import Telemetry
    from sleepwalker.resilience.clock import Clock

    from ._hop import Hop
    from ._timeouts import Timeouts

HTTP_VERSIONS = {10: "1.0", 11: "1.1"}
"""As urllib3 says it, and as the semantic conventions do."""


class Attempt:
    """One wire attempt.

    :param number: 1 is the call's first
    :ivar exchange: what is known of it on the wire
    :ivar response: the answer, once its headers are here
    """

    __slots__ = (
        "_address",
        "_clock",
        "_hop",
        "_span",
        "_started",
        "_telemetry",
        "_within",
        "exchange",
        "number",
        "request",
        "response",
        "timeouts",
    )

    def __init__(
        self,
        hop: Hop,
        request: requests.PreparedRequest,
        number: int,
        timeouts: Timeouts,
        *,
        telemetry: Telemetry,
        clock: Clock,
    ) -> None:
        self._hop = hop
        self.request = request
        self.number = number
        self.timeouts = timeouts
        self._telemetry = telemetry
        self._clock = clock
        self._started = clock.monotonic()
        self.exchange = Exchange()
        self.response: requests.Response | None = None
        self._span: Span
        self._within: Context | None
        """The context under the span."""

    def begin(self, call: Span, *, url: str, name: str | None) -> None:
        """Start the span, and put its context into the headers.

        :param call: the span of the logical call
        :param url: as it may be shown
        :param name: the caller's URL template, if it is for this hop
        """
        hop, tracing = self._hop, self._telemetry.tracing
        scheme, host, port = hop.origin
        self._address = host.strip("[]")
        self._span, self._within = tracing.begin_attempt(
            call,
            self.request.headers,
            method=hop.method,
            url=url,
            server=(self._address, port),
            name=name,
            resend=self.number - 1,
            given=hop.prepared.headers,
            with_baggage=self._telemetry.takes_baggage(scheme, host, port),
        )

    def end(self, error_type: str) -> None:
        """End the span, and tell of the attempt.

        :param error_type: ``none`` when the server answered
        """
        hop, response = self._hop, self.response
        status = response.status_code if response is not None else None
        attributes: dict[str, Any] = {}
        if status is not None:
            attributes[names.ATTR_STATUS] = status
        version = HTTP_VERSIONS.get(version_of(response))
        if version is not None:
            attributes[names.ATTR_PROTOCOL_VERSION] = version
        tracing = self._telemetry.tracing
        tracing.end(self._span, attributes, error=names.failure_of(error_type, status))
        self._telemetry.record(
            events.AttemptFinished(
                hop.pool,
                hop.method,
                self.number,
                self._clock.monotonic() - self._started,
                status,
                error_type,
                self._address,
                hop.origin.port,
                version,
                tracing.point_of(self._span),
            ),
            self._within,
        )

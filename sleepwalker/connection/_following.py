"""Following one link: the connection to where it leads, and what is told of it.

Rules:

1. What is told are origins: no path, query or credential of a link.
2. The link leads back to the span of the document that it stood in, if that is at hand.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import requests

from sleepwalker.exceptions import ConfigurationError, URLError
from sleepwalker.observability import events, names

from . import _urls
from ._call import outcome_of
from ._document import span_of
from ._pools import Naming, PoolKey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sleepwalker.observability.telemetry import Telemetry

    from ._manager import ConnectionManager


class Following:
    """The following of one link.

    :raises URLError: when the source or the target is no URL to be followed
    :raises ConfigurationError: for a relation or source that is none
    """

    def __init__(
        self,
        manager: ConnectionManager,
        telemetry: Telemetry,
        relation: object,
        target: object,
        *,
        source: object,
        host: Any,
        auth: Any,
    ) -> None:
        if not isinstance(relation, str) or not relation:
            msg = "relation must be a text that says what the link leads to, such as 'author'"
            raise ConfigurationError(msg)
        self._manager, self._telemetry = manager, telemetry
        self._relation = telemetry.redaction.text(relation)
        self._source = self._origin("source", _url_of(source))
        self._target = self._origin("target", target)
        self._host = str(self._target) if host is None else host
        self._auth = auth
        self._document = span_of(source)
        self._clock = manager._clock

    def _origin(self, what: str, url: object) -> _urls.Origin:
        if not _urls.is_url_like(url):
            msg = f"{what} must be an absolute http or https URL"
            raise URLError(msg)
        return _urls.parse_origin(str(url), self._telemetry.redaction)[0]

    @contextmanager
    def run(self) -> Iterator[Any]:
        """Give the connection; what is done with it is part of the following."""
        telemetry, tracing = self._telemetry, self._telemetry.tracing
        cross_host = self._source != self._target
        started = self._clock.monotonic()
        naming = Naming(telemetry, PoolKey(self._host, self._auth, telemetry.redaction))
        span = token = None
        outcome, error_type = "cancelled", "other"
        try:
            span = tracing.start(
                names.SPAN_FOLLOW,
                {
                    names.ATTR_RELATION: self._relation,
                    names.ATTR_SOURCE_HOST: str(self._source),
                    names.ATTR_TARGET_HOST: str(self._target),
                    names.ATTR_CROSS_HOST: cross_host,
                },
                links=() if self._document is None else (self._document,),
            )
            token = tracing.enter(span)
            conn = self._manager.find(self._host, self._auth)
            naming.settle(conn)
            yield conn
            outcome, error_type = "success", "none"
        except Exception as error:
            outcome, error_type = outcome_of(error), names.error_type_of(error)
            raise
        finally:
            # One after the other, though an interrupt comes in an instrument.
            try:
                telemetry.record(
                    events.LinkFollowed(
                        naming.pool,
                        self._relation,
                        cross_host,
                        outcome,
                        self._clock.monotonic() - started,
                        error_type,
                    )
                )
            finally:
                tracing.leave(token)
                if span is not None:
                    failed = None if outcome == "success" else error_type
                    tracing.end(span, {names.ATTR_OUTCOME: outcome}, error=failed)


def _url_of(source: object) -> object:
    return source.url if isinstance(source, requests.Response) else source

"""Following one link: the connection to where it leads, and what is told of it.

Rules:

1. What is told are origins: no path, query or credential of a link.
2. The link leads back to the span of the document that it stood in, if that is at hand.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import requests

from sleepwalker.exceptions import ConfigurationError, URLError
from sleepwalker.observability import events, names

from . import _urls
from ._call import outcome_of
from ._document import Found, span_of
from ._pools import Naming, PoolKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sleepwalker.observability.events import Pool
    from sleepwalker.observability.redaction import Redaction
    from sleepwalker.observability.telemetry import Telemetry

    from ._manager import ConnectionManager


LONGEST_RELATION = 200
"""Characters of a relation that telemetry shows."""


class Destination(NamedTuple):
    """Where a link leads, and as whom we go there."""

    origin: _urls.Origin | str
    """A name as it may be shown, where only the connection knows the origin."""
    host: Any
    """As `ConnectionManager.find` takes it."""
    auth: Any


class Following:
    """The following of one link.

    :param decide: says where it leads, within the span: if it refuses, that is told as well
    :param pool: the (host, auth) pair of the document, if it is known
    :param deprecated: whether the document says that the link is going to go
    :raises URLError: when the source is no URL
    :raises ConfigurationError: for a relation or source that is none
    """

    def __init__(
        self,
        manager: ConnectionManager,
        telemetry: Telemetry,
        relation: object,
        decide: Callable[[], Destination],
        *,
        source: object,
        pool: tuple[Any, Any] | None = None,
        deprecated: bool = False,
    ) -> None:
        if not isinstance(relation, str) or not relation:
            msg = "relation must be a text that says what the link leads to, such as 'author'"
            raise ConfigurationError(msg)
        self._manager, self._telemetry = manager, telemetry
        # Cut when it is redacted: a document may have said what it likes.
        self._relation = telemetry.redaction.text(relation)[:LONGEST_RELATION]
        self._source = _end_of(source, telemetry.redaction)
        self._decide, self._deprecated = decide, deprecated
        self._source_pool = (str(self._source), None) if pool is None else pool
        self._document = span_of(source)
        self._clock = manager._clock

    @contextmanager
    def run(self) -> Iterator[Any]:
        """Give the connection; what is done with it is part of the following."""
        telemetry, tracing = self._telemetry, self._telemetry.tracing
        cross_host = False
        started = self._clock.monotonic()
        # As long as nobody knows where it leads, it is the source's.
        (host, auth), conn = self._source_pool, None
        told: dict[str, Any] = {}
        span = token = None
        outcome, error_type = "cancelled", "other"
        try:
            span = tracing.start(
                names.SPAN_FOLLOW,
                {names.ATTR_RELATION: self._relation, names.ATTR_SOURCE_HOST: str(self._source)},
                links=() if self._document is None else (self._document,),
            )
            token = tracing.enter(span)
            target = self._decide()
            cross_host = self._source != target.origin
            host, auth = target.host, target.auth
            told[names.ATTR_TARGET_HOST] = str(target.origin)
            told[names.ATTR_CROSS_HOST] = cross_host
            conn = self._manager.find(host, auth)
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
                        self._pool(host, auth, conn),
                        self._relation,
                        cross_host,
                        outcome,
                        self._clock.monotonic() - started,
                        error_type,
                        self._deprecated,
                    )
                )
            finally:
                tracing.leave(token)
                if span is not None:
                    failed = None if outcome == "success" else error_type
                    tracing.end(span, {**told, names.ATTR_OUTCOME: outcome}, error=failed)

    def _pool(self, host: Any, auth: Any, conn: Any) -> Pool:
        """What telemetry calls the pool that the link leads to."""
        named = self._manager._name_of(host, auth)
        if named is None:
            key = PoolKey(host, auth, self._telemetry.redaction)
            named = Naming(self._telemetry, key).settle(conn)
        return named


def origin_of(what: str, url: object, redaction: Redaction) -> _urls.Origin:
    """The origin of one end of a link.

    :raises URLError: when it is no absolute http or https URL
    """
    if not _urls.is_url_like(url):
        msg = f"{what} must be an absolute http or https URL"
        raise URLError(msg)
    return _urls.origin_of(str(url), redaction)


def _end_of(source: object, redaction: Redaction) -> _urls.Origin | str:
    """The origin of a document, or the name by which its host is known."""
    if isinstance(source, Found) and source.host and not _urls.is_url_like(source.url):
        return source.host
    url = source.url if isinstance(source, requests.Response | Found) else source
    return origin_of("source", url, redaction)

"""The error tree: everything that Sleepwalker raises on its own account, and nothing else.

Rules:

1. Every error is a `SleepwalkerException` and carries `request`, `response`, `attempts` and
   `elapsed`; what does not apply is `None` (or 0).
2. Where a builtin or `requests` exception means the same, ours is that one too, so that
   ``except`` clauses written for `requests` go on working.
3. What was refused before a byte was sent is a `RefusedError`, whatever else it is.
4. No message, attribute, `repr` or pickle shows a credential: the layers above hand over redacted
   requests and responses, and a pickle keeps only the attributes that our classes have, and the
   headers that `PICKLED_HEADERS` allows.

The tree (in brackets: the foreign exceptions that a member also is)::

    SleepwalkerException
    ├── ConfigurationError            a value that can never work        [ValueError]
    │   ├── AuthError                 an auth object that cannot be used
    │   ├── HeaderError               a header that cannot be sent       [requests InvalidHeader]
    │   └── HookError                 an object that is no hook          [TypeError]
    ├── ConnectionError               the host could not be talked to    [builtin ConnectionError]
    │   ├── URLError                  a URL that cannot be used          [requests InvalidURL]
    │   │   ├── CrossOriginError      a URI of another origin            (refused)
    │   │   └── LinkURLError          (see below)
    │   ├── EstablishmentError        no hook gave a connection
    │   │   └── ReentrantFindError    a hook waits for its own result    (refused)
    │   ├── TransportError            the wire failed                    [requests ConnectionError]
    │   │   ├── ConnectError          never sent: resolution, TCP
    │   │   ├── TLSError              the TLS handshake failed           [requests SSLError]
    │   │   │   └── CertificateError  the server's or our certificate is refused
    │   │   ├── ProxyError            the proxy failed                   [requests ProxyError]
    │   │   ├── ProtocolError         reset, closed, cut short, garbage
    │   │   │                         [requests ChunkedEncodingError]
    │   │   └── ResponseTooLarge      an answer of more than may be taken in
    │   └── TimeoutError              [builtin TimeoutError, requests Timeout]
    │       ├── ConnectTimeout        [requests ConnectTimeout]
    │       ├── ReadTimeout           [requests ReadTimeout]
    │       └── DeadlineExceeded      the whole call's time is over
    ├── RefusedError                  refused before anything was sent
    │   ├── CrossOriginError, ReentrantFindError (see above)
    │   ├── CircuitOpenError          the host fails too often, and is left alone
    │   ├── ConcurrencyLimitError     too many calls to the host are in flight
    │   ├── ClosedError               the manager is closed
    │   ├── CredentialsError          no credentials for this host
    │   │   ├── TokenError            a bearer token could not be had
    │   │   └── LinkCredentialsError  (see below)
    │   ├── PlaintextError            a credential would travel over plain http
    │   ├── PrivateAddressError       an address that the guard refuses
    │   ├── UnguardedError            what would go past the guard
    │   └── CrossingError             where a link leads it is not followed (see below)
    ├── HTTPError                     a status of 400 or more            [requests HTTPError]
    │   ├── ClientHTTPError           4xx: HTTPBadRequest, HTTPNotFound, ...
    │   └── ServerHTTPError           5xx: HTTPBadGateway, ...
    ├── LinkError                     a link is not there, or is not followed
    │   ├── RelationError             no link, or several, under a relation [KeyError]
    │   ├── TemplateError             a URI template that can't be expanded [ValueError]
    │   ├── FormError                 fields that a link's form doesn't take [ValueError]
    │   ├── LinkFormatError           links that can't be understood         [ValueError]
    │   └── CrossingError             a rule about where links may lead      (refused)
    │       ├── LinkURLError          another scheme, userinfo, malformed    (a URLError)
    │       ├── DowngradeError        from https to http
    │       ├── LinkCredentialsError  none are registered for the target     (a CredentialsError)
    │       ├── TemplateHostError     a template's variables name the host
    │       ├── TooManyHopsError      too many links one after the other
    │       └── LinkLoopError         pages that lead back to one of them
    ├── CancelledError                the call was cancelled, and ended at once
    ├── RedirectError                 a redirect that must not be followed
    ├── TooManyRedirects              [requests TooManyRedirects]
    ├── DecodeError                   the body is not the JSON it should be
    │                                 [requests JSONDecodeError]
    └── EncodeError                   a value that JSON cannot hold
                                      [TypeError, ValueError, requests InvalidJSONError]
"""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self
from urllib.parse import urlsplit, urlunsplit

import requests
import requests.exceptions
from requests.structures import CaseInsensitiveDict

from sleepwalker import _nesting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = [
    "AuthError",
    "CancelledError",
    "CertificateError",
    "CircuitOpenError",
    "ClientHTTPError",
    "ClosedError",
    "ConcurrencyLimitError",
    "ConfigurationError",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionError",
    "CredentialsError",
    "CrossOriginError",
    "CrossingError",
    "DeadlineExceeded",
    "DecodeError",
    "DowngradeError",
    "EncodeError",
    "EstablishmentError",
    "FormError",
    "HTTPBadGateway",
    "HTTPBadRequest",
    "HTTPConflict",
    "HTTPError",
    "HTTPExpectationFailed",
    "HTTPForbidden",
    "HTTPGatewayTimeout",
    "HTTPGone",
    "HTTPImATeapot",
    "HTTPInsufficientStorage",
    "HTTPInternalServerError",
    "HTTPLengthRequired",
    "HTTPLocked",
    "HTTPMethodNotAllowed",
    "HTTPMisdirectedRequest",
    "HTTPNetworkAuthenticationRequired",
    "HTTPNotAcceptable",
    "HTTPNotExtended",
    "HTTPNotFound",
    "HTTPNotImplemented",
    "HTTPPaymentRequired",
    "HTTPPreconditionFailed",
    "HTTPPreconditionRequired",
    "HTTPProxyAuthenticationRequired",
    "HTTPRequestEntityTooLarge",
    "HTTPRequestHeaderFieldsTooLarge",
    "HTTPRequestTimeout",
    "HTTPRequestURITooLong",
    "HTTPRequestedRangeNotSatisfiable",
    "HTTPServiceUnavailable",
    "HTTPTooEarly",
    "HTTPTooManyRequests",
    "HTTPUnauthorized",
    "HTTPUnavailableForLegalReasons",
    "HTTPUnprocessableContent",
    "HTTPUnsupportedMediaType",
    "HTTPUpgradeRequired",
    "HTTPVariantAlsoNegotiates",
    "HTTPVersionNotSupported",
    "HeaderError",
    "HookError",
    "LinkCredentialsError",
    "LinkError",
    "LinkFormatError",
    "LinkLoopError",
    "LinkURLError",
    "PlaintextError",
    "PrivateAddressError",
    "ProtocolError",
    "ProxyError",
    "ReadTimeout",
    "RedirectError",
    "ReentrantFindError",
    "RefusedError",
    "RelationError",
    "ResponseTooLarge",
    "ServerHTTPError",
    "SleepwalkerException",
    "TLSError",
    "TemplateError",
    "TemplateHostError",
    "TimeoutError",
    "TokenError",
    "TooManyHopsError",
    "TooManyRedirects",
    "TransportError",
    "URLError",
    "UnguardedError",
]

PICKLED_HEADERS = frozenset(
    {
        "allow",
        "content-encoding",
        "content-language",
        "content-length",
        "content-type",
        "date",
        "etag",
        "last-modified",
        "retry-after",
        "server",
        "x-correlation-id",
        "x-request-id",
    }
)
"""The headers that a pickled error keeps: an allow list, so that a header nobody thought of stays
at home."""

_LONGEST_URL = 500
"""Characters: how much of a URL a message shows."""

_PLAIN = (bool, int, float, str, type(None))
"""What pickles wherever it is."""

_PICKLED_BODY = 64 * 1024
"""How many bytes of a response's body a pickled error keeps."""


class SleepwalkerException(Exception):
    """The base of every error that Sleepwalker raises.

    :ivar request: the `requests.PreparedRequest` that failed, redacted, or `None`
    :ivar response: the `requests.Response` it got, redacted, or `None`
    :ivar attempts: how many wire attempts were made; 0 when nothing was sent
    :ivar elapsed: seconds from the start of the call to the error, or `None`
    :ivar retry_after: seconds that the server (or our own refusal) asks to wait, or `None`
    :ivar outcome_unknown: true when the request may have been processed although no answer came
    :ivar not_retried: why it was not sent again, one of `resilience.retry.REASONS`; `None` where
        that was never a question
    """

    error_type: str = "other"
    """Which of a closed set of kinds this is: the `error_type` of metrics and `error.type` of
    spans."""

    transient: bool = False
    """Whether the same thing may well work a moment later."""

    _PICKLED: ClassVar[frozenset[str]] = frozenset(
        {
            "__notes__",
            "attempts",
            "elapsed",
            "error_type",
            "not_retried",
            "outcome_unknown",
            "request",
            "response",
            "retry_after",
            "transient",
        }
    )
    """The attributes that a pickle keeps, beside those of the other classes it is of."""

    def __init__(
        self,
        message: str,
        *,
        request: requests.PreparedRequest | None = None,
        response: requests.Response | None = None,
        attempts: int = 0,
        elapsed: float | None = None,
        retry_after: float | None = None,
        outcome_unknown: bool = False,
        error_type: str | None = None,
    ) -> None:
        # Not super(): the foreign halves of our errors want other arguments, and all that they
        # would do is set the attributes that are set here.
        Exception.__init__(self, message)
        self.request: Any = request
        self.response: Any = response
        self.attempts = attempts
        self.elapsed = elapsed
        self.retry_after = retry_after
        self.outcome_unknown = outcome_unknown
        self.not_retried: str | None = None
        if error_type is not None:
            self.error_type = error_type

    @property
    def message(self) -> str:
        """What went wrong, without the figures that `str` adds."""
        return str(self.args[0]) if self.args else ""

    def __str__(self) -> str:
        figures = self._figures()
        return f"{self.message} ({'; '.join(figures)})" if figures else self.message

    def _figures(self) -> list[str]:
        """What is known beside the message."""
        figures = []
        if self.outcome_unknown:
            figures.append("outcome unknown: the request may have been processed")
        if self.attempts:
            figures.append(f"attempts: {self.attempts}")
        if self.attempts and self.elapsed is not None:
            figures.append(f"elapsed: {self.elapsed:.3f} s")
        return figures

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r})"

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        # What a server told us may be in the message.
        args = tuple(_cut(arg) if isinstance(arg, str) else arg for arg in self.args)
        return _unpickle, (type(self), args, self._portable_state())

    def _portable_state(self) -> dict[str, Any]:
        """The attributes as a pickle may hold them: plain, small, and free of credentials.

        Of those that aren't ours, a user's own class keeps what is plain; what was put on one of
        our errors by others stays at home.
        """
        classes = type(self).__mro__
        kept = frozenset().union(*(vars(cls).get("_PICKLED", ()) for cls in classes))
        theirs = type(self).__module__ != __name__
        state = {
            name: value
            for name, value in vars(self).items()
            if name in kept or (theirs and isinstance(value, _PLAIN))
        }
        state["request"] = _portable_request(self.request)
        state["response"] = _portable_response(self.response)
        return state


def _unpickle(
    cls: type[SleepwalkerException], args: tuple[Any, ...], state: dict[str, Any]
) -> SleepwalkerException:
    """Make an error again from its pickle, without calling its constructor."""
    error = cls.__new__(cls, *args)
    Exception.__init__(error, *args)
    error.__dict__.update(state)
    return error


def _cut(text: str) -> str:
    """As much of a text as a pickle keeps of a body."""
    data = text.encode(errors="surrogatepass")
    return text if len(data) <= _PICKLED_BODY else data[:_PICKLED_BODY].decode(errors="ignore")


def _portable_headers(headers: Mapping[str, Any] | None) -> CaseInsensitiveDict[str]:
    kept = {k: str(v) for k, v in (headers or {}).items() if str(k).lower() in PICKLED_HEADERS}
    return CaseInsensitiveDict(kept)


def _portable_url(url: Any) -> str | None:
    """The URL without userinfo, query and fragment: the parts where secrets stand."""
    if not isinstance(url, str):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _portable_request(request: Any) -> requests.PreparedRequest | None:
    if request is None:
        return None
    portable = requests.PreparedRequest()
    portable.method = getattr(request, "method", None)
    portable.url = _portable_url(getattr(request, "url", None))
    portable.headers = _portable_headers(getattr(request, "headers", None))  # type: ignore[assignment]
    return portable


def _portable_response(response: Any) -> requests.Response | None:
    if response is None:
        return None
    portable = requests.Response()
    portable.status_code = getattr(response, "status_code", None)  # type: ignore[assignment]
    portable.reason = getattr(response, "reason", None)  # type: ignore[assignment]
    portable.url = _portable_url(getattr(response, "url", None)) or ""
    portable.headers = _portable_headers(getattr(response, "headers", None))
    portable.encoding = getattr(response, "encoding", None)
    portable.request = _portable_request(getattr(response, "request", None))  # type: ignore[assignment]
    # What the caller has not read (a stream) is not read for a pickle's sake either.
    body = getattr(response, "_content", None)
    portable._content = body[:_PICKLED_BODY] if isinstance(body, bytes) else b""
    portable._content_consumed = True
    return portable


# --- values that can never work -------------------------------------------------------------


class ConfigurationError(SleepwalkerException, ValueError):
    """A value that can never work: a timeout, a policy, an option, a body. Says what would."""

    error_type = "configuration"


class AuthError(ConfigurationError):
    """An `auth` that can't be used: not a pair, not a callable, or not encodable."""


class HeaderError(ConfigurationError, requests.exceptions.InvalidHeader):
    """A header that can't be sent: a line break, a wrong type or name. Never shows the value."""


class HookError(ConfigurationError, TypeError):
    """An object that is no connection hook: it has no `connect` method, or is a class."""


# --- the host could not be talked to --------------------------------------------------------


class ConnectionError(SleepwalkerException, builtins.ConnectionError):
    """The host could not be talked to."""

    error_type = "connection"


class URLError(ConnectionError, requests.exceptions.InvalidURL):
    """A host name or URI that can't be used: scheme, port, userinfo, query, fragment."""

    error_type = "url"


class RefusedError(SleepwalkerException):
    """Refused by Sleepwalker itself, before anything was sent."""

    error_type = "refused"


class CrossOriginError(URLError, RefusedError):
    """A URI of another origin than the connection's; nothing was sent."""

    error_type = "cross_origin"


class EstablishmentError(ConnectionError):
    """No registered hook gave a connection (`ConnectionManager.find`).

    :ivar outcomes: one `HookOutcome` for each hook asked, in order
    """

    error_type = "establishment"

    _PICKLED = frozenset({"outcomes"})

    def __init__(self, message: str, *, outcomes: Iterable[Any] = (), **context: Any) -> None:
        super().__init__(message, **context)
        self.outcomes: tuple[Any, ...] = tuple(outcomes)

    def _portable_state(self) -> dict[str, Any]:
        state = super()._portable_state()
        # A hook's error can be anything, pickles or not; its description is what travels.
        state["outcomes"] = tuple(outcome.portable() for outcome in self.outcomes)
        return state


class ReentrantFindError(EstablishmentError, RefusedError):
    """A hook asked for the connection that it is itself being asked to establish."""


class TransportError(ConnectionError, requests.exceptions.ConnectionError):
    """The wire failed: no complete answer came."""

    error_type = "transport"
    transient = True


class ConnectError(TransportError):
    """No connection could be made: name resolution or TCP. Nothing was sent."""

    error_type = "connect"


class TLSError(TransportError, requests.exceptions.SSLError):
    """The TLS handshake failed."""

    error_type = "tls"


class CertificateError(TLSError):
    """A certificate is refused: the server's by us, or ours by the server. Never retried."""

    error_type = "certificate"
    transient = False


class ProxyError(TransportError, requests.exceptions.ProxyError):
    """The proxy could not be reached, or refused; one that answered 407 or the like is final."""

    error_type = "proxy"


class ProtocolError(TransportError, requests.exceptions.ChunkedEncodingError):
    """The connection was reset, closed without an answer, cut short, or sent what is not HTTP."""

    error_type = "protocol"


class ResponseTooLarge(TransportError):
    """The answer has more, or longer, headers or a larger body than `ResponseLimits` allows.

    It was not read to its end, and its connection is closed. Never retried. When its headers were
    here, `response` has them, and the status; where it is `None`, nothing is known of the answer.
    """

    error_type = "too_large"
    transient = False


class TimeoutError(ConnectionError, builtins.TimeoutError, requests.exceptions.Timeout):
    """Something took longer than its setting allows; the message names the setting."""

    error_type = "timeout"
    transient = True


class ConnectTimeout(TimeoutError, requests.exceptions.ConnectTimeout):
    """Connecting (TCP, a proxy's CONNECT, TLS) took too long. Nothing was sent."""

    error_type = "connect_timeout"


class ReadTimeout(TimeoutError, requests.exceptions.ReadTimeout):
    """The server sent nothing for too long."""

    error_type = "read_timeout"


class DeadlineExceeded(TimeoutError):
    """The call's total deadline has passed."""

    error_type = "deadline"
    transient = False


# --- refused before anything was sent -------------------------------------------------------


class CircuitOpenError(RefusedError):
    """The host fails too often: its circuit breaker is open, and nothing is sent to it.

    `retry_after` says for how many seconds yet; `None` while a call that probes it is under way.
    """

    error_type = "circuit_open"


class ConcurrencyLimitError(RefusedError):
    """As many calls to the host as may be are in flight, and its turn did not come in time."""

    error_type = "concurrency_limit"


class ClosedError(RefusedError):
    """The `ConnectionManager` is closed and takes no new finds."""

    error_type = "closed_manager"


class CredentialsError(RefusedError):
    """There are no credentials for this host, and nothing is sent unauthenticated by accident."""

    error_type = "credentials"


class TokenError(CredentialsError):
    """A `BearerAuth`'s provider failed, or returned what is no token."""

    error_type = "token"


class PlaintextError(RefusedError):
    """A password or token would have travelled over plain http."""

    error_type = "plaintext"


class PrivateAddressError(RefusedError):
    """An address that is not global unicast, which the connection's address guard refuses.

    Where a redirect has led there, it is the cause of a `RedirectError`.
    """

    error_type = "private_address"


class UnguardedError(RefusedError):
    """A proxy, an adapter or a connection without a guard would go past the address guard.

    Where a redirect has led there, it is the cause of a `RedirectError`.
    """

    error_type = "unguarded"


class CancelledError(SleepwalkerException):
    """The call was cancelled from elsewhere, and ended at once.

    Whether it reached the server is said as with any call that got no answer.
    """

    error_type = "cancelled"


# --- links ----------------------------------------------------------------------------------


class LinkError(SleepwalkerException):
    """A link that is not there, or that is not followed."""

    error_type = "link"


class RelationError(LinkError, KeyError):
    """No link has the relation that was asked for, or several have; the message names those there.

    :ivar relations: the relations that there are
    """

    error_type = "relation"

    _PICKLED = frozenset({"relations"})

    def __init__(self, message: str, *, relations: Iterable[str] = (), **context: Any) -> None:
        super().__init__(message, **context)
        self.relations: tuple[str, ...] = tuple(relations)


class TemplateError(LinkError, ValueError):
    """A link's URI template lacks a variable, was given one it doesn't have, or is none."""

    error_type = "template"


class FormError(LinkError, ValueError):
    """The fields of a link's form lack one, or were given one that it doesn't take."""

    error_type = "form"


class LinkFormatError(LinkError, ValueError):
    """A document says that it has links in a format, and they can't be understood."""

    error_type = "link_format"


class CrossingError(LinkError, RefusedError):
    """A rule about where links may lead refuses to follow one; nothing was sent there."""

    error_type = "crossing"


class LinkURLError(CrossingError, URLError):
    """A link with another scheme than http or https, with userinfo, or that is no URL."""

    error_type = "url"


class DowngradeError(CrossingError):
    """A link that leads from https to plain http."""

    error_type = "downgrade"


class LinkCredentialsError(CrossingError, CredentialsError):
    """A link leads to a host that no credentials are registered for."""

    error_type = "credentials"


class TemplateHostError(CrossingError):
    """A URI template of which the variables, and not the document, would decide on the host."""

    error_type = "template_host"


class TooManyHopsError(CrossingError):
    """More links one after the other, or more pages, than may be."""

    error_type = "too_many_hops"


class LinkLoopError(CrossingError):
    """Pages of which one leads back to one that was there already."""

    error_type = "link_loop"


class RedirectError(SleepwalkerException):
    """A redirect that must not be followed; nothing was sent to where it points.

    But what was answered with the redirect was sent, and maybe processed: no `RefusedError` then.
    """

    error_type = "redirect"


# --- answers that are errors ----------------------------------------------------------------


class HTTPError(SleepwalkerException, requests.exceptions.HTTPError):
    """The server answered with a status of 400 or more.

    :param response: the answer, a `requests.Response`
    :ivar http_code: its status
    :ivar headers: its headers
    :ivar json_data: its body decoded; `None` when it is not JSON, or nested more than 500 deep
    :ivar text: its body as text when that is so, else `None`
    """

    code_map: ClassVar[dict[int, type[HTTPError]]] = {}
    """Which class stands for which status."""

    error_type = "status"

    _PICKLED = frozenset({"datarep", "headers", "http_code", "json_data", "text"})

    def __init__(self, response: requests.Response, **context: Any) -> None:
        if response is None or isinstance(response, str):
            msg = f"{type(self).__name__} takes a requests.Response, not {type(response).__name__}"
            raise TypeError(msg)
        self.http_code = response.status_code
        self.headers = response.headers
        self.datarep = None
        self.json_data: Any = None
        self.text: str | None = None
        try:
            self.json_data = _json_of(response)
        except (ValueError, RecursionError):
            self.text = _text_of(response)
        try:
            error_text = self.json_data["error_text"]
        except (TypeError, KeyError, IndexError):
            error_text = response.reason
        context.setdefault("request", getattr(response, "request", None))
        super().__init__(str(error_text), response=response, **context)

    def __str__(self) -> str:
        if not self.attempts:
            return self.message
        where = ""
        if self.request is not None:
            where = f" for {self.request.method} {str(self.request.url)[:_LONGEST_URL]}"
        told = f"HTTP {self.http_code} {self.message}{where}"
        if self.retry_after is not None:
            told += f", to be tried again after {self.retry_after:g} s"
        return f"{told} ({'; '.join(self._figures())})"

    def _portable_state(self) -> dict[str, Any]:
        state = super()._portable_state()
        state["headers"] = _portable_headers(self.headers)
        body = getattr(self.response, "_content", None)
        if isinstance(body, bytes) and len(body) > _PICKLED_BODY:
            # Half of a JSON document is none.
            state["json_data"] = None
        if self.text is not None:
            state["text"] = _cut(self.text)
        return state

    @classmethod
    def class_for(cls, status: int) -> type[HTTPError]:
        """The most specific class for a status."""
        known = cls.code_map.get(status)
        if known is not None:
            return known
        if 400 <= status < 500:
            return ClientHTTPError
        if 500 <= status < 600:
            return ServerHTTPError
        return HTTPError

    @classmethod
    def raise_by_status(cls, response: requests.Response) -> NoReturn:
        """Raise the error that stands for the response's status."""
        raise cls.class_for(response.status_code)(response)

    @classmethod
    def _registered(cls, status: int) -> Callable[[type[Self]], type[Self]]:
        def register(error: type[Self]) -> type[Self]:
            HTTPError.code_map[status] = error
            error.error_type = str(status)
            return error

        return register


def _json_of(response: requests.Response) -> Any:
    """The body decoded.

    :raises ValueError: when it is not JSON, or nested so deep that no pickle could hold it
    """
    body = getattr(response, "content", None)
    if isinstance(body, bytes) and _nesting.is_deeper(body, _nesting.DEEPEST):
        msg = "nested too deep"
        raise ValueError(msg)
    return response.json()


def _text_of(response: requests.Response) -> str:
    """The body as text, also when the server names an encoding that there isn't."""
    try:
        return response.text
    except (ValueError, LookupError):
        return response.content.decode("utf-8", "replace")


class ClientHTTPError(HTTPError):
    """The request was at fault (4xx)."""


class ServerHTTPError(HTTPError):
    """The server was at fault (5xx)."""


@HTTPError._registered(400)
class HTTPBadRequest(ClientHTTPError):
    """400 Bad Request."""


@HTTPError._registered(401)
class HTTPUnauthorized(ClientHTTPError):
    """401 Unauthorized."""


@HTTPError._registered(402)
class HTTPPaymentRequired(ClientHTTPError):
    """402 Payment Required."""


@HTTPError._registered(403)
class HTTPForbidden(ClientHTTPError):
    """403 Forbidden."""


@HTTPError._registered(404)
class HTTPNotFound(ClientHTTPError):
    """404 Not Found."""


@HTTPError._registered(405)
class HTTPMethodNotAllowed(ClientHTTPError):
    """405 Method Not Allowed."""


@HTTPError._registered(406)
class HTTPNotAcceptable(ClientHTTPError):
    """406 Not Acceptable."""


@HTTPError._registered(407)
class HTTPProxyAuthenticationRequired(ClientHTTPError):
    """407 Proxy Authentication Required."""


@HTTPError._registered(408)
class HTTPRequestTimeout(ClientHTTPError):
    """408 Request Timeout."""


@HTTPError._registered(409)
class HTTPConflict(ClientHTTPError):
    """409 Conflict."""


@HTTPError._registered(410)
class HTTPGone(ClientHTTPError):
    """410 Gone."""


@HTTPError._registered(411)
class HTTPLengthRequired(ClientHTTPError):
    """411 Length Required."""


@HTTPError._registered(412)
class HTTPPreconditionFailed(ClientHTTPError):
    """412 Precondition Failed."""


@HTTPError._registered(413)
class HTTPRequestEntityTooLarge(ClientHTTPError):
    """413 Content Too Large."""


@HTTPError._registered(414)
class HTTPRequestURITooLong(ClientHTTPError):
    """414 URI Too Long."""


@HTTPError._registered(415)
class HTTPUnsupportedMediaType(ClientHTTPError):
    """415 Unsupported Media Type."""


@HTTPError._registered(416)
class HTTPRequestedRangeNotSatisfiable(ClientHTTPError):
    """416 Range Not Satisfiable."""


@HTTPError._registered(417)
class HTTPExpectationFailed(ClientHTTPError):
    """417 Expectation Failed."""


@HTTPError._registered(418)
class HTTPImATeapot(ClientHTTPError):
    """418 I'm a Teapot (RFC 2324)."""


@HTTPError._registered(421)
class HTTPMisdirectedRequest(ClientHTTPError):
    """421 Misdirected Request."""


@HTTPError._registered(422)
class HTTPUnprocessableContent(ClientHTTPError):
    """422 Unprocessable Content."""


@HTTPError._registered(423)
class HTTPLocked(ClientHTTPError):
    """423 Locked (RFC 4918)."""


@HTTPError._registered(425)
class HTTPTooEarly(ClientHTTPError):
    """425 Too Early (RFC 8470)."""


@HTTPError._registered(426)
class HTTPUpgradeRequired(ClientHTTPError):
    """426 Upgrade Required."""


@HTTPError._registered(428)
class HTTPPreconditionRequired(ClientHTTPError):
    """428 Precondition Required (RFC 6585)."""


@HTTPError._registered(429)
class HTTPTooManyRequests(ClientHTTPError):
    """429 Too Many Requests (RFC 6585)."""


@HTTPError._registered(431)
class HTTPRequestHeaderFieldsTooLarge(ClientHTTPError):
    """431 Request Header Fields Too Large (RFC 6585)."""


@HTTPError._registered(451)
class HTTPUnavailableForLegalReasons(ClientHTTPError):
    """451 Unavailable For Legal Reasons (RFC 7725)."""


@HTTPError._registered(500)
class HTTPInternalServerError(ServerHTTPError):
    """500 Internal Server Error."""


@HTTPError._registered(501)
class HTTPNotImplemented(ServerHTTPError):
    """501 Not Implemented."""


@HTTPError._registered(502)
class HTTPBadGateway(ServerHTTPError):
    """502 Bad Gateway."""


@HTTPError._registered(503)
class HTTPServiceUnavailable(ServerHTTPError):
    """503 Service Unavailable."""


@HTTPError._registered(504)
class HTTPGatewayTimeout(ServerHTTPError):
    """504 Gateway Timeout."""


@HTTPError._registered(505)
class HTTPVersionNotSupported(ServerHTTPError):
    """505 HTTP Version Not Supported."""


@HTTPError._registered(506)
class HTTPVariantAlsoNegotiates(ServerHTTPError):
    """506 Variant Also Negotiates (RFC 2295)."""


@HTTPError._registered(507)
class HTTPInsufficientStorage(ServerHTTPError):
    """507 Insufficient Storage (RFC 4918)."""


@HTTPError._registered(510)
class HTTPNotExtended(ServerHTTPError):
    """510 Not Extended (RFC 2774)."""


@HTTPError._registered(511)
class HTTPNetworkAuthenticationRequired(ServerHTTPError):
    """511 Network Authentication Required (RFC 6585)."""


class TooManyRedirects(SleepwalkerException, requests.exceptions.TooManyRedirects):
    """More redirects than the policy allows, or a redirect loop."""

    error_type = "too_many_redirects"


class DecodeError(SleepwalkerException, requests.exceptions.JSONDecodeError):
    """The answer's body is not the JSON that was asked for; `response` has it.

    `msg`, `pos`, `lineno` and `colno` are as in `json.JSONDecodeError`; `doc` is left empty.
    """

    error_type = "decode"

    _PICKLED = frozenset({"colno", "doc", "lineno", "msg", "pos"})

    def __init__(
        self,
        message: str,
        *,
        msg: str = "",
        pos: int = 0,
        lineno: int = 1,
        colno: int = 1,
        **context: Any,
    ) -> None:
        super().__init__(message, **context)
        self.msg, self.doc = msg or message, ""
        self.pos, self.lineno, self.colno = pos, lineno, colno

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        # `requests` puts json's own `__reduce__` before ours.
        return SleepwalkerException.__reduce__(self)


class EncodeError(
    SleepwalkerException, requests.exceptions.InvalidJSONError, TypeError, ValueError
):
    """A value that JSON can't hold; the message names its type and where it sits."""

    error_type = "encode"

"""The one place that maps the exceptions of `requests` and `urllib3` to ours.

Rules:

1. What goes in is whatever `Session.send` raised; what comes out is of our tree, or `None` for
   what is none of our business (an exception of the user's own code).
2. The cause is kept, but only the part of the chain that can't hold a credential: the error of
   the operating system or of TLS at its root, else a stand-in with the redacted text.
3. Messages say what happened and, where a setting fired, which one and how to change it.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from typing import TYPE_CHECKING

import requests.exceptions as rq
import urllib3.exceptions as u3
from urllib3.util.ssl_match_hostname import CertificateError as HostnameMismatch

from sleepwalker import exceptions as ours
from sleepwalker.observability.redaction import LowerError, causes

from . import _wire

if TYPE_CHECKING:
    from sleepwalker.observability.redaction import Redaction

    from ._timeouts import Timeouts

_OUR_CERTIFICATE = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED", "HANDSHAKE_FAILURE")
"""What stands in the alerts by which a server refuses our client certificate."""
_HARMLESS = ("IncompleteRead(", "Remote end closed", "more than ")
"""What errors of http.client begin with that don't quote the server's bytes."""
_QUOTING = (ValueError, http.client.BadStatusLine, http.client.LineTooLong)
"""Errors that quote the server's bytes, and cut them off anywhere."""
_FINAL_FOR_TUNNELS = re.compile(r"Tunnel connection failed: 4(?!08|29)\d\d\b")
"""What http.client says of a proxy that refuses a tunnel for good."""
_BY_HTTP_CLIENT = "100 headers or more, or a line of more than 65536 bytes"
"""What http.client takes no more of, whatever our limits are."""
_PEM = frozenset({"PEM", "X509"})
"""OpenSSL's libraries that complain of files, and not of the peer."""


def translate(
    error: Exception,
    *,
    what: str,
    timeouts: Timeouts,
    maybe_sent: bool,
    redaction: Redaction,
    secrets: tuple[str, ...],
    outside: BaseException | None = None,
) -> ours.SleepwalkerException | None:
    """Our error for one that came up from below; `None` when it is none of a lower layer's.

    :param what: method and redacted URL, for messages
    :param timeouts: those that the attempt was under
    :param maybe_sent: whether the request may have been sent
    :param secrets: texts to be taken out of messages
    :param outside: what the caller was handling already when it called us: no cause of this
    """
    if isinstance(error, ours.SleepwalkerException):
        return error
    chain = list(causes(error, outside))
    made = _classify(chain, what, timeouts, maybe_sent=maybe_sent)
    if made is None:
        return None
    before, there, after = made.message.partition(what)
    # `what` is redacted already: a user's rewriter of paths is not to get it again.
    parts = (
        redaction.text(part, secrets, rewritten=part == what) for part in (before, there, after)
    )
    made.args = ("".join(parts),)
    if isinstance(made, ours.ResponseTooLarge):
        # What was found here has no cause below.
        return made
    root = _root(chain)
    quoting = isinstance(root, ValueError | http.client.HTTPException)
    if quoting and not isinstance(root, OSError) and not str(root).startswith(_HARMLESS):
        made.__cause__ = LowerError(f"{type(root).__module__}.{type(root).__qualname__}")
    else:
        made.__cause__ = redaction.cause(root, secrets, outside)
    return made


def _first(chain: list[BaseException], *types: type[BaseException]) -> BaseException | None:
    return next((link for link in chain if isinstance(link, types)), None)


def _classify(
    chain: list[BaseException], what: str, timeouts: Timeouts, *, maybe_sent: bool
) -> ours.SleepwalkerException | None:
    outer = chain[0]
    lower = rq.RequestException | u3.HTTPError | http.client.HTTPException | OSError
    if not isinstance(outer, lower):
        return _from_unusable(outer, what)
    return (
        _from_limits(chain, what)
        or _from_tls(chain, what, maybe_sent=maybe_sent)
        or _from_waiting(chain, what, timeouts, maybe_sent=maybe_sent)
        or _from_connecting(chain, what, maybe_sent=maybe_sent)
        or (None if maybe_sent else _from_arguments(outer, what))
        or _from_wire(chain, what, maybe_sent=maybe_sent)
    )


def _from_limits(chain: list[BaseException], what: str) -> ours.SleepwalkerException | None:
    """What a server sent too much of, by our limits or by http.client's own."""
    found = _first(chain, _wire.TooMuch, http.client.LineTooLong)
    if found is None:
        found = next((link for link in chain if _is_header_flood(link)), None)
    if found is None:
        return None
    text = str(found) if isinstance(found, _wire.TooMuch) else _BY_HTTP_CLIENT
    return ours.ResponseTooLarge(f"{what}: the answer is too large: {text}")


def _is_header_flood(error: BaseException) -> bool:
    return type(error) is http.client.HTTPException and str(error).startswith("got more than ")


def _from_tls(
    chain: list[BaseException], what: str, *, maybe_sent: bool
) -> ours.SleepwalkerException | None:
    """Certificates first: they are never retried, whatever else there is in the chain."""
    if _first(chain, ssl.SSLCertVerificationError, HostnameMismatch):
        return ours.CertificateError(f"{what}: the certificate is not trusted: {_reason(chain)}")
    broken = _first(chain, ssl.SSLError)
    if not isinstance(broken, ssl.SSLError):
        return None
    reason = broken.reason or ""
    if not maybe_sent and (broken.library in _PEM or "PEM lib" in str(broken)):
        return ours.ConfigurationError(
            f"{what}: the file of verify= or cert= is no usable PEM file: {_reason(chain)}"
        )
    if "ALERT" in reason and any(word in reason for word in _OUR_CERTIFICATE):
        # TLS 1.3 tells of it after the handshake, when we may have written already; the server has
        # read nothing of that, and no second try would have another certificate.
        return ours.CertificateError(
            f"{what}: the server refuses our client certificate, or misses one (cert=): "
            f"{reason.lower().replace('_', ' ')}"
        )
    return None


def is_final_tls(chain: list[BaseException]) -> bool:
    """Whether TLS failed over a certificate, or its file: no second try has another one."""
    if _first(chain, ours.CertificateError):
        return True
    return _from_tls(chain, "", maybe_sent=False) is not None


def _from_waiting(
    chain: list[BaseException], what: str, timeouts: Timeouts, *, maybe_sent: bool
) -> ours.SleepwalkerException | None:
    """Timeouts, by what we were waiting for."""
    if _first(chain, u3.ConnectTimeoutError, rq.ConnectTimeout) and not _first(
        chain, u3.NewConnectionError
    ):
        return timeouts.connect_error(what)
    if _first(chain, u3.ReadTimeoutError, rq.ReadTimeout, TimeoutError):
        return timeouts.read_error(what) if maybe_sent else timeouts.connect_error(what)
    if isinstance(chain[0], rq.Timeout):
        return ours.TimeoutError(f"{what}: timed out")
    return None


def _from_connecting(
    chain: list[BaseException], what: str, *, maybe_sent: bool
) -> ours.SleepwalkerException | None:
    """Failures on the way to a connection: the proxy, the name, TCP, the handshake."""
    if _first(chain, u3.ProxyError, rq.ProxyError):
        reason = _reason(chain)
        failed = ours.ProxyError(f"{what}: the proxy failed: {reason}")
        # The same credentials are wrong the next time too, and may lock an account.
        failed.transient = not _FINAL_FOR_TUNNELS.match(reason)
        return failed
    if _first(chain, u3.NameResolutionError, socket.gaierror):
        return ours.ConnectError(
            f"{what}: the host name can't be resolved: {_reason(chain)}", error_type="resolution"
        )
    if _first(chain, u3.NewConnectionError):
        refused = _first(chain, ConnectionRefusedError) is not None
        return ours.ConnectError(
            f"{what}: no connection: {_reason(chain)}",
            error_type="refused_connection" if refused else "connect",
        )
    if _first(chain, ssl.SSLError, u3.SSLError, rq.SSLError):
        if maybe_sent and _first(chain, ssl.SSLError):
            # The handshake was long done: this is how TLS tells of a connection that broke.
            return ours.ProtocolError(f"{what}: the connection was reset", error_type="reset")
        return ours.TLSError(f"{what}: TLS failed: {_reason(chain)}")
    return None


def _from_arguments(outer: BaseException, what: str) -> ours.SleepwalkerException | None:
    """What `requests` finds wrong with the request itself, as late as in the adapter."""
    if isinstance(outer, rq.InvalidHeader):
        return ours.HeaderError(f"{what}: a header can't be sent")
    if isinstance(outer, rq.InvalidURL | rq.InvalidSchema | rq.MissingSchema):
        why = f": {outer}" if isinstance(outer, rq.InvalidSchema) else ""
        return ours.URLError(f"{what}: the URL, or that of the proxy, can't be used{why}")
    if isinstance(outer, rq.TooManyRedirects):
        return ours.TooManyRedirects(f"{what}: too many redirects")
    return None


def _from_unusable(error: BaseException, what: str) -> ours.SleepwalkerException | None:
    """Values that a lower layer refuses with a bare `ValueError`; other errors are the user's."""
    if type(error) is ValueError and str(error).startswith("Invalid header"):
        return ours.HeaderError(f"{what}: a header can't be sent")
    if isinstance(error, UnicodeError):
        return ours.ConfigurationError(f"{what}: something in the request can't be encoded")
    return None


_WIRE: tuple[tuple[tuple[type[BaseException], ...], str, str], ...] = (
    (
        (http.client.RemoteDisconnected,),
        "closed",
        "the server closed the connection without an answer",
    ),
    (
        (ConnectionResetError, BrokenPipeError, ConnectionAbortedError),
        "reset",
        "the connection was reset",
    ),
    (
        (u3.IncompleteRead, http.client.IncompleteRead),
        "truncated",
        "the answer was cut short",
    ),
    (
        (u3.DecodeError, rq.ContentDecodingError),
        "protocol",
        "the answer's content encoding is broken",
    ),
    (
        (
            http.client.HTTPException,
            u3.ProtocolError,
            u3.InvalidHeader,
            rq.ChunkedEncodingError,
            rq.InvalidHeader,
        ),
        "protocol",
        "the answer is not HTTP",
    ),
)
"""What may go wrong on the wire: which exceptions say so, our `error_type`, and words for it."""


def _from_wire(
    chain: list[BaseException], what: str, *, maybe_sent: bool
) -> ours.SleepwalkerException | None:
    """What went wrong after the connection was made."""
    outer = chain[0]
    for types, kind, text in _WIRE:
        if _first(chain, *types):
            return ours.ProtocolError(f"{what}: {text} ({_reason(chain)})", error_type=kind)
    if isinstance(outer, rq.ConnectionError | u3.HTTPError):
        cls = ours.TransportError if maybe_sent else ours.ConnectError
        return cls(f"{what}: {_reason(chain)}")
    if isinstance(outer, rq.RequestException):
        return ours.TransportError(f"{what}: {_reason(chain)}")
    if isinstance(outer, OSError):
        if "TLS" in str(outer) and "invalid path" in str(outer):
            return ours.ConfigurationError(f"{what}: {outer}")
        return ours.TransportError(f"{what}: {_reason(chain)}")
    return None


def _root(chain: list[BaseException]) -> BaseException:
    """The innermost error that is not a wrapping of `requests`' or `urllib3`'s."""
    for link in reversed(chain):
        if not isinstance(link, rq.RequestException | u3.HTTPError):
            return link
    return chain[-1]


def _reason(chain: list[BaseException]) -> str:
    """The root's own words, without the object addresses that urllib3 puts before them."""
    root = _root(chain)
    if isinstance(root, ssl.SSLCertVerificationError):
        # One that somebody else made, in a test for instance, has none.
        return str(getattr(root, "verify_message", root))
    if isinstance(root, OSError) and root.strerror:
        return root.strerror
    if isinstance(root, _QUOTING) and not isinstance(root, http.client.RemoteDisconnected):
        return type(root).__name__
    text = str(root) or type(root).__name__
    return text.rpartition(">: ")[2] or text

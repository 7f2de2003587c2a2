"""Redirects: where they lead, as what, and what may go along.

Rules:

1. To another origin goes an allow list, `CROSSING`, and nothing else: no cookie, no custom header,
   no client certificate, no credential but the target's own.
2. The target's own credentials are those registered for it, or its netrc entry (never the default
   one). A connection that is anonymous on purpose stays anonymous. Otherwise: an error.
3. A body crosses only to where credentials are registered: to register is to vouch.
4. https never becomes http.
5. Methods change as `requests` and browsers change them; body and idempotency key go with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urldefrag, urljoin, urlsplit

from requests.cookies import RequestsCookieJar, merge_cookies
from requests.structures import CaseInsensitiveDict
from requests.utils import requote_uri

from sleepwalker import auth as _auth
from sleepwalker.exceptions import (
    CredentialsError,
    RedirectError,
    TooManyRedirects,
    URLError,
)
from sleepwalker.observability import events

from . import _urls
from ._body import Body
from ._hop import Hop

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

    from sleepwalker.resilience.policy import Policy

    from ._connection import Connection

STATUSES = frozenset({301, 302, 303, 307, 308})
"""The statuses that redirect, if there is a `Location`."""
CROSSING = ("Accept", "User-Agent", "traceparent", "tracestate")
"""The headers that may go along to another origin."""
OF_BODY = ("Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding")
"""The headers that go where the body goes."""


class Redirects:
    """The redirects of one call.

    :param cookies: the call's own, which stay with its own origin
    :param history: the answers that redirected, in order; added to here
    :param shown: makes texts that may be shown of texts that a server gave
    """

    def __init__(
        self,
        conn: Connection,
        policy: Policy,
        cookies: Any,
        history: list[requests.Response],
        shown: Callable[[str], str],
    ) -> None:
        self._conn = conn
        self._policy = policy
        self._cookies = cookies
        self._shown = shown
        self._history = history
        self._own_auth: Any = None
        self._been: list[tuple[str, str | None]] = []

    def location(self, hop: Hop, response: requests.Response, what: str) -> str | None:
        """Where an answer redirects to; `None` if it doesn't.

        :raises RedirectError: when that is not even text, or more than one
        """
        given: Any = getattr(response.raw, "headers", None)
        if hasattr(given, "getlist") and len(given.getlist("Location")) > 1:
            # As one header it would be a URL that nobody meant.
            msg = f"{what}: redirected to several places at once"
            raise RedirectError(msg)
        try:
            return hop.session.get_redirect_target(response) or None
        except UnicodeError:
            msg = f"{what}: redirected to what is no URL"
        raise RedirectError(msg)

    def follow(self, hop: Hop, response: requests.Response, location: str, what: str) -> Hop:
        """The next hop.

        :param what: the method and URL so far, for messages
        :raises RedirectError: when it must not be followed
        :raises TooManyRedirects: when there were too many
        """
        limit = self._policy.redirects
        self._been.append((hop.method, hop.prepared.url))
        if len(self._history) >= limit:
            # Not sooner: a page that sets a cookie, or is not ready yet, redirects to itself too.
            loop = ", in a loop" if len(set(self._been)) < len(self._been) else ""
            msg = (
                f"{what}: more than {limit} redirects{loop} (Policy(redirects=...) sets the limit)"
            )
            raise TooManyRedirects(msg)
        if hop.own:
            self._own_auth = hop.auth
        url, origin = self._resolve(hop, location, what)
        request = _redirected(
            hop.prepared, response.status_code, url, self._policy.idempotency_header
        )
        crosses = origin != hop.origin
        if crosses or not hop.own:
            made = self._crossing(hop, request, origin, what)
        else:
            made = self._staying(hop, request)
        if request.body is not None:
            # A body that was begun has to be wound back, though this hop is new.
            made.sent = hop.sent
            if not made.body.rewindable:
                msg = f"{what}: the redirect needs the body again, and it can't be rewound"
                raise RedirectError(msg)
        if made.sends_plain_secret() and not self._conn.allow_plaintext:
            there = self._shown(str(origin))
            msg = f"{what}: redirected to {there}, where a password or token would go in the clear"
            raise RedirectError(msg)
        self._history.append(response)
        self._conn._telemetry.record(
            events.Redirected(hop.pool, hop.method, response.status_code, str(origin), crosses)
        )
        return made

    def _resolve(self, hop: Hop, location: str, what: str) -> tuple[str, _urls.Origin]:
        """The URL and origin that a `Location` means."""
        before = hop.prepared.url or ""
        trouble = "what is no URL"
        try:
            url = urljoin(before, requote_uri(location))
            origin = _urls.origin_of(url)
        except URLError as error:
            # Cut only when no secret is left of which a half could stay.
            trouble = f"where it can't go: {self._shown(error.message)[:500]}"
        except ValueError:
            pass
        else:
            if hop.origin.scheme == "https" and origin.scheme == "http":
                there = self._shown(str(origin))
                msg = f"{what}: redirected from https to http ({there}), which is never followed"
                raise RedirectError(msg)
            if not urldefrag(url).fragment:
                # RFC 9110, section 10.2.2: the old one stays unless there is a new one.
                url = urlsplit(url)._replace(fragment=urldefrag(before).fragment).geturl()
            return url, origin
        msg = f"{what}: redirected to {trouble}"
        raise RedirectError(msg)

    def _staying(self, hop: Hop, request: requests.PreparedRequest) -> Hop:
        """The hop on the same origin: everything goes along, with the cookies as they are now."""
        jar = merge_cookies(RequestsCookieJar(), hop.session.cookies)
        if self._cookies:
            jar = merge_cookies(jar, self._cookies)
        request.prepare_cookies(jar)
        return Hop(
            prepared=request,
            body=hop.body if request.body is not None else Body(request),
            auth=hop.auth,
            origin=hop.origin,
            session=hop.session,
            pool=hop.pool,
            key_header=self._policy.idempotency_header,
            own=True,
        )

    def _crossing(
        self, hop: Hop, request: requests.PreparedRequest, origin: _urls.Origin, what: str
    ) -> Hop:
        """The hop to another origin (or back from one): the rules at the top."""
        conn = self._conn
        auth, registered, trouble = None, False, ""
        try:
            auth, registered = self._credentials(origin)
        except CredentialsError as error:
            trouble = f" ({error.message})"
        if auth is None:
            # The server may have put there what it was told.
            there = self._shown(str(origin))
            entry = ", or add a netrc entry for it" if conn._asks_netrc else ""
            msg = (
                f"{what}: redirected to another origin, {there}, for which there are no "
                f"credentials; pass credentials={{'{there}': auth}} (or ANONYMOUS){entry}{trouble}"
            )
            raise RedirectError(msg)
        if request.body is not None and not registered:
            there = self._shown(str(origin))
            msg = (
                f"{what}: the redirect to another origin, {there}, asks for the body; "
                f"it goes only where credentials={{'{there}': ...}} are registered"
            )
            raise RedirectError(msg)
        allowed = CROSSING if request.body is None else CROSSING + OF_BODY
        request.headers = CaseInsensitiveDict(
            {name: value for name in allowed if (value := request.headers.get(name)) is not None}
        )
        return Hop(
            prepared=request,
            body=hop.body if request.body is not None else Body(request),
            auth=auth,
            origin=origin,
            session=conn.session.guest(),
            pool=conn._telemetry.pool(str(origin), _auth.label(auth), _auth.identity(auth)),
            key_header=self._policy.idempotency_header,
            own=False,
        )

    def _credentials(self, origin: _urls.Origin) -> tuple[Any, bool]:
        """The auth for an origin, or `None`; and whether the caller registered it."""
        conn = self._conn
        auth = conn._credentials.find(*origin)
        if auth is None and origin == conn._base.origin:
            auth = self._own_auth
        if auth is not None:
            return auth, True
        if conn.session.trust_env and conn._asks_netrc:
            auth = _auth.from_netrc(origin.host.strip("[]"), use_default=False)
        if auth is None and conn._auth_of_origin() is _auth.ANONYMOUS:
            auth = _auth.ANONYMOUS
        return auth, False


def _redirected(
    before: requests.PreparedRequest, status: int, url: str, key_header: str
) -> requests.PreparedRequest:
    """The request that a redirect makes of another: method, URL, and body if it stays.

    :param key_header: the header of an idempotency key, which is that of one request only
    """
    request = before.copy()
    request.method, request.url = _method(status, before.method or ""), url
    if request.method != before.method:
        request.body = None
        for name in (*OF_BODY, key_header):
            request.headers.pop(name, None)
    request.headers.pop("Cookie", None)
    return request


def _method(status: int, method: str) -> str:
    """The method after a redirect."""
    if method == "HEAD":
        return method
    if status in {302, 303} or (status == 301 and method == "POST"):
        return "GET"
    return method

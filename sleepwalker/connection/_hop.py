"""The request as it goes to one origin: the call's own, or what a redirect made of it.

What is known of a request across its attempts stands here: how often it was sent, whether it may
have reached the server, whether it carries an idempotency key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sleepwalker import auth as _auth

if TYPE_CHECKING:
    import requests

    from sleepwalker.observability.events import Pool

    from ._body import Body
    from ._urls import Origin
    from ._wire import Session


class Hop:
    """One request to one origin.

    :ivar prepared: the request, but for what is each attempt's own (auth, trace context)
    :ivar own: whether this is the connection's own origin, and was from the start
    :ivar sent: how often it was sent
    :ivar reached: whether it (maybe) reached the server before
    :ivar keyed: whether it carries an idempotency key
    :ivar settings: proxies, verification and client certificate, as `requests` merges them
    """

    __slots__ = (
        "auth",
        "body",
        "keyed",
        "origin",
        "own",
        "pool",
        "prepared",
        "reached",
        "sent",
        "session",
        "settings",
    )

    def __init__(
        self,
        *,
        prepared: requests.PreparedRequest,
        body: Body,
        auth: Any,
        origin: Origin,
        session: Session,
        pool: Pool,
        key_header: str,
        own: bool,
    ) -> None:
        self.prepared = prepared
        self.body = body
        self.auth = auth
        self.origin = origin
        self.session = session
        self.pool = pool
        self.own = own
        self.sent = 0
        self.reached = False
        key = prepared.headers.get(key_header)
        self.keyed = bool(key and key.strip())
        self.settings = session.merge_environment_settings(
            prepared.url or "", {}, stream=None, verify=None, cert=None
        )

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self.prepared.method or ""

    def sends_plain_secret(self) -> bool:
        """Whether a password or token would travel over plain http."""
        header = self.prepared.headers.get("Authorization")
        return self.origin.scheme == "http" and (
            _auth.is_plain_secret(self.auth) or _auth.is_plain_secret_header(header)
        )

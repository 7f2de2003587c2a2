"""The client's side: the policy, the credentials of each host, the hooks, the managers.

This is what an application has of its own; all else in the demo makes trouble, watches or shows.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from requests.auth import AuthBase, HTTPBasicAuth

from sleepwalker.auth import BearerAuth
from sleepwalker.cli.demo.apis import API_KEY, AUTHORS, BOOKS, ERRAND, REVIEWS
from sleepwalker.cli.demo.planted import CALLERS, HEADER
from sleepwalker.connection import ConnectionHook, ConnectionManager, DirectHook
from sleepwalker.exceptions import SleepwalkerException
from sleepwalker.links import ServiceManager
from sleepwalker.resilience.policy import Backoff, Policy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import requests

    from sleepwalker.cli.demo.apis import Authors, Books, Reviews
    from sleepwalker.cli.demo.planted import Planted
    from sleepwalker.connection import Connection

POLICY = Policy(
    # The script is harsher than life, a host's restart most of all: it lasts for more than half a
    # second, in which no attempt can succeed.
    attempts=10,
    backoff=Backoff(base=0.1, throttled=0.2, cap=1.0),
    connect_timeout=2.0,
    read_timeout=0.8,
    deadline=15.0,
    max_retry_after=5.0,
    # Each call is to be answered although its host is down half of the time: in life one leaves
    # such a host alone, and lets its retries be paid for.
    quota=None,
    breaker=None,
)
"""The library's defaults, but for these: a demo has to be over soon."""

CUSTOM_HEADER = "X-Reader"
"""The header that each host's hook adds to every request, with a value for that host alone."""
CARD = "X-Card"
"""The header that a caller gives for what it asks a host for, with a value for that host alone. It
goes along to what is linked from there, but never to another host."""


class ApiKeyAuth(AuthBase):
    """An auth of the application's own: any callable that `requests` takes will do."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the key into the request."""
        r.headers[API_KEY] = self._key
        return r


class DirectoryHook(ConnectionHook):
    """Knows hosts by names of its own; URLs are for other hooks, so it declines them."""

    def connect(self, host: Any, auth: Any) -> None:  # noqa: ARG002 - the interface
        """Decline."""
        return


class HostHook(DirectHook):
    """Connects directly, and adds the header that the host wants on every request.

    :param readers: the header's value for each host
    """

    def __init__(self, pattern: str, readers: Mapping[str, str], **options: Any) -> None:
        super().__init__(pattern, **options)
        self._readers = readers

    def connect(self, host: Any, auth: Any) -> Connection | None:
        """A connection to the host."""
        conn = super().connect(host, auth)
        if conn is not None:
            # Nothing of the demo depends on this machine's proxies or certificates.
            conn.session.trust_env = False
            if host in self._readers:
                conn.add_headers({CUSTOM_HEADER: self._readers[host]})
        return conn


class ReadyHook(HostHook):
    """Asks the host whether it is ready before it hands out a connection to it.

    A host that is still waking up answers 503, which is transient: the hook is called again.
    """

    def connect(self, host: Any, auth: Any) -> Connection | None:
        """A connection to the host, which has said that it is ready."""
        conn = super().connect(host, auth)
        if conn is not None:
            once = dataclasses.replace(POLICY, attempts=1)
            try:
                conn.json_request("GET", "/ready", policy=once, name="/ready")
            except SleepwalkerException:
                conn.close()  # nobody else will: the next call makes a connection of its own
                raise
        return conn


class TokenProvider:
    """Gets bearer tokens from the authors' host, through the same manager as everything else."""

    def __init__(self, url: str, auth: HTTPBasicAuth) -> None:
        self._url = url
        self._auth = auth
        self.manager: ConnectionManager | None = None
        """Set when there is one: its hooks know the bearer auth, and so this provider."""

    def __call__(self) -> tuple[str, float]:
        """A token, and the seconds after which it expires."""
        if self.manager is None:
            msg = "there is no manager yet"
            raise RuntimeError(msg)
        conn = self.manager.find(self._url, self._auth)
        answer = conn.json_request("POST", "/token", idempotent=True, name="/token")
        return answer["access_token"], answer["expires_in"]


class Client:
    """The managers, and whose credentials are for which host.

    :param urls: the hosts' URLs
    :param authority: a file with the certificate authority that the hosts' certificates are from
    :param instruments: what connections and the manager tell the world through
    :ivar services: follows links, over the connections of `manager`
    :ivar cards: the values of `CARD`, by the host's URL
    """

    def __init__(
        self,
        urls: Mapping[str, str],
        apis: tuple[Books, Authors, Reviews],
        authority: Path,
        planted: Planted,
        instruments: Mapping[str, Any],
    ) -> None:
        books, authors, reviews = apis
        provider = TokenProvider(
            urls[AUTHORS], HTTPBasicAuth(authors.client_id, authors.client_secret)
        )
        credentials: Mapping[str, Any] = {
            urls[BOOKS]: (books.user, books.password),
            urls[AUTHORS]: BearerAuth(provider),
            urls[REVIEWS]: ApiKeyAuth(reviews.api_key),
        }
        readers = {url: planted.new(name, HEADER) for name, url in urls.items()}
        options = {
            "verify": str(authority),
            "policy": POLICY,
            "credentials": credentials,
            **instruments,
        }
        self.manager = ConnectionManager(
            hooks=[
                DirectoryHook(),
                ReadyHook(urls[REVIEWS], readers, **options),
                HostHook("*", readers, **options),
            ],
            policy=POLICY,
            **instruments,
        )
        provider.manager = self.manager
        self.services = ServiceManager(
            self.manager, credentials=credentials, netrc=False, crossing_headers=[ERRAND]
        )
        self.cards = {url: planted.new(name, CALLERS) for name, url in urls.items()}

"""Errors of a streamed body that is read when its call is over.

Rules:

1. They are what they would have been within the call: of our tree, with request, attempts and
   elapsed time, and no secret.
2. Nothing of the call is kept but what an error needs: a response may be kept for long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import requests
import urllib3.exceptions
from requests.auth import HTTPDigestAuth

from sleepwalker import auth as _auth
from sleepwalker.observability.redaction import all_forms

from ._errors import translate

if TYPE_CHECKING:
    from collections.abc import Callable

    from sleepwalker.exceptions import SleepwalkerException
    from sleepwalker.observability.redaction import Redaction

    from ._timeouts import Timeouts

LOWER = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)
"""What reading may raise of the wire; anything else is a misuse, such as a second read."""


class Secrets(NamedTuple):
    """Where the secrets of a call stand; they are looked for only when something failed."""

    redaction: Redaction
    requests: tuple[requests.PreparedRequest, ...]
    """All that were sent, over all hops."""
    proxies: tuple[str, ...]
    auth: Any
    of_auth: tuple[str, ...]
    """What an auth of the caller's own kind has put into requests."""
    cookies: tuple[str, ...]
    """What is in the jar, of which a request takes along only some."""

    def found(self) -> tuple[str, ...]:
        """The secret texts, in the order to take them out."""
        of_auth = [*self.of_auth, *self.cookies]
        if isinstance(self.auth, HTTPDigestAuth):
            # Of which the request shows only hashes.
            of_auth += _auth.secrets_of(self.auth)
        found = set(all_forms(of_auth))
        for request in self.requests:
            found.update(self.redaction.secrets(request, *self.proxies))
        return tuple(sorted(found, key=len, reverse=True))


class Late(NamedTuple):
    """What an error of a body needs to be told, when the call is over (`_wire.Translate`)."""

    what: str
    """Method and redacted URL."""
    request: requests.PreparedRequest
    attempts: int
    elapsed: Callable[[], float]
    timeouts: Timeouts
    secrets: Secrets

    def __call__(
        self, raised: Exception, outside: BaseException | None
    ) -> SleepwalkerException | None:
        """Our error for one that came up from reading; `None`: it is none of the wire's."""
        if not isinstance(raised, LOWER):
            return None
        secrets, redaction = self.secrets.found(), self.secrets.redaction
        made = translate(
            raised,
            what=self.what,
            timeouts=self.timeouts,
            maybe_sent=True,
            redaction=redaction,
            secrets=secrets,
            outside=outside,
        )
        if made is not None and made.elapsed is None:
            made.request = redaction.request(self.request, secrets)
            made.attempts, made.elapsed = self.attempts, self.elapsed()
        return made

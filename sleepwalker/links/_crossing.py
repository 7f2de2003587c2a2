"""Where a link may lead, and who we are there.

Rules (allow, not deny):

1. Only http and https, without userinfo, and never from https to http.
2. The document decides on the host, never what the caller puts into a template, unless the caller
   names the hosts for which it may.
3. To another origin goes an allow list of headers, and no credential but the target's own:
   registered for it, or its netrc entry (never the default one). Who is anonymous on purpose
   stays so.
4. What is filled into a form crosses only to where credentials are registered: to register is to
   vouch, for links as for redirects.
5. Of a document's own texts an error shows no secret, and no more than a line or two.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from requests.structures import CaseInsensitiveDict

from sleepwalker import auth as _auth
from sleepwalker.connection import _headers, _urls
from sleepwalker.exceptions import (
    AuthError,
    ConfigurationError,
    DowngradeError,
    LinkCredentialsError,
    LinkError,
    LinkURLError,
    TemplateHostError,
    URLError,
)

from ._link import shown_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sleepwalker.connection._urls import Origin
    from sleepwalker.observability.redaction import Redaction

    from ._link import Link

CROSSING_HEADERS = ("Accept", "User-Agent")
"""What goes along to another origin, beside the context of the trace."""
_NEVER_CROSSING = frozenset({"authorization", "proxy-authorization", "cookie", "host"})
"""What says who we are, or where: it is another for each origin."""
_LONGEST_SHOWN = 500
"""Characters: what more is to be said of a URL is not shown."""


class Target(NamedTuple):
    """Where a link leads."""

    url: str
    origin: Origin


class Crossing:
    """The rules of one `ServiceManager`.

    :param credentials: host patterns to auths, or a callable that gives the auth for an origin
    :param netrc: whether the user's netrc file is asked
    :param headers: further headers that may cross
    :param template_hosts: patterns of hosts that a template's variables may lead to
    """

    def __init__(
        self,
        *,
        credentials: Mapping[str, Any] | Callable[[str], Any] | None,
        netrc: bool,
        headers: Iterable[str],
        template_hosts: Iterable[str],
        redaction: Redaction,
    ) -> None:
        self._ask: Callable[[str], Any] | None = None
        self.by_pattern = _auth.Credentials()
        if callable(credentials):
            self._ask = credentials
        else:
            self.by_pattern = _auth.Credentials(credentials)
        self._netrc = netrc
        self._headers = {name.lower() for name in (*CROSSING_HEADERS, *_crossing(headers))}
        self._template_hosts = _auth.host_patterns("template_hosts", template_hosts)
        self._redaction = redaction

    def target(
        self,
        link: Link,
        source: str,
        variables: Mapping[str, Any],
        *,
        service: Origin | None = None,
    ) -> Target:
        """Where a link leads, if it may be followed there.

        :param source: the absolute URL of the document with the link
        :param service: the origin that gave the document, if it is known: what stands in a
            document may say that it is from elsewhere
        :raises CrossingError: which rule forbids it, and how to allow it
        """
        url = link.url(**variables)
        target = Target(url, self._origin(url, link))
        if link.templated and variables:
            self._check_template(link, target)
        from_https = "https" in {self.origin(source).scheme, service.scheme if service else ""}
        if target.origin.scheme == "http" and from_https:
            msg = (
                f"{named(link, self._redaction)} leads from https to plain http "
                f"({target.origin}), which is never followed; get that URL by itself if it is meant"
            )
            raise DowngradeError(msg)
        return target

    def origin(self, url: str) -> Origin:
        """The origin of a URL of our own."""
        return _urls.origin_of(url, self._redaction)

    def _origin(self, url: str, link: Link) -> Origin:
        try:
            if _urls.is_url_like(url):
                return self.origin(url)
            scheme = urlsplit(url).scheme or "no"
            trouble = f"with the scheme {shown_name(scheme)}"
        except URLError as error:
            why = error.message
            trouble = "that can't be used" + (f": {why}" if len(why) <= _LONGEST_SHOWN else "")
        except ValueError:
            trouble = "that can't be understood"
        msg = (
            f"{named(link, self._redaction)} is a URL {trouble}; "
            "only http and https, without userinfo, are followed"
        )
        raise LinkURLError(msg)

    def _check_template(self, link: Link, target: Target) -> None:
        """Refuse a template of which the variables decide on the host."""
        decided: Origin | None = None
        with suppress(LinkError):
            # What the document itself puts into it is the document's own word.
            decided = self._origin(link.own_url(), link)
        if decided == target.origin:
            return
        if any(pattern.matches(*target.origin) for pattern in self._template_hosts):
            return
        msg = (
            f"the template of {named(link, self._redaction)} lets its variables decide on the host "
            f"({target.origin}); if they may, name it in template_hosts=['{target.origin}']"
        )
        raise TemplateHostError(msg)

    def headers(self, headers: Mapping[str, Any], *, same_origin: bool) -> CaseInsensitiveDict[Any]:
        """What of the caller's own headers goes along."""
        return CaseInsensitiveDict(
            {
                name: value
                for name, value in headers.items()
                if same_origin or name.lower() in self._headers
            }
        )

    def auth(self, origin: Origin, *, anonymous: bool, sends: bool) -> tuple[Any, bool]:
        """Who we are to an origin that a link leads to, and whether the caller vouched for it.

        :param anonymous: whether the document with the link was asked for anonymously
        :param sends: whether something is sent there, such as a form
        :raises LinkCredentialsError: when nobody said, or vouched for it
        """
        found = self.registered(origin)
        if found is not None:
            return found, True
        if self._netrc:
            found = _auth.from_netrc(origin.host.strip("[]"), use_default=False)
        if found is None and anonymous:
            found = _auth.ANONYMOUS
        if found is None:
            more = ", or add an entry for it to your netrc file" if self._netrc else ""
            msg = (
                f"the link leads to {origin}, for which there are no credentials: register them, "
                f"credentials={{'{origin}': ...}}, ANONYMOUS if none are needed, or say auth={more}"
            )
            raise LinkCredentialsError(msg)
        if sends:
            msg = (
                f"the link leads to another origin, {origin}, and would take there what is sent: "
                f"that goes only where credentials={{'{origin}': ...}} are registered, ANONYMOUS "
                "if none are needed, or auth= is given"
            )
            raise LinkCredentialsError(msg)
        return found, False

    def registered(self, origin: Origin) -> Any:
        """The auth that the caller registered for an origin, or `None`.

        :raises AuthError: when what the callable gave is none
        """
        if self._ask is None:
            return self.by_pattern.find(*origin)
        found = self._ask(str(origin))
        try:
            return _auth.checked(found)
        except AuthError as error:
            msg = f"credentials for {origin}: {error.message}"
            raise AuthError(msg) from None


def named(link: Link, redaction: Redaction) -> str:
    """A link as an error names it."""
    return f"the link {shown_name(redaction.text(link.rel))}"


def _crossing(names: Any) -> tuple[str, ...]:
    """The names of headers that may cross.

    :raises ConfigurationError: for what is none, or must not cross
    """
    if isinstance(names, str | bytes) or not isinstance(names, Iterable):
        msg = "crossing_headers must be a list of header names"
        raise ConfigurationError(msg)
    made = tuple(names)
    for name in made:
        if not isinstance(name, str) or not _headers.is_name(name):
            msg = "crossing_headers must be names of headers, such as 'X-Request-Id'"
            raise ConfigurationError(msg)
        if name.lower() in _NEVER_CROSSING:
            msg = (
                f"crossing_headers can't have {name}, which is another for each origin: "
                "credentials= says who we are where"
            )
            raise ConfigurationError(msg)
    return made

"""Where a link may lead, and who we are there.

Rules (allow, not deny):

1. Only http and https, without userinfo, and never from https to http.
2. The document decides on the host, never what the caller puts into a template, unless the caller
   names the hosts for which it may.
3. To another origin goes an allow list of headers, and no credential but the target's own:
   registered for it, or its netrc entry (never the default one). Who is anonymous on purpose
   stays so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from requests.structures import CaseInsensitiveDict

from sleepwalker import auth as _auth
from sleepwalker.connection import _urls
from sleepwalker.exceptions import (
    AuthError,
    ConfigurationError,
    DowngradeError,
    LinkCredentialsError,
    LinkURLError,
    TemplateHostError,
    URLError,
)

from ._templates import literal_start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sleepwalker.connection._urls import Origin
    from sleepwalker.observability.redaction import Redaction

    from ._link import Link

CROSSING_HEADERS = ("Accept", "User-Agent")
"""What goes along to another origin, beside the context of the trace."""


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
        if isinstance(headers, str):
            msg = "crossing_headers must be a list of header names"
            raise ConfigurationError(msg)
        self._headers = {name.lower() for name in (*CROSSING_HEADERS, *headers)}
        self._template_hosts = _auth.host_patterns("template_hosts", template_hosts)
        self._redaction = redaction

    def target(self, link: Link, source: str, variables: Mapping[str, Any]) -> Target:
        """Where a link leads, if it may be followed there.

        :param source: the absolute URL of the document with the link
        :raises CrossingError: which rule forbids it, and how to allow it
        """
        url = link.url(**variables)
        target = Target(url, self._origin(url, link.rel))
        if link.templated:
            self._check_template(link, target)
        if target.origin.scheme == "http" and self.origin(source).scheme == "https":
            msg = (
                f"the link {link.rel!r} leads from https to plain http ({target.origin}), which is "
                "never followed; get that URL by itself if it is meant"
            )
            raise DowngradeError(msg)
        return target

    def origin(self, url: str) -> Origin:
        """The origin of a URL of our own."""
        return _urls.origin_of(url, self._redaction)

    def _origin(self, url: str, rel: str) -> Origin:
        trouble = ""
        try:
            if _urls.is_url_like(url):
                return self.origin(url)
            scheme = urlsplit(url).scheme or "no"
            trouble = f"with the scheme {self._redaction.text(scheme)!r}"
        except URLError as error:
            trouble = error.message
        except ValueError:
            trouble = "that can't be understood"
        msg = (
            f"the link {rel!r} is a URL {trouble}; only http and https, without userinfo, "
            "are followed"
        )
        raise LinkURLError(msg)

    def _check_template(self, link: Link, target: Target) -> None:
        """Refuse a template of which the variables decide on the host."""
        start = literal_start(link.href)
        decided: Origin | None = None
        authority = start.partition("://")[2] if "://" in start else start.removeprefix("//")
        # Whatever follows an authority that has not ended yet would go on with it.
        if "://" not in start and not start.startswith("//"):
            decided = self.origin(link.base)
        elif any(mark in authority for mark in "/?#") or _ends_authority(link.href):
            decided = self._origin(urljoin(link.base, start), link.rel)
        if decided == target.origin:
            return
        if any(pattern.matches(*target.origin) for pattern in self._template_hosts):
            return
        msg = (
            f"the template of the link {link.rel!r} lets its variables decide on the host "
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

    def auth(self, origin: Origin, *, anonymous: bool) -> Any:
        """Who we are to an origin that a link leads to.

        :param anonymous: whether the document with the link was asked for anonymously
        :raises LinkCredentialsError: when nobody said
        """
        found = self.registered(origin)
        if found is None and self._netrc:
            found = _auth.from_netrc(origin.host.strip("[]"), use_default=False)
        if found is None and anonymous:
            found = _auth.ANONYMOUS
        if found is None:
            msg = (
                f"the link leads to {origin}, for which there are no credentials: register them, "
                f"credentials={{'{origin}': ...}}, ANONYMOUS if none are needed, or add an entry "
                "for it to your netrc file"
            )
            raise LinkCredentialsError(msg)
        return found

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


def _ends_authority(template: str) -> bool:
    """Whether what comes first behind the host, if it comes at all, can't go on with it."""
    expression = template.partition("{")[2]
    return not expression or expression[0] in "/?#"

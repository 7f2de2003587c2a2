"""The `requests.Session` over our adapters."""

from __future__ import annotations

import copy
import os
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import requests
from requests.cookies import RequestsCookieJar, extract_cookies_to_jar
from requests.hooks import dispatch_hook
from requests.sessions import merge_setting

from sleepwalker import auth as _auth
from sleepwalker.connection import _forks

from ._adapter import BY_ADAPTER, Adapter, refuse_unguarded
from ._between import behind_layers
from ._environment import BUNDLES, NOTHING, names
from ._fields import Fields
from ._jar import Jar
from ._making import Merged, usual
from ._originals import Originals
from ._reply import Reply
from ._shortcut import sent
from ._watch import here

if TYPE_CHECKING:
    import ssl
    from collections.abc import Generator

    from requests.adapters import BaseAdapter

    from sleepwalker.connection._guard import AddressGuard


_SENDS = Originals((requests.Session, "send"))
_SETTLES = Originals((requests.Session, "merge_environment_settings"))


class Session(requests.Session):
    """A `requests.Session` over our adapters, whose redirects we follow ourselves.

    Called directly it behaves as `requests`' own; a request that comes from a call of ours is
    never redirected in here, because other rules hold for what may cross origins.
    """

    __attrs__ = [*requests.Session.__attrs__, "allow_plaintext", "guard"]  # noqa: RUF012 - as in requests

    def __init__(
        self,
        ssl_context: ssl.SSLContext | None = None,
        *,
        allow_plaintext: bool = False,
        guard: AddressGuard | None = None,
    ) -> None:
        super().__init__()
        self.headers = Fields(self.headers)
        self.merged: Merged | None = None
        self.cookies = Jar()
        self.guard = guard
        adapter = Adapter(ssl_context, guard)
        self.mount("https://", adapter)
        self.mount("http://", adapter)
        self.allow_plaintext = allow_plaintext
        _forks.enlist(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.headers, self.merged = Fields(self.headers), None
        _forks.enlist(self)

    def prepared(
        self,
        method: str,
        url: str,
        headers: Fields,
        *,
        data: Any = None,
        params: Any = None,
        **unusual: Any,
    ) -> requests.PreparedRequest:
        """A request without auth.

        :param headers: checked; `None` takes a default away
        :param unusual: what else `requests.Request` takes
        """
        if all(value is None for value in unusual.values()):
            made = usual(self, method, url, headers, data, params)
            if made is not None:
                return made
        return self.prepare_request(
            requests.Request(
                method,
                url,
                headers=headers,
                auth=_auth.ANONYMOUS,
                data=data,
                params=params,
                **unusual,
            )
        )

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        watch = here.watch
        if watch is not None and watch.sends(request):
            if _SENDS.are_there():
                return self._exchanged(request, **kwargs)
            # Somebody watches all sessions.
            watch.silence()
            return super().send(request, **kwargs)
        # Who uses the session past the connection, maybe from within a response hook of a call:
        # that call neither checked this request nor counts it as its own.
        if not self.allow_plaintext:
            self._refuse_plaintext(request)
        here.watch = None
        try:
            return super().send(request, **kwargs)
        finally:
            here.watch = watch

    def _exchanged(
        self, request: requests.PreparedRequest, *, allow_redirects: bool, **kwargs: Any
    ) -> requests.Response:
        """What `send` does for a request of a call, whose redirects are followed elsewhere."""
        assert not allow_redirects  # noqa: S101 - calls follow them themselves
        adapter, hooks = self.get_adapter(request.url or ""), request.hooks
        began = time.perf_counter()
        response = sent(adapter, request, **kwargs)
        response.elapsed = timedelta(seconds=time.perf_counter() - began)
        # What is surely not there need not be looked for.
        without = response if self._is_without_cookies(response) else None
        response = dispatch_hook("response", hooks, response, **kwargs)
        for each in response.history or ():
            extract_cookies_to_jar(self.cookies, each.request, each.raw)
        if response is not without:
            extract_cookies_to_jar(self.cookies, request, response.raw)
        if not kwargs["stream"]:
            _ = response.content
        return response

    def _is_without_cookies(self, response: requests.Response) -> bool:
        """Whether an answer of the wire's own has nothing for our own kind of jar."""
        return type(response) is Reply and not response.sets_cookies and type(self.cookies) is Jar

    def get_adapter(self, url: str) -> BaseAdapter:
        adapter = super().get_adapter(url)
        if self.guard is not None and getattr(adapter, "guard", None) is not self.guard:
            refuse_unguarded(BY_ADAPTER)
        return behind_layers(adapter)

    def merge_environment_settings(
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        # A session's own False or path wins over the environment's bundle; True takes it.
        if verify is None and self.verify is not True:
            verify = self.verify
        seen = NOTHING if not self.trust_env else names()
        if proxies is None or proxies or seen is None or seen.a_proxy or not _SETTLES.are_there():
            return super().merge_environment_settings(url, proxies, stream, verify, cert)
        if seen.a_bundle and (verify is True or verify is None):
            first, second = map(os.environ.get, BUNDLES)
            verify = first or second or verify
        return {
            "proxies": merge_setting(proxies, self.proxies) if self.proxies else {},
            "stream": self.stream if stream is None else stream,
            "verify": self.verify if verify is None else verify,
            "cert": self.cert if cert is None else cert,
        }

    def _refuse_plaintext(self, request: requests.PreparedRequest) -> None:
        if (request.url or "").startswith("http://") and _auth.is_plain_secret_header(
            request.headers.get("Authorization")
        ):
            _auth.refuse_plaintext("this host")

    def resolve_redirects(  # type: ignore[override]
        self, resp: requests.Response, req: requests.PreparedRequest, **kwargs: Any
    ) -> Generator[requests.Response, None, None]:
        watch = here.watch
        if watch is not None and watch.sends(req):
            return
        yield from super().resolve_redirects(resp, req, **kwargs)

    def guest(self) -> Session:
        """A session over the same adapters for requests to other origins.

        It has no cookies, client certificate or default headers of this one. Of its TLS context
        it has the trust, but not the client certificate that may be in it.
        """
        guest = Session.__new__(Session)
        requests.Session.__init__(guest)
        guest.headers, guest.merged = Fields(guest.headers), None
        guest.allow_plaintext, guest.guard = self.allow_plaintext, self.guard
        guest.adapters.clear()
        for prefix, adapter in self.adapters.items():
            without_context = getattr(adapter, "without_context", None)
            guest.adapters[prefix] = adapter if without_context is None else without_context()
        guest.proxies, guest.verify = self.proxies, self.verify
        guest.trust_env, guest.hooks = self.trust_env, self.hooks
        return guest

    def keep_idle(self, sockets: int) -> None:
        """Have as many idle sockets kept for each host, if it were fewer."""
        for adapter in list(self.adapters.values()):
            keep_idle = getattr(adapter, "keep_idle", None)
            if keep_idle is not None:
                keep_idle(sockets)

    def drop_stale(self) -> None:
        """Close the idle sockets that would not be used again."""
        for adapter in list(self.adapters.values()):
            drop_stale = getattr(adapter, "drop_stale", None)
            if drop_stale is not None:
                drop_stale()

    def _renew_in_child(self) -> None:
        # The old jar's lock may be held by a thread that the child doesn't have.
        cookies = self.cookies
        if isinstance(cookies, RequestsCookieJar):
            self.cookies = copy.copy(cookies)
        else:
            # A jar of the user's: its cookies go on in one of ours.
            self.cookies = Jar()
            for cookie in list(cookies):
                self.cookies.set_cookie(cookie)

"""The world that one request meets: its server, a proxy or a name if it takes one, the fault in it.

Rules:

1. Everything is on loopback, and ends with the scene, whoever still waits in it.
2. A scene can be healed: from then on everything in it works as it should.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, Self

from tests.faults.kinds import answer_to
from tests.servers import (
    Answer,
    ForwardProxy,
    ScriptedServer,
    refused_port,
    respond,
    tunnel,
    unanswered_port,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.faults.names import Resolver
    from tests.servers import Action, CertificateAuthority, Request


def good(request: Request) -> Action:
    """Answer as a server that is well."""
    return respond(200, {"Content-Type": "application/json"}, answer_to(request))


class Scene:
    """Where one request goes. Faults build it; clients read `url`, `proxy_url` and `bundle`."""

    def __init__(self, name: str, authority: CertificateAuthority, resolver: Resolver) -> None:
        """Begin empty.

        :param name: a host name's first label, unlike that of any other scene under way
        """
        self.authority: Final = authority
        self.bundle: Final[Path] = authority.bundle
        self.url = ""
        self.proxy_url: str | None = None
        self.settled: Callable[[], object] = lambda: None
        """Waits until the fault of an idle connection is in place."""
        self._host = f"{name}.test"
        self._resolver = resolver
        self._ends = ExitStack()
        self._over = threading.Event()
        self._server: ScriptedServer | None = None
        self._proxy: ForwardProxy | None = None

    # What faults build

    def serve(
        self,
        *answers: Answer,
        default: Answer = good,
        tls: ssl.SSLContext | bool = False,
        scheme: str | None = None,
    ) -> ScriptedServer:
        """Start the server: these answers first, then the default."""
        context = self.authority.server_context() if tls is True else tls or None
        server = self._ends.enter_context(ScriptedServer(default, tls=context))
        server.script(*answers)
        self._server = server
        self.url = server.url if scheme is None else f"{scheme}://127.0.0.1:{server.port}"
        return server

    def behind_proxy(self, *answers: Answer, default: Answer | None = None) -> None:
        """Put a proxy before an https server: these answers to CONNECT first, then tunnels."""
        self.serve(tls=True)
        self._proxy = self._ends.enter_context(ForwardProxy())
        self._proxy.script(*answers)
        if default is not None:
            self._proxy.default = default
        self.proxy_url = self._proxy.url

    def named(self, *lookups: Sequence[int] | OSError | threading.Event) -> None:
        """Give the server a name that resolves so, and in the end to the server if none is given.

        The last lookup is given ever after, as in `Resolver.tell`.
        """
        server = self._server or self.serve()
        self._resolver.tell(self._host, *(lookups or ([server.port],)))
        self.url = f"http://{self._host}:{server.port}"

    @property
    def port(self) -> int:
        """The server's port; starts the server if need be."""
        return (self._server or self.serve()).port

    def refused(self) -> int:
        """Give a port that refuses connections."""
        return self._ends.enter_context(refused_port())

    def blackholed(self) -> int:
        """Give a port that answers nothing."""
        return self._ends.enter_context(unanswered_port())

    @property
    def over(self) -> threading.Event:
        """Set when the scene ends."""
        return self._over

    # What became of it

    @property
    def read(self) -> list[Request]:
        """The requests that the server read completely."""
        return [] if self._server is None else self._server.requests

    def heal(self) -> None:
        """Let everything work from now on."""
        if self._server is not None:
            self._server.default = good
            if self._host in self.url:
                self.named([self._server.port])
        if self._proxy is not None:
            self._proxy.default = lambda _: tunnel()

    def close(self) -> None:
        """End everything; may be called again."""
        self._over.set()
        self._ends.close()

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End everything."""
        self.close()

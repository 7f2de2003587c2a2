"""https hosts named `*.example`, played on loopback, for pages that talk to hosts of such names.

Rules:

1. Only names that were asked for exist, wherever they are looked up in this process or in the
   programs it starts; every other name can't be resolved, so that nothing leaves the machine.
2. TLS is real: the certificates are those names', and `REQUESTS_CA_BUNDLE` names their authority.
"""

from __future__ import annotations

import os
import socket
import ssl
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, Self

import trustme

from tests.servers import Answer, ScriptedServer

if TYPE_CHECKING:
    from pathlib import Path

VARIABLE: Final = "SLEEPWALKER_DOCS_HOSTS"
"""How the programs that a page starts learn of its hosts: `name=port`, separated by spaces."""

_LOOPBACK: Final = {"127.0.0.1", "::1", "localhost"}
_look_up: Final = socket.getaddrinfo


def resolve_as_told() -> None:
    """Resolve names as the variable says, here and from now on."""

    def getaddrinfo(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        ports = dict(pair.split("=") for pair in os.environ.get(VARIABLE, "").split())
        if host in ports and port == 443:
            return _look_up("127.0.0.1", int(ports[host]), *rest, **more)
        if host in _LOOPBACK:
            return _look_up(host, port, *rest, **more)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    socket.getaddrinfo = getaddrinfo


class Hosts:
    """Makes hosts, which end with the `with` block."""

    def __init__(self, directory: Path) -> None:
        """Make an authority, whose certificate will be written into `directory`."""
        self._authority = trustme.CA()
        self._directory = directory
        self._ends = ExitStack()

    def __call__(self, name: str, default: Answer | None = None) -> ScriptedServer:
        """Give a new host; `default` (an echo) answers what its script doesn't."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(name).configure_cert(context)
        server = self._ends.enter_context(ScriptedServer(default, tls=context))
        os.environ[VARIABLE] += f" {name}={server.port}"
        return server

    def __enter__(self) -> Self:
        bundle = str(self._directory / "authority.pem")
        self._authority.cert_pem.write_to_path(bundle)
        self._ends.callback(_restore, dict(os.environ), socket.getaddrinfo)
        os.environ["REQUESTS_CA_BUNDLE"] = bundle
        os.environ[VARIABLE] = ""
        resolve_as_told()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()


def _restore(environ: dict[str, str], getaddrinfo: Any) -> None:
    os.environ.clear()
    os.environ.update(environ)
    socket.getaddrinfo = getaddrinfo

"""The types of the factories that `tests/conftest.py` gives to tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from pathlib import Path

    from tests.servers.actions import Answer
    from tests.servers.scripted import ScriptedServer


class MakeServer(Protocol):
    """Starts a server that ends with the test."""

    def __call__(
        self,
        default: Answer | None = None,
        *,
        tls: ssl.SSLContext | bool = False,
        host: str = "127.0.0.1",
    ) -> ScriptedServer:
        """Start one; `tls=True` with a good certificate, or with this context."""


class NetrcFile(Protocol):
    """Writes a netrc file for the test."""

    def __call__(self, entries: Mapping[str, tuple[str, str]]) -> Path:
        """Write (login, password) by host, `"default"` for all others; `NETRC` names the file."""

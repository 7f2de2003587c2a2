"""Fixtures of the tests' servers, and the isolation that every test gets.

Rule 1: no test sees this machine's home, netrc file, proxies or certificates.
Rule 2: every server ends with its test, and what its script or handlers did wrong fails that test.
Rule 3: no property fails because the machine is busy.
"""

from __future__ import annotations

import gc
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from tests.servers import (
    Answer,
    CertificateAuthority,
    ForwardProxy,
    MakeServer,
    NetrcFile,
    ScriptedServer,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Generator, Iterator, Mapping
    from pathlib import Path

_PROXY_VARIABLES: Final = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_CERTIFICATE_VARIABLES: Final = (
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)

hypothesis_settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("unhurried")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, Any, Any]:
    """Look for garbage once when all tests are known, and never again among what they are made of.

    Modules and thousands of tests stay to the end: each search would go through all of them.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True)
def isolation(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the test an empty home (returned), no netrc file, no proxies and no certificates."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NETRC", str(home / "no-netrc"))
    for name in _PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in _CERTIFICATE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    """Give the authority of this test session."""
    return CertificateAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def make_server(ca: CertificateAuthority) -> Iterator[MakeServer]:
    """Start servers that end with the test."""
    with ExitStack() as servers:

        def make(
            default: Answer | None = None,
            *,
            tls: ssl.SSLContext | bool = False,
            host: str = "127.0.0.1",
        ) -> ScriptedServer:
            context = (ca.server_context() if tls else None) if isinstance(tls, bool) else tls
            return servers.enter_context(ScriptedServer(default, tls=context, host=host))

        yield make


@pytest.fixture
def server(make_server: MakeServer) -> ScriptedServer:
    """Give an http server."""
    return make_server()


@pytest.fixture
def tls_server(make_server: MakeServer) -> ScriptedServer:
    """Give an https server whose certificate is good."""
    return make_server(tls=True)


@pytest.fixture
def two_tls_hosts(make_server: MakeServer) -> tuple[ScriptedServer, ScriptedServer]:
    """Give two https servers.

    They are two origins; for two host names use one's `url` and the other's `localhost_url`.
    """
    return make_server(tls=True), make_server(tls=True)


@pytest.fixture
def proxy() -> Iterator[ForwardProxy]:
    """Give a forward proxy that asks for no credentials."""
    with ForwardProxy() as running:
        yield running


@pytest.fixture
def netrc_file(isolation: Path, monkeypatch: pytest.MonkeyPatch) -> NetrcFile:
    """Write netrc files and let `NETRC` name the last."""

    def write(entries: Mapping[str, tuple[str, str]]) -> Path:
        path = isolation / "netrc"
        path.touch(mode=0o600)
        path.write_text(
            "".join(
                f"{'default' if host == 'default' else f'machine {host}'}"
                f" login {login} password {password}\n"
                for host, (login, password) in entries.items()
            )
        )
        monkeypatch.setenv("NETRC", str(path))
        return path

    return write

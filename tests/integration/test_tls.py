"""TLS: what `verify`, `cert` and `ssl_context` mean, and what the environment may say beside them.

Rule: a certificate that is not trusted has let no request through, and is tried once.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from urllib3.exceptions import InsecureRequestWarning

from sleepwalker import ANONYMOUS, Connection, Policy
from sleepwalker.exceptions import (
    CertificateError,
    ConfigurationError,
    ConnectTimeout,
    ProtocolError,
    SleepwalkerException,
    TLSError,
)
from sleepwalker.testing import SkippingClock
from tests.integration.retrying import Client
from tests.servers import (
    CertificateAuthority,
    close_in_handshake,
    reset_before_reading,
    stall_handshake,
)

if TYPE_CHECKING:
    from tests.servers import CertificateKind, MakeServer, ScriptedServer

TRUSTED = "trusted"
"""Outcome of a request that got its answer; the other is the certificate error."""


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    """Another authority, which signed none of the servers' certificates."""
    return CertificateAuthority(tmp_path_factory.mktemp("stranger"))


def outcome(server: ScriptedServer, **options: Any) -> str:
    """Ask once; whether the certificate was trusted, as client and server both say."""
    before = len(server.connections), server.count()
    conn = Connection(server.url, ANONYMOUS, clock=SkippingClock(), **options)
    with conn, warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureRequestWarning)
        failure = None
        try:
            conn.request("GET", "/")
        except CertificateError as error:
            failure = error
    if failure is not None:
        assert isinstance(failure, requests.exceptions.SSLError)
        assert failure.attempts == len(server.connections) - before[0] == 1
        assert server.count() == before[1]
        return type(failure).__name__
    assert server.count() == before[1] + 1
    return TRUSTED


# verify, and the environment


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize(
    ("verify", "environment", "expected"),
    [
        # True takes the environment's bundle.
        (True, None, "CertificateError"),
        (True, "ours", TRUSTED),
        (True, "stranger", "CertificateError"),
        # False wins over it.
        (False, None, TRUSTED),
        (False, "ours", TRUSTED),
        (False, "stranger", TRUSTED),
        # So does a path, whichever of the two is right.
        ("ours", None, TRUSTED),
        ("ours", "ours", TRUSTED),
        ("ours", "stranger", TRUSTED),
        ("stranger", None, "CertificateError"),
        ("stranger", "ours", "CertificateError"),
        ("stranger", "stranger", "CertificateError"),
    ],
)
def test_false_or_a_path_wins_over_the_environments_bundle_and_true_takes_it(
    tls_server: ScriptedServer,
    ca: CertificateAuthority,
    stranger: CertificateAuthority,
    monkeypatch: pytest.MonkeyPatch,
    *,
    variable: str,
    verify: bool | str,
    environment: str | None,
    expected: str,
) -> None:
    bundles = {"ours": str(ca.bundle), "stranger": str(stranger.bundle)}
    if environment is not None:
        monkeypatch.setenv(variable, bundles[environment])
    given = verify if isinstance(verify, bool) else bundles[verify]

    assert outcome(tls_server, verify=given) == expected


def test_verify_is_true_when_nothing_is_said(
    tls_server: ScriptedServer, ca: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert outcome(tls_server) == "CertificateError"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca.bundle))
    assert outcome(tls_server) == TRUSTED


def test_a_path_object_is_a_path(tls_server: ScriptedServer, ca: CertificateAuthority) -> None:
    assert outcome(tls_server, verify=ca.bundle) == TRUSTED


def test_the_session_by_itself_holds_to_the_same_rule(
    tls_server: ScriptedServer,
    ca: CertificateAuthority,
    stranger: CertificateAuthority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(stranger.bundle))
    with Connection(tls_server.url, ANONYMOUS, verify=str(ca.bundle)) as conn:
        assert conn.session.get(tls_server.url).ok
        with pytest.raises(requests.exceptions.SSLError):
            conn.session.get(tls_server.url, verify=True)


def test_verify_set_on_the_session_later_counts_by_the_same_rule(
    tls_server: ScriptedServer,
    ca: CertificateAuthority,
    stranger: CertificateAuthority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(stranger.bundle))
    with Connection(tls_server.url, ANONYMOUS) as conn:
        conn.session.verify = str(ca.bundle)
        conn.request("GET", "/")

    assert tls_server.count() == 1


def test_a_bundle_that_is_not_there_is_an_error_before_anything_is_opened(
    tls_server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = str(tmp_path / "no-bundle.pem")
    with (
        Connection(tls_server.url, ANONYMOUS, verify=missing) as conn,
        pytest.raises(ConfigurationError, match=r"no-bundle\.pem"),
    ):
        conn.request("GET", "/")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", missing)
    with (
        Connection(tls_server.url, ANONYMOUS) as conn,
        pytest.raises(ConfigurationError, match=r"no-bundle\.pem"),
    ):
        conn.request("GET", "/")

    assert tls_server.connections == []


@pytest.mark.parametrize("option", ["verify", "cert"])
def test_a_file_that_holds_no_certificate_is_an_error_that_is_not_retried(
    tls_server: ScriptedServer, ca: CertificateAuthority, tmp_path: Path, option: str
) -> None:
    wrong = tmp_path / "no-certificate.pem"
    wrong.write_text("nothing of the kind\n")
    options: dict[str, Any] = {"verify": str(ca.bundle)} | {option: str(wrong)}
    with (
        Connection(tls_server.url, ANONYMOUS, **options, clock=SkippingClock()) as conn,
        pytest.raises(ConfigurationError, match=option),
    ):
        conn.request("GET", "/")

    assert tls_server.count() == 0
    assert len(tls_server.connections) <= 1


@pytest.mark.parametrize("kind", ["wrong name", "expired", "unknown authority"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_bad_certificate_is_never_retried_and_says_what_is_wrong(
    make_server: MakeServer, ca: CertificateAuthority, kind: CertificateKind, method: str
) -> None:
    words = {"wrong name": "not valid for", "expired": "expired", "unknown authority": "issuer"}
    server = make_server(tls=ca.server_context(kind))
    conn = Connection(
        server.url,
        ANONYMOUS,
        verify=str(ca.bundle),
        policy=Policy(attempts=5),
        clock=SkippingClock(),
    )
    with conn, pytest.raises(CertificateError) as raised:
        conn.request(method, "/", json={})

    error = raised.value
    assert isinstance(error, TLSError)
    assert isinstance(error, requests.exceptions.SSLError)
    assert isinstance(error, requests.exceptions.ConnectionError)
    assert isinstance(error.__cause__, ssl.SSLCertVerificationError)
    assert words[kind] in str(error)
    assert not error.outcome_unknown
    assert error.attempts == len(server.connections) == 1
    assert server.connections[0].requests == server.connections[0].bytes_received == 0


def test_a_certificate_is_for_each_of_its_names_and_no_other(
    make_server: MakeServer, ca: CertificateAuthority
) -> None:
    good = make_server(tls=True)
    other = make_server(tls=ca.server_context("wrong name"))
    with Connection(good.localhost_url, ANONYMOUS, verify=str(ca.bundle)) as conn:
        conn.request("GET", "/")
    with (
        Connection(other.localhost_url, ANONYMOUS, verify=str(ca.bundle)) as conn,
        pytest.raises(CertificateError),
    ):
        conn.request("GET", "/")

    assert (good.count(), other.count()) == (1, 0)


def test_unverified_tls_warns_as_urllib3_does(tls_server: ScriptedServer) -> None:
    with (
        Connection(tls_server.url, ANONYMOUS, verify=False) as conn,
        pytest.warns(InsecureRequestWarning),
    ):
        conn.request("GET", "/")


# cert


@pytest.mark.parametrize("kind", [str, Path])
def test_a_pair_of_paths_is_the_clients_certificate(
    make_server: MakeServer, ca: CertificateAuthority, kind: type
) -> None:
    server = make_server(tls=ca.server_context(require_client_cert=True))
    files = ca.client_certificate("walker")
    cert = (kind(files.cert_file), kind(files.key_file))
    with Connection(server.url, ANONYMOUS, verify=str(ca.bundle), cert=cert) as conn:
        conn.json_request("GET", "/")

    assert [request.client_name for request in server.requests] == ["walker"]


def test_one_path_may_hold_certificate_and_key(
    make_server: MakeServer, ca: CertificateAuthority, tmp_path: Path
) -> None:
    server = make_server(tls=ca.server_context(require_client_cert=True))
    cert = ca.client_certificate("walker")
    both = tmp_path / "both.pem"
    both.touch(mode=0o600)
    for name in cert:
        with open(name, encoding="ascii") as part, both.open("a", encoding="ascii") as whole:  # noqa: PTH123 - a name
            whole.write(part.read())
    with Connection(server.url, ANONYMOUS, verify=str(ca.bundle), cert=str(both)) as conn:
        conn.request("GET", "/")

    assert [request.client_name for request in server.requests] == ["walker"]


def test_a_client_certificate_goes_beside_other_auth(
    make_server: MakeServer, ca: CertificateAuthority
) -> None:
    server = make_server(tls=ca.server_context(require_client_cert=True))
    conn = Connection(
        server.url, ("user", "secret"), verify=str(ca.bundle), cert=ca.client_certificate("walker")
    )
    with conn:
        conn.request("GET", "/")

    [sent] = server.requests
    assert (sent.client_name, sent.headers["Authorization"]) == ("walker", "Basic dXNlcjpzZWNyZXQ=")


def test_without_the_certificate_that_a_server_wants_nothing_gets_through(
    make_server: MakeServer, ca: CertificateAuthority
) -> None:
    server = make_server(tls=ca.server_context(require_client_cert=True))
    conn = Connection(server.url, ANONYMOUS, verify=str(ca.bundle), clock=SkippingClock())
    with conn, pytest.raises(CertificateError, match="cert=") as raised:
        conn.json_request("GET", "/")

    assert isinstance(raised.value, requests.exceptions.SSLError)
    assert raised.value.attempts == len(server.connections) == 1
    assert server.count() == 0


@pytest.mark.parametrize("missing", ["certificate", "key"])
def test_a_client_certificate_that_is_not_there_is_an_error_before_anything_is_opened(
    tls_server: ScriptedServer, ca: CertificateAuthority, tmp_path: Path, missing: str
) -> None:
    cert = ca.client_certificate("walker")
    nowhere = str(tmp_path / "nowhere.pem")
    pair = (nowhere, cert.key_file) if missing == "certificate" else (cert.cert_file, nowhere)
    with (
        Connection(tls_server.url, ANONYMOUS, verify=str(ca.bundle), cert=pair) as conn,
        pytest.raises(ConfigurationError, match=r"nowhere\.pem"),
    ):
        conn.request("GET", "/")

    assert tls_server.connections == []


# ssl_context


def settings(context: ssl.SSLContext) -> dict[str, Any]:
    """All of a context that can be read."""
    names = ("check_hostname", "verify_mode", "verify_flags", "options", "minimum_version")
    more = ("maximum_version", "post_handshake_auth", "hostname_checks_common_name")
    read = {name: getattr(context, name) for name in (*names, *more)}
    return read | {
        "store": context.cert_store_stats(),
        "authorities": sorted(map(str, context.get_ca_certs())),
        "ciphers": context.get_ciphers(),
    }


def test_a_context_decides_alone(
    tls_server: ScriptedServer, ca: CertificateAuthority, stranger: CertificateAuthority
) -> None:
    assert outcome(tls_server, ssl_context=ca.client_context()) == TRUSTED
    assert outcome(tls_server, ssl_context=stranger.client_context()) == "CertificateError"
    assert outcome(tls_server, ssl_context=ssl.create_default_context()) == "CertificateError"


@pytest.mark.parametrize("environment", ["ours", "stranger"])
def test_the_environments_bundle_changes_nothing_about_a_context(
    tls_server: ScriptedServer,
    ca: CertificateAuthority,
    stranger: CertificateAuthority,
    monkeypatch: pytest.MonkeyPatch,
    environment: str,
) -> None:
    bundle = ca.bundle if environment == "ours" else stranger.bundle
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))

    assert outcome(tls_server, ssl_context=ca.client_context()) == TRUSTED
    assert outcome(tls_server, ssl_context=stranger.client_context()) == "CertificateError"


def test_a_context_that_verifies_nothing_verifies_nothing(
    make_server: MakeServer, ca: CertificateAuthority
) -> None:
    server = make_server(tls=ca.server_context("wrong name"))
    context = ca.client_context()
    context.check_hostname = False
    assert outcome(server, ssl_context=context) == TRUSTED
    context.verify_mode = ssl.CERT_NONE
    assert outcome(server, ssl_context=context) == TRUSTED


def test_a_context_is_never_changed(
    tls_server: ScriptedServer,
    ca: CertificateAuthority,
    stranger: CertificateAuthority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    context = ca.client_context()
    before = settings(context)
    assert before["store"] == {"x509": 1, "crl": 0, "x509_ca": 1}
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(stranger.bundle))
    with Connection(tls_server.url, ANONYMOUS, ssl_context=context) as conn:
        conn.request("GET", "/")
        conn.session.get(tls_server.url)
        conn.close()
        conn.json_request("GET", "/")

    assert settings(context) == before


def test_a_context_may_hold_the_clients_certificate(
    make_server: MakeServer, ca: CertificateAuthority
) -> None:
    server = make_server(tls=ca.server_context(require_client_cert=True))
    context = ca.client_context(ca.client_certificate("walker"))
    with Connection(server.url, ANONYMOUS, ssl_context=context) as conn:
        conn.request("GET", "/")

    assert [request.client_name for request in server.requests] == ["walker"]


def test_connections_may_share_a_context(
    two_tls_hosts: tuple[ScriptedServer, ScriptedServer], ca: CertificateAuthority
) -> None:
    context = ca.client_context()
    for server in two_tls_hosts:
        assert outcome(server, ssl_context=context) == TRUSTED


# Handshakes that fail


@pytest.mark.parametrize("fault", [close_in_handshake(), stall_handshake()])
def test_a_handshake_that_fails_was_never_sent_so_a_post_goes_again(
    tls_server: ScriptedServer, ca: CertificateAuthority, fault: Any
) -> None:
    tls_server.script(fault, fault)
    conn = Connection(
        tls_server.url,
        ANONYMOUS,
        verify=str(ca.bundle),
        timeout=(0.4, None),
        clock=SkippingClock(),
    )
    with conn:
        conn.json_request("POST", "/", {"id": 1})

    assert tls_server.count() == 1
    assert [record.handshaken for record in tls_server.connections] == [False, False, True]


def test_a_handshake_that_goes_on_failing_is_an_error_with_a_known_outcome(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    tls_server.default = close_in_handshake()
    conn = Connection(tls_server.url, ANONYMOUS, verify=str(ca.bundle), clock=SkippingClock())
    with conn, pytest.raises(TLSError) as raised:
        conn.json_request("POST", "/", {"id": 1})

    assert not isinstance(raised.value, CertificateError)
    assert raised.value.attempts == len(tls_server.connections) == 3
    assert not raised.value.outcome_unknown


def test_a_handshake_that_stalls_for_ever_is_a_connect_timeout(
    tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    tls_server.default = stall_handshake()
    conn = Connection(
        tls_server.url,
        ANONYMOUS,
        verify=str(ca.bundle),
        timeout=(0.1, None),
        policy=Policy(attempts=2),
        clock=SkippingClock(),
    )
    with conn, pytest.raises(ConnectTimeout) as raised:
        conn.json_request("POST", "/", {"id": 1})

    assert raised.value.attempts == 2
    tls_server.wait_for(lambda: len(tls_server.connections) == 2)
    assert not raised.value.outcome_unknown


def test_plain_http_at_a_tls_port_and_tls_at_an_http_port_are_errors(
    server: ScriptedServer, tls_server: ScriptedServer, ca: CertificateAuthority
) -> None:
    server.script(reset_before_reading())
    wrong = server.url.replace("http:", "https:")
    conn = Connection(wrong, ANONYMOUS, verify=str(ca.bundle), policy=Policy(attempts=1), timeout=5)
    with conn, pytest.raises(SleepwalkerException) as raised:
        conn.json_request("POST", "/", {})
    assert not raised.value.outcome_unknown
    assert server.count() == 0

    wrong = tls_server.url.replace("https:", "http:")
    conn = Connection(wrong, ANONYMOUS, policy=Policy(attempts=1), timeout=5)
    with conn, pytest.raises(SleepwalkerException):
        conn.json_request("GET", "/")
    assert tls_server.count() == 0


def test_a_peer_that_is_gone_before_the_handshake_was_never_sent_anything(
    ca: CertificateAuthority,
) -> None:
    class Late(ssl.SSLContext):
        """Begins when the peer's reset is here, and known to the socket already."""

        def wrap_socket(self, sock: socket.socket, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
            connected.release()
            select.select([sock], [], [], 5)
            sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            return super().wrap_socket(sock, *args, **kwargs)

    connected = threading.Semaphore(0)
    context = Late(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca.bundle)
    attempts = 3
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def reset_all() -> None:
            for _ in range(attempts):
                accepted, _ = listening.accept()
                assert connected.acquire(timeout=5)
                accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                accepted.close()

        resetting = threading.Thread(target=reset_all)
        resetting.start()
        url = f"https://127.0.0.1:{listening.getsockname()[1]}"
        client = Client(url, ssl_context=context, policy=Policy(attempts=attempts))
        with pytest.raises(ProtocolError) as caught:
            client.conn.request("POST", "/", data=b"x")
        resetting.join()

    assert (caught.value.error_type, caught.value.outcome_unknown) == ("reset", False)
    assert client.retries == {"connect": attempts - 1}

"""`auth=None` and `ANONYMOUS`: netrc files, and nothing sent unauthenticated by accident.

Rule: "nothing was sent" means that the server saw no connection.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import pytest

from sleepwalker import ANONYMOUS, Connection
from sleepwalker.exceptions import CredentialsError, RedirectError, RefusedError
from tests.servers import RequireBasic, redirect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers import CertificateAuthority, MakeServer, NetrcFile, ScriptedServer

BASIC = "Basic dXNlcjpzZWNyZXQ="  # user:secret
OTHER = "Basic b3RoZXI6cHc="  # other:pw
ENTRY = "login user password secret\n"


def authorization(server: ScriptedServer) -> list[str | None]:
    return [request.headers.get("Authorization") for request in server.requests]


def test_the_hosts_entry_is_sent(
    make_server: MakeServer, ca: CertificateAuthority, netrc_file: NetrcFile
) -> None:
    guard = RequireBasic("user", "secret")
    server = make_server(guard, tls=True)
    netrc_file({"localhost": ("other", "pw"), "127.0.0.1": ("user", "secret")})
    with Connection(server.url + "/api", verify=str(ca.bundle)) as conn:
        conn.json_request("GET", "/")
        conn.request("POST", "/", json={})

    assert guard.seen == [BASIC, BASIC]


def test_a_host_has_the_entry_of_its_own_name(
    tls_server: ScriptedServer, ca: CertificateAuthority, netrc_file: NetrcFile
) -> None:
    netrc_file({"localhost": ("other", "pw"), "127.0.0.1": ("user", "secret")})
    with Connection(tls_server.localhost_url, verify=str(ca.bundle)) as conn:
        conn.request("GET", "/")

    assert authorization(tls_server) == [OTHER]


def test_an_ipv6_host_is_looked_up_without_its_brackets(
    make_server: MakeServer, ca: CertificateAuthority, netrc_file: NetrcFile
) -> None:
    netrc_file({"::1": ("user", "secret")})
    server = make_server(tls=True, host="::1")
    with Connection(server.url, verify=str(ca.bundle)) as conn:
        conn.request("GET", "/")

    assert authorization(server) == [BASIC]


def test_files_are_looked_for_at_the_first_request_and_not_before(
    tls_server: ScriptedServer, ca: CertificateAuthority, netrc_file: NetrcFile
) -> None:
    with Connection(tls_server.url, verify=str(ca.bundle)) as conn:
        netrc_file({"127.0.0.1": ("user", "secret")})
        conn.request("GET", "/")
        netrc_file({"127.0.0.1": ("other", "pw")})
        conn.request("GET", "/")

    assert authorization(tls_server) == [BASIC, BASIC]


@pytest.mark.parametrize("name", [".netrc", "_netrc"])
def test_the_home_folders_file_is_found(
    tls_server: ScriptedServer,
    ca: CertificateAuthority,
    isolation: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.delenv("NETRC")
    path = isolation / name
    path.touch(mode=0o600)
    path.write_text(f"machine 127.0.0.1 {ENTRY}")
    with Connection(tls_server.url, verify=str(ca.bundle)) as conn:
        conn.request("GET", "/")

    assert authorization(tls_server) == [BASIC]


def test_the_file_that_netrc_names_is_the_only_one(
    tls_server: ScriptedServer, ca: CertificateAuthority, isolation: Path, netrc_file: NetrcFile
) -> None:
    (isolation / ".netrc").touch(mode=0o600)
    (isolation / ".netrc").write_text("machine 127.0.0.1 login other password pw\n")
    netrc_file({"127.0.0.1": ("user", "secret")})
    with Connection(tls_server.url, verify=str(ca.bundle)) as conn:
        conn.request("GET", "/")
    netrc_file({"elsewhere.example": ("user", "secret")})
    with Connection(tls_server.url, verify=str(ca.bundle)) as conn, pytest.raises(CredentialsError):
        conn.request("GET", "/")

    assert authorization(tls_server) == [BASIC]


def test_the_default_entry_is_for_a_host_that_the_caller_named(
    tls_server: ScriptedServer, ca: CertificateAuthority, netrc_file: NetrcFile
) -> None:
    netrc_file({"elsewhere.example": ("other", "pw"), "default": ("user", "secret")})
    with Connection(tls_server.url, verify=str(ca.bundle)) as conn:
        conn.request("GET", "/")

    assert authorization(tls_server) == [BASIC]


def test_the_default_entry_is_never_for_a_host_learned_from_a_redirect(
    two_tls_hosts: tuple[ScriptedServer, ScriptedServer],
    ca: CertificateAuthority,
    netrc_file: NetrcFile,
) -> None:
    ours, other = two_tls_hosts
    ours.default = redirect(302, other.localhost_url + "/book")
    netrc_file({"default": ("user", "secret")})
    with Connection(ours.url, verify=str(ca.bundle)) as conn, pytest.raises(RedirectError):
        conn.request("GET", "/")

    assert authorization(ours) == [BASIC]
    assert other.connections == []


def test_an_entry_for_a_host_learned_from_a_redirect_is_for_it(
    two_tls_hosts: tuple[ScriptedServer, ScriptedServer],
    ca: CertificateAuthority,
    netrc_file: NetrcFile,
) -> None:
    ours, other = two_tls_hosts
    ours.default = redirect(302, other.localhost_url + "/book")
    netrc_file({"localhost": ("other", "pw"), "default": ("user", "secret")})
    with Connection(ours.url, verify=str(ca.bundle)) as conn:
        conn.request("GET", "/")

    assert (authorization(ours), authorization(other)) == ([BASIC], [OTHER])


# Neither file nor entry


def no_file(_: Path) -> None:
    """Leave `NETRC` naming a file that isn't there."""


def an_empty_file(path: Path) -> None:
    path.write_text("")


def other_hosts(path: Path) -> None:
    path.write_text(f"machine elsewhere.example {ENTRY}")


def an_entry_without_anything(path: Path) -> None:
    path.write_text("machine 127.0.0.1\n")


def a_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    "prepare", [no_file, an_empty_file, other_hosts, an_entry_without_anything, a_folder]
)
def test_without_an_entry_nothing_is_sent_and_the_error_names_the_ways_out(
    tls_server: ScriptedServer,
    ca: CertificateAuthority,
    isolation: Path,
    prepare: Callable[[Path], None],
) -> None:
    prepare(isolation / "no-netrc")
    with Connection(tls_server.url, verify=str(ca.bundle)) as conn:
        for ask in (conn.request, conn.json_request):
            with pytest.raises(CredentialsError) as raised:
                ask("GET", "/")
            assert isinstance(raised.value, RefusedError)
            assert raised.value.attempts == 0
            assert f"no credentials for {tls_server.url}" in str(raised.value)
            assert all(way in str(raised.value) for way in ("auth=", "netrc file", "ANONYMOUS"))

    assert tls_server.connections == []


def test_taking_the_sessions_auth_away_asks_netrc_and_sends_nothing_without(
    tls_server: ScriptedServer, ca: CertificateAuthority, netrc_file: NetrcFile
) -> None:
    with Connection(tls_server.url, ("other", "pw"), verify=str(ca.bundle)) as conn:
        conn.session.auth = None
        with pytest.raises(CredentialsError):
            conn.request("GET", "/")
        assert tls_server.connections == []
        netrc_file({"127.0.0.1": ("user", "secret")})
        conn.request("GET", "/")

    assert authorization(tls_server) == [BASIC]


def test_an_entry_that_is_added_later_is_found_later(
    tls_server: ScriptedServer, ca: CertificateAuthority, netrc_file: NetrcFile
) -> None:
    with Connection(tls_server.url, verify=str(ca.bundle)) as conn:
        with pytest.raises(CredentialsError):
            conn.request("GET", "/")
        netrc_file({"127.0.0.1": ("user", "secret")})
        conn.request("GET", "/")

    assert authorization(tls_server) == [BASIC]


def test_a_file_that_is_not_understood_is_an_error_that_shows_nothing_of_it(
    tls_server: ScriptedServer, ca: CertificateAuthority, isolation: Path
) -> None:
    path = isolation / "no-netrc"
    path.write_text("machine 127.0.0.1 login user\n  password\n  planted-secret planted-word\n")
    with (
        Connection(tls_server.url, verify=str(ca.bundle)) as conn,
        pytest.raises(CredentialsError, match=f"{path}: not understood at line ") as raised,
    ):
        conn.request("GET", "/")

    assert "planted" not in "".join(traceback.format_exception(raised.value))
    assert "planted" not in f"{raised.value!r} {raised.value.__cause__!r}"
    assert tls_server.connections == []


def test_a_file_that_is_no_text_is_an_error(
    tls_server: ScriptedServer, ca: CertificateAuthority, isolation: Path
) -> None:
    (isolation / "no-netrc").write_bytes(b"machine 127.0.0.1 login \xff\xfe\x00")
    with (
        Connection(tls_server.url, verify=str(ca.bundle)) as conn,
        pytest.raises(CredentialsError, match="no-netrc"),
    ):
        conn.request("GET", "/")

    assert tls_server.connections == []


def test_a_session_that_trusts_no_environment_reads_no_netrc(
    tls_server: ScriptedServer, ca: CertificateAuthority, netrc_file: NetrcFile
) -> None:
    netrc_file({"127.0.0.1": ("user", "secret")})
    with Connection(tls_server.url, verify=str(ca.bundle)) as conn:
        conn.session.trust_env = False
        with pytest.raises(CredentialsError):
            conn.request("GET", "/")

    assert tls_server.connections == []


def test_a_session_that_trusts_no_environment_reads_no_netrc_for_redirects(
    two_tls_hosts: tuple[ScriptedServer, ScriptedServer],
    ca: CertificateAuthority,
    netrc_file: NetrcFile,
) -> None:
    ours, other = two_tls_hosts
    ours.default = redirect(302, other.localhost_url + "/book")
    netrc_file({"localhost": ("other", "pw")})
    with Connection(ours.url, ("user", "secret"), verify=str(ca.bundle)) as conn:
        conn.session.trust_env = False
        with pytest.raises(RedirectError):
            conn.request("GET", "/")
        assert other.connections == []
        conn.session.trust_env = True
        conn.request("GET", "/")

    assert authorization(other) == [OTHER]


# What beats netrc


def test_anonymous_sends_nothing_whatever_netrc_has(
    tls_server: ScriptedServer, ca: CertificateAuthority, netrc_file: NetrcFile
) -> None:
    netrc_file({"127.0.0.1": ("user", "secret"), "default": ("user", "secret")})
    with Connection(tls_server.url, ANONYMOUS, verify=str(ca.bundle)) as conn:
        conn.request("GET", "/")
        conn.json_request("POST", "/", {})
        conn.session.get(tls_server.url)

    assert authorization(tls_server) == [None, None, None]


def test_credentials_of_ones_own_beat_netrc(
    tls_server: ScriptedServer, ca: CertificateAuthority, netrc_file: NetrcFile
) -> None:
    netrc_file({"127.0.0.1": ("user", "secret")})
    with Connection(tls_server.url, ("other", "pw"), verify=str(ca.bundle)) as conn:
        conn.request("GET", "/")
    with Connection(tls_server.url, verify=str(ca.bundle)) as conn:
        conn.request("GET", "/", auth=("other", "pw"))
        conn.request("GET", "/", headers={"Authorization": "Custom own"})
        conn.session.auth = ("other", "pw")
        conn.request("GET", "/")

    assert authorization(tls_server) == [OTHER, OTHER, "Custom own", OTHER]


def test_a_call_may_be_anonymous_on_purpose(
    tls_server: ScriptedServer, ca: CertificateAuthority, netrc_file: NetrcFile
) -> None:
    netrc_file({"127.0.0.1": ("user", "secret")})
    with Connection(tls_server.url, ("other", "pw"), verify=str(ca.bundle)) as conn:
        conn.request("GET", "/", auth=ANONYMOUS)

    assert authorization(tls_server) == [None]

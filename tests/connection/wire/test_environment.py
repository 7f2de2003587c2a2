"""What the environment says of proxies and certificates: the same to us as to `requests`."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, Any, Final

import pytest
import requests

from sleepwalker.connection._wire import Session
from sleepwalker.connection._wire._environment import names

if TYPE_CHECKING:
    from collections.abc import Iterator

PROXY: Final = "http://proxy.example.com:3128"
URL: Final = "https://api.example.com/books"
SPELLINGS: Final = (
    *("http_proxy", "HTTP_PROXY", "Http_Proxy", "https_proxy", "HTTPS_PROXY", "hTTPS_pROXY"),
    *("all_proxy", "ALL_PROXY", "All_Proxy", "https://api.example.com_proxy", "ftp_proxy"),
)


@pytest.fixture(autouse=True)
def none_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with an environment that names no proxy, in whatever spelling."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ANOTHER", "1")


def by_requests(session: requests.Session, url: str = URL, **given: Any) -> dict[str, Any]:
    """Give the settings that `requests` would take; a session's own `verify` wins with us."""
    stream, verify, cert = (given.get(name) for name in ("stream", "verify", "cert"))
    if verify is None and session.verify is not True:
        verify = session.verify
    settings = requests.Session.merge_environment_settings(session, url, {}, stream, verify, cert)
    # Of no use to anybody: which hosts have no proxy is decided by now.
    (settings["proxies"] or {}).pop("no", None)
    return settings


def ours(session: Session, url: str = URL, **given: Any) -> dict[str, Any]:
    """Give the settings that we take."""
    stream, verify, cert = (given.get(name) for name in ("stream", "verify", "cert"))
    settings: dict[str, Any] = session.merge_environment_settings(url, {}, stream, verify, cert)
    settings["proxies"].pop("no", None)
    return settings


def names_a_proxy() -> bool:
    """Whether the environment may name a proxy."""
    seen = names()
    return seen is None or seen.a_proxy


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_proxy_counts_as_soon_as_it_is_named_and_as_long(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    session = Session()
    seen = []
    for _ in range(2):
        seen.append(ours(session)["proxies"])
        with monkeypatch.context() as patch:
            patch.setenv(name, PROXY)
            assert names_a_proxy()
            assert ours(session) == by_requests(session)
            seen.append(ours(session)["proxies"])
            patch.setenv(name, "")
            assert ours(session) == by_requests(session)
        assert not names_a_proxy()

    scheme = name.lower().removesuffix("_proxy")
    assert seen == [{}, {scheme: PROXY}] * 2


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_proxy_counts_that_is_named_in_the_place_of_another_variable(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    session, number = Session(), len(os.environ)
    before = ours(session)["proxies"]
    with monkeypatch.context() as patch:
        patch.delenv("ANOTHER")
        patch.setenv(name, PROXY)
        assert len(os.environ) == number
        assert ours(session) == by_requests(session)
        assert PROXY in ours(session)["proxies"].values()

    assert before == ours(session)["proxies"] == {}


def test_hosts_that_have_no_proxy_name_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "localhost")
    monkeypatch.setenv("no_proxy", "localhost")
    monkeypatch.setenv("NOT_A_PROXY_AT_ALL", "1")

    assert not names_a_proxy()
    assert ours(Session()) == by_requests(Session())


@pytest.mark.parametrize("no_proxy", ["NO_PROXY", "no_proxy"])
def test_a_host_may_be_left_out_later(monkeypatch: pytest.MonkeyPatch, no_proxy: str) -> None:
    session = Session()
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    assert ours(session)["proxies"] == {"https": PROXY}

    monkeypatch.setenv(no_proxy, "example.com")

    assert ours(session) == by_requests(session)
    assert ours(session)["proxies"] == {}


def test_a_cgi_script_is_told_no_proxy_by_its_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", PROXY)
    monkeypatch.setenv("REQUEST_METHOD", "GET")
    session = Session()

    assert ours(session, "http://api.example.com/") == by_requests(
        session, "http://api.example.com/"
    )
    assert ours(session, "http://api.example.com/")["proxies"] == {}


def test_an_environment_of_another_kind_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session()
    monkeypatch.setattr(os, "environ", {"Https_Proxy": PROXY})

    assert ours(session) == by_requests(session)
    assert ours(session)["proxies"] == {"https": PROXY}


@pytest.mark.parametrize(
    "reader", ["requests.utils.getproxies", "requests.sessions.get_environ_proxies"]
)
def test_who_patches_what_reads_it_is_asked(monkeypatch: pytest.MonkeyPatch, reader: str) -> None:
    session = Session()
    with monkeypatch.context() as patch:
        patch.setattr(reader, lambda *_, **__: {"https": PROXY})
        assert ours(session)["proxies"] == {"https": PROXY}

    assert ours(session)["proxies"] == {}


def test_who_patches_what_settles_it_is_asked_until_it_is_put_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = requests.Session.merge_environment_settings

    def unverified(*args: Any) -> Any:
        return {**original(*args), "verify": False}

    session = Session()
    with monkeypatch.context() as patch:
        patch.setattr(requests.Session, "merge_environment_settings", unverified)
        assert ours(session)["verify"] is False

    assert ours(session)["verify"] is True


ENVIRONMENTS: Final[tuple[dict[str, str], ...]] = (
    {},
    {"REQUESTS_CA_BUNDLE": "/requests.pem"},
    {"CURL_CA_BUNDLE": "/curl.pem"},
    {"REQUESTS_CA_BUNDLE": "", "CURL_CA_BUNDLE": "/curl.pem"},
    {"REQUESTS_CA_BUNDLE": "/requests.pem", "HTTPS_PROXY": PROXY},
    {"ALL_PROXY": PROXY, "NO_PROXY": "api.example.com"},
)
PROXIES: Final[tuple[Any, ...]] = ({}, None, {"https": "http://a:1"}, {"https": None, "http": "x"})


def sessions() -> Iterator[Session]:
    """Give sessions, each with other settings."""
    verifies: tuple[Any, ...] = (True, False, "/own.pem", None, 0)
    for proxies, verify, trusts in itertools.product(PROXIES, verifies, (True, False)):
        session = Session()
        session.proxies = proxies
        session.verify, session.trust_env = verify, trusts
        session.cert, session.stream = ("/cert.pem", trusts) if proxies else (None, trusts)
        yield session


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=" ".join)
def test_settings_are_those_of_requests(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    every = list(sessions())
    for session in every:
        assert ours(session) == by_requests(session)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    given: tuple[dict[str, Any], ...] = ({}, {"verify": True}, {"verify": False, "cert": "/x.pem"})

    for session, more in itertools.product(every, (*given, {"verify": "/x.pem", "stream": True})):
        assert ours(session, **more) == by_requests(session, **more), (vars(session), more)


def test_a_sessions_own_proxies_are_not_those_that_are_handed_out() -> None:
    session = Session()
    session.proxies = {"https": PROXY}

    session.merge_environment_settings(URL, {}, None, None, None)["proxies"].clear()

    assert session.proxies == {"https": PROXY}


def test_settings_without_proxies_of_a_request_are_those_of_requests() -> None:
    for session in sessions():
        given = (URL, None, None, True, None)
        expected = requests.Session.merge_environment_settings(session, *given)
        assert session.merge_environment_settings(*given) == expected

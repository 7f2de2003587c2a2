"""Host names and URIs: what they mean, what is refused before anything is sent, and how it is said.

Rules:

1. The tables say what the design promises; whatever URL comes out is read by another parser too.
2. A URL that is refused is shown without what may be a secret in it, however broken it is.
"""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from sleepwalker.connection._urls import (
    Base,
    Origin,
    is_url_like,
    parse_base,
    parse_origin,
    shown_name,
)
from sleepwalker.exceptions import CrossOriginError, URLError
from sleepwalker.observability.redaction import Redaction
from tests.planting import everything_in, found, new_secret

# Host names


@pytest.mark.parametrize(
    ("hostname", "port", "text", "canonical"),
    [
        ("https://host.com", None, "https://host.com", "https://host.com"),
        ("https://host.com/", None, "https://host.com/", "https://host.com"),
        ("https://host.com//", None, "https://host.com//", "https://host.com"),
        ("HTTPS://Host.COM", None, "HTTPS://Host.COM", "https://host.com"),
        ("http://host.com", None, "http://host.com", "http://host.com"),
        ("https://host.com:443", None, "https://host.com:443", "https://host.com"),
        ("http://host.com:80/", None, "http://host.com:80/", "http://host.com"),
        ("https://host.com:80", None, "https://host.com:80", "https://host.com:80"),
        ("https://host.com:8443", None, "https://host.com:8443", "https://host.com:8443"),
        ("https://host.com:08443", None, "https://host.com:08443", "https://host.com:8443"),
        ("https://host.com", 8443, "https://host.com:8443", "https://host.com:8443"),
        ("https://host.com", "8443", "https://host.com:8443", "https://host.com:8443"),
        ("https://host.com", " 8443 ", "https://host.com:8443", "https://host.com:8443"),
        ("https://host.com", 443, "https://host.com:443", "https://host.com"),
        ("https://host.com:8443", 8443, "https://host.com:8443", "https://host.com:8443"),
        ("https://host.com:8443", "8443", "https://host.com:8443", "https://host.com:8443"),
        ("https://host.com:", 8443, "https://host.com:8443", "https://host.com:8443"),
        ("https://host.com/api", None, "https://host.com/api", "https://host.com/api"),
        ("https://host.com/api/", None, "https://host.com/api/", "https://host.com/api"),
        ("https://host.com/api", 8443, "https://host.com:8443/api", "https://host.com:8443/api"),
        (
            "https://host.com/a/../b/./c",
            None,
            "https://host.com/a/../b/./c",
            "https://host.com/b/c",
        ),
        ("https://host.com/API", None, "https://host.com/API", "https://host.com/API"),
        ("https://host.com/a%2fb", None, "https://host.com/a%2fb", "https://host.com/a%2Fb"),
        ("https://127.0.0.1", 8443, "https://127.0.0.1:8443", "https://127.0.0.1:8443"),
        ("https://[::1]", None, "https://[::1]", "https://[::1]"),
        ("https://[::1]", 8443, "https://[::1]:8443", "https://[::1]:8443"),
        (
            "https://[2001:DB8::1]:443/v1",
            None,
            "https://[2001:DB8::1]:443/v1",
            "https://[2001:db8::1]/v1",
        ),
        ("https://Bücher.example", None, "https://Bücher.example", "https://xn--bcher-kva.example"),
        ("https://localhost", None, "https://localhost", "https://localhost"),
        ("https://my_host.internal", None, "https://my_host.internal", "https://my_host.internal"),
    ],
)
def test_a_host_name_means_an_origin_and_a_base_path(
    hostname: str, port: int | str | None, text: str, canonical: str
) -> None:
    base = parse_base(hostname, port)

    assert (base.text, base.canonical) == (text, canonical)
    assert parse_base(base.canonical).canonical == canonical


@pytest.mark.parametrize(
    ("hostname", "port", "told"),
    [
        ("", None, "scheme"),
        ("host.com", None, "scheme"),
        ("host.com:8443", None, "scheme"),
        ("//host.com", None, "scheme"),
        ("/api", None, "scheme"),
        ("://host.com", None, "scheme"),
        ("https:host.com", None, "scheme"),
        ("https:/host.com", None, "scheme"),
        ("ftp://host.com", None, "scheme"),
        ("file:///etc/passwd", None, "scheme"),
        ("httpss://host.com", None, "scheme"),
        ("https+unix://host.com", None, "scheme"),
        ("javascript://host.com/%0aalert(1)", None, "scheme"),
        (" https://host.com", None, "scheme"),
        ("https://user@host.com", None, "userinfo"),
        ("https://user:password@host.com", None, "userinfo"),
        ("https://:@host.com", None, "userinfo"),
        ("https://@host.com", None, "userinfo"),
        ("https://host.com/a b", None, "spaces"),
        ("https://host.com/a\\b", None, "backslash"),
        ("https://host.com?x=1", None, "query"),
        ("https://host.com/?", None, "query"),
        ("https://host.com/api?x=1#y", None, "query"),
        ("https://host.com#part", None, "fragment"),
        ("https://host.com/#", None, "fragment"),
        ("https://", None, "host name"),
        ("https:///api", None, "host name"),
        ("https://:8443", None, "host name|malformed"),
        ("https://.", None, "host name"),
        ("https://*.host.com", None, "host name"),
        ("https://[]", None, "host name|malformed"),
        ("https://host.com:0", None, "port"),
        ("https://host.com:65536", None, "malformed"),
        ("https://host.com:-1", None, "malformed"),
        ("https://host.com:http", None, "malformed"),
        ("https://host.com:80:80", None, "malformed"),
        ("https://[::1", None, "malformed"),
        ("https://[::1]x", None, "malformed"),
        ("https://[not-an-address]", None, "malformed"),
        ("https://host com", None, "spaces"),
        ("https://host.com ", None, "spaces"),
        ("https://host.com\n", None, "control"),
        ("https://host.com\r\nX-Evil: 1", None, "control"),
        ("https://host.com\0", None, "control"),
        ("https://host.com\\@evil.com", None, "backslash"),
        ("https://ho\N{FULLWIDTH LATIN SMALL LETTER S}t.com", None, "malformed"),
        (b"https://host.com", None, "bytes"),
        (None, None, "NoneType"),
        (7, None, "int"),
        ("https://host.com", 0, "port must be a number"),
        ("https://host.com", -1, "port must be a number"),
        ("https://host.com", 65536, "port must be a number"),
        ("https://host.com", True, "port must be a number"),
        ("https://host.com", 443.0, "port must be a number"),
        ("https://host.com", "", "port must be a number"),
        ("https://host.com", "https", "port must be a number"),
        ("https://host.com", "4 43", "port must be a number"),
        ("https://host.com", "-443", "port must be a number"),
        ("https://host.com", "9" * 5000, "port must be a number"),
        ("https://host.com", "\N{ARABIC-INDIC DIGIT FIVE}", "port must be a number"),
        ("https://host.com:8443", 443, "disagree"),
        ("https://host.com:443", "8443", "disagree"),
        ("https://host.com:80", 443, "disagree"),
    ],
)
def test_a_host_name_or_port_that_cannot_be_used_is_an_error_that_says_why(
    hostname: Any, port: Any, told: str
) -> None:
    with pytest.raises(URLError, match=told) as raised:
        parse_base(hostname, port)

    assert len(str(raised.value)) < 300
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    ("port", "told"),
    [
        (0, "'0'"),
        ("70000", "'70000'"),
        (None, None),
        ("9" * 5000, "'" + "9" * 20 + "'"),
        ("s3cr3tPassw0rd", "a str"),
        (b"s3cr3tPassw0rd", "a bytes"),
        (443.5, "a float"),
    ],
)
def test_a_port_that_cannot_be_used_is_shown_up_to_a_length(port: Any, told: str | None) -> None:
    if told is None:
        assert parse_base("https://host.com", port).text == "https://host.com"
        return
    with pytest.raises(URLError, match=f"not {told}$"):
        parse_base("https://host.com", port)


@given(st.text(max_size=40).map(lambda tail: f"https://{tail}") | st.text(max_size=40))
def test_no_text_leaves_the_tree_of_errors(hostname: str) -> None:
    try:
        base = parse_base(hostname)
    except URLError:
        return
    assert base.origin.scheme in {"http", "https"}
    assert base.origin.host
    assert 0 < base.origin.port < 65536
    assert "@" not in urlsplit(base.text).netloc


def test_an_origin_is_told_without_its_default_port() -> None:
    assert str(Origin("https", "host.com", 443)) == "https://host.com"
    assert str(Origin("http", "host.com", 443)) == "http://host.com:443"
    assert str(Origin("http", "[::1]", 80)) == "http://[::1]"


@pytest.mark.parametrize(
    ("host", "like"),
    [
        ("https://host.com", True),
        ("HTTP://host.com", True),
        ("https://", True),
        ("host.com", False),
        ("ftp://host.com", False),
        (" https://host.com", False),
        ("the books service", False),
        ("", False),
        (None, False),
        (b"https://host.com", False),
        (("https://host.com",), False),
    ],
)
def test_a_host_is_a_url_when_it_begins_like_one(host: Any, *, like: bool) -> None:
    assert is_url_like(host) is like


# URIs

BARE, PATH = "https://host.com", "https://host.com/api/v1"


@pytest.mark.parametrize(
    ("hostname", "uri", "url"),
    [
        (BARE, "/books", "https://host.com/books"),
        (BARE, "books", "https://host.com/books"),
        (BARE, "", "https://host.com/"),
        (BARE, "/", "https://host.com/"),
        (BARE, "?page=2", "https://host.com/?page=2"),
        (BARE, "#part", "https://host.com/#part"),
        (BARE, "/books?page=2#part", "https://host.com/books?page=2#part"),
        (BARE, "/a:b", "https://host.com/a:b"),
        (BARE, "./a:b", "https://host.com/./a:b"),
        (BARE, "/books?next=https://evil.com/", "https://host.com/books?next=https://evil.com/"),
        (BARE, "/https://evil.com/", "https://host.com/https://evil.com/"),
        (BARE, "books//2", "https://host.com/books//2"),
        (BARE, "@evil.com", "https://host.com/@evil.com"),
        (BARE, ".evil.com", "https://host.com/.evil.com"),
        (BARE, ":8443/", "https://host.com/:8443/"),
        (BARE, "7:7", "https://host.com/7:7"),
        (PATH, "/books", "https://host.com/api/v1/books"),
        (PATH, "books", "https://host.com/api/v1/books"),
        (PATH, "", "https://host.com/api/v1"),
        (PATH, "/", "https://host.com/api/v1/"),
        (PATH, "?page=2", "https://host.com/api/v1?page=2"),
        (f"{PATH}/", "/books", "https://host.com/api/v1/books"),
        (f"{PATH}/", "", "https://host.com/api/v1"),
        (BARE, "https://host.com/books", "https://host.com/books"),
        (BARE, "HTTPS://HOST.com:443/Books", "HTTPS://HOST.com:443/Books"),
        (BARE, "https://host.com", "https://host.com"),
        (BARE, "/a b\\c", "https://host.com/a b\\c"),
        (BARE, "https://host.com/a b\\c", "https://host.com/a b\\c"),
        (BARE, "https://host.com/a@b?c=@", "https://host.com/a@b?c=@"),
        (BARE, " https://host.com/books ", "https://host.com/books"),
        (PATH, "https://host.com/other", "https://host.com/other"),
        (PATH, "https://host.com/api/v1/books?page=2", "https://host.com/api/v1/books?page=2"),
        ("https://host.com:8443", "/books", "https://host.com:8443/books"),
        ("https://host.com:8443/api", "/books", "https://host.com:8443/api/books"),
        ("https://[::1]:8443", "/books", "https://[::1]:8443/books"),
        ("https://[::1]:8443", "https://[::1]:8443/books", "https://[::1]:8443/books"),
        ("HTTPS://Host.com", "/books", "HTTPS://Host.com/books"),
        (
            "https://bücher.example",
            "https://xn--bcher-kva.example/2",
            "https://xn--bcher-kva.example/2",
        ),
    ],
)
def test_a_uri_has_a_fully_qualified_url(hostname: str, uri: str, url: str) -> None:
    assert parse_base(hostname).url(uri) == url


def test_a_port_given_apart_is_in_every_url() -> None:
    assert parse_base("https://host.com/api", 8443).url("/books") == (
        "https://host.com:8443/api/books"
    )


@pytest.mark.parametrize(
    ("hostname", "uri"),
    [
        (BARE, "https://evil.com/"),
        (BARE, "https://host.com.evil.com/"),
        (BARE, "https://hosts.com/"),
        (BARE, "http://host.com/"),
        (BARE, "https://host.com:8443/"),
        (BARE, "HTTPS://EVIL.com/"),
        (BARE, "https://host.com./"),
        (PATH, "https://evil.com/api/v1/books"),
        ("http://host.com", "https://host.com/"),
        ("https://host.com:8443", "https://host.com/"),
        ("https://[::1]", "https://[::2]/"),
        (BARE, "//evil.com/"),
        (BARE, "//host.com/"),
        (BARE, "///evil.com/"),
        (BARE, "/\\evil.com/"),
        (BARE, "\\\\evil.com/"),
        (BARE, "\\evil.com/"),
        (BARE, "ftp://host.com/"),
        (BARE, "mailto:somebody@host.com"),
        (BARE, "javascript:alert(1)"),
        (BARE, "data:,x"),
        (BARE, "host.com:443/books"),
        (BARE, "books:2"),
        (BARE, " https://evil.com/"),
        (BARE, "\thttps://evil.com/"),
        (BARE, "\nftp://host.com/"),
    ],
)
def test_a_uri_of_another_origin_is_refused(hostname: str, uri: str) -> None:
    with pytest.raises(CrossOriginError) as raised:
        parse_base(hostname).url(uri)

    assert isinstance(raised.value, URLError)
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    "uri",
    [
        "https://host.com:443:443/",
        "https://host.com:http/",
        "https://user:password@host.com/",
        "https://host.com@evil.com/",
        "https://host.com\\@evil.com/",
        "https://evil.com\\.host.com/",
        "https://[::1/",
        "https://",
        "https://@host.com/",
        "https://:@host.com/",
        "https://host .com/",
        "https://host.com/\r\nX-Evil: 1",
        "https://host.com/a\tb",
        "/books\r\nX-Evil: 1",
        "/books\0",
        "?page=\n2",
        "books\x7f",
        None,
        b"/books",
        7,
        ["/books"],
    ],
)
def test_what_is_no_uri_of_this_host_is_an_error(uri: Any) -> None:
    with pytest.raises(URLError):
        parse_base(BARE).url(uri)


PIECES = [
    *("https:", "http:", "//", "/", "\\", "host.com", "evil.com", "@", ":", "443", "?", "#", ";"),
    *(".", "..", "%2f", "%40", "[", "]", "a", "é", " ", "\t", "\n", "\r", "\x00"),
]
URIS = st.text(max_size=30) | st.lists(st.sampled_from(PIECES), max_size=8).map("".join)


@given(st.sampled_from([BARE, PATH, "https://host.com:8443/x"]), URIS)
def test_no_uri_leads_to_another_host_however_it_is_read(hostname: str, uri: str) -> None:
    base = parse_base(hostname)
    try:
        url = base.url(uri)
    except URLError:
        return
    prepared = requests.Request("GET", url).prepare().url
    assert prepared is not None

    assert parse_origin(prepared)[0] == base.origin
    # Browsers and WHATWG parsers drop tabs and line breaks, and take a backslash for a slash.
    dropped = "".join(c for c in url if c not in "\t\r\n").replace("\\", "/")
    for read in (url, dropped, prepared):
        parts = urlsplit(read)
        assert (parts.hostname, parts.username) == ("host.com", None)
        assert parts.port in {None, base.origin.port}


# What is shown of what was refused


@pytest.mark.parametrize(
    "hostname",
    [
        "https://user:{}@host.com",
        "https://{}@host.com",
        "https://user:{}@",
        "https://user:{}",
        "https://user:{}/api",
        "https://user:{}@host.com:99999",
        "https://user:{}@host.com:http",
        "https://user:{}/x@host.com",
        "https://user:x/{}@host.com",
        "https://user:{}#x@host.com",
        "https://user:x#{}@host.com",
        "https://user:{}?x@host.com",
        "https://user:x?{}@host.com",
        "https://user:x@{}@host.com",
        "https://host.com\\@user:{}@evil.com",
        "https://user:{} x@host.com",
        "user:{}@host.com",
        "//user:{}@host.com",
        "https:/user:{}@host.com",
        "ftp://user:{}@host.com/",
        "https://host.com?api_key={}",
        "https://host.com/?{}",
        "https://host.com/#access_token={}",
        "ftp://host.com/?token={}",
        "https://host.com\n/?token={}",
        "host:{}",
        "host.com:{}/path",
        "[::1]:{}",
        "https://[::1]:{}",
        "https://host.com:{}/path",
    ],
)
def test_a_host_name_that_is_refused_is_shown_without_its_secrets(hostname: str) -> None:
    secret = new_secret()

    with pytest.raises(URLError) as raised:
        parse_base(hostname.format(secret))

    assert [text for text in everything_in(raised.value) if found(secret, text)] == []


@pytest.mark.parametrize(
    "uri",
    [
        "//user:{}@evil.com/",
        "https://user:{}@host.com/",
        "https://user:{}@evil.com/",
        "https://user:{}/x@host.com/",
        "https://user:x#{}@host.com/",
        "user:{}@host.com",
        "https://evil.com/?token={}",
        "https://evil.com/?{}",
        "https://evil.com/#{}",
        "//evil.com/?token={}",
        "ftp://evil.com/?token={}",
        "mailto:user:{}@host.com",
        "\\\\evil.com\\?token={}",
        "https://[::1/?token={}",
    ],
)
def test_a_uri_that_is_refused_is_shown_without_its_secrets(uri: str) -> None:
    secret = new_secret()

    with pytest.raises(URLError) as raised:
        parse_base(BARE).url(uri.format(secret))

    assert [text for text in everything_in(raised.value) if found(secret, text)] == []


@pytest.mark.parametrize(
    "uri",
    [
        "https://other.com/accounts/{}",
        "ftp://other.com/accounts/{}",
        "//other.com/accounts/{}",
        "\\accounts/{}",
        "https://host.com:x/accounts/{}",
        "https://host .com/accounts/{}",
        "/accounts/{}\n",
    ],
)
def test_a_path_that_the_user_rewrites_is_not_shown_by_a_refusal(uri: str) -> None:
    secret = new_secret()
    redaction = Redaction(path=lambda path: path.replace(secret, "-"))

    with pytest.raises(URLError) as raised:
        parse_base(f"https://host.com/accounts/{secret}").url(uri.format(secret), redaction)

    assert [text for text in everything_in(raised.value) if found(secret, text)] == []
    assert "accounts/-" in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://[v1.{}]",
        "https://[{}]/x",
        "https://{}[::1]x/",
        "https://]{}",
        "host:{}",
    ],
)
@pytest.mark.parametrize("repeated", [":", ":a", "]:", "://"])
def test_a_url_that_is_refused_takes_no_time_however_hostile_it_is(url: str, repeated: str) -> None:
    before = time.process_time()

    with pytest.raises(URLError):
        parse_base(url.format(repeated * 20_000))

    # Some milliseconds, where each repetition that looks at all behind it takes many seconds.
    assert time.process_time() - before < 2


def test_a_path_that_the_user_rewrites_is_not_shown_of_a_host_name() -> None:
    secret = new_secret()
    redaction = Redaction(path=lambda path: path.replace(secret, "-"))

    with pytest.raises(URLError, match=r"'https://host\.com/accounts/-': a query"):
        parse_base(f"https://host.com/accounts/{secret}?x=1", redaction=redaction)


def test_a_refusal_names_both_origins_and_the_way_out() -> None:
    with pytest.raises(
        CrossOriginError,
        match=r"^'https://other\.com/books' is of another origin \(https://other\.com\) than this "
        r"connection \(https://host\.com\); find a connection to that host instead$",
    ):
        parse_base(PATH).url("https://other.com/books")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("the books service", "the books service"),
        ("books", "books"),
        ("admin:hunter22@db1", "db1"),
        ("key@db1", "db1"),
        ("a@b:c@db1", "db1"),
        ("ftp://files.example/pub", "ftp://files.example/pub"),
        (
            "ftp://u:p@files.example/?token=x",
            "ftp://REDACTED:REDACTED@files.example/?token=REDACTED",
        ),
    ],
)
def test_an_opaque_name_is_shown_without_what_may_be_userinfo(name: str, shown: str) -> None:
    assert shown_name(name) == shown


def test_a_base_is_a_value() -> None:
    assert parse_base(BARE) == parse_base(BARE)
    assert isinstance(hash(parse_base(BARE)), int)
    assert isinstance(parse_base(BARE), Base)

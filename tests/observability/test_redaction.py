"""Secrets are taken out of URLs, headers, requests, responses and texts, however they are written.

Rules:

1. Secrets are planted, in any letter case and encoding, and looked for as they are.
2. What is no secret is still there afterwards.
"""

from __future__ import annotations

import base64
import json
import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from requests.auth import HTTPBasicAuth

from sleepwalker.exceptions import (
    ConfigurationError,
    HTTPError,
    ReadTimeout,
    SleepwalkerException,
)
from sleepwalker.observability.redaction import (
    DEFAULT,
    HEADERS,
    PARAMETERS,
    REDACTED,
    WORDS,
    LowerError,
    Redaction,
    all_forms,
    causes,
)
from tests.planting import everything_in, found, new_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# What a planted secret may be made of: all that may stand unencoded in a query or in userinfo.
LEGAL = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$'()*+,"
SECRETS = st.text(LEGAL, min_size=4, max_size=24).map(lambda tail: f"S3CRET{tail}X")
SEPARATORS = ("", "-", "_", ".")
JWT = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJub2JvZHkifQ."
"""A JSON Web Token, of nobody and not signed."""


@st.composite
def recased(draw: st.DrawFn, name: str) -> str:
    """Write a name in any letter case."""
    return "".join(c.upper() if draw(st.booleans()) else c.lower() for c in name)


@st.composite
def parameter_names(draw: st.DrawFn) -> str:
    """Write the name of a secret parameter: one of the known, or one that holds a known word."""
    word = draw(st.sampled_from([*sorted(PARAMETERS), *WORDS, "key"]))
    if word in {*WORDS, "key"}:
        prefix = draw(st.sampled_from(["", "x", "X-Amz", "my", "user"]))
        word = prefix + draw(st.sampled_from(SEPARATORS)) + word
    return draw(recased(word))


@st.composite
def encoded(draw: st.DrawFn, name: str) -> str:
    """Percent-encode any of a name's characters, some of them twice."""
    ways = [lambda c: c, lambda c: f"%{ord(c):02x}", lambda c: f"%{ord(c):02X}"]
    ways.append(lambda c: f"%25{ord(c):02X}")
    return "".join(draw(st.sampled_from(ways))(c) for c in name)


# URLs


@given(st.data(), SECRETS)
def test_a_secret_parameter_is_taken_out_of_a_url_however_its_name_is_written(
    data: st.DataObject, secret: str
) -> None:
    name = data.draw(parameter_names().flatmap(encoded))
    before, after = data.draw(st.sampled_from([("?", "&"), ("?page=2&", "#"), ("?a;", ";")]))

    shown = DEFAULT.url(f"https://host.example/books{before}{name}={secret}{after}size=9")

    assert secret not in shown
    assert shown.startswith(f"https://host.example/books{before}{name}={REDACTED}")
    assert ("size=9" in shown) == (after != "#")


@given(SECRETS, SECRETS)
def test_userinfo_is_taken_out_of_a_url(user: str, password: str) -> None:
    shown = DEFAULT.url(f"https://{user}:{password}@host.example:8443/books?page=2")

    assert shown == f"https://{REDACTED}:{REDACTED}@host.example:8443/books?page=2"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://key@host.example/", f"https://{REDACTED}:{REDACTED}@host.example/"),
        ("https://a@b:c@host.example/", f"https://{REDACTED}:{REDACTED}@host.example/"),
        ("HTTPS://u:p@HOST.example/", f"https://{REDACTED}:{REDACTED}@HOST.example/"),
        ("https://u:p@[::1]:8443/", f"https://{REDACTED}:{REDACTED}@[::1]:8443/"),
        ("ftp://u:p@host.example/", f"ftp://{REDACTED}:{REDACTED}@host.example/"),
        ("socks5://u:p@host.example", f"socks5://{REDACTED}:{REDACTED}@host.example"),
        ("https://host.example/#access_token=abc", "https://host.example/"),
        ("/books?token=abc", f"/books?token={REDACTED}"),
        ("?token=abc", f"?token={REDACTED}"),
        ("https://host.example?token=abc", f"https://host.example?token={REDACTED}"),
        ("https://h/?token=", f"https://h/?token={REDACTED}"),
        ("https://h/?token=a=b", f"https://h/?token={REDACTED}"),
        ("https://h/?tokens[]=a&tokens[]=b", f"https://h/?tokens[]={REDACTED}&tokens[]={REDACTED}"),
        ("https://h/?a=b?token=abc", f"https://h/?a=b?token={REDACTED}"),
        ("https://h/?Signature=abc&Expires=17", f"https://h/?Signature={REDACTED}&Expires=17"),
        (
            "https://h/b?X-Amz-Credential=AK%2Fs3&X-Amz-Date=2&X-Amz-Signature=s",
            f"https://h/b?X-Amz-Credential={REDACTED}&X-Amz-Date=2&X-Amz-Signature={REDACTED}",
        ),
        ("https://h/?X-Amz-Security-Token=t", f"https://h/?X-Amz-Security-Token={REDACTED}"),
        ("https://h/?sv=2&sig=abc&se=3", f"https://h/?sv=2&sig={REDACTED}&se=3"),
        ("https://h/?AWSAccessKeyId=abc", f"https://h/?AWSAccessKeyId={REDACTED}"),
        ("https://h/?X-Goog-Signature=abc", f"https://h/?X-Goog-Signature={REDACTED}"),
        ("https://[::1/?token=abc", REDACTED),
        ("https://h/a;jsessionid=abc", f"https://h/a;jsessionid={REDACTED}"),
        ("https://h/a;v=2;token=abc/b?c=d", f"https://h/a;v=2;token={REDACTED}/b?c=d"),
        ("https://h/a%3bjsessionid=abc", f"https://h/a%3bjsessionid={REDACTED}"),
        ("https://h/?appid=abc", f"https://h/?appid={REDACTED}"),
        ("https://h/?client_assertion=abc", f"https://h/?client_assertion={REDACTED}"),
        ("https://h/?SAMLResponse=abc", f"https://h/?SAMLResponse={REDACTED}"),
        ("https://h/?SAMLRequest=abc", f"https://h/?SAMLRequest={REDACTED}"),
        ("https://h/?oauth_verifier=abc", f"https://h/?oauth_verifier={REDACTED}"),
        ("https://h/?code_verifier=abc&x=1", f"https://h/?code_verifier={REDACTED}&x=1"),
        ("https://h/?_csrf=abc&xsrf=abc", f"https://h/?_csrf={REDACTED}&xsrf={REDACTED}"),
        ("https://h/?cookies=abc", f"https://h/?cookies={REDACTED}"),
        ("https://h/?login[pin]=abc", f"https://h/?login[pin]={REDACTED}"),
        ("https://h/?login%5Bpin%5D[]=abc", f"https://h/?login%5Bpin%5D[]={REDACTED}"),
        ("https://h/?login.pin=abc&a.b=c", f"https://h/?login.pin={REDACTED}&a.b=c"),
        ("https://h/?%252573ig=abc", f"https://h/?%252573ig={REDACTED}"),
        ("https://h/?to%09ke%00n=abc", f"https://h/?to%09ke%00n={REDACTED}"),
        ("https://h/?token%3Dabc&page=2", f"https://h/?{REDACTED}&page=2"),
        ("https://h/?https%3A%2F%2Fo%2F%3Ftoken%3Dabc", f"https://h/?{REDACTED}"),
        ("https://h/?next=sig=abc", f"https://h/?next={REDACTED}"),
        ("https://h/a/https%3A%2F%2Fo%2F%3Ftoken%3Dabc/b", f"https://h/a/{REDACTED}/b"),
        ("https://h/a/https%3A%2F%2Fu:abc%40o/b", f"https://h/a/{REDACTED}/b"),
        ("https://h/a/https://u:abc@o/b", f"https://h/a/https://{REDACTED}:{REDACTED}@o/b"),
        ("https://h/a;token%3Dabc/b", f"https://h/{REDACTED}/b"),
        ("https://h/?where=%7B%22token%22%3A%20%22abc%22%7D", f"https://h/?where={REDACTED}"),
        ("https://u:abc/def@h/", f"https://{REDACTED}"),
        ("https://u:abc?def@h/", f"https://{REDACTED}"),
        ("https://u:abc#def@h/", f"https://{REDACTED}"),
        ("https:/u:abc@h/", f"https:{REDACTED}"),
        ("https:u:abc@h/", f"https:{REDACTED}"),
        (f"https://h/verify/{JWT}?x={JWT}", f"https://h/verify/{REDACTED}?x={REDACTED}"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert DEFAULT.url(url) == shown


@pytest.mark.parametrize(
    "inner",
    [
        "https://other.example/?token={}",
        "/login?access_token={}&x=1",
        "https://u:{}@other.example/",
        "a=1&api_key={}",
    ],
)
@pytest.mark.parametrize("times", [1, 2])
def test_a_url_within_a_value_is_shown_without_its_secrets(inner: str, times: int) -> None:
    secret = new_secret()
    value = inner.format(secret)
    for _ in range(times):
        value = quote(value, safe="")

    assert found(secret, DEFAULT.url(f"https://host.example/?next={value}&page=2")) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://host.example/books?page=2&size=9",
        "https://host.example:8443/a%20b/;v=1?q=token&sort=-date",
        "https://host.example/books?next=%2Fbooks%3Fpage%3D3",
        "https://host.example/passwords/token",
        "https://[2001:db8::1]/",
        "https://[2001:db8::1]/@reader",
        "https://host.example:8443/@reader?to=a@b.example",
        "https://host.example/a%3Db/c%22d%22:e?page%3D2",
        "https://host.example/?sort.by=date&fields[book]=title",
        "/books?page=2",
        "https://host.example/?token",
        "",
    ],
)
def test_a_url_without_secrets_is_shown_as_it_is(url: str) -> None:
    assert DEFAULT.url(url) == url


@given(st.data(), SECRETS)
def test_a_url_that_is_shown_stays_as_it_is_when_it_is_shown_again(
    data: st.DataObject, secret: str
) -> None:
    name = data.draw(parameter_names())
    shown = DEFAULT.url(f"https://{secret}@host.example/?{name}={secret}&page=2")

    assert DEFAULT.url(shown) == shown
    assert DEFAULT.text(shown) == shown


# Headers


@given(st.data(), SECRETS)
def test_a_secret_header_is_taken_out_however_its_name_is_written(
    data: st.DataObject, secret: str
) -> None:
    known = st.sampled_from(sorted(HEADERS))
    composed = st.builds(
        lambda prefix, separator, word: f"{prefix}{separator}{word}",
        st.sampled_from(["X", "Api", "Ocp-Apim-Subscription", "My"]),
        st.sampled_from(SEPARATORS),
        st.sampled_from([*WORDS, "key"]),
    )
    name = data.draw((known | composed).flatmap(recased))

    shown = DEFAULT.headers({name: secret, "Accept": "application/json"})

    assert dict(shown) == {name: REDACTED, "Accept": "application/json"}


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "Proxy-Authorization",
        "Cookie",
        "Set-Cookie",
        "X-Api-Key",
        "X-API-KEY",
        "apikey",
        "Api_Key",
        "X-Auth-Token",
        "X-Vault-Token",
        "X-CSRF-Token",
        "X-Amz-Security-Token",
        "X-Forwarded-Authorization",
        "X-Session-Id",
        "X-Goog-Iap-Jwt-Assertion",
        "Signature",
        "Idempotency-Key",
        "Auth",
        "X-Auth",
        "X-GitHub-OTP",
        "X-Pwd",
        "X-Pass",
        "X-PIN",
        "X-Sig",
        "X-Signature",
        "DPoP",
    ],
)
def test_these_headers_are_secret(name: str) -> None:
    assert DEFAULT.secret_header(name)


@pytest.mark.parametrize(
    "name",
    [
        "Accept",
        "Content-Type",
        "ETag",
        "User-Agent",
        "traceparent",
        "X-Request-Id",
        "Retry-After",
        "X-Author",
        "X-Shipping",
        "X-Pass-Through",
    ],
)
def test_these_headers_are_not(name: str) -> None:
    assert not DEFAULT.secret_header(name)


@pytest.mark.parametrize(
    "value",
    [
        "https://host.example/next?token={}",
        "/next?token={}",
        "https://user:{}@host.example/",
        '<https://host.example/?page=2&api_key={}>; rel="next"',
        "0; url=/next?token={}",
    ],
)
def test_a_url_in_any_header_is_shown_without_its_secrets(value: str) -> None:
    secret = new_secret()

    shown = DEFAULT.headers({"Location": value.format(secret), "Link": value.format(secret)})

    assert [text for text in shown.values() if found(secret, text)] == []


def test_header_values_that_are_bytes_are_shown_as_text() -> None:
    assert dict(DEFAULT.headers({"X-Api-Key": b"abc", "X-Name": b"caf\xe9"})) == {
        "X-Api-Key": REDACTED,
        "X-Name": "café",
    }


def test_header_names_that_are_bytes_are_names_like_any_other() -> None:
    given: Any = {b"X-Api-Key": b"abc", b"X-Page": "2"}

    assert dict(DEFAULT.headers(given)) == {"X-Api-Key": REDACTED, "X-Page": "2"}
    assert DEFAULT.secret_header(b"AUTHORIZATION")


def test_no_headers_are_no_headers() -> None:
    assert dict(DEFAULT.headers(None)) == {}


# Texts


@given(st.data(), SECRETS)
def test_a_secret_is_taken_out_of_a_url_in_the_middle_of_a_text(
    data: st.DataObject, secret: str
) -> None:
    name = data.draw(parameter_names())
    place = data.draw(
        st.sampled_from(
            [
                "GET https://host.example/?{name}={secret} failed",
                "at (https://host.example/?page=2&{name}={secret})",
                "Max retries exceeded with url: /?{name}={secret} (Caused by ...)",
                "'https://user:{secret}@host.example/'",
                "proxy http://{secret}@proxy.example:3128 says no",
                '<a href="https://host.example/?{name}={secret}">',
            ]
        )
    )

    shown = DEFAULT.text(place.format(name=name, secret=secret))

    assert secret not in shown
    # Nor is any part of it that a quote or bracket set apart.
    assert "S3CRET" not in shown
    assert not any(part in shown for part in secret.replace(")", "'").split("'") if len(part) > 3)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nothing to hide",
        "see https://host.example/books?page=2 and https://other.example/",
        "a=b&c=d",
        "if x == y: token",
        "the token was refused",
        "Basic authentication-needed, bearer of news, basic 2, eyJ.eyJ.",
        "mail to reader@host.example: no",
    ],
)
def test_a_text_without_secrets_is_shown_as_it_is(text: str) -> None:
    assert DEFAULT.text(text) == text


@given(secret=st.text(min_size=8, max_size=40), before=st.text(), after=st.text())
def test_a_known_secret_is_taken_out_of_any_text(secret: str, before: str, after: str) -> None:
    shown = DEFAULT.text(f"{before}{secret}{after}", (secret,))

    assert secret not in shown


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "token {} expired",
        "x%3D{}%26y",
        r"line\n{}\n",
        r'{{"token":"\u0026{}"}}',
        "prefix{}suffix",
    ],
)
def test_a_known_token_is_taken_out_whatever_stands_around_it(text: str) -> None:
    secret = new_secret()

    assert found(secret, DEFAULT.text(text.format(secret), (secret,))) is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("refused: Bearer abcdefghijk1.", f"refused: Bearer {REDACTED}"),
        ("'authorization': 'basic cmVhZGVyOjEyMw=='", f"'authorization': 'basic {REDACTED}'"),
        (f"no such {JWT}", f"no such {REDACTED}"),
        ("https:/reader:abc@h said no", f"https:/{REDACTED}:{REDACTED}@h said no"),
    ],
)
def test_what_has_the_form_of_a_credential_is_taken_out_of_a_text(text: str, shown: str) -> None:
    assert DEFAULT.text(text) == shown


HOW: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "percent": lambda s: quote(s, safe=""),
    "percent, twice": lambda s: quote(quote(s, safe=""), safe=""),
    "in a form": quote_plus,
    "in JSON": lambda s: json.dumps(s)[1:-1],
    "in JSON within JSON": lambda s: json.dumps(json.dumps({"a": s})),
    "in base64": lambda s: base64.b64encode(f"r:{s}".encode()).decode(),
    "in base64 of JSON": lambda s: base64.urlsafe_b64encode(json.dumps([s]).encode()).decode(),
    "in hexadecimal": lambda s: s.encode().hex(),
}
CASES: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "lower": str.lower,
    "upper": str.upper,
    "swapped": str.swapcase,
}


@given(
    st.text("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH-._~+/=%&", min_size=14, max_size=40),
    st.sampled_from(sorted(HOW)),
    st.sampled_from(sorted(CASES)),
)
def test_a_known_secret_is_taken_out_in_any_letters_and_encoding(
    secret: str, how: str, case: str
) -> None:
    text = f"no {CASES[case](HOW[how](secret))} here"

    shown = DEFAULT.text(text, all_forms([secret]))

    assert REDACTED in shown
    assert found(secret, shown) is None


def test_a_short_secret_is_taken_out_in_its_own_letters_only() -> None:
    assert DEFAULT.text("Test test TEST", ("test",)) == f"Test {REDACTED} TEST"


def test_a_short_secret_is_taken_out_as_a_word_only() -> None:
    shown = DEFAULT.text("the latest test of tests", ("test",))

    assert shown == f"the latest {REDACTED} of tests"


@pytest.mark.parametrize(
    "text",
    [
        "= " + "?" * 65_000,
        "= " + "?a" * 32_000,
        "= " + "&a" * 32_000,
        "a." * 32_000 + " ://",
        "a://" * 16_000,
        "https://h/?u=" + "%25" * 21_000 + "3D",
        "https://h/" + "?a=%3D" * 10_000,
        "-eyJ" * 16_000,
        "eyJaaaaaa." * 6_500,
        "bearer " * 9_000,
        "basic" + " " * 60_000,
        "http:" * 13_000 + "@",
        "https://h/" + "%22a%22 " * 8_000 + "@",
    ],
    ids=lambda text: text[:8],
)
def test_a_hostile_text_of_64_kb_does_not_take_long(text: str) -> None:
    started = time.process_time()

    DEFAULT.text(text)

    assert time.process_time() - started < 1.0


@pytest.mark.parametrize("innermost", ["x=1", "token=abc", "https://u:p@h/"])
def test_a_url_nested_in_itself_many_times_does_not_take_long(innermost: str) -> None:
    url = innermost
    for _ in range(40):
        url = f"https://h.example/?a={quote(url, safe='')}"
        started = time.process_time()
        DEFAULT.url(url)
        assert time.process_time() - started < 0.5


# Secrets of a request, and requests that may be shown


def request(
    headers: dict[str, str | bytes] | None = None, url: str = "https://host.example/"
) -> requests.PreparedRequest:
    """Make a prepared request."""
    return requests.Request("POST", url, headers=headers, data="a body").prepare()


def sent(**arguments: Any) -> requests.PreparedRequest:
    """Make a prepared request with a body."""
    return requests.Request("POST", "https://host.example/", **arguments).prepare()


def basic(user: str, password: str, encoding: str = "utf-8") -> str:
    """Make the header of a Basic credential."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode(encoding)).decode()


@pytest.mark.parametrize(
    ("prepared", "secrets"),
    [
        (request({"Authorization": "Bearer abcdef"}), {"Bearer abcdef", "abcdef"}),
        (request({"authorization": "abcdef"}), {"abcdef"}),
        (request({"X-Api-Key": b"abcdef"}), {"abcdef"}),
        (
            request({"Authorization": basic("somebody", "hunter22")}),
            {basic("somebody", "hunter22"), "somebody:hunter22", "somebody", "hunter22"},
        ),
        (
            request({"Authorization": basic("somebody", "hun:ter22").replace(" ", "  ")}),
            {"somebody:hun:ter22", "somebody", "hun:ter22"},
        ),
        (request({"Authorization": basic("", "pässwort", "latin-1")}), {"pässwort"}),
        (request({"Cookie": "sid=abcdef; theme=dark"}), {"abcdef", "sid=abcdef; theme=dark"}),
        (request(url="https://somebody:hunter%2022@h/"), {"hunter%2022", "hunter 22"}),
        (request(url="https://h/?page=2&token=ab%2Bcd&sig=e+f+g"), {"ab%2Bcd", "ab+cd", "e f g"}),
        (request(url="https://h/?page=2;token=abcdef&a=b?sig=ghijkl"), {"abcdef", "ghijkl"}),
        (request(url="https://h/a;v=2;jsessionid=abcdef/b"), {"abcdef"}),
        (sent(data={"a": "b", "Client_Secret": "ab+ef g"}), {"ab+ef g"}),
        (sent(json={"a": [{"password": "abcdef"}, {"pin": 12345}]}), {"abcdef", "12345"}),
        (sent(json={"tokens": ["abcdef", "ghijkl"]}), {"abcdef", "ghijkl"}),
        (sent(files={"f": ("f.txt", b"x"), "password": (None, "ab\ncdef")}), {"ab\ncdef"}),
    ],
)
def test_the_secrets_of_a_request_are_known_in_the_forms_they_have(
    prepared: requests.PreparedRequest, secrets: set[str]
) -> None:
    assert secrets - set(DEFAULT.secrets(prepared)) == set()


@pytest.mark.parametrize(
    "form",
    [
        str,
        quote_plus,
        quote,
        lambda s: quote(s, safe=""),
        lambda s: re.sub("%..", lambda escape: escape.group().lower(), quote(s, safe="")),
        lambda s: json.dumps(s)[1:-1],
        lambda s: json.dumps(s)[1:-1].replace("/", "\\/"),
        lambda s: base64.b64encode(s.encode()).decode().rstrip("="),
        lambda s: base64.urlsafe_b64encode(s.encode()).decode().rstrip("="),
    ],
)
def test_the_secrets_of_a_request_are_known_in_the_forms_they_may_come_back_in(
    form: Callable[[str], str],
) -> None:
    secret = 'p"ss wörd/+='

    known = DEFAULT.secrets(request({"Authorization": basic("somebody", secret)}))

    assert form(secret) in known


def test_longer_secrets_come_first_so_that_no_end_of_one_is_left() -> None:
    known = DEFAULT.secrets(request({"Authorization": "Bearer abcdef", "Cookie": "a=abcd"}))

    assert list(known) == sorted(known, key=len, reverse=True)
    assert DEFAULT.text("abcdef", known) == REDACTED


def test_values_of_other_parameters_and_headers_are_no_secrets() -> None:
    prepared = request({"Accept": "text/plain", "Cookie": "a=four"}, "https://h/?page=many&token=x")

    assert {"text/plain", "many"}.isdisjoint(DEFAULT.secrets(prepared))
    assert "four" in DEFAULT.secrets(prepared)


@pytest.mark.parametrize("nothing", [None, object(), requests.PreparedRequest()])
def test_what_is_no_request_has_no_secrets(nothing: Any) -> None:
    assert DEFAULT.secrets(nothing) == ()


@pytest.mark.parametrize(
    "prepared",
    [
        sent(data={"code": "abcdef", "key": "abcdef", "page": "abcdef"}),
        sent(json={"code": "abcdef", "key": ["abcdef"], "password": {"is": "abcdef"}}),
        sent(json={"password": [True, None], "token": "x" * 20_000}),
        sent(data='{"password": "abcdef"', headers={"Content-Type": "application/json"}),
        sent(data="password=abcdef", headers={"Content-Type": "text/plain"}),
        sent(data=iter([b"password=abcdef"])),
        sent(files={"page": (None, "abcdef"), "f": ("password", b"abcdef")}),
    ],
)
def test_what_a_body_has_under_common_names_is_no_secret(
    prepared: requests.PreparedRequest,
) -> None:
    assert DEFAULT.secrets(prepared) == ()


def test_what_users_call_secret_is_so_in_a_body_too() -> None:
    redaction = Redaction(parameters=["iban"])

    assert "abcdef" in redaction.secrets(sent(json={"account": {"IBAN": "abcdef"}}))
    assert DEFAULT.secrets(sent(json={"account": {"IBAN": "abcdef"}})) == ()


def test_values_too_short_to_be_looked_for_are_no_secrets() -> None:
    known = DEFAULT.secrets(request({"Cookie": "a=1; b=abc", "Accept": "text/plain"}))

    assert {"1", "abc"}.isdisjoint(known)
    assert "a=1; b=abc" in known


def test_a_request_that_may_be_shown_has_no_secret_no_body_and_no_hooks() -> None:
    secret = new_secret()
    prepared = request(
        {"Authorization": f"Bearer {secret}", "Cookie": secret, "Accept": "text/plain"},
        f"https://{secret}@host.example/books?page=2&token={secret}#{secret}",
    )
    prepared.hooks["response"].append(lambda *_, **__: None)

    shown = DEFAULT.request(prepared)

    assert shown is not None
    assert shown is not prepared
    assert (shown.method, shown.body) == ("POST", None)
    assert shown.url == f"https://{REDACTED}:{REDACTED}@host.example/books?page=2&token={REDACTED}"
    assert shown.headers["Accept"] == "text/plain"
    assert [text for text in everything_in(shown) if found(secret, text)] == []
    assert prepared.headers["Authorization"] == f"Bearer {secret}"
    assert DEFAULT.request(None) is None


# Responses


def response(
    prepared: requests.PreparedRequest | None = None, body: bytes = b"", **headers: str
) -> requests.Response:
    """Make a response."""
    made = requests.Response()
    made.status_code = 401
    made.reason = "Unauthorized"
    made.url = "https://host.example/"
    made.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    made.encoding = "utf-8"
    made.request = prepared  # type: ignore[assignment]
    made._content = body  # noqa: SLF001 - `requests` has no public way to give a response its body
    return made


def test_a_response_that_may_be_shown_has_no_secret_in_any_place() -> None:
    secret = new_secret()
    prepared = request(
        {"Authorization": f"Bearer {secret}"}, f"https://host.example/?token={secret}"
    )
    raw = response(
        prepared,
        f'{{"error": "{secret} is not valid", "page": 2}}'.encode(),
        Set_Cookie=f"sid={secret}",
        Location=f"https://host.example/?token={secret}",
        X_Echo=f"Bearer {secret}",
        WWW_Authenticate=f'Bearer error_description="token {secret} expired"',
        Content_Type="application/json",
    )
    raw.reason = f"Unauthorized {secret}"
    raw.url = f"https://{secret}@host.example/?token={secret}"
    raw.history = [response(prepared, secret.encode(), Set_Cookie=secret)]
    raw.cookies.set("sid", secret)

    shown = DEFAULT.response(raw)

    assert shown is not None
    assert [text for text in everything_in(shown) if found(secret, text)] == []
    assert shown.status_code == 401
    assert shown.reason == f"Unauthorized {REDACTED}"
    assert shown.json() == {"error": f"{REDACTED} is not valid", "page": 2}
    assert shown.headers["Content-Type"] == "application/json"
    assert len(shown.history) == 1
    assert raw.headers["X-Echo"] == f"Bearer {secret}"
    assert secret in raw.text
    assert DEFAULT.response(None) is None


@pytest.mark.parametrize(
    "written",
    [
        lambda secret: json.dumps({"password": secret}).encode(),
        lambda secret: json.dumps({"password": secret}, ensure_ascii=False).encode(),
        lambda secret: f"<p>{secret}</p>".encode(),
        lambda secret: f"password={quote(secret, safe='')}&x=1".encode(),
        lambda secret: f"password={quote_plus(secret)}&x=1".encode(),
    ],
)
def test_a_password_is_taken_out_of_a_body_however_it_is_written(
    written: Callable[[str], bytes],
) -> None:
    secret = f'p"ss wörd {new_secret()}'
    raw = response(request({"Authorization": basic("somebody", secret)}), written(secret))

    shown = DEFAULT.response(raw)

    assert shown is not None
    assert found(secret, shown.text) is None
    if b"{" in written(secret):
        assert shown.json() == {"password": REDACTED}


@pytest.mark.parametrize(
    "given",
    [
        {"Set_Cookie": "sid={}; Path=/books; HttpOnly"},
        {"Set_Cookie": "a=b; Expires=Wed, 21 Oct 2026 07:28:00 GMT, sid={}; Domain=h.example"},
        {"Set_Cookie": 'sid="{}"'},
        {"Location": "/store?X-Amz-Signature={}"},
        {"Location": "https://svc:{}@store.example/"},
        {"Location": "/store;jsessionid={}"},
        {"Set_Cookie": "sid={}, " + ", ".join(f"c=later-{n:05}" for n in range(5000))},
    ],
)
@pytest.mark.parametrize("where", ["itself", "history"])
def test_what_a_response_gives_is_taken_out_of_its_body(given: dict[str, str], where: str) -> None:
    secret = new_secret()
    body = f"session {secret} at /books is locked since 2026".encode()
    headers = {name: value.format(secret) for name, value in given.items()}
    raw = response(request(), body, **(headers if where == "itself" else {}))
    if where == "history":
        raw.history = [response(request(), body, **headers)]

    shown = DEFAULT.response(raw)

    assert shown is not None
    assert [text for text in everything_in(shown) if found(secret, text)] == []
    assert shown.text == f"session {REDACTED} at /books is locked since 2026"


@pytest.mark.parametrize(
    ("given", "body"),
    [
        ({"Set_Cookie": "consent=true; Path=/"}, '{"retryable": true, "error": "it is true"}'),
        ({"Set_Cookie": "PHPSESSID=deleted; Max-Age=0"}, '{"error": "the book was deleted"}'),
        ({"Location": "/cb?code=name"}, '{"name": "the name"}'),
    ],
)
def test_a_word_that_a_response_gives_is_left_where_it_stands(
    given: dict[str, str], body: str
) -> None:
    shown = DEFAULT.response(response(request(), body.encode(), **given))

    assert shown is not None
    assert shown.text == body


@pytest.mark.parametrize(
    "given",
    [
        {"Set_Cookie": ", ".join(f"c=v{n:08}" for n in range(20_000))},
        {"Location": "/?" + "&".join(f"token=v{n:08}" for n in range(20_000))},
    ],
)
def test_the_work_that_a_response_makes_is_limited(
    given: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    body = json.dumps([*range(2000), "v00000001"]).encode()
    looked_for = []
    without = Redaction._without  # noqa: SLF001 - what takes the time

    def counted(self: Redaction, text: str, secrets: Iterable[str]) -> str:
        secrets = list(secrets)
        looked_for.append(len(secrets))
        return without(self, text, secrets)

    monkeypatch.setattr(Redaction, "_without", counted)
    shown = DEFAULT.response(response(request(), body, **given))

    assert shown is not None
    assert "v00000001" not in shown.text
    # One secret in each of the tokens; in a few headers and the like, all hundred in their forms.
    assert sum(looked_for) < 2 * 2001 + 5000


@pytest.mark.parametrize(
    ("written", "secret"),
    [
        ('{{"e": "{}"}}', "a\\u0026b-hunter22"),
        ('{{"e": "{}"}}', "a\\u0026\\u0062-hunter22"),
        ('{{"e": "{}"', "a\\u0026b-hunter22"),
        ("<p>{}", "a&amp;b-hunter22"),
    ],
)
def test_a_secret_is_taken_out_of_a_body_though_its_characters_are_escaped(
    written: str, secret: str
) -> None:
    raw = response(request({"X-Api-Key": "a&b-hunter22"}), written.format(secret).encode())

    shown = DEFAULT.response(raw)

    assert shown is not None
    assert shown.text == written.format(REDACTED)


@pytest.mark.parametrize(
    ("secret", "written"),
    [
        ("tok+<'hunter22", r"tok\u002B\u003C\u0027hunter22"),
        ("tok+<'hunter22", r"tok+\u003c'hunter22"),
        ("tok+é hunter22", r"tok\u002B\u00E9 hunter22"),
        ("O'Bri\"n-hunter22", "O&#39;Bri&#34;n-hunter22"),
        ("O'Bri\"n-hunter22", "O&#39;Bri&quot;n-hunter22"),
        ("O'Bri\"n-hunter22", "O&#039;Bri&quot;n-hunter22"),
        ("O'Bri+n-hunter22", "O&#39;Bri&#43;n-hunter22"),
    ],
)
def test_a_secret_is_known_as_templates_and_other_languages_write_it(
    secret: str, written: str
) -> None:
    assert written in all_forms([secret])


def test_a_secret_that_spans_parts_of_a_json_body_is_taken_out_whole() -> None:
    secret = '{"k": "secretvalue"}'
    raw = response(request({"X-Api-Key": secret}), b'{"echo": {"k": "secretvalue"}}')

    shown = DEFAULT.response(raw)

    assert shown is not None
    assert shown.text == '{"echo": REDACTED}'


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [
        ("ISO-8859-1", "latin-1"),
        ("latin-1", "latin-1"),
        ("Shift_JIS", "shift_jis"),
        ("UTF-16", "utf-16"),
        ("utf-8", "utf-16"),
        (None, "utf-16-le"),
        (None, "utf-32"),
        ("utf-8", "utf-8-sig"),
        ("no-such", "utf-8"),
        ("base64", "utf-8"),
    ],
)
def test_a_secret_is_taken_out_of_a_body_in_any_encoding(
    charset: str | None, encoding: str
) -> None:
    secret = "パスワード-hunter22" if encoding == "shift_jis" else "pässwörter-22"
    raw = response(
        request({"Authorization": basic("somebody", secret)}),
        json.dumps({"e": f"not {secret}"}, ensure_ascii=False).encode(encoding),
    )
    raw.encoding = charset

    shown = DEFAULT.response(raw)

    assert shown is not None
    assert json.loads(shown.content.decode(encoding)) == {"e": f"not {REDACTED}"}


def test_a_secret_with_what_no_text_can_hold_is_a_secret_like_any_other() -> None:
    shown = DEFAULT.text("no \udcffhunter22", all_forms(["\udcffhunter22"]))

    assert shown == f"no {REDACTED}"


@pytest.mark.parametrize(
    ("secret", "body", "shown"),
    [
        ("12345678", '{"id":12345678}', '{"id":"REDACTED"}'),
        ("12345678", '[-12345678.5, "a 12345678"]', '["REDACTED", "a REDACTED"]'),
        ("true", '{"true": true, "a": "true"}', '{"true": true, "a": "REDACTED"}'),
        (
            "errors",
            '{"errors" : ["errors", "a\\"errors"]}',
            '{"errors" : ["REDACTED", "a\\"REDACTED"]}',
        ),
        ("abcdefgh", '{"abcdefgh": {"abcdefghi": 1}}', '{"REDACTED": {"REDACTEDi": 1}}'),
        ("12345678", "id:12345678", "id:REDACTED"),
        ("12345678", '{"id":12345678', '{"id":REDACTED'),
    ],
)
def test_a_body_that_is_json_stays_so_without_a_secret(secret: str, body: str, shown: str) -> None:
    made = DEFAULT.response(response(request({"X-Pin": secret}), body.encode()))

    assert made is not None
    assert made.text == shown


def test_a_response_that_may_be_shown_can_be_closed_and_gone_through() -> None:
    raw = response(body=b"no access")
    raw.history = [response(body=b"moved")]

    shown = DEFAULT.response(raw)

    assert shown is not None
    with shown, shown.history[0] as earlier:
        assert list(earlier.iter_content(2)) == [b"mo", b"ve", b"d"]
        assert list(shown.iter_lines()) == [b"no access"]


def test_a_body_that_is_no_text_is_shown_byte_for_byte() -> None:
    body = bytes(range(256)) * 4
    shown = DEFAULT.response(response(request({"Authorization": "Bearer no-such"}), body))

    assert shown is not None
    assert shown.content == body


def test_what_was_not_read_of_a_stream_is_not_read_to_be_shown() -> None:
    raw = response()
    raw._content = False  # noqa: SLF001 - as `requests` marks what is not read yet

    shown = DEFAULT.response(raw)

    assert shown is not None
    assert shown.content == b""
    assert raw._content is False  # noqa: SLF001 - see above


# What users add


def test_users_add_headers_and_parameters() -> None:
    redaction = Redaction(headers=["X-Account"], parameters=["Account-No"])

    shown = redaction.url("https://h/?account_no=7&ACCOUNT-NO=7&%61ccountno=7&page=2")

    assert shown == (
        f"https://h/?account_no={REDACTED}&ACCOUNT-NO={REDACTED}&%61ccountno={REDACTED}&page=2"
    )
    assert dict(redaction.headers({"x-account": "7", "X-Page": "2"})) == {
        "x-account": REDACTED,
        "X-Page": "2",
    }
    assert redaction.secret_header("Authorization")
    assert redaction.secret_parameter("token")
    assert not DEFAULT.secret_header("X-Account")


def test_users_rewrite_paths_that_hold_account_numbers() -> None:
    redaction = Redaction(path=lambda path: path.replace("4711", "{account}"))

    assert redaction.url("https://h/accounts/4711?page=2") == "https://h/accounts/{account}?page=2"
    assert redaction.text("at https://h/accounts/4711 now") == "at https://h/accounts/{account} now"


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("Location", "/a/4711?page=2#top", "/shown/a/-?page=2"),
        ("Location", "https://h/a/4711", "https://h/shown/a/-"),
        ("Content-Location", "/a/4711", "/shown/a/-"),
        (
            "Link",
            "</a/4711>; rel=next, <https://h/4711>",
            "</shown/a/->; rel=next, <https://h/shown/->",
        ),
        ("Link", '<b>; anchor="/a/4711"', '<b>; anchor="/shown/a/-"'),
        ("Refresh", "5; url=/a/4711", "5; url=/shown/a/-"),
        ("Refresh", "5; URL='/a/4711'", "5; URL='/shown/a/-'"),
        ("X-Next", "/a/4711", "/a/4711"),
    ],
)
def test_paths_in_headers_are_rewritten_once_with_a_host_and_without(
    name: str, value: str, shown: str
) -> None:
    redaction = Redaction(path=lambda p: f"/shown{p.replace('4711', '-')}" if p != "b" else p)

    assert dict(redaction.headers({name: value})) == {name: shown}


def test_the_fragment_of_a_location_without_a_host_is_not_shown() -> None:
    shown = DEFAULT.headers({"Location": "/callback#access_token=abcdef"})

    assert shown["Location"] == "/callback"


def test_a_path_is_rewritten_once_in_a_request_and_in_a_response() -> None:
    redaction = Redaction(path=lambda path: f"/shown{path}")
    raw = response(request(url="https://h/a"))
    raw.url = "https://h/a"

    shown = redaction.response(raw)

    assert shown is not None
    assert (shown.url, shown.request.url) == ("https://h/shown/a", "https://h/shown/a")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"headers": "X-Foo"}, "headers must be a list of names"),
        ({"headers": b"X-Foo"}, "headers must be a list of names"),
        ({"headers": [b"X-Foo"]}, "headers must be a list of names"),
        ({"headers": 5}, "headers must be a list of names"),
        ({"parameters": "iban"}, "parameters must be a list of names"),
        ({"parameters": [5]}, "parameters must be a list of names"),
        ({"parameters": None}, "parameters must be a list of names"),
        ({"path": "/accounts"}, "path must be a function of a path, not str"),
    ],
)
def test_what_users_add_must_be_names_and_a_function(options: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        Redaction(**options)


@pytest.mark.parametrize("path", [lambda _: 1 / 0, lambda _: (_ for _ in ()).throw(KeyError)])
def test_a_rewriter_that_fails_shows_nothing_of_the_path_and_fails_nothing(
    path: Callable[[str], str],
) -> None:
    shown = Redaction(path=path).url("https://h/accounts/4711?page=2")

    assert "4711" not in shown
    assert shown.startswith("https://h/")


def test_a_redaction_says_how_much_users_added_and_not_what() -> None:
    redaction = Redaction(headers=["X-Account", "Cookie"], parameters=["account"])

    assert repr(redaction) == "<Redaction 1 headers and 1 parameters of the user's>"


# Causes


def shown_exchange() -> requests.Response:
    """Make an answer to an authenticated request, as our errors have it."""
    prepared = request(
        {"Authorization": basic("svc", "hunter22")}, "https://svc:hunter22@h/?sig=ab"
    )
    shown = DEFAULT.response(response(prepared, Set_Cookie="sid=abcdef"))
    assert shown is not None
    return shown


def test_what_may_be_shown_of_a_request_has_no_secrets_left() -> None:
    assert REDACTED not in DEFAULT.secrets(shown_exchange().request)


def test_an_exception_without_a_secret_stays_a_cause_itself() -> None:
    error = OSError(111, "Connection refused")

    assert DEFAULT.cause(error, ("abcdefgh",)) is error


@pytest.mark.parametrize(
    "error",
    [
        requests.ConnectionError("refused"),
        ReadTimeout(
            "stalled", request=DEFAULT.request(request()), response=DEFAULT.response(response())
        ),
        HTTPError(shown_exchange(), request=shown_exchange().request, attempts=1),
        KeyError("login failed", HTTPBasicAuth("somebody", "hunter22")),
    ],
)
def test_an_exception_that_carries_nothing_secret_stays_a_cause_itself(error: Exception) -> None:
    assert DEFAULT.cause(error, ("abcdefgh",)) is error


@pytest.mark.parametrize(
    "make",
    [
        lambda secret: KeyError("login failed", HTTPBasicAuth("somebody", secret)),
        lambda secret: KeyError("login failed", {"auth": HTTPBasicAuth("somebody", secret)}),
        lambda secret: KeyError(f"login with {secret} failed"),
        lambda secret: OSError(2, "No such file", f"/secrets/{secret}"),
        lambda secret: requests.ConnectionError(
            "refused", request=request({"Authorization": f"Bearer {secret}"})
        ),
        lambda secret: requests.HTTPError("no", response=response(Set_Cookie=secret)),
        lambda secret: RuntimeError("outer", KeyError(secret)),
    ],
)
def test_an_exception_that_holds_a_secret_has_a_stand_in(
    make: Callable[[str], Exception],
) -> None:
    secret = new_secret()
    error = make(secret)

    shown = DEFAULT.cause(error, (secret,))

    assert isinstance(shown, LowerError | requests.RequestException)
    assert shown is not error
    assert type(error).__name__ in repr(shown)
    assert [text for text in everything_in(shown) if found(secret, text)] == []


class LoginFailedError(Exception):
    """A hook's own error."""


class Refused:
    """An answer of a library like `requests`, httpx for instance."""

    def __init__(self, secret: str) -> None:
        self.headers = {"X-Echo": secret}

    def __repr__(self) -> str:
        return "<Refused>"


def exchange(secret: str) -> requests.Response:
    """Make what a hook gets for a login by `requests`."""
    prepared = requests.Request(
        "POST", f"https://h/login?token={secret}", auth=("svc", secret), data={"pw": secret}
    )
    return response(prepared.prepare(), b"no", Set_Cookie=f"sid={secret}")


def held(name: str, thing: object) -> Exception:
    """Make a hook's error that has something as an attribute."""
    error = LoginFailedError("no login")
    setattr(error, name, thing)
    return error


def because(error: Exception, cause: Exception, *, said: bool = True) -> Exception:
    """Put a cause behind an error, said or not."""
    if said:
        error.__cause__ = cause
    else:
        error.__context__ = cause
    return error


@pytest.mark.parametrize(
    "make",
    [
        lambda secret: because(
            LoginFailedError("no"), requests.HTTPError("403", response=exchange(secret))
        ),
        lambda secret: because(
            LoginFailedError("no"), requests.HTTPError("403", response=exchange(secret)), said=False
        ),
        lambda secret: because(
            LoginFailedError("no"), requests.ConnectionError(f"no answer: /login?token={secret}")
        ),
        lambda secret: held("response", exchange(secret)),
        lambda secret: held("request", exchange(secret).request),
        lambda secret: held("asked", [requests.Request("GET", "https://h/", auth=("svc", secret))]),
        lambda secret: held("answers", {"login": exchange(secret)}),
        lambda secret: held("answer", Refused(secret)),
        lambda secret: held("url", f"https://svc:{secret}@h/"),
        lambda secret: LoginFailedError("no login", exchange(secret)),
        lambda secret: ReadTimeout("stalled", response=exchange(secret)),
        lambda secret: ReadTimeout("stalled", request=exchange(secret).request),
        lambda secret: ExceptionGroup("no", [requests.HTTPError("403", response=exchange(secret))]),
    ],
)
def test_an_exception_that_holds_an_exchange_has_a_stand_in_though_nobody_knows_the_secret(
    make: Callable[[str], Exception],
) -> None:
    secret = new_secret()
    error = make(secret)

    shown = DEFAULT.cause(error, ())

    assert isinstance(shown, LowerError)
    assert (shown.__cause__, shown.__context__) == (None, None)
    assert [text for text in everything_in(shown) if found(secret, text)] == []


def test_a_chain_that_is_too_long_to_be_followed_has_a_stand_in() -> None:
    chain: Exception = requests.HTTPError("403", response=exchange("abcdefgh"))
    for number in range(16):
        chain = because(KeyError(number), chain)

    assert isinstance(DEFAULT.cause(chain, ()), LowerError)


def test_an_error_of_a_class_below_ours_that_was_never_made_whole_is_a_cause_all_the_same() -> None:
    class HalfError(SleepwalkerException):
        def __init__(self) -> None:
            pass

    error = HalfError()

    assert DEFAULT.cause(error, ()) is error


def test_a_note_that_tells_a_secret_has_a_stand_in() -> None:
    error = LoginFailedError("no")
    error.add_note("at https://h/?token=abcdef")

    assert isinstance(DEFAULT.cause(error, ()), LowerError)


def test_what_was_handled_when_all_began_is_no_reason_for_a_stand_in() -> None:
    outside = requests.HTTPError("403", response=exchange("abcdefgh"))
    error = because(OSError(111, "Connection refused"), outside, said=False)

    assert DEFAULT.cause(error, (), outside) is error
    assert isinstance(DEFAULT.cause(error, ()), LowerError)


@pytest.mark.parametrize(
    "cls", [requests.HTTPError, requests.ConnectionError, requests.exceptions.ReadTimeout]
)
def test_an_error_of_requests_has_a_stand_in_of_its_own_class(
    cls: type[requests.RequestException],
) -> None:
    secret = new_secret()
    error = because(
        cls(f"403 for https://h/login?token={secret}", response=exchange(secret)), KeyError(secret)
    )

    shown = DEFAULT.cause(error, ())

    assert type(shown) is cls
    assert str(shown) == f"403 for https://h/login?token={REDACTED}"
    assert shown.response is not None
    assert shown.response.status_code == 401
    assert shown.request is not None
    assert shown.request.headers["Authorization"] == REDACTED
    assert (shown.__cause__, shown.__context__) == (None, None)
    assert [text for text in everything_in(shown) if found(secret, text)] == []


def test_a_decode_error_of_requests_has_a_stand_in_without_the_body() -> None:
    secret = new_secret()
    error = requests.exceptions.JSONDecodeError("no JSON", f"token {secret}", 3)

    shown = DEFAULT.cause(error, (secret,))

    assert isinstance(shown, requests.exceptions.JSONDecodeError)
    assert str(shown) == "no JSON: line 1 column 4 (char 3)"
    assert shown.msg == "no JSON"
    assert (shown.doc, shown.pos, shown.lineno, shown.colno) == ("", 3, 1, 4)
    assert [text for text in everything_in(shown) if found(secret, text)] == []


@pytest.mark.parametrize(
    "error", [RuntimeError("latest version"), KeyError("testing"), OSError(1, "no", "/latest")]
)
def test_a_short_secret_within_a_word_is_no_reason_for_a_stand_in(error: Exception) -> None:
    assert DEFAULT.cause(error, ("test",)) is error
    assert isinstance(DEFAULT.cause(KeyError("a test"), ("test",)), LowerError)


def test_an_exception_that_holds_too_much_to_be_looked_through_has_a_stand_in() -> None:
    def held_by(number: int) -> BaseException:
        return DEFAULT.cause(held("about", [0] * number), ("abcdefgh",))

    assert isinstance(held_by(900), LoginFailedError)
    assert isinstance(held_by(1000), LowerError)


def test_what_is_too_much_to_be_looked_through_is_not_looked_at() -> None:
    shown = []

    class Telling:
        def __repr__(self) -> str:
            shown.append(self)
            return "<Telling>"

    DEFAULT.cause(held("about", [Telling() for _ in range(1000)]), ("abcdefgh",))

    assert shown == []


def test_an_exception_that_cannot_tell_its_own_text_is_a_cause_like_any_other() -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    error = MuteError()

    assert DEFAULT.cause(error, ("abcdefgh",)) is error


def test_a_secret_in_the_cause_of_a_cause_has_a_stand_in_too() -> None:
    secret = new_secret()
    error = RuntimeError("outer")
    error.__cause__ = KeyError(secret)

    shown = DEFAULT.cause(error, (secret,))

    assert [text for text in everything_in(shown) if found(secret, text)] == []


def test_causes_are_followed_once_each_and_not_without_end() -> None:
    one, other = KeyError("one"), KeyError("other")
    one.__cause__, other.__cause__ = other, one
    chain: BaseException = KeyError(0)
    for number in range(1, 100):
        above = KeyError(number)
        above.__cause__, chain = chain, above

    assert list(causes(one)) == [one, other]
    assert list(causes(one, outside=other)) == [one]
    assert len(list(causes(chain))) == 16

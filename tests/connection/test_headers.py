"""Methods and headers are checked before they are sent, and no error shows a value."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from sleepwalker.connection import _headers
from sleepwalker.exceptions import ConfigurationError, HeaderError
from tests.planting import everything_in, found, new_secret

# Methods


@pytest.mark.parametrize(
    ("method", "checked"),
    [
        ("GET", "GET"),
        ("get", "GET"),
        ("Patch", "PATCH"),
        ("PURGE", "PURGE"),
        ("M-SEARCH", "M-SEARCH"),
        ("x!#$%&'*+.^_`|~", "X!#$%&'*+.^_`|~"),
    ],
)
def test_a_method_is_a_token_in_upper_case(method: str, checked: str) -> None:
    assert _headers.checked_method(method) == checked
    assert _headers.shown_method(method) == checked


@pytest.mark.parametrize(
    "method",
    [
        *("", " ", "GET ", " GET", "GET /", "GET\r\nX: y", "GET\n", "GÉT", "a:b", "\0"),
        *(b"GET", None, 7, ("GET",)),
    ],
)
def test_anything_else_is_no_method_and_is_not_shown(method: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^method must be a name such as 'GET', not "):
        _headers.checked_method(method)
    assert _headers.shown_method(method) == "_OTHER"


def test_a_method_that_is_none_is_not_quoted() -> None:
    secret = new_secret()

    with pytest.raises(ConfigurationError) as raised:
        _headers.checked_method(f"GET /?token={secret}")

    assert [text for text in everything_in(raised.value) if found(secret, text)] == []


# Headers that can be sent


def test_no_headers_are_no_headers() -> None:
    assert dict(_headers.checked(None)) == {}
    assert dict(_headers.checked({})) == {}


@pytest.mark.parametrize("make", [dict, MappingProxyType, CaseInsensitiveDict])
def test_headers_are_copied_from_any_mapping(make: Any) -> None:
    given_ = make({"X-One": "1", "X-Two": b"2"})

    made = _headers.checked(given_)
    made["X-One"] = "changed"

    assert given_["X-One"] == "1"
    assert dict(made) == {"X-One": "changed", "X-Two": b"2"}


def test_names_are_the_same_in_any_letter_case_and_the_last_wins() -> None:
    made = _headers.checked({"X-One": "1", "x-one": "2"})

    assert dict(made) == {"x-one": "2"}
    assert made["X-ONE"] == "2"


def test_a_callers_headers_beat_defaults_and_none_removes_one() -> None:
    defaults = {"Accept": "application/json", "X-Kept": "1"}

    made = _headers.checked({"accept": None, "X-New": "2"}, defaults)

    assert dict(made) == {"accept": None, "X-Kept": "1", "X-New": "2"}
    assert defaults == {"Accept": "application/json", "X-Kept": "1"}


def test_a_name_may_be_bytes() -> None:
    assert dict(_headers.checked({b"X-One": "1"})) == {"X-One": "1"}


@pytest.mark.parametrize(
    "value", ["", "1", "a b", "a ", "a\tb", "caf\xe9", b"\xff\xfe", b"", 'W/"x"', "a" * 10_000]
)
def test_a_value_is_sent_as_it_is(value: str | bytes) -> None:
    assert _headers.checked({"X-One": value})["X-One"] == value


# Headers that can't


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("a\r\nX-Evil: 1", "line breaks"),
        ("a\nb", "line breaks"),
        ("a\rb", "line breaks"),
        ("a\n", "line breaks"),
        ("\n", "line breaks"),
        ("a\r\n b", "line breaks"),
        ("a\0b", "NUL"),
        (" a", "leading space"),
        ("\ta", "leading space"),
        (" ", "leading space"),
        (b"a\r\nX-Evil: 1", "line breaks"),
        (b" a", "leading space"),
        ("a\N{EURO SIGN}", "Latin-1"),
        ("\N{GRINNING FACE}", "Latin-1"),
        ("\ud800", "Latin-1"),
        (1, "must be text, not int"),
        (1.5, "must be text, not float"),
        (True, "must be text, not bool"),
        (["a"], "must be text, not list"),
        (bytearray(b"a"), "must be text, not bytearray"),
        ({}, "must be text, not dict"),
    ],
)
def test_a_value_that_cannot_be_sent_is_an_error_that_names_the_header(
    value: Any, told: str
) -> None:
    with pytest.raises(
        HeaderError, match=f"header X-One must .*{told}|header X-One {told}"
    ) as raised:
        _headers.checked({"X-One": value})

    assert isinstance(raised.value, ValueError)
    assert isinstance(raised.value, requests.exceptions.InvalidHeader)


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", "X One", "X-One:", "X-One\r\nX-Evil: 1", "X-One\n", "X\0", "É", "(x)"),
        *("\N{EURO SIGN}", b"X One", 7, None, ("X",)),
    ],
)
def test_a_name_that_is_no_token_is_an_error(name: Any) -> None:
    with pytest.raises(HeaderError, match="a header's name must be a token"):
        _headers.checked({name: "1"})


@pytest.mark.parametrize("headers", [[("X-One", "1")], "X-One: 1", 7, {"X-One"}, b""])
def test_what_is_no_mapping_is_an_error(headers: Any) -> None:
    with pytest.raises(HeaderError, match=r"headers must be a mapping of names to values, not "):
        _headers.checked(headers)


@pytest.mark.parametrize(
    "make",
    [
        lambda s: {"X-Token": f"{s}\r\n"},
        lambda s: {"X-Token": f" {s}"},
        lambda s: {"X-Token": f"{s}\N{EURO SIGN}"},
        lambda s: {"X-Token": [s]},
        lambda s: {f"X-Token: {s}": "1"},
        lambda s: [("X-Token", s)],
        lambda s: s,
    ],
)
def test_an_error_about_a_header_shows_no_value(make: Any) -> None:
    secret = new_secret()

    with pytest.raises(HeaderError) as raised:
        _headers.checked(make(secret))

    assert [text for text in everything_in(raised.value) if found(secret, text)] == []


@given(st.text(max_size=10), st.text(max_size=10) | st.binary(max_size=10))
def test_what_passes_is_one_line_on_the_wire(name: str, value: str | bytes) -> None:
    try:
        checked = _headers.checked({name: value})
    except HeaderError:
        return
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    line = f"{name}: {text}".encode("latin-1")

    assert list(checked) == [name]
    assert not {b"\r", b"\n", b"\0"} & {line[i : i + 1] for i in range(len(line))}


@pytest.mark.parametrize(
    ("content_type", "charset"),
    [
        (None, None),
        ("", None),
        ("application/json", None),
        ("application/json; charset=utf-8", "utf-8"),
        ('text/html; q=1; CHARSET="ISO-8859-1"', "iso-8859-1"),
        ("application/json; charset=", None),
        (";;;", None),
    ],
)
def test_a_charset_is_what_the_content_type_names(
    content_type: str | None, charset: str | None
) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}

    assert (_headers.charset(headers) or None) == charset

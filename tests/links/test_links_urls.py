"""References are resolved, and URLs told apart, as the libraries do it, only sooner."""

from __future__ import annotations

from urllib.parse import urldefrag, urljoin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepwalker.links._urls import _normalised, canonical, joined

# Whatever a short way may not take for plain stands among it.
_PIECES = st.sampled_from(
    ["/", "//", ".", "..", "a", "B9", "-", "~", "%2f", "%", "?", "#", ";", ":", "=", "&", "é", "\\"]
)
TAILS = st.lists(_PIECES, max_size=8).map("".join)
HOSTS = [
    "http://host.example",
    "https://Host.example:443",
    "http://host:80",
    "http://127.0.0.1:8080",
]
STARTS = st.sampled_from(
    [
        *HOSTS,
        "http://host:99999",
        "http://host:",
        "http://[::1]:80",
        "http://us@host",
        "HTTP://host",
        "http://",
        "ftp://host",
        "",
    ]
)
URLS = st.tuples(STARTS, TAILS).map("".join)


def slowly(base: str, reference: str) -> str | None:
    try:
        return urldefrag(urljoin(base, reference)).url
    except ValueError:
        return None


def quickly(base: str, reference: str) -> str | None:
    try:
        return joined(base, reference)
    except ValueError:
        return None


@given(base=URLS, reference=URLS)
def test_a_reference_is_resolved_as_urllib_does_it(base: str, reference: str) -> None:
    assert quickly(base, reference) == slowly(base, reference)


@given(url=URLS)
def test_what_is_plain_is_normalised_as_everything_else_is(url: str) -> None:
    without = urldefrag(url).url

    assert canonical(url) == (_normalised(without) or without)


@given(url=st.tuples(st.sampled_from(HOSTS), TAILS).map("".join))
def test_what_is_canonical_stays_as_it_is(url: str) -> None:
    once = canonical(url)

    assert canonical(once) == once


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("HTTPS://Host.Example/a", "https://host.example/a"),
        ("https://host.example:443/a", "https://host.example/a"),
        ("http://host.example:80", "http://host.example/"),
        ("http://host.example:443/", "http://host.example:443/"),
        ("https://host.example", "https://host.example/"),
        ("https://host.example?q=1", "https://host.example/?q=1"),
        ("https://host.example/a/../b/./c", "https://host.example/b/c"),
        ("https://host.example/%7euser", "https://host.example/~user"),
        ("https://host.example/%e9", "https://host.example/%E9"),
        ("https://host.example/a/%2e%2E/b", "https://host.example/b"),
        ("https://host.example/?q=%41%3d", "https://host.example/?q=A%3D"),
        ("https://host.example/100%", "https://host.example/100%25"),
        ("https://host.example/a#part", "https://host.example/a"),
        ("https://host.example/A?B=c&a=%2f", "https://host.example/A?B=c&a=%2F"),
        ("https://host.example/a b", "https://host.example/a%20b"),
        ("https://host.example/a//b", "https://host.example/a//b"),
        ("https://[2001:DB8::1]:443/", "https://[2001:db8::1]/"),
    ],
)
def test_all_spellings_of_a_url_have_one_text(url: str, same: str) -> None:
    assert canonical(url) == same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://host.example/a", "https://host.example/a/"),
        ("https://host.example/a", "https://host.example/A"),
        ("https://host.example/a?x=1&y=2", "https://host.example/a?y=2&x=1"),
        ("https://host.example/a%2Fb", "https://host.example/a/b"),
        ("https://host.example/a", "http://host.example/a"),
    ],
)
def test_what_may_be_another_resource_has_another_text(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)

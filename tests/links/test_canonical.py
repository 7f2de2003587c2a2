"""One text for all spellings of a URL: what pages and traversals know a resource by."""

from __future__ import annotations

import pytest

from sleepwalker.links._urls import canonical


@pytest.mark.parametrize(
    ("spelling", "text"),
    [
        ("https://library.example/books", "https://library.example/books"),
        ("HTTPS://Library.EXAMPLE:443/books#shelf", "https://library.example/books"),
        ("http://library.example:80", "http://library.example/"),
        ("http://library.example:443/", "http://library.example:443/"),
        ("https://library.example/a/./b/../c", "https://library.example/a/c"),
        ("https://library.example/%e2%82%ac", "https://library.example/%E2%82%AC"),
        ("https://library.example/?b=1&a=2", "https://library.example/?b=1&a=2"),
        ("https://[::1]:443/a", "https://[::1]/a"),
        # What is no absolute URL stays as it is.
        ("/books/7?a=1#b", "/books/7?a=1"),
        ("", ""),
        ("https://[::1/", "https://[::1/"),
        ("https://[::1/#a", "https://[::1/"),
        ("https://a.example:port/", "https://a.example:port/"),
    ],
)
def test_spellings_of_a_url_are_one(spelling: str, text: str) -> None:
    assert canonical(spelling) == text
    assert canonical(text) == text


@pytest.mark.parametrize(
    "other",
    [
        "http://library.example/books",
        "https://library.example/Books",
        "https://library.example/books/",
        "https://library.example/books?",
        "https://www.library.example/books",
    ],
)
def test_other_urls_are_others(other: str) -> None:
    assert canonical(other) != canonical("https://library.example/books")

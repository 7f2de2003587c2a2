"""JSON Pointers, absolute and relative, find what their specifications say they find."""

from __future__ import annotations

from typing import Any

import pytest

from sleepwalker.exceptions import ConfigurationError
from sleepwalker.links.formats._pointing import (
    MISSING,
    Path,
    pointer,
    pointer_or_relative,
    written,
)

RFC_6901 = {
    "foo": ["bar", "baz"],
    "": 0,
    "a/b": 1,
    "c%d": 2,
    "e^f": 3,
    "g|h": 4,
    "i\\j": 5,
    'k"l': 6,
    " ": 7,
    "m~n": 8,
}
NESTED: dict[str, Any] = {
    "foo": ["bar", "baz"],
    "highly": {"nested": {"objects": True}},
}
BAZ: Path = ("foo", 1)
OBJECT: Path = ("highly", "nested")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", RFC_6901),
        ("/foo", ["bar", "baz"]),
        ("/foo/0", "bar"),
        ("/", 0),
        ("/a~1b", 1),
        ("/c%d", 2),
        ("/e^f", 3),
        ("/g|h", 4),
        ("/i\\j", 5),
        ('/k"l', 6),
        ("/ ", 7),
        ("/m~0n", 8),
    ],
)
def test_the_pointers_of_rfc_6901_section_5(text: str, value: Any) -> None:
    assert pointer(text, "it").found(RFC_6901) == value
    path = pointer(text, "it").path(RFC_6901)
    assert path is not None
    assert written(path) == text


@pytest.mark.parametrize(
    "text",
    [
        "/nowhere",
        "/foo/2",
        "/foo/-",
        "/foo/01",
        "/foo/-1",
        "/foo/1a",
        "/foo/\u0661",
        f"/foo/{'9' * 5000}",
        "/foo/0/0",
        "/foo/x",
        "/a/b",
        "/a~1b/0",
        "/foo/",
    ],
)
def test_what_is_not_there_is_missing_and_no_error(text: str) -> None:
    assert pointer(text, "it").found(RFC_6901) is MISSING
    assert pointer(text, "it").path(RFC_6901) is None


def test_null_is_there() -> None:
    assert pointer("/a", "it").found({"a": None}) is None
    assert repr(MISSING) == "MISSING"


@pytest.mark.parametrize("text", ["foo", "/~", "/~2", "#/foo", "0", 7, None, ["/foo"]])
def test_what_is_no_pointer_is_told_to_whoever_gives_it(text: Any) -> None:
    with pytest.raises(ConfigurationError, match="it must be a JSON Pointer"):
        pointer(text, "it")


@pytest.mark.parametrize(
    ("at", "text", "value"),
    [
        (BAZ, "0", "baz"),
        (BAZ, "1/0", "bar"),
        (BAZ, "2/highly/nested/objects", True),
        (BAZ, "0#", 1),
        (BAZ, "1#", "foo"),
        (OBJECT, "0/objects", True),
        (OBJECT, "1/nested/objects", True),
        (OBJECT, "2/foo/0", "bar"),
        (OBJECT, "0#", "nested"),
        (OBJECT, "1#", "highly"),
        # Section 4: there is nothing above the root, and the root has no name.
        (BAZ, "3", MISSING),
        (BAZ, "2#", MISSING),
        (BAZ, "1/2", MISSING),
        # An absolute one starts at the root wherever it stands.
        (BAZ, "/highly/nested/objects", True),
    ],
)
def test_the_relative_pointers_of_the_draft_section_5(at: Path, text: str, value: Any) -> None:
    found = pointer_or_relative(text, "it").found(NESTED, at)

    assert found is MISSING if value is MISSING else found == value


@pytest.mark.parametrize(
    ("text", "path"),
    [("0", BAZ), ("1", ("foo",)), ("1/0", ("foo", 0)), ("2", ()), ("3", None), ("0#", None)],
)
def test_a_relative_pointer_leads_to_a_place(text: str, path: Path | None) -> None:
    assert pointer_or_relative(text, "it").path(NESTED, BAZ) == path


@pytest.mark.parametrize("text", ["-1", "01", "1#/foo", "1foo", "0/~", "x", "1+1", "9" * 40])
def test_what_is_no_relative_pointer_either_is_told(text: str) -> None:
    with pytest.raises(ConfigurationError):
        pointer_or_relative(text, "it")

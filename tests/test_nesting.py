"""How deep a document is nested, against a decoder that knows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sleepwalker._nesting import is_deeper

TEXTS = st.text(alphabet='[]{}"\\,:a\u00e9\u015d\n', max_size=6)
VALUES = st.recursive(
    st.none() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)


def depth_of(value: Any) -> int:
    """Give how deep a value is nested."""
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


@given(
    value=VALUES,
    most=st.integers(1, 8),
    around=st.integers(0, 8),
    ascii_only=st.booleans(),
    indent=st.none() | st.just(1),
    encoding=st.sampled_from(["utf-8", "utf-16", "utf-16-le", "utf-32-be"]),
)
def test_a_document_is_deeper_exactly_when_its_value_is(
    value: Any, most: int, around: int, encoding: str, indent: int | None, *, ascii_only: bool
) -> None:
    for _ in range(around):
        value = [value]
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)

    assert is_deeper(text.encode(encoding), most) == (depth_of(value) > most)


@given(text=st.text(alphabet='[]{}"\\,:a1 ', max_size=30), most=st.integers(1, 5))
@example(text="[{]}}", most=1)
def test_what_is_no_json_is_called_deep_wherever_json_would_go_deeper(text: str, most: int) -> None:
    if not is_deeper(text.encode(), most):
        assert reached(text) <= most


def reached(text: str) -> int:
    """Give how deep json goes into a text before it finds an error, at most."""
    depth, deepest, at, closers = 0, 0, 0, ""
    while at < len(text):
        mark = text[at]
        if mark == '"':
            at += 1
            while at < len(text) and text[at] != '"':
                at += 2 if text[at] == "\\" else 1
        elif mark in "[{":
            depth, closers = depth + 1, closers + ("]" if mark == "[" else "}")
            deepest = max(deepest, depth)
        elif mark in "]}":
            if not closers.endswith(mark):
                break
            depth, closers = depth - 1, closers[:-1]
        elif mark == "\\":
            break
        at += 1
    return deepest


@pytest.mark.parametrize("body", [b"", b"[", b'"', b"]" * 600, b'"' + b"[" * 600 + b'"'])
def test_brackets_that_nest_nothing_are_not_deep(body: bytes) -> None:
    assert not is_deeper(body, 500)


@pytest.mark.parametrize("body", [b"[" * 501, b'{"":' * 501])
def test_what_never_ends_is_as_deep_as_it_came(body: bytes) -> None:
    assert is_deeper(body, 500)

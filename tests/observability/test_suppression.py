"""Who wants nothing to be told, as the context says it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import context
from opentelemetry.instrumentation.utils import (
    is_http_instrumentation_enabled,
    is_instrumentation_enabled,
    suppress_http_instrumentation,
    suppress_instrumentation,
)

from sleepwalker.observability import suppression

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def having(key: str, value: Any) -> Iterator[None]:
    """Have something in the context inside a ``with`` block."""
    token = context.attach(context.set_value(key, value))
    try:
        yield
    finally:
        context.detach(token)


class Undecided:
    """Neither true nor false, as an array of several numbers is."""

    def __bool__(self) -> bool:
        raise ValueError("ambiguous")


def test_nobody_wants_silence_at_first() -> None:
    assert not suppression.by_others()


def test_the_setter_of_opentelemetry_is_heard() -> None:
    with suppress_instrumentation():
        assert suppression.by_others()

    assert not suppression.by_others()


def test_one_for_http_alone_is_for_those_who_instrument_http_libraries() -> None:
    with suppress_http_instrumentation():
        assert not suppression.by_others()


@pytest.mark.parametrize(
    "key", [suppression.KEY, context.create_key(suppression.KEY)], ids=["plain", "made"]
)
def test_the_plain_key_and_one_made_from_it_count(key: str) -> None:
    with having(key, "yes"):
        assert suppression.by_others()
        with having(key, None):
            assert not suppression.by_others()


@pytest.mark.parametrize("key", ["suppress_instrumentations", "other", ""])
def test_no_other_key_does_whatever_its_value_is(key: str) -> None:
    with having(key, Undecided()):
        assert not suppression.by_others()


def test_ours_silences_others_and_not_us() -> None:
    token = suppression.begin()

    assert not is_instrumentation_enabled()
    assert not is_http_instrumentation_enabled()
    assert not suppression.by_others()
    lifted = suppression.lift()
    assert is_instrumentation_enabled()
    suppression.end(lifted)
    assert not is_instrumentation_enabled()
    suppression.end(token)

    assert is_instrumentation_enabled()


def test_one_of_others_within_ours_counts() -> None:
    token = suppression.begin()
    with suppress_instrumentation():
        assert suppression.by_others()
    suppression.end(token)

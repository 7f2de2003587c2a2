"""Both managers find what they hold."""

from __future__ import annotations

import logging
from contextlib import ExitStack

import pytest

from benchmarks.finds import BATCH, FINDS, ManagerOf20


@pytest.mark.parametrize("name", FINDS)
def test_every_subject_can_be_measured(name: str) -> None:
    with ExitStack() as stack:
        subject = FINDS[name](stack)

        assert (subject.name, subject.batch) == (name, BATCH)
        subject.call()


def test_the_find_of_20_gives_the_connection_and_formats_its_message_whether_logged_or_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    formatted: list[str] = []

    class Host(str):
        __slots__ = ()

        def __str__(self) -> str:
            formatted.append(self)
            return "shown"

    manager, conn = ManagerOf20(), object()
    manager.conns["https://books.example", None] = conn

    assert manager.find(Host("https://books.example"), None) is conn
    assert formatted == ["https://books.example"]
    assert caplog.messages == []

    with caplog.at_level(logging.DEBUG, logger="benchmarks.finds"):
        manager.find(Host("https://books.example"), None)
    assert caplog.messages == ["connection to shown is there"]


def test_the_find_of_20_does_not_establish_what_it_does_not_hold() -> None:
    with pytest.raises(KeyError):
        ManagerOf20().find("https://books.example", None)

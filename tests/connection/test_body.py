"""Bodies: which can be sent a second time, and how they get back to where they were."""

from __future__ import annotations

import array
import io
import os
import tempfile
from typing import TYPE_CHECKING, Any

import pytest
import requests

from sleepwalker.connection._body import Body
from sleepwalker.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def prepared(data: Any = None, **arguments: Any) -> requests.PreparedRequest:
    """Make a request with a body."""
    return requests.Request("POST", "https://host.example/", data=data, **arguments).prepare()


class Readable:
    """A file-like body that can't be wound back."""

    def read(self, _size: int = -1) -> bytes:
        return b""

    def __iter__(self) -> Iterator[bytes]:
        yield b""


class Seekable(Readable):
    """One that can, and says no more than it has to."""

    def __init__(self) -> None:
        self.at = 3

    def tell(self) -> int:
        return self.at

    def seek(self, at: int) -> None:
        self.at = at


class Unseekable(Seekable):
    """One that says itself that it can't."""

    def seekable(self) -> bool:
        return False


class Untold(Seekable):
    """One that can't tell where it is, as a pipe can't."""

    def tell(self) -> int:
        raise OSError("not seekable")


class Stuck(Seekable):
    """One that can't be wound back after all."""

    def seek(self, at: int) -> None:
        raise OSError(at)


def parts() -> Iterator[bytes]:
    yield b"one"
    yield b"two"


# Which can be sent again


@pytest.mark.parametrize(
    ("request_", "has_one"),
    [
        (prepared(), False),
        (prepared(b"bytes"), True),
        (prepared("text"), True),
        (prepared({"a": "1"}), True),
        (prepared(json={"a": 1}), True),
        (prepared(files={"f": io.BytesIO(b"in a form")}), True),
        (prepared(io.BytesIO(b"a file")), True),
        (prepared(Seekable()), True),
    ],
)
def test_a_body_in_memory_or_in_a_file_can_be_sent_again(
    request_: requests.PreparedRequest, *, has_one: bool
) -> None:
    body = Body(request_)

    assert body.rewindable
    assert bool(body) is has_one
    body.rewind()


@pytest.mark.parametrize("make", [parts, Readable, Unseekable, Untold])
def test_an_iterator_or_a_pipe_cannot(make: Any) -> None:
    body = Body(prepared(make()))

    assert not body.rewindable
    assert body


def test_a_pipe_of_the_operating_system_cannot() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert not Body(prepared(pipe)).rewindable


def test_a_file_that_is_closed_cannot() -> None:
    request, file = requests.PreparedRequest(), io.BytesIO(b"closed")
    file.close()
    request.body = file

    assert not Body(request).rewindable


@pytest.mark.parametrize("body", [7, 1.5, object(), True])
def test_what_is_no_body_is_an_error(body: Any) -> None:
    request = requests.PreparedRequest()
    request.body = body

    with pytest.raises(
        ConfigurationError, match=r"^the body must be text, bytes, a file or an iterable, not "
    ):
        Body(request)


# Getting back


@pytest.mark.parametrize("at", [0, 4])
def test_a_file_goes_back_to_where_it_was_and_not_to_its_beginning(at: int) -> None:
    file = io.BytesIO(b"skipped and sent")
    file.seek(at)
    body = Body(prepared(file))

    first = file.read()
    body.rewind()
    second = file.read()

    assert first == second == b"skipped and sent"[at:]


def test_a_file_on_disk_goes_back_to_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "body"
    path.write_bytes(b"0123456789")
    with path.open("rb") as file:
        file.seek(5)
        body = Body(prepared(file))
        file.read()
        body.rewind()
        assert file.read() == b"56789"


def test_a_temporary_file_goes_back_to_where_it_was() -> None:
    with tempfile.SpooledTemporaryFile() as file:
        file.write(b"0123")
        file.seek(1)
        body = Body(prepared(file))
        assert body.rewindable
        file.read()
        body.rewind()
        assert file.read() == b"123"


@pytest.mark.parametrize("at", [0, 3])
def test_an_object_that_is_like_a_file_goes_back_to_where_it_was(at: int) -> None:
    source = Seekable()
    source.at = at
    body = Body(prepared(source))

    source.at = 99
    body.rewind()

    assert source.at == at


def test_a_body_that_cannot_go_back_after_all_is_an_error_with_its_cause() -> None:
    body = Body(prepared(Stuck()))

    with pytest.raises(ConfigurationError, match="can't be wound back") as raised:
        body.rewind()

    assert isinstance(raised.value.__cause__, OSError)


def test_a_file_that_was_closed_meanwhile_is_an_error() -> None:
    file = io.BytesIO(b"closed")
    body = Body(prepared(file))
    file.close()

    with pytest.raises(ConfigurationError, match="can't be wound back"):
        body.rewind()


# Iterators of the caller's


def test_what_an_iterator_raises_is_known_as_the_callers_own() -> None:
    def broken() -> Iterator[bytes]:
        yield b"one"
        raise KeyError("mine")

    told: list[Exception] = []
    request = prepared(broken())
    Body(request, told.append)
    body: Any = request.body
    parts = iter(body)

    assert next(parts) == b"one"
    with pytest.raises(KeyError) as raised:
        next(parts)
    assert told == [raised.value]


def test_an_iterator_that_works_is_sent_whole() -> None:
    told: list[Exception] = []
    request = prepared(parts())
    Body(request, told.append)
    body: Any = request.body

    assert (list(body), told) == ([b"one", b"two"], [])


def test_a_file_is_not_wrapped() -> None:
    file = io.BytesIO(b"file")
    told: list[Exception] = []
    request = prepared(file)
    Body(request, told.append)

    assert request.body is file


# What shares its memory


@pytest.mark.parametrize(
    "make",
    [
        lambda: bytearray(b"abc"),
        lambda: memoryview(b"abc"),
        lambda: memoryview(bytearray(b"_abc"))[1:],
        lambda: array.array("B", b"abc"),
    ],
)
def test_what_shares_its_memory_is_a_body_in_memory_and_is_not_touched(
    make: Callable[[], Any],
) -> None:
    data = make()
    request = requests.PreparedRequest()
    request.body = data
    told: list[Exception] = []

    body = Body(request, told.append)
    body.rewind()

    assert body
    assert body.rewindable
    assert request.body is data
    assert told == []


@pytest.mark.parametrize(
    "make", [lambda: array.array("i", [1, 2]), lambda: memoryview(array.array("h", [7]))]
)
def test_memory_of_wider_items_than_bytes_is_refused(make: Callable[[], Any]) -> None:
    request = requests.PreparedRequest()
    request.body = make()
    with pytest.raises(ConfigurationError, match="items of one byte each"):
        Body(request)

    told: list[Exception] = []
    sent = prepared(iter([b"", make()]))
    Body(sent, told.append)
    parts: Any = sent.body
    with pytest.raises(ConfigurationError, match="items of one byte each") as caught:
        list(parts)
    assert told == [caught.value]


def test_an_empty_part_of_an_iterator_may_be_none() -> None:
    request = prepared(iter([b"a", None, b"", b"b"]))
    Body(request, lambda _error: None)
    parts: Any = request.body

    assert list(parts) == [b"a", None, b"", b"b"]

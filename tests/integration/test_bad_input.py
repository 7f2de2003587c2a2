"""Walks the tables of `docs/bad-input.md`: each row gives exactly its error, in its words.

Rules:

1. The page is the only list: what it says is run, and what it doesn't say is not tested here.
2. The page's host is a real server for the walk, and sees no connection.
3. What a row calls secret stands in no text of its error.
"""

from __future__ import annotations

import builtins
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import requests.exceptions

import sleepwalker
from sleepwalker import exceptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import CertificateAuthority, ScriptedServer

PAGE = Path(__file__).parents[2] / "docs" / "bad-input.md"
TEXT = PAGE.read_text(encoding="utf-8")
HOST = "https://books.example"


class Row(NamedTuple):
    """One row of a table of examples."""

    section: str
    given: str
    example: str
    error: str
    words: str


def tables() -> Iterator[tuple[str, list[list[str]]]]:
    """The tables of the page, each with the heading that it stands under, cell by cell."""
    for part in re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]:
        heading, _, rest = part.partition("\n")
        lines = [line for line in rest.splitlines() if line.startswith("|")]
        assert all(line.count("|") == lines[0].count("|") for line in lines), heading
        yield heading, [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def code(cell: str) -> str:
    """The code in a cell that is nothing else."""
    assert re.fullmatch(r"`[^`]+`", cell), cell
    return cell.strip("`")


def examples() -> list[Row]:
    """Every row of every table of examples."""
    rows = []
    for heading, (header, _, *body) in tables():
        if header == ["What is given", "Example", "Error", "It says"]:
            rows += [Row(heading, c[0], code(c[1]), code(c[2]), c[3]) for c in body]
    return rows


def counterparts() -> dict[str, set[str]]:
    """Which foreign exceptions each error is said to be."""
    [(_, *body)] = [rest for header, *rest in (t for _, t in tables()) if header[0] == "Error"]
    return {code(error): set(re.findall(r"`([^`]+)`", also)) for error, also in body}


@pytest.fixture
def names(
    tls_server: ScriptedServer,
    ca: CertificateAuthority,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[dict[str, Any]]:
    """The page's own names, its host being a server that would answer."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca.bundle))
    monkeypatch.chdir(tmp_path)
    [block] = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    namespace: dict[str, Any] = {}
    exec(block.replace(HOST, tls_server.url), namespace)  # noqa: S102 - the page's own code
    yield namespace
    namespace["services"].close()
    namespace["manager"].close()
    namespace["conn"].close()


def test_the_page_has_tables_with_rows_that_differ() -> None:
    rows = examples()

    assert len({row.section for row in rows}) == 12
    assert len(rows) > 100
    assert len({row.example for row in rows}) == len(rows)
    assert len({(row.section, row.given) for row in rows}) == len(rows)


@pytest.mark.parametrize(
    "row", examples(), ids=lambda row: f"{row.section}: {row.given}".replace(" ", "-")
)
def test_bad_input_gives_the_error_of_its_row(
    names: dict[str, Any], tls_server: ScriptedServer, row: Row
) -> None:
    with pytest.raises(exceptions.SleepwalkerException) as raised:
        eval(row.example.replace(HOST, tls_server.url), names)  # noqa: S307 - the page's own code

    error = raised.value
    assert type(error).__name__ == row.error
    assert row.words in str(error)
    texts = f"{error} {error!r} {vars(error)} {error.__cause__} {error.__cause__!r}"
    if "secret" in row.example:
        assert "secret" not in texts
    assert tls_server.connections == []


def test_what_the_page_calls_good_names_is_good(
    names: dict[str, Any], tls_server: ScriptedServer
) -> None:
    names["conn"].json_request("GET", "/books", timeout=5)

    assert tls_server.count() == 1


@pytest.mark.parametrize("name", counterparts())
def test_an_error_is_also_exactly_what_the_page_says(name: str) -> None:
    error = getattr(sleepwalker, name)
    foreign = [cls for cls in error.__mro__ if cls.__module__ != exceptions.__name__]
    # The most special ones, and those that every Python programmer catches by name.
    known = {
        cls
        for cls in foreign
        if not any(other is not cls and issubclass(other, cls) for other in foreign)
    } | ({ValueError, TypeError, builtins.ConnectionError} & set(foreign))

    def shown(cls: type) -> str:
        of_requests = cls.__module__ == requests.exceptions.__name__
        return f"requests.exceptions.{cls.__name__}" if of_requests else cls.__name__

    expected = counterparts()[name]
    if expected == {"RefusedError"}:
        assert issubclass(error, exceptions.RefusedError)
        expected = {"Exception"}
    assert {shown(cls) for cls in known} == expected


def test_every_error_of_the_page_is_given_by_a_row() -> None:
    assert {row.error for row in examples()} == set(counterparts())

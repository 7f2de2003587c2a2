"""What runs the pages: a page that doesn't do as it says fails, and says where."""

from __future__ import annotations

import os
import socket
from textwrap import dedent

import pytest

from sleepwalker import EstablishmentError, HTTPNotFound
from tests.docs.__main__ import run_page
from tests.docs.pages import PageError, anchors_of, blocks_of, links_of, rows_below


def run(text: str) -> None:
    """Run the text as a page; ''' stands for the fence."""
    run_page("page.md", dedent(text).replace("'''", "```"))


def test_a_page_that_prints_what_it_shows_passes() -> None:
    run(
        """
        '''python
        word = "one"
        '''

        '''python
        print(word, 2)
        '''

        <!-- output -->
        '''text
        one ...
        '''
        """
    )


def test_output_that_is_not_what_was_printed_fails_with_its_line() -> None:
    with pytest.raises(PageError, match=r"(?s)page\.md:8: the page shows\ntwo\nbut .*\none\n"):
        run(
            """
            '''python
            print("one")
            '''

            <!-- output -->
            '''text
            two
            '''
            """
        )


def test_what_is_printed_and_not_shown_fails() -> None:
    with pytest.raises(PageError, match=r"page\.md:3: printed, but not shown"):
        run(
            """
            '''python
            print("one")
            '''
            """
        )


def test_an_error_fails_with_the_line_of_the_page() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        run(
            """
            '''python
            number = 0
            1 / number
            '''
            """
        )

    assert [
        entry.lineno + 1 for entry in caught.traceback if str(entry.path).endswith("page.md")
    ] == [4]


def test_an_error_that_is_announced_prints_its_last_line() -> None:
    run(
        """
        <!-- raises: EstablishmentError -->
        '''python
        from sleepwalker import ConnectionManager

        ConnectionManager(registry=False, logger=False).find("nowhere", "nobody")
        '''

        <!-- output -->
        '''text
        sleepwalker.exceptions.EstablishmentError: no connection to nowhere ...
        '''
        """
    )


@pytest.mark.parametrize("code", ["pass", "raise KeyError"])
def test_an_announced_error_that_does_not_come_fails(code: str) -> None:
    with pytest.raises((PageError, KeyError)):
        run(
            f"""
            <!-- raises: ValueError -->
            '''python
            {code}
            '''
            """
        )


def test_the_names_of_the_stage_are_not_those_of_the_page() -> None:
    with pytest.raises(NameError, match="hidden"):
        run(
            """
            <!-- setup
            hidden = 1
            -->

            '''python
            print(hidden)
            '''
            """
        )


def test_a_check_sees_the_page_and_what_the_hosts_saw() -> None:
    with pytest.raises(AssertionError):
        run(
            """
            <!-- setup
            books = host("books.example", respond(json={"title": "Solaris"}))
            -->

            '''python
            from sleepwalker import ANONYMOUS, Connection

            with Connection("https://books.example", ANONYMOUS) as conn:
                book = conn.json_request("GET", "/books/1")
            '''

            <!-- check
            assert page["book"] == {"title": "Solaris"}
            assert books.count() == 2
            -->
            """
        )


def test_a_host_that_nobody_asked_for_does_not_exist() -> None:
    with pytest.raises(socket.gaierror):
        run(
            """
            '''python
            import socket

            socket.create_connection(("books.example", 443))
            '''
            """
        )


def test_commands_run_in_the_folder_of_the_page_and_their_output_counts() -> None:
    with pytest.raises(PageError, match=r"(?s)page\.md:8: the page shows\ntwo\n.*one\n"):
        run(
            """
            <!-- file: one.py -->
            '''python
            print("one")
            '''

            '''console
            $ python one.py
            two
            '''
            """
        )


def test_a_command_that_fails_fails_the_page() -> None:
    with pytest.raises(PageError, match=r"python one\.py gave 3"):
        run(
            """
            <!-- file: one.py -->
            '''python
            raise SystemExit(3)
            '''

            '''console
            $ python one.py
            '''
            """
        )


def test_a_diff_changes_a_file_and_fails_where_it_does_not_fit() -> None:
    page = """
        <!-- file: one.py -->
        '''python
        first = 1
        second = 2
        print(first, second)
        '''

        <!-- file: one.py -->
        '''diff
         first = 1
        -second = 2
        +second = 3
        @@
        -print(first, second)
        +print(second)
        '''

        '''console
        $ python one.py
        3
        '''
        """
    run(page)
    with pytest.raises(PageError, match=r"one\.py has 0 places"):
        run(page.replace(" first = 1\n        -", " first = 2\n        -"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("<!-- output -->\n\n```text\n```\n", "not followed by a block"),
        ("<!-- output -->\ntext\n", "not followed by a block"),
        ("<!-- output -->\n<!-- output -->\n```text\n```\n", "not followed by a block"),
        ("<!-- outptu -->\n```text\n```\n", "not understood"),
        ("```python\n1\n", "no end"),
        ("```rust\n```\n", "not known"),
        ("```\n```\n", "not known"),
        ("<!-- not run -->\n```python\n```\n", "says not what, or why"),
        ("<!-- output -->\n```python\n```\n", "output is text"),
        ("<!-- written by: -->\n", "not understood"),
        ("  ```python\n  ```\n", "not understood"),
    ],
)
def test_what_is_not_understood_is_an_error(text: str, told: str) -> None:
    with pytest.raises(PageError, match=told):
        blocks_of("page.md", text)


def test_what_is_not_run_is_not_run() -> None:
    run(
        """
        <!-- not run: it would fail -->
        '''python
        1 / 0
        '''
        """
    )


def test_what_a_command_writes_may_be_marked() -> None:
    run(
        """
        <!-- written by: python -m something -->

        | a | table |

        <!-- end of what is written -->
        """
    )


def test_nothing_is_left_behind() -> None:
    before = dict(os.environ), socket.getaddrinfo, os.getcwd()  # noqa: PTH109 - compared as it is

    run("<!-- setup\nhost('books.example')\n-->\n")

    assert (dict(os.environ), socket.getaddrinfo, os.getcwd()) == before  # noqa: PTH109 - as above


def test_links_anchors_and_tables_are_found_outside_of_code_only() -> None:
    assert "guides/retries.md" in links_of("docs/tutorial.md")
    assert "redirects-to-another-origin" in anchors_of("docs/guides/auth.md")
    assert rows_below("docs/guides/errors.md", "Statuses")[0] == ["400", "`HTTPBadRequest`"]
    assert HTTPNotFound.__name__ in rows_below("docs/guides/errors.md", "Statuses")[4][1]
    with pytest.raises(PageError):
        rows_below("docs/guides/errors.md", EstablishmentError.__name__)

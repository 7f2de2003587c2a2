"""What others wrote, as it is shown."""

from __future__ import annotations

import pytest

from sleepwalker.cli._drawing import Signs
from sleepwalker.cli._text import harmless, has_userinfo, one_line, without_userinfo


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("as it is:\tä €\n", "as it is:\tä €\n"),
        ("a\r\nb", "a\nb"),
        ("\x1b[31m", "\\u001b[31m"),
        ("\x9b31m", "\\u009b31m"),
        ("a\rb\x7f\x00", "a\\u000db\\u007f\\u0000"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
    ],
)
def test_what_steers_a_terminal_is_written_out(text: str, shown: str) -> None:
    assert harmless(text) == shown


def test_a_line_is_one_line() -> None:
    assert one_line(" a\n\tb \x1b ") == "a b \\u001b"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u:p@h/x", "https://REDACTED@h/x"),
        ("https://u:p@w@h/x", "https://REDACTED@h/x"),
        (" HTTPS:u:p@h", " HTTPS:REDACTED@h"),
        ("http:/u@h", "http:/REDACTED@h"),
        ("https:///u:p@h", "https:///REDACTED@h"),
        ("https:\\\\u:p@h", "https:\\\\REDACTED@h"),
        ("//u:p@h", "//REDACTED@h"),
        ("ftp://u:p@h", "ftp://REDACTED@h"),
        ("https://h/a@b", None),
        ("https://h//a@b", None),
        ("https://h?a@b", None),
        ("a@b", None),
        ("mailto:a@b.example", None),
    ],
)
def test_a_user_name_in_a_url_is_found_however_it_is_written(url: str, shown: str | None) -> None:
    assert has_userinfo(url) == (shown is not None)
    assert without_userinfo(url) == (shown or url)


def test_an_output_without_fine_signs_has_a_tree_of_plain_ones() -> None:
    signs = Signs.for_encoding("ascii")

    assert signs.drawn("│  ├─ └─ ") == "|  |- `- "
    assert (signs.bar, signs.failed) == ("=", "!")
    assert Signs.for_encoding("no such encoding") == signs
    assert Signs.for_encoding("utf-8").drawn("├─ ") == "├─ "

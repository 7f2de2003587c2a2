"""`Retry-After`: seconds or a date, from servers that may say anything."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sleepwalker.resilience import retry_after as module
from sleepwalker.resilience.retry_after import retry_after

NOW = datetime(2024, 10, 21, 7, 28, tzinfo=UTC).timestamp()


def test_no_header_says_nothing() -> None:
    assert retry_after(None, NOW) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        ("120", 120.0),
        (" 120 ", 120.0),
        ("\t120", 120.0),
        ("007", 7.0),
        ("9999999999", 9999999999.0),
        ("9" * 32, float("9" * 32)),
    ],
)
def test_seconds_are_read(value: str, seconds: float) -> None:
    assert retry_after(value, NOW) == seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("Mon, 21 Oct 2024 07:28:30 GMT", 30.0),
        ("Mon, 21 Oct 2024 07:28:00 GMT", 0.0),
        ("mon, 21 oct 2024 07:28:30 gmt", 30.0),
        ("Mon, 21 Oct 2024 08:28:30 +0100", 30.0),
        # The obsolete forms that RFC 9110 has every recipient read.
        ("Monday, 21-Oct-24 07:28:30 GMT", 30.0),
        ("Wednesday, 23-Oct-24 07:28:00 GMT", 2 * 86400.0),
        ("Mon Oct 21 07:28:30 2024", 30.0),
        # GMT is meant, where it is not said too.
        ("Mon, 21 Oct 2024 07:28:30", 30.0),
        ("Mon, 21 Oct 2024 07:28:30 -0000", 30.0),
    ],
)
def test_a_date_is_so_many_seconds_from_now(value: str, seconds: float) -> None:
    assert retry_after(value, NOW) == seconds


@pytest.mark.parametrize(
    "value",
    [
        "Mon, 21 Oct 2024 07:27:59 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Mon, 01 Jan 0001 00:00:00 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT",
    ],
)
def test_a_date_in_the_past_is_no_time_to_wait(value: str) -> None:
    assert retry_after(value, NOW) == 0.0


def test_a_date_far_away_is_a_long_time_and_no_error() -> None:
    assert retry_after("Fri, 31 Dec 9999 23:59:59 GMT", NOW) == pytest.approx(2.5e11, rel=0.01)


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "-5",
        "+5",
        "1.5",
        "1e3",
        "5s",
        "5, 5",
        "0x10",
        "1_000",
        "\N{ARABIC-INDIC DIGIT FIVE}",
        "\N{SUPERSCRIPT TWO}",
        "soon",
        "never",
        "inf",
        "nan",
        "9" * 33,
        "9" * 5000,
        "2024-10-21T07:28:30Z",
        "Mon, 32 Oct 2024 07:28:30 GMT",
        "Mon, 21 Oct 2024 25:28:30 GMT",
        "Mon, 21 Oct 20240 07:28:30 GMT",
        "Mon, 21 Foo 2024 07:28:30 GMT",
        "Mon, 21 Oct 2024 07:28:30 +9999",
        "Mon",
        "GMT",
        "21 Oct",
        "\x00",
        "Mon, 21 Oct 2024 07:28:30 GMT; path=/",
    ],
)
def test_garbage_is_ignored(value: str) -> None:
    assert retry_after(value, NOW) is None


def test_what_is_longer_than_any_date_is_not_looked_at() -> None:
    longest = "Wednesday, 09-Nov-94 08:49:37 GMT"

    assert retry_after(longest, 0.0) == 784370977.0
    assert retry_after(longest.replace(", ", ",  "), 0.0) is None


def test_a_date_without_a_zone_is_in_gmt_wherever_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC+7")
    time.tzset()
    try:
        assert retry_after("Mon, 21 Oct 2024 07:28:30", NOW) == 30.0
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("error", [ValueError, OverflowError, TypeError, IndexError])
def test_whatever_the_reader_of_dates_trips_over_is_garbage(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which of them a text leads to differs between releases of Python."""

    def trip(_: str) -> datetime:
        raise error

    monkeypatch.setattr(module, "parsedate_to_datetime", trip)

    assert retry_after("Mon, 21 Oct 2024 07:28:30 GMT", NOW) is None


@given(st.text(max_size=40) | st.from_regex(r"\A[A-Za-z0-9,: +\-]{0,32}\Z"))
@example("Mon, 00 Jan 0000 00:00:00 GMT")
@example("0 Jan 0 0:0:0 -9999")
@example(",,,:::")
def test_no_text_is_an_error_or_a_time_that_cannot_be_waited(value: str) -> None:
    seconds = retry_after(value, NOW)

    assert seconds is None or (math.isfinite(seconds) and seconds >= 0.0)


@given(st.integers(0, 10**9))
def test_an_http_date_says_what_its_seconds_would_have_said(seconds: int) -> None:
    moment = datetime.fromtimestamp(NOW, UTC) + timedelta(seconds=seconds)

    assert retry_after(format_datetime(moment, usegmt=True), NOW) == float(seconds)
    assert retry_after(str(seconds), NOW) == float(seconds)

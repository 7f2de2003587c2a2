"""What a `Retry-After` header says (RFC 9110, section 10.2.3): seconds to wait, or nothing.

Both forms are read, seconds and an HTTP date; anything else is garbage and ignored.
"""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

_LONGEST = 33
"""Characters: as many as the longest date has, ``Wednesday, 09-Nov-94 08:49:37 GMT``."""
_LONGEST_NUMBER = 32
"""Digits: more than any sensible number has."""


def retry_after(value: str | None, now: float) -> float | None:
    """The seconds to wait, at least 0, or `None` when the header says nothing usable.

    :param value: the header's value, or `None` when there is none
    :param now: seconds since the epoch, to which a date is compared
    """
    if value is None:
        return None
    value = value.strip()
    if len(value) > _LONGEST:
        return None
    if value.isascii() and value.isdecimal():
        return float(value) if len(value) <= _LONGEST_NUMBER else None
    try:
        moment = parsedate_to_datetime(value)
        # An HTTP date is in GMT, also where its writer forgot to say so.
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return max(0.0, seconds - now)

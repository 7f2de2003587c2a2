"""What becomes of an error: one line, an exit code that scripts can use, and the rest with `-v`.

Rules:

1. Each kind of failure has an exit code of its own; `Exit` is the one list of them.
2. A line says what went wrong in the library's own words, and which option would have helped.
3. What is shown holds no secret: the library's errors have none, and any other's text isn't shown
   unless it is asked for, and then without what is known to be secret.
"""

from __future__ import annotations

import traceback
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from sleepwalker.cli._text import one_line
from sleepwalker.exceptions import (
    CancelledError,
    CertificateError,
    CircuitOpenError,
    ConfigurationError,
    ConnectionError,
    CrossingError,
    DeadlineExceeded,
    DecodeError,
    EstablishmentError,
    HTTPError,
    LinkCredentialsError,
    LinkError,
    LinkFormatError,
    PlaintextError,
    PrivateAddressError,
    RedirectError,
    RefusedError,
    RelationError,
    ResponseTooLarge,
    SleepwalkerException,
    TemplateError,
    TemplateHostError,
    TimeoutError,
    TooManyRedirects,
    URLError,
)
from sleepwalker.observability.redaction import DEFAULT as REDACTION

if TYPE_CHECKING:
    from collections.abc import Iterable


class Exit(IntEnum):
    """The exit codes of `get` and `walk`."""

    DONE = 0
    UNREAD = 1
    """Who read the output has gone."""
    USAGE = 2
    INCOMPLETE = 3
    """Of a walk: some links could not be followed."""
    CLIENT_STATUS = 4
    """A status of 4xx."""
    SERVER_STATUS = 5
    """A status of 5xx."""
    UNREACHABLE = 6
    """Resolution, connecting, TLS, a proxy, or no whole answer."""
    TIMEOUT = 7
    REFUSED = 8
    """Something that is not done: a rule, a missing credential, the address guard."""
    NO_LINK = 9
    """No such relation, several, a template or form that wants something else."""
    NOT_UNDERSTOOD = 10
    """An answer that is not what it says it is."""
    INTERNAL = 70
    """A mistake of this program, as `sysexits.h` has it."""
    UNWRITTEN = 74
    """The output can't be written, as `sysexits.h` has it."""
    INTERRUPTED = 130


class UsageError(Exception):
    """Options that can't be used; nothing was sent."""


class Failure(NamedTuple):
    """What there is to say about an error."""

    code: Exit
    line: str


_CODES: tuple[tuple[type[BaseException], Exit], ...] = (
    # The more special ones first: many are of several branches.
    (UsageError, Exit.USAGE),
    (CancelledError, Exit.INTERRUPTED),
    (CrossingError, Exit.REFUSED),
    (RefusedError, Exit.REFUSED),
    (RedirectError, Exit.REFUSED),
    (TooManyRedirects, Exit.REFUSED),
    (TimeoutError, Exit.TIMEOUT),
    (LinkFormatError, Exit.NOT_UNDERSTOOD),
    (DecodeError, Exit.NOT_UNDERSTOOD),
    (ResponseTooLarge, Exit.NOT_UNDERSTOOD),
    (LinkError, Exit.NO_LINK),
    (ConfigurationError, Exit.USAGE),
    (URLError, Exit.USAGE),
    (ConnectionError, Exit.UNREACHABLE),
)

_HINTS: tuple[tuple[type[BaseException], str, str], ...] = (
    (PlaintextError, "", "--allow-plaintext"),
    (LinkCredentialsError, "", "--anonymous-host PATTERN, or your netrc file"),
    (RedirectError, "credentials", "--anonymous-host PATTERN, or your netrc file"),
    (TemplateHostError, "", "--template-host PATTERN"),
    (PrivateAddressError, "", "--allow-address NETWORK"),
    (TooManyRedirects, "", "--policy redirects=N"),
    (CircuitOpenError, "", "--policy breaker=none"),
    (CertificateError, "not trusted", "--cacert FILE"),
    (ResponseTooLarge, "body", "--policy response_limits.body=BYTES"),
    (DecodeError, "json_depth", "--policy response_limits.json_depth=N"),
    (DecodeError, "", "get --raw shows what came"),
    (DeadlineExceeded, "", "--deadline SECONDS, or --policy deadline=SECONDS for each request"),
    (TimeoutError, "", "--timeout SECONDS"),
    (
        RelationError,
        "",
        "--links lists them; --follow 'REL[NAME]' or 'REL[2]' takes one of several",
    ),
    (TemplateError, "", "--var NAME=VALUE"),
)
"""Which options do what the messages say that arguments do, where a message has the words."""


def telling(error: BaseException) -> BaseException:
    """The error that says most: what a hook failed with, rather than that it failed."""
    while isinstance(error, EstablishmentError) and isinstance(
        error.__cause__, SleepwalkerException
    ):
        error = error.__cause__
    return error


def failure_of(error: BaseException) -> Failure:
    """The exit code and the line for an error."""
    error = telling(error)
    code = _code_of(error)
    if code is Exit.INTERNAL:
        return Failure(code, f"{type(error).__name__}, which should not happen; -v shows where")
    said = str(error)
    hints = (hint for kind, words, hint in _HINTS if isinstance(error, kind) and words in said)
    hint = next(hints, "")
    return Failure(code, one_line(f"{said} (here: {hint})" if hint else said))


def _code_of(error: BaseException) -> Exit:
    if isinstance(error, HTTPError):
        return Exit.CLIENT_STATUS if error.http_code < 500 else Exit.SERVER_STATUS
    return next((code for kind, code in _CODES if isinstance(error, kind)), Exit.INTERNAL)


def whole(error: BaseException, secrets: Iterable[str]) -> str:
    """Where an error came from, and what is behind it.

    :param secrets: texts that are taken out
    """
    return REDACTION.text("".join(traceback.format_exception(error)), secrets)

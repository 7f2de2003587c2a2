"""What urllib3 itself logs of a request of ours, without its secrets.

At DEBUG urllib3 logs the path and query of every request, and at WARNING the bytes of headers that
it can't parse.

Rules:

1. Only what this thread logs while a call of ours waits for its answer is changed. Anybody else's
   record is not touched, nor that of a request which a response hook makes.
2. A record keeps its level, its message with the placeholders, its numbers; each text among its
   arguments is as the call may show it, an exception is told by its type alone, and there is no
   traceback.
3. What can't be looked at is not shown. Nothing is raised, and no record is lost.
4. The filter is on urllib3's loggers once, whoever asks how often; it is no handler and no level.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from sleepwalker.observability.redaction import stand_in_by_type

from ._watch import here

LOGGERS: Final = (
    "urllib3.connection",
    "urllib3.connectionpool",
    "urllib3.poolmanager",
    "urllib3.response",
    "urllib3.util.retry",
)
"""Those that log while a request is sent. A filter is not inherited: each has its own."""
UNTOLD: Final = "urllib3 said something that can't be shown"


class _Told(str):
    """A text that stands for an object: its `repr` has no quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class Filter(logging.Filter):
    """Takes the secrets of the call that is on the wire out of the records of urllib3."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass; change those of a call of ours."""
        watch = here.watch
        if watch is None or watch.answered:
            return True
        # What happens in here (a rewriter of paths may call us again) is not of this exchange.
        here.watch = None
        try:
            record.msg, record.args = _shown(record, watch.shown)
        except Exception:  # noqa: BLE001 - a `repr` may be the user's code, and so may a rewriter
            record.msg, record.args = UNTOLD, ()
        finally:
            here.watch = watch
        # A traceback quotes its exception.
        record.exc_info = record.exc_text = None
        return True


def _shown(record: logging.LogRecord, shown: Any) -> tuple[Any, Any]:
    """A record's message and arguments as they may be shown."""
    args = record.args or ()
    values = list(args.values() if isinstance(args, Mapping) else args)
    texts = shown([_text_of(value) for value in values])
    told = [
        value if _is_plain(value) else _as(value, text)
        for value, text in zip(values, texts, strict=True)
    ]
    message = record.msg
    if not isinstance(message, str) or not values:
        (message,) = shown([_text_of(message)])
    return message, dict(zip(args, told, strict=True)) if isinstance(args, Mapping) else tuple(told)


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, int | float)


def _text_of(value: object) -> str:
    if isinstance(value, str):
        return value
    return str(stand_in_by_type(value)) if isinstance(value, BaseException) else repr(value)


def _as(value: object, text: str) -> str:
    return text if isinstance(value, str) else _Told(text)


_filter: Final = Filter()
_loggers: Final = tuple(map(logging.getLogger, LOGGERS))


def install() -> None:
    """Put the filter on urllib3's loggers, if it is not there."""
    for logger in _loggers:
        logger.addFilter(_filter)

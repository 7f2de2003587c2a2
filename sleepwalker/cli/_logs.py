"""The library's log on standard error, one line an event: what `-v` and `-vv` show."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NoReturn

import structlog

from sleepwalker.cli._text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

_LEFT_OUT = frozenset({"trace_id", "span_id"})
"""They say nothing where there is one trace."""


def logger(verbosity: int, write: Callable[[str], object]) -> Any:
    """What to pass as `logger` to a manager.

    :param verbosity: 0: no log; 1: from INFO on; more: everything
    :param write: takes a line
    """
    if not verbosity:
        return False

    def take(_logger: Any, _method: str, fields: MutableMapping[str, Any]) -> NoReturn:
        level, event = fields.pop("level"), fields.pop("event")
        told = " ".join(
            f"{name}={value}"
            for name, value in fields.items()
            if name not in _LEFT_OUT and value is not None
        )
        write(one_line(f"{level}: {event} {told}"))
        raise structlog.DropEvent

    return structlog.wrap_logger(
        structlog.ReturnLogger(),  # of `None` structlog makes one that needs a standard output
        processors=[structlog.processors.add_log_level, take],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.INFO if verbosity == 1 else logging.DEBUG
        ),
        context_class=dict,
    )

"""Which span a document came from: known to its response alone, and gone with it.

No pickle or redacted stand-in of a response has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import requests

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

_SPAN = "sleepwalker_span"
"""The name of the attribute."""


class Found(NamedTuple):
    """Where a link was found, when the document itself is not at hand any more."""

    url: str
    span: SpanContext | None
    host: str = ""
    """The host's name as it may be shown, for a URL that only its connection can complete."""


def note_document(response: requests.Response, span: SpanContext | None) -> None:
    """Let a response know the context of the span that it came from, for links to it."""
    if span is not None:
        vars(response)[_SPAN] = span


def span_of(source: object) -> SpanContext | None:
    """The context of the span that a document came from, or `None`."""
    if isinstance(source, Found):
        return source.span
    return vars(source).get(_SPAN) if isinstance(source, requests.Response) else None

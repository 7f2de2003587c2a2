"""What is sent to a link that has a form: its fields, checked and encoded.

Rules:

1. A field that the form doesn't have is an error, and so is one that it requires and doesn't get.
2. The body is what the link says: JSON, a urlencoded form, or a multipart one. Of a GET the fields
   are the query.
3. `None` is null in JSON; elsewhere it leaves a field out, even one with a value of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from sleepwalker.exceptions import FormError

from ._exchange import NO_CONTENT, Content, json_content
from ._format import MediaType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._link import Link

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
QUERIES = frozenset({"GET", "HEAD"})
"""The methods that have no body."""


class Filled(NamedTuple):
    """A form that is filled in."""

    params: Any
    content: Content


def filled(link: Link, value: Any, method: str | None = None) -> Filled:
    """What is sent to a link.

    :param value: the fields by name; for a link without named fields, whatever is to be sent
    :param method: the HTTP method, where it isn't the link's own
    :raises FormError: for fields that the form doesn't have, or that are missing
    :raises EncodeError: for what JSON can't hold
    """
    own = link.submits or link.method
    method = (method or own).upper()
    if link.submits is not None and method != own:
        # Its form is what is submitted, and says nothing of other methods.
        link = replace(link, fields=(), sends=None)
    kind = MediaType.of(link.sends)
    as_json = method not in QUERIES and (not kind.name or kind.is_json)
    if link.fields:
        value = _fields(link, value, keep_nulls=as_json)
    if method in QUERIES or (value is None and not link.fields):
        if value is not None and not isinstance(value, Mapping):
            raise FormError(f"{_named(link)} takes fields by name, not {type(value).__name__}")
        return Filled(_texts(value or {}) or None, NO_CONTENT)
    if as_json:
        return Filled(None, json_content(value, link.sends))
    if not isinstance(value, Mapping):
        if isinstance(value, str | bytes):
            return Filled(None, Content(value, link.sends))
        raise FormError(
            f"{_named(link)} takes {kind.name}: text or bytes, not {type(value).__name__}"
        )
    if kind.name == MULTIPART:
        return Filled(None, Content(files=list(_parts(value))))
    if kind.name == URLENCODED:
        return Filled(None, Content(_texts(value)))
    raise FormError(f"{_named(link)} takes {kind.name}, which fields can't be made into")


def _parts(fields: Mapping[Any, Any]) -> Iterator[tuple[Any, Any]]:
    """The parts of a multipart form: files as `requests` takes them, and texts."""
    for name, value in fields.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, tuple) or hasattr(item, "read"):
                yield name, item
            elif item is not None:
                yield name, (None, _text(item))


def _texts(fields: Mapping[Any, Any]) -> dict[Any, Any]:
    """Fields as `requests` encodes them; those without a value are left out."""
    return {
        name: [_text(item) for item in value] if isinstance(value, list | tuple) else _text(value)
        for name, value in fields.items()
        if value is not None
    }


def _text(value: Any) -> Any:
    """A value in a form: what JSON writes as true isn't to be True."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def _fields(link: Link, value: Any, *, keep_nulls: bool) -> dict[str, Any]:
    if value is None:
        value = {}
    if not isinstance(value, Mapping):
        raise FormError(f"{_named(link)} takes fields by name, not {type(value).__name__}")
    known = {field.name for field in link.fields}
    unknown = [] if link.any_field else sorted(str(name) for name in value if name not in known)
    if unknown:
        raise FormError(
            f"{_named(link)} has no field {', '.join(unknown)}; it has {', '.join(sorted(known))}"
        )
    given = {field.name: field.value for field in link.fields if field.value is not None}
    given.update(value)
    if not keep_nulls:
        given = {name: item for name, item in given.items() if item is not None}
    missing = [field.name for field in link.fields if field.required and field.name not in given]
    if missing:
        raise FormError(f"{_named(link)} requires {', '.join(missing)}")
    return given


def _named(link: Link) -> str:
    return f"the form of {link.rel!r}"

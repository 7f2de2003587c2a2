"""What is sent to a link that has a form: its fields, checked and encoded.

Rules:

1. A field that the form doesn't have is an error, and so is one that it requires and doesn't get.
2. The body is what the link says: JSON, a urlencoded form, or a multipart one. Of a GET the fields
   are the query.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from sleepwalker.exceptions import FormError

from ._exchange import NO_CONTENT, Content, json_content
from ._format import MediaType

if TYPE_CHECKING:
    from ._link import Link

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"


class Filled(NamedTuple):
    """A form that is filled in."""

    params: Any
    content: Content


def filled(link: Link, value: Any) -> Filled:
    """What is sent to a link.

    :param value: the fields by name; for a link without named fields, whatever is to be sent
    :raises FormError: for fields that the form doesn't have, or that are missing
    :raises EncodeError: for what JSON can't hold
    """
    if link.fields:
        value = _fields(link, value)
    kind = MediaType.of(link.sends).name
    if link.method == "GET" or (value is None and not link.fields):
        if value is not None and not isinstance(value, Mapping):
            raise FormError(f"{_named(link)} takes fields by name, not {type(value).__name__}")
        return Filled(value or None, NO_CONTENT)
    if not kind or MediaType.of(link.sends).is_json:
        return Filled(None, json_content(value, link.sends))
    if not isinstance(value, Mapping):
        if isinstance(value, str | bytes):
            return Filled(None, Content(value, link.sends))
        raise FormError(f"{_named(link)} takes {kind}: text or bytes, not {type(value).__name__}")
    if kind == MULTIPART:
        files = [
            (name, item if isinstance(item, tuple) or hasattr(item, "read") else (None, item))
            for name, item in value.items()
        ]
        return Filled(None, Content(files=files))
    if kind == URLENCODED:
        return Filled(None, Content(dict(value)))
    raise FormError(f"{_named(link)} takes {kind}, which fields can't be made into")


def _fields(link: Link, value: Any) -> dict[str, Any]:
    if value is None:
        value = {}
    if not isinstance(value, Mapping):
        raise FormError(f"{_named(link)} takes fields by name, not {type(value).__name__}")
    known = {field.name for field in link.fields}
    unknown = sorted(str(name) for name in value if name not in known)
    if unknown:
        raise FormError(
            f"{_named(link)} has no field {', '.join(unknown)}; it has {', '.join(sorted(known))}"
        )
    given = {field.name: field.value for field in link.fields if field.value is not None}
    given.update({name: item for name, item in value.items() if item is not None})
    missing = [field.name for field in link.fields if field.required and field.name not in given]
    if missing:
        raise FormError(f"{_named(link)} requires {', '.join(missing)}")
    return given


def _named(link: Link) -> str:
    return f"the form of {link.rel!r}"

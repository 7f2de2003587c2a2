"""What is sent to a link that has a form: its fields, checked and encoded.

Rules:

1. A field that the form doesn't have is an error, and so is one that it requires and doesn't get.
2. The body is what the link says: JSON, a urlencoded form, or a multipart one. Of a GET the fields
   are the query.
3. A field of `None` is null in JSON; elsewhere it is left out, though it has a default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from sleepwalker.connection import _json
from sleepwalker.exceptions import EncodeError, FormError

from ._exchange import NO_CONTENT, Content, json_content
from ._format import MediaType

if TYPE_CHECKING:
    from ._link import Link

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
IN_QUERY = frozenset({"GET", "HEAD"})
"""The methods whose requests have no body."""


class Filled(NamedTuple):
    """A form that is filled in."""

    params: Any
    content: Content


def filled(link: Link, value: Any, method: str | None = None) -> Filled:
    """What is sent to a link.

    :param value: the fields by name; for a link without named fields, whatever is to be sent
    :param method: it is sent with; `None`: the link's own
    :raises FormError: for fields that the form doesn't have, that are missing, or that can't be
        sent as the form says
    """
    own = (link.submits or link.method).upper()
    method = (method or own).upper()
    if link.submits is not None and method != own:
        # Its form is what is submitted, and says nothing of other methods.
        link = replace(link, fields=(), sends=None)
    kind = MediaType.of(link.sends)
    in_query = method in IN_QUERY
    as_json = not in_query and (not kind.name or kind.is_json)
    if link.fields:
        value = _fields(link, value, nulls=as_json)
    elif value is None:
        return Filled(None, NO_CONTENT)
    if as_json:
        return Filled(None, json_content(value, link.sends))
    if in_query or kind.name == URLENCODED:
        if isinstance(value, str | bytes) and not in_query:
            return Filled(None, Content(data=value, media_type=link.sends))
        pairs = {name: _text(link, name, item) for name, item in _named_by(link, value).items()}
        return Filled(pairs, NO_CONTENT) if in_query else Filled(None, Content(data=pairs))
    if kind.name == MULTIPART:
        return Filled(None, Content(files=list(_parts(link, _named_by(link, value)))))
    if not isinstance(value, str | bytes):
        what = "fields can't be made into that" if link.fields else "send text or bytes"
        raise FormError(f"{_named(link)} takes {kind.name}; {what}")
    return Filled(None, Content(data=value, media_type=link.sends))


def _fields(link: Link, value: Any, *, nulls: bool) -> dict[str, Any]:
    """The fields that are sent, in the form's order: those given, and the defaults of others."""
    value = _named_by(link, {} if value is None else value)
    known = {field.name for field in link.fields}
    unknown = [] if link.any_field else sorted(str(name) for name in value if name not in known)
    if unknown:
        raise FormError(
            f"{_named(link)} has no field {', '.join(unknown)}; it has {', '.join(sorted(known))}"
        )
    given = {
        field.name: value.get(field.name, field.value)
        for field in link.fields
        if field.name in value or field.value is not None
    }
    given.update({name: item for name, item in value.items() if name not in known})
    if not nulls:
        given = {name: item for name, item in given.items() if item is not None}
    missing = [field.name for field in link.fields if field.required and field.name not in given]
    if missing:
        raise FormError(f"{_named(link)} requires {', '.join(missing)}")
    return given


def _named_by(link: Link, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise FormError(f"{_named(link)} takes fields by name, not {type(value).__name__}")
    return value


def _parts(link: Link, fields: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The parts of a multipart form: files as `requests` takes them, all else as text."""
    parts: list[tuple[str, Any]] = []
    for name, item in fields.items():
        if isinstance(item, tuple) or hasattr(item, "read"):
            parts.append((name, item))
        elif item is not None:
            text = _text(link, name, item)
            several = text if isinstance(text, list) else [text]
            parts += [(name, (None, each)) for each in several]
    return parts


def _text(link: Link, name: str, value: Any) -> Any:
    """A field's value as a form has it: text, or a list of texts for a field that is sent so often.

    What else JSON has words for is sent in these: `true`, a date in ISO 8601.
    """
    if value is None or isinstance(value, str | bytes):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return [_text(link, name, item) for item in value]
    try:
        plain = _json.decode(_json.encode(value))
    except EncodeError:
        plain = None
    if isinstance(plain, bool):
        return "true" if plain else "false"
    if isinstance(plain, str | int | float):
        return str(plain)
    raise FormError(f"the field {name} of {_named(link)} can't be of type {type(value).__name__}")


def _named(link: Link) -> str:
    return f"the form of {link.rel!r}"

"""JSON: an encoder for more types than json's own, with errors that say where; a strict decoder."""

from __future__ import annotations

import codecs
import dataclasses
import datetime as dt
import decimal
import enum
import functools
import json
import os
import threading
import types
import uuid
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sleepwalker import _nesting
from sleepwalker.exceptions import ConfigurationError, EncodeError

if TYPE_CHECKING:
    from collections.abc import Callable

_CODE = (
    type,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.ModuleType,
    functools.partial,
)
"""What has a `__dict__` but is surely no data."""

_LONGEST_INT = 14_280
"""Bits: Python turns no integer of more than 4300 digits into text."""


class JsonEncoder(json.JSONEncoder):
    """Handles more object types if the first encoding doesn't work.

    In this order: what `default` makes of it, an object's ``to_dict()``, dataclasses, enums (their
    value), dates and times (ISO 8601), `UUID`, `Decimal` (as text, so that no digit is lost),
    paths, bytes (decoded with `encoding`), sets and mappings, then ``__dict__``.

    The parameters are those of `json.JSONEncoder`, and:

    :param encoding: how bytes are decoded
    :raises EncodeError: (a `TypeError`) for what can't be encoded, naming its type and place
    :raises ConfigurationError: for an `encoding` that there isn't
    """

    def __init__(
        self,
        skipkeys: bool = False,
        ensure_ascii: bool = True,
        check_circular: bool = True,
        allow_nan: bool = True,
        sort_keys: bool = False,
        indent: int | str | None = None,
        separators: tuple[str, str] | None = None,
        encoding: str = "utf-8",
        default: Callable[[Any], Any] | None = None,
    ) -> None:
        # `default` isn't handed on: json would put it in the place of our method.
        super().__init__(
            skipkeys=skipkeys,
            ensure_ascii=ensure_ascii,
            check_circular=check_circular,
            allow_nan=allow_nan,
            sort_keys=sort_keys,
            indent=indent,
            separators=separators,
        )
        try:
            codecs.lookup(encoding)
        except (LookupError, TypeError):
            msg = f"encoding must be the name of a text encoding such as 'utf-8', not {encoding!r}"
            raise ConfigurationError(msg) from None
        self.encoding = encoding
        self._users_default = default

    def default(self, o: Any) -> Any:
        """A plain form of an object that json doesn't know.

        :raises EncodeError: when there is none
        """
        if self._users_default is not None:
            try:
                return self._users_default(o)
            except TypeError:
                pass
        return self._plain(o)

    def _plain(self, o: Any) -> Any:  # noqa: C901, PLR0911, PLR0912 - one rule a line
        if not isinstance(o, type) and callable(getattr(o, "to_dict", None)):
            return o.to_dict()
        if isinstance(o, _CODE):
            raise _unencodable(o)
        if dataclasses.is_dataclass(o):
            try:
                return {f.name: getattr(o, f.name) for f in dataclasses.fields(o)}
            except AttributeError:  # a slot that was never filled
                raise _unencodable(o) from None
        if isinstance(o, enum.Enum):
            return o.value
        if isinstance(o, dt.date | dt.time):
            return o.isoformat()
        if isinstance(o, uuid.UUID | decimal.Decimal):
            return str(o)
        if isinstance(o, os.PathLike):
            return os.fspath(o)
        if isinstance(o, bytes | bytearray):
            try:
                return o.decode(self.encoding)
            except UnicodeDecodeError:
                raise _unencodable(o) from None
        if isinstance(o, Mapping):
            return dict(o)
        if isinstance(o, AbstractSet):
            try:
                return sorted(o)
            except TypeError:
                return list(o)
        try:
            return vars(o)
        except TypeError:
            raise _unencodable(o) from None

    def iterencode(self, o: Any, _one_shot: bool = False) -> Any:
        """Encode piece by piece; as `encode`, with errors of our tree."""
        failure = None
        try:
            yield from super().iterencode(o, _one_shot)
        except (TypeError, ValueError, RecursionError) as error:
            failure = error
        if failure is not None:
            # Out here: json's own errors quote the value.
            raise self._error(o, failure)

    def encode(self, o: Any) -> str:
        """Encode a value.

        :raises EncodeError: when it can't be
        """
        if isinstance(o, str):
            return super().encode(o)
        return "".join(self.iterencode(o, _one_shot=True))

    def _error(self, o: Any, error: Exception) -> EncodeError:
        """What went wrong, and where: found by a walk that only a failure pays for."""
        if isinstance(error, RecursionError):
            return EncodeError("the value is nested too deeply for JSON")
        try:
            where, what = self._offender(o, "$", [])
        except RecursionError:
            return EncodeError("something in the value, deeply nested, can't be encoded as JSON")
        if what is None:
            return EncodeError(f"the value can't be encoded as JSON ({type(error).__name__})")
        return EncodeError(f"{what} at {where} can't be encoded as JSON")

    def _offender(self, o: Any, path: str, above: list[Any]) -> tuple[str, str | None]:  # noqa: C901, PLR0911, PLR0912 - one rule a line
        """The path and description of the first part that can't be encoded, as json meets them."""
        if isinstance(o, int) and o.bit_length() > _LONGEST_INT:
            return path, "an integer of thousands of digits"
        if o is None or isinstance(o, str | bool | int):
            return path, None
        if isinstance(o, float):
            bad = not self.allow_nan and (o != o or o in {float("inf"), float("-inf")})  # noqa: PLR0124 - NaN
            return path, f"the number {o!r}" if bad else None
        if any(o is other for other in above):
            return path, f"a circular reference to {type(o).__name__}"
        above = [*above, o]
        if isinstance(o, dict):
            for key, value in o.items():
                if not (key is None or isinstance(key, str | int | float) or self.skipkeys):
                    return path, f"a key of type {type(key).__name__}"
                if isinstance(key, float) and self._offender(key, path, [])[1] is not None:
                    return path, f"the key {key!r}"
                found = self._offender(value, f"{path}.{key}", above)
                if found[1] is not None:
                    return found
            if self.sort_keys and len({type(key) for key in o}) > 1:
                return path, "a dict with keys of several types (sort_keys can't sort them)"
            return path, None
        if isinstance(o, list | tuple):
            for index, value in enumerate(o):
                found = self._offender(value, f"{path}[{index}]", above)
                if found[1] is not None:
                    return found
            return path, None
        try:
            plain = self.default(o)
        except (TypeError, ValueError):
            return path, f"an object of type {type(o).__name__}"
        return self._offender(plain, path, above)


def _unencodable(o: object) -> EncodeError:
    return EncodeError(f"an object of type {type(o).__name__} can't be encoded as JSON")


_BEGINNINGS = frozenset({b"{", b"["})


class TooDeepError(ValueError):
    """A document is nested deeper than it may be."""


def decode(body: bytes, charset: str | None = None, depth: int | None = None) -> Any:
    """The value in a JSON document.

    :param charset: the one that the document's media type names; by default UTF-8, or UTF-16 or
        UTF-32 where the first bytes say so (RFC 8259 knows only UTF-8, but others are about)
    :param depth: how deep it may be nested; `None`: as deep as json can go
    :raises TooDeepError: when it is nested deeper
    :raises ValueError: when it is not JSON, or not text in that charset
    """
    document: str | bytes = body
    if charset is not None:
        # A charset that there isn't says nothing.
        with suppress(LookupError):
            document = body.decode(charset).removeprefix("\ufeff")
    if depth is not None and len(document) > depth:
        whole = document if isinstance(document, bytes) else document.encode("utf-8", "replace")
        if _nesting.is_deeper(whole, depth):
            msg = f"nested more than {depth} deep"
            raise TooDeepError(msg)
    if isinstance(document, bytes) and document[:1] in _BEGINNINGS and document[1:2] != b"\0":
        # As json itself decodes it, once it has looked for all other encodings.
        document = document.decode("utf-8", "surrogatepass")
    try:
        return json.loads(document)
    except RecursionError:
        pass
    # How deep json can go depends on how deep the caller is already: a new thread is not.
    return _decoded_apart(document)


def _decoded_apart(document: str | bytes) -> Any:
    """The value in a document, decoded in a thread of its own.

    :raises TooDeepError: when it is nested deeper than json can go at all
    :raises ValueError: when it is not JSON
    """
    decoded: list[Any] = []
    failures: list[ValueError] = []

    def decode() -> None:
        try:
            decoded.append(json.loads(document))
        except ValueError as error:
            failures.append(error)
        except RecursionError:
            failures.append(TooDeepError("nested deeper than Python can go"))

    apart = threading.Thread(target=decode, name="sleepwalker-json")
    apart.start()
    apart.join()
    if failures:
        raise failures[0]
    return decoded[0]


def encode(value: Any, encoder: type[json.JSONEncoder] = JsonEncoder) -> bytes:
    """A request body: strict JSON in UTF-8.

    :raises EncodeError: when it can't be encoded; NaN and infinities are no JSON
    """
    trouble = ""
    try:
        return encoder(allow_nan=False).encode(value).encode()
    except EncodeError:
        raise
    except (TypeError, ValueError, RecursionError) as error:
        # Of an encoder that is not made from ours.
        trouble = type(error).__name__
    msg = f"{encoder.__name__} can't encode the value as JSON ({trouble})"
    raise EncodeError(msg)

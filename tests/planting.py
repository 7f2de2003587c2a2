"""Secrets that tests plant, and the search for them.

Rule 1: a secret is made at run time: no source line has it.
Rule 2: `everything_in` goes wherever a curious reader of an error could go, but for the local
    variables of its traceback's frames.
Rule 3: `found` knows a secret in every form that it may come back in, and any large part of it.
Rule 4: `WRITTEN` are the forms that a server tells a secret in; `found` knows each of them.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import secrets as random_secrets
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cache
from typing import Final
from urllib.parse import quote, quote_plus

_LEAST: Final = 8
"""Characters: what is shorter is found by chance."""

SHAPES: Final = ("token", "base64", "awkward", "short")


def new_secret(shape: str = "token") -> str:
    """Make a secret that no source line holds; `awkward` changes in every encoding."""
    head, tail = random_secrets.token_hex(7), random_secrets.token_hex(7)
    return {
        "token": f"{head}-{tail}",
        "base64": f"{head}+/{tail}==",
        "awkward": f'{head}"\\<é> %&{tail}',
        "short": random_secrets.token_hex(3),
    }[shape]


def forms(secret: str) -> dict[str, str]:
    """The texts that give a secret away, by what was done to it."""
    data = secret.encode()
    given = {
        "itself": secret,
        "its beginning": secret[:12],
        "its end": secret[-12:],
        "percent-encoded": quote(secret, safe=""),
        "percent-encoded as in a form": quote_plus(secret),
        "percent-encoded twice": quote(quote(secret, safe=""), safe=""),
        "percent-encoded as Latin-1": quote(secret.encode("latin-1", "replace"), safe=""),
        "in JSON": json.dumps(secret)[1:-1],
        "in JSON in JSON": json.dumps(json.dumps(secret)[1:-1])[1:-1],
        "in JSON, not ASCII only": json.dumps(secret, ensure_ascii=False)[1:-1],
        "in a repr": repr(secret)[1:-1],
        "in HTML": html.escape(secret),
        "as UTF-8 read as Latin-1": data.decode("latin-1"),
        "in hexadecimal": data.hex(),
        "as MD5": hashlib.md5(data, usedforsecurity=False).hexdigest(),
        "as SHA-1": hashlib.sha1(data, usedforsecurity=False).hexdigest(),
        "as SHA-256": hashlib.sha256(data).hexdigest(),
    }
    for encoding in ("utf-8", "latin-1"):
        raw = secret.encode(encoding, "replace")
        for offset in range(3):
            # What stands before and behind it changes the characters at both ends.
            text = base64.b64encode(b"\0" * offset + raw).decode().rstrip("=")
            middle = text[(0, 2, 3)[offset] : len(text) - bool((offset + len(raw)) % 3)]
            given[f"in base64 of {encoding} at {offset}"] = middle
            given[f"in URL-safe base64 of {encoding} at {offset}"] = middle.translate(
                {ord("+"): "-", ord("/"): "_"}
            )
    least = min(_LEAST, len(secret))
    return {how: text for how, text in given.items() if len(text) >= least}


WRITTEN: Final[Mapping[str, Callable[[str], str]]] = {
    "as it is": str,
    "in capitals": str.upper,
    "in small letters": str.lower,
    "percent-encoded": lambda secret: quote(secret, safe=""),
    "percent-encoded in small letters": lambda secret: quote(secret, safe="").lower(),
    "percent-encoded twice": lambda secret: quote(quote(secret, safe=""), safe=""),
    "as in a form": quote_plus,
    "in JSON": json.dumps,
    "in JSON in JSON": lambda secret: json.dumps(json.dumps({"error": secret})),
    "in HTML": html.escape,
    "in a repr": repr,
    "in base64": lambda secret: base64.b64encode(f"reader:{secret}".encode()).decode(),
    "in URL-safe base64": lambda s: base64.urlsafe_b64encode(f"me:{s}:x".encode()).decode(),
    "in hexadecimal": lambda secret: secret.encode().hex(),
}
"""What servers write of a secret."""


def found(secret: str, text: str) -> str | None:
    """How a secret stands in a text, with what is around it; `None` when it does not."""
    return _found_folded(secret, text, text.casefold())


def leaks(secrets: Mapping[str, str], texts: Iterable[str]) -> list[str]:
    """Which places' secrets stand in texts, and how."""
    text = "\n".join(dict.fromkeys(texts))
    folded = text.casefold()
    given = ((place, _found_folded(secret, text, folded)) for place, secret in secrets.items())
    return [f"{place}: {how}" for place, how in given if how is not None]


def _found_folded(secret: str, text: str, folded: str) -> str | None:
    for how, form in _folded_forms(secret):
        at = folded.find(form)
        if at >= 0:
            around = text[max(0, at - 60) : at + len(form) + 40]
            return f"{how}, in {around!r}"
    return None


@cache
def _folded_forms(secret: str) -> list[tuple[str, str]]:
    """The forms without case: the same secret is looked for in hundreds of texts."""
    return [(how, form.casefold()) for how, form in forms(secret).items()]


_OPAQUE: Final = (
    type,
    types.ModuleType,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.TracebackType,
    types.FrameType,
    types.CodeType,
    int,
    float,
    complex,
)


def everything_in(*roots: object) -> Iterator[str]:
    """Every text that can be reached from these objects by attribute, item and chain of causes."""
    seen: dict[int, object] = {}  # keeps them alive, so that no id comes twice
    pending: list[object] = list(roots)
    while pending:
        thing = pending.pop()
        if thing is None or id(thing) in seen or isinstance(thing, _OPAQUE):
            continue
        seen[id(thing)] = thing
        if isinstance(thing, str):
            yield thing
        elif isinstance(thing, bytes | bytearray):
            yield thing.decode("latin-1")
        else:
            yield f"{thing!r} {thing}"
            pending += _parts(thing)


def _parts(thing: object) -> Iterator[object]:
    if isinstance(thing, Mapping):
        yield from thing.keys()
        yield from thing.values()
    elif isinstance(thing, Sequence | AbstractSet):
        yield from thing
    if isinstance(thing, BaseException):
        yield from (thing.args, thing.__cause__, thing.__context__)
        if isinstance(thing, OSError):
            yield from (thing.strerror, thing.filename, thing.filename2)
    yield from getattr(thing, "__dict__", {}).values()
    for cls in type(thing).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            yield getattr(thing, name, None)

"""How deep a JSON document is nested, told without decoding it.

Rules:

1. The answer depends on the document alone: not on how deep the caller's stack is, as the recursion
   limits do that json runs into, and not on the version of Python.
2. No recursion, and no loop in Python over more than the brackets: a hostile document costs time in
   proportion to its size, and less than decoding it would.
"""

from __future__ import annotations

import itertools
import json

DEEPEST = 500
"""How deep a document may be nested where nobody says otherwise."""

_SQUARE = bytes.maketrans(b"{}", b"[]")
_OTHERS = bytes(byte for byte in range(256) if byte not in b'[]{}"')
_STEPS = [0] * 256
_STEPS[ord("[")], _STEPS[ord("]")] = 1, -1
_FLAT = 4
"""How many of the innermost levels are taken off at once; few documents have more."""


def is_deeper(body: bytes, most: int) -> bool:
    """Whether lists and objects in a JSON document are nested more than `most` deep.

    Of what is no JSON it says something or other, but never no where json would go deeper.

    :param body: in UTF-8, UTF-16 or UTF-32
    """
    encoding = json.detect_encoding(body)
    if not encoding.startswith("utf-8"):
        body = body.decode(encoding, "replace").encode("utf-8", "replace")
    # Most documents have no more brackets than that, wherever these stand.
    if len(body) <= most or body.count(b"[") + body.count(b"{") <= most:
        return False
    brackets, depth = _brackets(body), 0
    while len(brackets) > most and depth < _FLAT:
        within = brackets.replace(b"[]", b"")
        if len(within) == len(brackets):
            break
        brackets, depth = within, depth + 1
    steps = map(_STEPS.__getitem__, brackets)
    # From 0: where more is closed than was opened, what was taken off was as deep all the same.
    return depth + max(itertools.accumulate(steps, initial=0)) > most


def _brackets(body: bytes) -> bytes:
    """The brackets of a document, those in its texts left out, and braces made square."""
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    marks = body.translate(_SQUARE, _OTHERS)
    # The quotes of a text without brackets are neighbours now.
    brackets = marks.replace(b'""', b"")
    return brackets if b'"' not in brackets else b"".join(marks.split(b'"')[::2])

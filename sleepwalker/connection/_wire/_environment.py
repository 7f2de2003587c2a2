"""Whether the environment names a proxy: asked at every request, without reading all of it.

`requests` reads every variable twice for each request, whatever they are. Here the names that count
are looked up, and all are read only when there are more or fewer of them than the last time.

Rules:

1. What this says is only whether there may be a proxy: which one, `requests` reads itself.
2. Changes of the environment count at the next request, as with `requests`.
"""

from __future__ import annotations

import os
import urllib.request
from typing import NamedTuple

_NAMES = tuple(
    spelling
    for scheme in ("http", "https", "all")
    for spelling in (f"{scheme}_proxy", f"{scheme.upper()}_PROXY")
)


class _Seen(NamedTuple):
    """What there was when all of the environment was read."""

    variables: int
    oddly_spelt: bool
    """Whether one names a proxy in a mixture of cases, which `urllib` takes as well."""


_seen = _Seen(-1, oddly_spelt=False)


def may_name_a_proxy() -> bool:
    """Whether the environment (or the system, where it keeps such settings) may name a proxy."""
    if urllib.request.getproxies is not urllib.request.getproxies_environment:
        return True
    environment = os.environ
    for name in _NAMES:
        if name in environment:
            return True
    seen = _seen
    if seen.variables != len(environment):
        seen = _read()
    return seen.oddly_spelt


def _read() -> _Seen:
    global _seen  # noqa: PLW0603 - the environment is the process's, and so is what is known of it
    names = list(os.environ)
    odd = any(name.lower() in _NAMES for name in names)
    _seen = _Seen(len(names), oddly_spelt=odd)
    return _seen

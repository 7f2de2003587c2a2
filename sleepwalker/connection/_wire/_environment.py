"""Whether the environment names a proxy: asked at every request, without reading all of it.

`requests` reads every variable twice for each request, whatever they are. Here the names are looked
at, and only when they are not those of the last time.

Rules:

1. What this says is only whether there may be a proxy: which one, `requests` reads itself.
2. Changes of the environment count at the next request, as with `requests`.
3. Where that can't be seen at a glance, there may be one.
"""

from __future__ import annotations

import os
import urllib.request
from typing import Any, NamedTuple

import requests

from ._originals import Originals

_SUFFIX = "_proxy"
_NONE = "no_proxy"
"""Names no proxy: without one that does it says nothing."""
_READERS = Originals(
    (requests.sessions, "get_environ_proxies"), (requests.utils, "get_environ_proxies")
)


class _Seen(NamedTuple):
    """What there was when the names were looked at."""

    names: list[Any]
    one_names_a_proxy: bool


_seen = _Seen([], one_names_a_proxy=False)


def may_name_a_proxy() -> bool:
    """Whether the environment (or the system, where it keeps such settings) may name a proxy."""
    reader = getattr(requests.utils, "getproxies", None)
    if reader is not urllib.request.getproxies_environment:
        # Of another system, or somebody's own.
        return True
    # As the system has them. Iterating over `os.environ` decodes each name, and takes twenty times
    # as long; the public `os.environb`, which not every system has, still twelve times.
    kept = getattr(os.environ, "_data", None)
    if type(kept) is not dict or not _READERS.are_there():
        return True
    names = list(kept)
    seen = _seen
    if seen.names != names:
        seen = _look_at(names)
    return seen.one_names_a_proxy


def _look_at(names: list[Any]) -> _Seen:
    global _seen  # noqa: PLW0603 - the environment is the process's, and so is what is known of it
    # In any case, and for any scheme or `scheme://host`: `urllib` takes them all.
    decoded = (os.fsdecode(name).lower() for name in names)
    found = any(name.endswith(_SUFFIX) and name != _NONE for name in decoded)
    _seen = _Seen(names, one_names_a_proxy=found)
    return _seen

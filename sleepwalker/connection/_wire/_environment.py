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

BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""The variables that name a CA bundle, the first one first."""
_SUFFIX = "_proxy"
_NONE = "no_proxy"
"""Names no proxy: without one that does it says nothing."""
_READERS = Originals(
    (requests.sessions, "get_environ_proxies"), (requests.utils, "get_environ_proxies")
)


class Seen(NamedTuple):
    """What there was when the names were looked at."""

    names: list[Any]
    a_proxy: bool
    """Whether one of them names a proxy."""
    a_bundle: bool
    """Whether one of them names a CA bundle."""


NOTHING = Seen([], a_proxy=False, a_bundle=False)
_seen = NOTHING


def names() -> Seen | None:
    """What the environment names; `None` when that can't be seen at a glance."""
    reader = getattr(requests.utils, "getproxies", None)
    if reader is not urllib.request.getproxies_environment:
        # Of another system, which may keep such settings elsewhere, or somebody's own.
        return None
    # As the system has them. Iterating over `os.environ` decodes each name, and takes twenty times
    # as long; the public `os.environb`, which not every system has, still twelve times.
    kept = getattr(os.environ, "_data", None)
    if type(kept) is not dict or not _READERS.are_there():
        return None
    names, seen = list(kept), _seen
    return seen if seen.names == names else _look_at(names)


def _look_at(names: list[Any]) -> Seen:
    global _seen  # noqa: PLW0603 - the environment is the process's, and so is what is known of it
    # In any case, and for any scheme or `scheme://host`: `urllib` takes them all.
    decoded = [os.fsdecode(name) for name in names]
    lower = map(str.lower, decoded)
    _seen = seen = Seen(
        names,
        a_proxy=any(name.endswith(_SUFFIX) and name != _NONE for name in lower),
        a_bundle=any(name in decoded for name in BUNDLES),
    )
    return seen

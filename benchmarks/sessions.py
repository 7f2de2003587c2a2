"""A session of `requests` for a target: by itself, or within what is assembled by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from requests.adapters import DEFAULT_POOLSIZE, HTTPAdapter

from benchmarks.target import Target, dress

if TYPE_CHECKING:
    import requests


def requests_session(target: Target, session: requests.Session) -> requests.Session:
    """Prepare a session."""
    dress(session, target)
    if target.threads > DEFAULT_POOLSIZE:
        # Beyond its default it throws connections away.
        for prefix in ("http://", "https://"):
            session.mount(prefix, HTTPAdapter(pool_maxsize=target.threads))
    return session

"""Telling a server how long the call has left, so that it stops working for nobody.

Only the hosts that the policy names are told, whoever the request is redirected to.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sleepwalker.auth import HostPattern

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests

    from sleepwalker.resilience.deadline import Deadline
    from sleepwalker.resilience.policy import DeadlineHeader

    from ._hop import Hop


@lru_cache(maxsize=256)
def _patterns(hosts: tuple[str, ...]) -> tuple[HostPattern, ...]:
    return tuple(map(HostPattern, hosts))


def tell(
    header: DeadlineHeader,
    deadline: Deadline,
    hop: Hop,
    request: requests.PreparedRequest,
    given: Mapping[Any, Any] | None,
) -> None:
    """Put into an attempt's headers how many whole milliseconds the deadline leaves now.

    :param given: the caller's own headers, one of that name among them: it stays, or stays away
    :raises ConfigurationError: when a pattern of hosts can't be understood
    """
    patterns = _patterns(header.hosts)
    name = header.name.lower()
    if deadline.is_none or header.name in hop.prepared.headers:
        return
    if any(key.lower() in {name, name.encode()} for key in given or ()):
        return
    origin = hop.origin
    if any(each.matches(origin.scheme, origin.host, origin.port) for each in patterns):
        request.headers[header.name] = str(int(max(deadline.remaining(), 0) * 1000))

"""A cookie jar that threads may share."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from requests.cookies import RequestsCookieJar

if TYPE_CHECKING:
    from collections.abc import Iterator


class Jar(RequestsCookieJar):
    """A cookie jar that threads may share.

    `requests`' own breaks when it is read and written at the same time.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._lock = threading.RLock()
        self._ever_set = False
        super().__init__(*args, **kwargs)

    def set_cookie(self, cookie: Any, *args: Any, **kwargs: Any) -> Any:
        with self._lock:
            self._ever_set = True
            return super().set_cookie(cookie, *args, **kwargs)

    def clear(self, *args: Any, **kwargs: Any) -> None:
        with self._lock:
            super().clear(*args, **kwargs)

    def __iter__(self) -> Iterator[Any]:
        with self._lock:
            return iter(list(super().__iter__()))

    @property
    def is_empty(self) -> bool:
        """Whether there are no cookies in it."""
        return not self._ever_set or next(iter(self), None) is None

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        state.pop("_lock")
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._lock = threading.RLock()
        super().__setstate__(state)

    def copy(self) -> Jar:
        """A jar with the same cookies and a lock of its own; takes none of this one's."""
        made = Jar()
        made.set_policy(self.get_policy())
        for cookie in list(RequestsCookieJar.__iter__(self)):
            made.set_cookie(cookie)
        return made

    __copy__ = copy

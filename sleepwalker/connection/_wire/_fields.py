"""Headers as `requests` has them, as cheap to copy as a dict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from requests.structures import CaseInsensitiveDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, KeysView, Mapping, ValuesView


class Fields(CaseInsensitiveDict):  # type: ignore[type-arg] # older versions have no parameter
    """`requests`' own mapping of headers, which can tell whether it was changed.

    Beneath is one dict of names in lower case to pairs (name as given, value).

    :ivar changes: another object whenever a header was put here, or taken away
    """

    def __init__(
        self, data: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None, **kwargs: Any
    ) -> None:
        self._pairs: dict[str, tuple[str, Any]] = {}
        self.changes = object()
        if data is not None or kwargs:
            self.update(data or (), **kwargs)

    @classmethod
    def received(cls, pairs: Iterable[tuple[str, str]]) -> Fields:
        """Those of an answer, in which several of one name are one list (RFC 9110, section 5.3)."""
        made = cls()
        kept = made._pairs
        for name, value in pairs:
            key = name.lower()
            before = kept.get(key)
            kept[key] = (name, value) if before is None else (before[0], f"{before[1]}, {value}")
        return made

    def __setitem__(self, key: str, value: Any) -> None:
        self._pairs[key.lower()] = key, value
        # Afterwards: who has seen the new one, in another thread, has seen the header too.
        self.changes = object()

    def __getitem__(self, key: str) -> Any:
        return self._pairs[key.lower()][1]

    def __delitem__(self, key: str) -> None:
        del self._pairs[key.lower()]
        self.changes = object()

    def __contains__(self, key: Any) -> bool:
        return key.lower() in self._pairs

    def get(self, key: str, default: Any = None) -> Any:
        pair = self._pairs.get(key.lower())
        return default if pair is None else pair[1]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._pairs.values())

    def __len__(self) -> int:
        return len(self._pairs)

    @property
    def pairs(self) -> ValuesView[tuple[str, Any]]:
        """Names, as given, and values: `items`, for those who have no time."""
        return self._pairs.values()

    @property
    def lower_names(self) -> KeysView[str]:
        """Names in lower case."""
        return self._pairs.keys()

    def lower_items(self) -> Iterator[tuple[str, Any]]:
        return ((key, value) for key, (_, value) in self._pairs.items())

    def copy(self) -> Fields:
        made = Fields()
        made._pairs = self._pairs.copy()
        return made

    def __reduce__(self) -> Any:
        # Whoever unpickles it may not have us.
        return CaseInsensitiveDict, (list(self.pairs),)

"""What a test puts between our sessions and the adapters that are mounted on them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from requests.adapters import BaseAdapter

_layers: list[Callable[[BaseAdapter], BaseAdapter]] = []
"""Each gives the adapter to use in the place of another; the last one is asked first."""


def behind_layers(adapter: BaseAdapter) -> BaseAdapter:
    """The adapter to send through in the place of one that is mounted."""
    if _layers:
        for layer in tuple(_layers):
            adapter = layer(adapter)
    return adapter


@contextmanager
def between(layer: Callable[[BaseAdapter], BaseAdapter]) -> Iterator[None]:
    """Put a layer before every adapter of every session of ours inside a ``with`` block."""
    _layers.append(layer)
    try:
        yield
    finally:
        _layers.remove(layer)

"""The formats of links that are known, and which of them are tried by default."""

from ._hal import HAL
from ._link_header import LinkHeader
from ._siren import Siren

DEFAULT_FORMATS = (LinkHeader(), HAL(), Siren())
"""Chosen by what a document says it is."""

__all__ = ["DEFAULT_FORMATS", "HAL", "LinkHeader", "Siren"]

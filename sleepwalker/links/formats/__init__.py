"""The formats of links that are known, and which of them are tried by default."""

from ._link_header import LinkHeader

DEFAULT_FORMATS = (LinkHeader(),)
"""Chosen by what a document says it is."""

__all__ = ["DEFAULT_FORMATS", "LinkHeader"]

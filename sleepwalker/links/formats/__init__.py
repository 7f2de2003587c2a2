"""The formats of links that are known, and which of them are tried by default."""

from ._hal import HAL
from ._hyper_schema import HyperSchema
from ._json_api import JSONAPI
from ._link_header import LinkHeader
from ._odata import OData
from ._pointers import Each, Pointers, Template
from ._siren import Siren

DEFAULT_FORMATS = (LinkHeader(), HAL(), Siren(), JSONAPI(), OData())
"""Chosen by what a document says it is; those that only look at its media type come first."""

__all__ = [
    "DEFAULT_FORMATS",
    "HAL",
    "JSONAPI",
    "Each",
    "HyperSchema",
    "LinkHeader",
    "OData",
    "Pointers",
    "Siren",
    "Template",
]

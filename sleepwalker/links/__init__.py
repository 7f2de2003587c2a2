"""Services, their resources, and the links between them, on the same host or across hosts.

`ServiceManager` holds a `ConnectionManager` and gives `Service`s; a service gives `Resource`s; a
resource's links lead to the next one, wherever it lives.
"""

from ._format import Document, Embedded, LinkFormat, MediaType
from ._link import Field, Link, Links
from ._manager import ServiceManager
from ._resource import Resource
from ._service import Service
from ._traversal import Known, Progress, Traversal, Visit
from .formats import (
    DEFAULT_FORMATS,
    HAL,
    JSONAPI,
    Each,
    HyperSchema,
    LinkHeader,
    OData,
    Pointers,
    Siren,
    Template,
)

__all__ = [
    "DEFAULT_FORMATS",
    "HAL",
    "JSONAPI",
    "Document",
    "Each",
    "Embedded",
    "Field",
    "HyperSchema",
    "Known",
    "Link",
    "LinkFormat",
    "LinkHeader",
    "Links",
    "MediaType",
    "OData",
    "Pointers",
    "Progress",
    "Resource",
    "Service",
    "ServiceManager",
    "Siren",
    "Template",
    "Traversal",
    "Visit",
]

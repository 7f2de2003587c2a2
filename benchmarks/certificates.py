"""A certificate for the benchmarks' server on loopback, from an authority that only they trust."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import trustme

from benchmarks.server import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator


class Certificates(NamedTuple):
    """Files in PEM."""

    bundle: Path
    """The authority's certificate: what clients have to trust."""
    server: Path
    """The server's certificate and its key."""


@contextmanager
def certificates() -> Iterator[Certificates]:
    """Make them in a folder that goes again."""
    authority = trustme.CA()
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        made = Certificates(Path(folder) / "authority.pem", Path(folder) / "server.pem")
        authority.cert_pem.write_to_path(str(made.bundle))
        authority.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(str(made.server))
        yield made

"""Certificates for the test servers and their clients, from an authority made for the session.

Rule: nothing here is trusted by anyone who was not given `bundle` or `client_context()`.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import trustme

if TYPE_CHECKING:
    from pathlib import Path

CertificateKind = Literal["good", "wrong name", "expired", "unknown authority"]

NAMES: Final = ("127.0.0.1", "::1", "localhost")


class ClientCertificate(NamedTuple):
    """Files of a client's certificate and key: what `requests` takes as `cert=`."""

    cert_file: str
    key_file: str


class CertificateAuthority:
    """Makes certificates and TLS contexts."""

    def __init__(self, directory: Path) -> None:
        """Write the authority's certificate, and later the clients', into `directory`."""
        self._authority = trustme.CA()
        self._directory = directory
        self._issue = cache(self._issue_server)
        self.bundle: Final = directory / "authority.pem"
        """What clients have to trust: for `verify=` and `REQUESTS_CA_BUNDLE`."""
        self._authority.cert_pem.write_to_path(str(self.bundle))

    def server_context(
        self, certificate: CertificateKind = "good", *, require_client_cert: bool = False
    ) -> ssl.SSLContext:
        """Give a server's context, its certificate for `NAMES` or wrong in the way asked for."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._issue(certificate).configure_cert(context)
        if require_client_cert:
            self._authority.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client_context(self, cert: ClientCertificate | None = None) -> ssl.SSLContext:
        """Give a client's context that trusts this authority alone, and offers `cert`."""
        context = ssl.create_default_context(cafile=self.bundle)
        if cert is not None:
            context.load_cert_chain(*cert)
        return context

    def client_certificate(self, name: str = "client") -> ClientCertificate:
        """Write files of a client's certificate with this common name, and of its key."""
        leaf = self._authority.issue_cert(common_name=name)
        files = ClientCertificate(
            str(self._directory / f"{name}.pem"), str(self._directory / f"{name}.key")
        )
        leaf.cert_chain_pems[0].write_to_path(files.cert_file)
        leaf.private_key_pem.write_to_path(files.key_file)
        return files

    def _issue_server(self, kind: CertificateKind) -> trustme.LeafCert:
        match kind:
            case "good":
                return self._authority.issue_cert(*NAMES)
            case "wrong name":
                return self._authority.issue_cert("wrong.test")
            case "expired":
                now = datetime.now(UTC)
                return self._authority.issue_cert(
                    *NAMES, not_before=now - timedelta(days=2), not_after=now - timedelta(days=1)
                )
            case "unknown authority":
                return trustme.CA().issue_cert(*NAMES)

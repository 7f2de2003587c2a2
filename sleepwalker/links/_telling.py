"""What errors of links tell: nothing that the service was told as a secret, and has told back."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import requests
from requests.structures import CaseInsensitiveDict

from sleepwalker import auth as _auth
from sleepwalker.connection import Connection
from sleepwalker.exceptions import LinkError, RelationError
from sleepwalker.observability.redaction import all_forms, cookies_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ._service import Service


@contextmanager
def no_secret_told(service: Service, headers: Mapping[str, Any]) -> Iterator[None]:
    """Take the secrets out of an error that is made from a document of a service.

    :param headers: the caller's own, which it got with the request
    """
    try:
        yield
    except LinkError as error:
        secrets = _secrets(service, headers)
        redaction = service.services.connections._telemetry.redaction
        error.args = (redaction._without(error.message, secrets), *error.args[1:])
        if isinstance(error, RelationError):
            error.relations = tuple(redaction._without(name, secrets) for name in error.relations)
        raise


def _secrets(service: Service, headers: Mapping[str, Any]) -> tuple[str, ...]:
    """What the service was told, as far as that is known without asking anybody."""
    connections, auth = service.services.connections, service.auth
    known = connections.conns.get((service.host, auth))
    cookies: tuple[str, ...] = ()
    if isinstance(known, Connection):
        auth = known._auth_of_origin() if auth is None else auth
        cookies = cookies_of(known.session.cookies)
        headers = {**known.session.headers, **headers}
    sent = requests.PreparedRequest()
    sent.headers = CaseInsensitiveDict(headers)
    redaction = connections._telemetry.redaction
    found = {*all_forms((*_auth.secrets_of(auth), *cookies)), *redaction.secrets(sent)}
    return tuple(sorted(found, key=len, reverse=True))

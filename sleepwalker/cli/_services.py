"""The `ServiceManager` of a command: made of what its options say.

Rules:

1. What can't be used is said before anything is sent.
2. The command's telemetry is its own: nothing goes to a registry or provider of the process.
"""

from __future__ import annotations

import dataclasses
import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sleepwalker.cli import _credentials
from sleepwalker.cli._credentials import Auth
from sleepwalker.cli._failures import UsageError
from sleepwalker.connection import AddressGuard, ConnectionManager, DirectHook
from sleepwalker.exceptions import ConfigurationError
from sleepwalker.links import HAL, JSONAPI, Each, LinkHeader, OData, Pointers, ServiceManager, Siren
from sleepwalker.resilience.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sleepwalker.links import LinkFormat

FORMATS: Mapping[str, LinkFormat] = {
    "link-header": LinkHeader(),
    "hal": HAL(),
    "siren": Siren(),
    "json-api": JSONAPI(),
    "odata": OData(),
}
"""The formats of links that can be chosen, by name."""
_POINTER = re.compile(r"(.+?)=((?:/|\[\]).*)")
_OF_ENVIRON = "environment variables *: "
"""How `Policy.from_env` begins its messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What `get` and `walk` are both told."""

    url: str
    auth: Auth = Auth.NETRC
    anonymous_hosts: Sequence[str] = ()
    headers: Sequence[str] = ()
    headers_from: Sequence[str] = ()
    formats: Sequence[str] = ()
    pointers: Sequence[str] = ()
    """Where links are in documents of no format, by relation."""
    template_hosts: Sequence[str] = ()
    retries: int | None = None
    timeout: float | None = None
    deadline: float | None = None
    """Of all that is asked, so that one request may take all of it."""
    policy: Sequence[str] = ()
    guard: bool = False
    allowed_addresses: Sequence[str] = ()
    cacert: str | None = None
    allow_plaintext: bool = False
    verbosity: int = 0


class Client:
    """What a command works with.

    :ivar services: finds and follows
    :ivar headers: of its own that go to the URL's origin
    :ivar formats: chosen by the user; `None`: as documents say
    :ivar secrets: texts that must not be shown
    """

    def __init__(
        self,
        options: Options,
        *,
        logger: Any = False,
        tracer_provider: Any = False,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        environ = os.environ if environ is None else environ
        try:
            # What needs nobody's answer first: a prompt comes last.
            self.headers = _headers(options, environ)
            self.formats = _formats(options)
            policy = policy_of(options)
            guard = _guard(options)
            self.url = options.url
            _credentials.origin_of(options.url)
            hook_options: dict[str, Any] = {
                "guard": guard,
                "timeout": options.timeout,
                "verify": _cacert(options.cacert),
                "allow_plaintext": options.allow_plaintext,
            }
            DirectHook(**hook_options)
            who = _credentials.identity(options.auth, options.url, options.anonymous_hosts, environ)
            self.secrets = (*who.secrets, *_secret_values(options, environ))
            hook = DirectHook(credentials=who.credentials, **hook_options)
            connections = ConnectionManager(
                hooks=[hook],
                policy=policy,
                registry=False,
                meter_provider=False,
                tracer_provider=tracer_provider,
                logger=logger,
            )
            self.services = ServiceManager(
                connections,
                credentials=who.credentials,
                netrc=who.netrc,
                template_hosts=options.template_hosts,
                guard=guard,
            )
        except ConfigurationError as error:
            raise UsageError(error.message) from error


@contextmanager
def client(options: Options, **telemetry: Any) -> Iterator[Client]:
    """A client that is closed in the end.

    :raises UsageError: for options that can't be used
    :raises CredentialsError: when nobody says who we are
    """
    made = Client(options, **telemetry)
    with made.services.connections:
        yield made


def policy_of(options: Options) -> Policy:
    """How resilient requests are.

    :raises UsageError: for a setting that there isn't, or a value that can't be used
    """
    settings = {}
    for each in options.policy:
        name, equals, value = each.partition("=")
        if not equals:
            raise UsageError("--policy takes SETTING=VALUE, such as attempts=5 or breaker=none")
        settings[re.sub("[.-]", "_", name.strip()).upper()] = value.strip()
    if options.retries is not None:
        if "ATTEMPTS" in settings:
            raise UsageError("--retries and --policy attempts=... say the same thing; give one")
        settings["ATTEMPTS"] = str(options.retries + 1)
    try:
        policy = Policy.from_env("", settings)
    except ConfigurationError as error:
        raise UsageError(f"--policy: {error.message.removeprefix(_OF_ENVIRON)}") from None
    if options.deadline is not None and "DEADLINE" not in settings:
        # One request may take all of the time there is.
        policy = dataclasses.replace(policy, deadline=options.deadline)
    return policy


def _formats(options: Options) -> tuple[LinkFormat, ...] | None:
    for name in options.formats:
        if name not in FORMATS:
            raise UsageError(f"--format: there is no {name!r}; there are {', '.join(FORMATS)}")
    made = [FORMATS[name] for name in options.formats]
    pointers: dict[str, str | Each] = {}
    for text in options.pointers:
        found = _POINTER.fullmatch(text)
        if found is None:
            raise UsageError("--link takes REL=/POINTER, such as next=/paging/next")
        rel, pointer = found.groups()
        if rel in pointers:
            raise UsageError(f"--link {rel}: there is one already")
        pointers[rel] = source_of(pointer)
    if pointers:
        made.append(Pointers(pointers))
    return tuple(made) or None


def source_of(pointer: str) -> str | Each:
    """Where links are: a JSON Pointer, in which ``[]`` stands for each element of an array.

    :raises ConfigurationError: for what is none
    """
    array, each, rest = pointer.partition("[]")
    return Each(array, source_of(rest)) if each else pointer


def _headers(options: Options, environ: Mapping[str, str]) -> dict[str, str]:
    given = [_credentials.header(text) for text in options.headers]
    given += [_credentials.header_from(text, environ) for text in options.headers_from]
    return dict(given)


def _secret_values(options: Options, environ: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(_credentials.header_from(text, environ)[1] for text in options.headers_from)


def _guard(options: Options) -> AddressGuard | None:
    if not options.guard and not options.allowed_addresses:
        return None
    return AddressGuard(allow=options.allowed_addresses)


def _cacert(path: str | None) -> str | bool:
    if path is None:
        return True
    try:
        with open(path, "rb"):  # noqa: PTH123 - only whether it can be
            pass
    except OSError as error:
        raise UsageError(f"--cacert: {path} can't be read: {error.strerror}") from None
    return path

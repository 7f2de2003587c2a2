"""Who we are to the hosts: from a netrc file, the environment, or a prompt; never the command line.

Rules:

1. A credential is for the URL's own origin and for no other. Others have what the netrc file has
   for them, by name; or nothing, where that is said.
2. Nothing secret is taken from the command line, which every user of the machine can read, and
   what looks like it is refused without being repeated.
3. What is typed at a prompt is not shown, and comes from the terminal, wherever input is from.
"""

from __future__ import annotations

import getpass
import os
import signal
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from sleepwalker import auth as _auth
from sleepwalker.auth import ANONYMOUS, BearerAuth
from sleepwalker.cli._failures import UsageError
from sleepwalker.cli._text import has_userinfo
from sleepwalker.connection import _urls
from sleepwalker.exceptions import AuthError, CredentialsError, URLError
from sleepwalker.observability.redaction import DEFAULT as REDACTION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sleepwalker.connection._urls import Origin

USER, PASSWORD, TOKEN = "SLEEPWALKER_USER", "SLEEPWALKER_PASSWORD", "SLEEPWALKER_TOKEN"
TERMINAL = "/dev/tty"


class Auth(StrEnum):
    """Where the credentials for the URL's origin come from."""

    NETRC = "netrc"
    ENV = "env"
    PROMPT = "prompt"
    NONE = "none"


class Identity(NamedTuple):
    """Who we are to all hosts.

    :ivar credentials: host patterns to auths, as `ServiceManager` and `DirectHook` take them
    :ivar netrc: whether the netrc file is asked for other hosts
    :ivar secrets: texts to be kept out of everything that is shown
    """

    credentials: Mapping[str, Any]
    netrc: bool
    secrets: tuple[str, ...]


def identity(
    how: Auth, url: str, anonymous_hosts: Iterable[str], environ: Mapping[str, str]
) -> Identity:
    """Find out who we are.

    :param anonymous_hosts: patterns of other hosts to which nothing is said
    :raises UsageError: for a URL that can't be used, or credentials that aren't where they are said
        to be
    :raises CredentialsError: when the netrc file has none, or can't be read
    """
    origin = origin_of(url)
    if how is Auth.NONE:
        return Identity({"*": ANONYMOUS}, netrc=False, secrets=())
    auth = _own(how, origin, environ)
    # The first pattern that matches decides, and no other is that one.
    credentials = {f"{origin.scheme}://{origin.host}:{origin.port}": auth}
    for pattern in anonymous_hosts:
        credentials.setdefault(pattern, ANONYMOUS)
    return Identity(credentials, netrc=True, secrets=_auth.secrets_of(auth))


def origin_of(url: str) -> Origin:
    """The origin of a URL that was given as an argument.

    :raises UsageError: when it can't be used; the message doesn't repeat it
    """
    if has_userinfo(url):
        msg = (
            "the URL has a user name or password in it, which every user of this machine can "
            "read: change it, and say who you are by --auth netrc, env or prompt"
        )
        raise UsageError(msg)
    try:
        return _urls.parse_origin(url)[0]
    except URLError as error:
        raise UsageError(error.message) from None


def _own(how: Auth, origin: Origin, environ: Mapping[str, str]) -> Any:
    """Who we are to the URL's own origin."""
    if how is Auth.ENV:
        return _from_environ(environ)
    if how is Auth.PROMPT:
        return _asked(origin)
    found = _auth.from_netrc(origin.host.strip("[]"), use_default=True)
    if found is None:
        msg = (
            f"no credentials for {origin}: add an entry for it to your netrc file, or say "
            "--auth none (nobody is told who you are), env or prompt"
        )
        raise CredentialsError(msg)
    return found


def _from_environ(environ: Mapping[str, str]) -> Any:
    user, password, token = (environ.get(name) for name in (USER, PASSWORD, TOKEN))
    if token and (user or password):
        raise UsageError(f"--auth env: {TOKEN} is set, and {USER} or {PASSWORD} as well")
    if token:
        return _bearer(token, "--auth env")
    if not user or password is None:
        raise UsageError(f"--auth env: set {USER} and {PASSWORD}, or {TOKEN}")
    return _basic(user, password)


def _basic(user: str, password: str) -> Any:
    """The pair as it is sent: Latin-1, or UTF-8 where that doesn't have its letters."""
    return _auth.checked((_letters(user), _letters(password)))


def _letters(text: str) -> str | bytes:
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape")
    return text


def _bearer(token: str, how: str) -> BearerAuth:
    try:
        return BearerAuth(token)
    except AuthError as error:
        raise UsageError(f"{how}: {error.message}") from None


def _asked(origin: Origin) -> Any:
    """Ask at the terminal."""
    try:
        terminal = os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY)
    except OSError:
        raise UsageError("--auth prompt: there is no terminal to ask at") from None
    with open(terminal, "w+b", buffering=0) as tty, _interruptible():  # noqa: PTH123 - it is open
        tty.write(f"User for {origin} (none: a token): ".encode())
        # Not `readline`, which for a raw file takes each byte on its own.
        typed = os.read(terminal, 4096)
        user = typed.decode(errors="surrogateescape").strip("\r\n")
        try:
            secret = getpass.getpass("Password: " if user else "Token: ") if typed else ""
        except EOFError:
            secret = ""
    if not secret:
        raise UsageError("--auth prompt: nothing was typed")
    if not user:
        return _bearer(secret, "--auth prompt")
    return _basic(user, secret)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C raise, so that the terminal shows again what is typed."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def header(text: str) -> tuple[str, str]:
    """A header as the command line has it: ``Name: value``.

    :raises UsageError: when it is none, or a secret; the message doesn't repeat its value
    """
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise UsageError("--header takes 'Name: value'")
    name = name.strip()
    if REDACTION.secret_header(name):
        msg = f"--header {name}: every user of this machine can read it: use --auth"
        if name.lower() != "authorization":
            msg += f", or --header-env {name}=VARIABLE with the value in an environment variable"
        raise UsageError(msg)
    return name, value.strip()


def header_from(text: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """A header whose value is in an environment variable: ``Name=VARIABLE``.

    :raises UsageError: when it is none, or the variable isn't set
    """
    name, equals, variable = (part.strip() for part in text.partition("="))
    if not equals or not name or not variable:
        raise UsageError("--header-env takes NAME=VARIABLE")
    if name.lower() == "authorization":
        raise UsageError(f"--header-env {name}: use --auth")
    value = environ.get(variable)
    if value is None:
        # Not repeated: it may be the value itself.
        raise UsageError(f"--header-env {name}: the variable that it names is not set")
    return name, value

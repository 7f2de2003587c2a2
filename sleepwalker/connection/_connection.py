"""`Connection`: authentication and communication to one remote machine.

Rules:

1. What is costly (the session, its sockets) is made at the first use: a connection that was never
   used is small.
2. A connection is shared by threads: what belongs to one call stands in its `Call`, what belongs
   to one thread (the last response) in a thread-local.
3. Closing never breaks a request in flight: sockets are closed when the last one ends.
"""

from __future__ import annotations

import asyncio
import os
import random as _random
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, TypeGuard

from sleepwalker import auth as _auth
from sleepwalker.exceptions import ConfigurationError, DecodeError
from sleepwalker.observability import events
from sleepwalker.observability import redaction as _redaction
from sleepwalker.observability import telemetry as _telemetry
from sleepwalker.resilience.clock import SYSTEM, Clock
from sleepwalker.resilience.deadline import seconds_of
from sleepwalker.resilience.hosts import HostStates, Safeguards
from sleepwalker.resilience.policy import Policy

from . import _admission, _forks, _headers, _json, _urls
from ._call import LONGEST_URL, Call, Options
from ._guard import AddressGuard, checked_guard
from ._timeouts import Timeout
from ._wire import IDLE, Fields, Session

if TYPE_CHECKING:
    import json
    import ssl
    import weakref
    from collections.abc import Callable, Iterable, Mapping

    import requests
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider
    from prometheus_client import CollectorRegistry

    from sleepwalker.observability.events import Instrument, Pool
    from sleepwalker.observability.redaction import Redaction
    from sleepwalker.observability.telemetry import Telemetry

    from ._hop import Hop
    from ._manager import ConnectionManager

DEFAULT_POLICY = Policy()
"""The policy of everyone who was given none."""

NO_CONTENT = 204
Path: TypeAlias = str | os.PathLike[str]
_JSON_BODY = {"Content-Type": "application/json"}
_JSON = {"Accept": "application/json"} | _JSON_BODY
_SAYS_JSON = Fields(_JSON)
"""The same for all connections whose user has said nothing else. Nobody changes it."""
_UNSAID = Options()
"""What a caller says who says nothing."""
_OF_REQUESTS = {"Accept": "*/*"}
"""What a session has from the start, and so says nothing of what its user wants."""


class Connection:
    """Handles authentication and communication to one remote machine.

    ::

        conn = Connection("https://api.example.com/v1", auth=("user", "password"))
        book = conn.json_request("GET", "/books/1")

    :param hostname: includes the protocol, as in ``https://host.com``; may have a base path, which
        is prepended to every URI
    :param auth: a pair (user, password), any `requests` auth object, `BearerAuth`, or `ANONYMOUS`.
        `None`: the user's netrc file is asked at the first request, and if it has no entry for the
        host, that is an error: nothing is sent unauthenticated by accident.
    :param port: an int or numeric text, if `hostname` has none
    :param verify: whether to require a valid certificate, or the path of a CA bundle. `False` or a
        path wins over the environment's bundle; `True` takes the environment's
    :param timeout: seconds: a float, for connecting and for each read, or a pair (connect, read);
        `None`, also in the pair, means the policy's own, never "wait for ever"
    :param policy: how resilient calls are; `None`: the manager's, or the default `Policy`
    :param cert: client certificate: a path, or a pair (certificate, key)
    :param ssl_context: decides all of TLS; not together with `verify` or `cert`
    :param allow_plaintext: let passwords and tokens travel over plain http
    :param auth_label: what telemetry calls this auth; never made from a secret by itself
    :param credentials: auths for other origins that redirects may lead to, by host pattern
    :param netrc: whether the user's netrc file is asked, for the host or for another origin that a
        redirect leads to
    :param guard: refuses addresses that are not global unicast, the host's and those that redirects
        lead to; and proxies and mounted adapters, which would connect in our place
    :param clock: what time it is and how to wait (for tests)
    :param random: gives numbers from 0 to 1 for the backoff's jitter (for tests)
    :param registry: where metrics go: `None`: the default registry; `False`: nowhere
    :param tracer_provider: makes spans: `None`: the global one; `False`: no spans
    :param meter_provider: takes the standard `http.client.request.duration`: `None`:
        OpenTelemetry's global one; `False`: it isn't recorded
    :param baggage_hosts: patterns of hosts, as those of `DirectHook`, that OpenTelemetry's baggage
        is sent to; it is sent to no other
    :param logger: a structlog or stdlib logger: `None`: the application's; `False`: no logs
    :param observers: further instruments
    :param redaction: what is secret beside what always is
    :raises URLError: for a host name or port that can't be used
    :raises ConfigurationError: (a `ValueError`) for any other option that can't
    :raises PlaintextError: when a password or token would travel over plain http
    """

    # Ours beside those of users and sub-classes: in a dict they would be three times as large.
    __slots__ = (
        "__dict__",
        "__weakref__",
        "_allow_plaintext",
        "_asks_netrc",
        "_auth",
        "_auth_label",
        "_base",
        "_cert",
        "_chosen_states",
        "_chosen_telemetry",
        "_clock",
        "_credentials",
        "_given_instruments",
        "_guard",
        "_guarded",
        "_holders",
        "_identity",
        "_idle",
        "_in_flight",
        "_inherited_policy",
        "_json_defaults",
        "_listed",
        "_lock",
        "_manager",
        "_netrc_auth",
        "_own_policy",
        "_pool_name",
        "_random",
        "_responses",
        "_retired",
        "_session",
        "_ssl_context",
        "_swept",
        "_timeout",
        "_used",
        "_verify",
        "_warned_of_plaintext",
    )

    JsonEncoder: type[json.JSONEncoder] = _json.JsonEncoder
    """Encodes the bodies of this class's connections; a sub-class may have another."""

    def __init__(
        self,
        hostname: str,
        auth: Any = None,
        port: int | str | None = None,
        verify: bool | str | os.PathLike[str] = True,
        timeout: float | tuple[float | None, float | None] | None = None,
        *,
        policy: Policy | None = None,
        cert: Path | tuple[Path, Path] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        allow_plaintext: bool = False,
        auth_label: str | None = None,
        credentials: Mapping[str, Any] | None = None,
        netrc: bool = True,
        guard: AddressGuard | None = None,
        clock: Clock | None = None,
        random: Callable[[], float] | None = None,
        registry: CollectorRegistry | Literal[False] | None = None,
        tracer_provider: TracerProvider | Literal[False] | None = None,
        meter_provider: MeterProvider | Literal[False] | None = None,
        logger: Any = None,
        baggage_hosts: Iterable[str] = (),
        observers: Iterable[Instrument] = (),
        redaction: Redaction | None = None,
    ) -> None:
        self._base = _urls.parse_base(hostname, port, _redaction.checked(redaction))
        self._auth = _auth.checked(auth)
        self._timeout = Timeout.of(timeout)
        self._own_policy = _checked_policy(policy)
        self._verify, self._cert = _checked_verify(verify), _checked_cert(cert)
        self._ssl_context = _checked_context(ssl_context)
        if ssl_context is not None and (verify is not True or cert is not None):
            msg = "ssl_context decides all of TLS; load the CA bundle or certificate into it"
            raise ConfigurationError(msg)
        self._allow_plaintext = _flag("allow_plaintext", allow_plaintext)
        if auth_label is not None and (not isinstance(auth_label, str) or not auth_label):
            msg = "auth_label must be a text that is not empty"
            raise ConfigurationError(msg)
        self._auth_label = auth_label
        self._credentials = _auth.Credentials(credentials)
        self._asks_netrc = _flag("netrc", netrc)
        self._guard = checked_guard(guard)
        if (
            self._base.origin.scheme == "http"
            and _auth.is_plain_secret(self._auth)
            and not allow_plaintext
        ):
            _auth.refuse_plaintext(str(self._base.origin))
        self._identity = _auth.identity(auth)
        self._clock: Clock = checked_clock(clock)
        self._random = checked_random(random)
        self._given_instruments = (
            registry is not None
            or tracer_provider is not None
            or meter_provider is not None
            or logger is not None
            or bool(baggage_hosts)
            or bool(observers)
            or redaction is not None
        )
        self._chosen_telemetry: Telemetry | None = None
        if self._given_instruments:
            self._chosen_telemetry = _telemetry.Telemetry(
                registry=registry,
                tracer_provider=tracer_provider,
                meter_provider=meter_provider,
                logger=logger,
                baggage_hosts=_auth.host_patterns("baggage_hosts", baggage_hosts),
                observers=observers,
                redaction=redaction,
                clock=self._clock,
            )
        self._inherited_policy: Policy | None = None
        self._chosen_states: HostStates | None = None
        self._guarded: tuple[Policy, Safeguards] | None = None
        """What stands around calls to our own origin, under the policy that was used last."""
        self._pool_name: Pool | None = None
        self._holders = 0
        """How many pools hold this connection."""
        self._listed = False
        """Whether a manager has it on its list of those to sweep."""
        self._manager: weakref.ref[ConnectionManager] | None = None
        """Who is told when a request ends; `None` as long as there is none."""
        self._lock = threading.RLock()
        self._session: Session | None = None
        self._json_defaults: tuple[Any, int | None, Fields] | None = None
        """The common headers when they were asked for last, and what goes with them."""
        self._netrc_auth: Any = None
        self._responses: threading.local | None = None
        self._in_flight = 0
        self._idle: threading.Event | None = None
        self._retired = False
        self._warned_of_plaintext = False
        self._used = self._swept = self._clock.monotonic()
        _forks.enlist(self)

    # --- what it is --------------------------------------------------------------------------

    @property
    def hostname(self) -> str:
        """The host name as given, with the port joined."""
        return self._base.text

    @property
    def policy(self) -> Policy:
        """The policy of calls that bring none.

        The connection's own, its manager's, or the default.
        """
        return self._own_policy or self._inherited_policy or DEFAULT_POLICY

    @property
    def timeout(self) -> tuple[float | None, float | None]:
        """The (connect, read) timeouts given to this connection, in seconds.

        `None` where the policy decides.
        """
        return self._timeout.connect, self._timeout.read

    @property
    def allow_plaintext(self) -> bool:
        """Whether passwords and tokens may travel over plain http."""
        return self._allow_plaintext

    @property
    def guard(self) -> AddressGuard | None:
        """What decides which addresses may be connected to; `None`: all."""
        return self._guard

    @property
    def session(self) -> Session:
        """The `requests.Session` beneath: mount adapters, set proxies, cookies, default headers.

        What is set here counts for every later request of everyone who shares the connection.
        """
        session = self._session
        if session is None:
            with self._lock:
                session = self._session
                if session is None:
                    session = self._session = self._new_session()
        return session

    conn = session
    """The name that sleepwalker 2.0 gave `session`."""

    def _new_session(self) -> Session:
        session = Session(
            self._ssl_context, allow_plaintext=self._allow_plaintext, guard=self._guard
        )
        session.auth = self._auth
        session.verify = self._verify
        session.cert = self._cert
        return session

    @property
    def response(self) -> requests.Response | None:
        """The last response of the calling thread, or `None`."""
        return getattr(self._responses, "last", None)

    @response.setter
    def response(self, response: requests.Response) -> None:
        responses = self._responses
        if responses is None:
            with self._lock:
                responses = self._responses = self._responses or threading.local()
        responses.last = response

    def get_url(self, uri: str) -> str:
        """The fully qualified URL for a URI.

        :param uri: a path (which goes behind the base path), a query, or an absolute URL of the
            same origin
        :raises CrossOriginError: (a `URLError`) for a URL of another origin, or ``//host``
        """
        return self._base.url(uri, self._redaction)

    def add_headers(self, headers: Mapping[str, str | bytes | None]) -> None:
        """Add headers common to all requests, of everyone who shares this connection.

        A value of `None` removes a header.

        :raises HeaderError: for a header that can't be sent
        """
        checked, session = _headers.checked(headers), self.session
        with self._lock:
            # A new mapping, because others may be reading the old one just now.
            common = session.headers.copy()
            for name, value in checked.items():
                if value is None:
                    common.pop(name, None)
                else:
                    common[name] = value
            session.headers = common

    def __repr__(self) -> str:
        state = f"{self._in_flight} in flight" if self._in_flight else "idle"
        if self._retired:
            state = "closing, " + state if self._in_flight else "closed"
        if self._guarded is not None:
            policy, guards = self._guarded
            scope = "" if policy.scope is None else f"{policy.scope}: "
            state += f"; {scope}{guards.told()}" if guards.told() else ""
        return f"<Connection {self._base.shown(self._redaction)} auth={self._label} {state}>"

    # --- requests ----------------------------------------------------------------------------

    def request(
        self,
        method: str,
        uri: str,
        *,
        params: Any = None,
        data: Any = None,
        json: Any = None,
        files: Any = None,
        headers: Mapping[str, str | bytes | None] | None = None,
        cookies: Any = None,
        auth: Any = None,
        hooks: Any = None,
        stream: bool = False,
        allow_redirects: bool = True,
        raise_for_status: bool = True,
        timeout: float | tuple[float | None, float | None] | None = None,
        deadline: float | None = None,
        policy: Policy | None = None,
        idempotency_key: str | bool | None = None,
        idempotent: bool | None = None,
        name: str | None = None,
    ) -> requests.Response:
        """Send a request and return the `requests.Response`.

        `params`, `data`, `files`, `cookies`, `auth` and `hooks` are as in `requests`.

        :param method: the HTTP method
        :param uri: as in `get_url`
        :param json: a body to be encoded by `JsonEncoder`
        :param headers: beat the connection's defaults, and an `Authorization` its auth; a value of
            `None` removes one
        :param stream: don't read the body; close the response, or use it in a ``with`` block
        :param allow_redirects: follow redirects (`Policy.redirects` of them)
        :param raise_for_status: raise for a status of 400 or more, after retries
        :param timeout: seconds, as for the connection; wins over its own
        :param deadline: seconds for the whole call, retries and waits included
        :param policy: wins over the connection's
        :param idempotency_key: makes the request repeatable: a key, or `True` to have one made;
            the same on every attempt
        :param idempotent: your own word on whether the request may be repeated
        :param name: a URL template of few values, such as ``/books/{id}``, for telemetry
        :raises HTTPError: for a status of 400 or more
        :raises ConnectionError: when no complete answer came (its subclasses say why)
        :raises RefusedError: for what must not be sent
        :raises ConfigurationError: for arguments that can never work
        """
        arguments = {
            "params": params,
            "data": data,
            "files": files,
            "headers": _headers.checked(headers),
            "cookies": cookies,
            "auth": auth,
            "hooks": hooks,
        }
        if json is not None:
            if data or files:
                msg = "give one body: data, json or files"
                raise ConfigurationError(msg)
            arguments["data"], arguments["files"] = _json.encode(json, self.JsonEncoder), None
            arguments["headers"] = _headers.checked(headers, self._defaults(_JSON_BODY))
        options = Options(
            timeout=Timeout.of(timeout),
            deadline=None if deadline is None else seconds_of(deadline, "deadline"),
            policy=_checked_policy(policy),
            idempotency_key=idempotency_key,
            idempotent=_checked_idempotent(idempotent),
            name=_checked_name(name),
            stream=_flag("stream", stream),
            raise_for_status=_flag("raise_for_status", raise_for_status),
            allow_redirects=_flag("allow_redirects", allow_redirects),
        )
        return Call(self, method, uri, arguments, options).run(_itself)

    def json_request(
        self,
        method: str,
        uri: str,
        body: Any = None,
        params: Any = None,
        extra_headers: Mapping[str, str | bytes | None] | None = None,
        *,
        timeout: float | tuple[float | None, float | None] | None = None,
        deadline: float | None = None,
        policy: Policy | None = None,
        idempotency_key: str | bool | None = None,
        idempotent: bool | None = None,
        name: str | None = None,
    ) -> Any:
        """Send JSON, receive JSON.

        :param body: encoded by `JsonEncoder`; `None`: no body
        :param params: the query, as in `requests`
        :param extra_headers: as `headers` in `request`; the other arguments are as there
        :returns: the decoded body; `None` for 204 or an empty body
        :raises DecodeError: when the body is not JSON; it carries the response
        :raises EncodeError: (a `TypeError`) for a body that JSON can't hold
        :raises SleepwalkerException: as `request`
        """
        arguments = {
            "params": params,
            "data": None if body is None else _json.encode(body, self.JsonEncoder),
            "headers": self._json_headers(extra_headers),
        }
        options = _UNSAID
        in_time = timeout is None and deadline is None and policy is None
        as_it_is = idempotency_key is None and idempotent is None and name is None
        if not in_time or not as_it_is:
            options = Options(
                timeout=Timeout.of(timeout),
                deadline=None if deadline is None else seconds_of(deadline, "deadline"),
                policy=_checked_policy(policy),
                idempotency_key=idempotency_key,
                idempotent=_checked_idempotent(idempotent),
                name=_checked_name(name),
            )
        return Call(self, method, uri, arguments, options).run(self._decoded)

    def _fetched(
        self,
        method: str,
        uri: str,
        arguments: dict[str, Any],
        options: Options,
        is_json: Callable[[requests.Response], bool],
    ) -> tuple[requests.Response, Any, DecodeError | None]:
        """Send a request; the response, and the JSON in it or the error that it is none.

        :param is_json: whether a response is said to be JSON
        """

        def decoded(call: Call, response: requests.Response) -> Any:
            if not is_json(response):
                return response, None, None
            try:
                return response, self._decoded(call, response), None
            except DecodeError as error:
                return response, None, error

        call = Call(self, method, uri, arguments, options)
        # It goes along with its resource. A traversal's threads would keep one for each host.
        call.remembered = False
        made: tuple[requests.Response, Any, DecodeError | None] = call.run(decoded)
        return made

    def _json_headers(self, extra: object) -> Fields:
        """The headers of a request that says nothing but JSON."""
        if extra is not None:
            return _headers.checked(extra, self._defaults(_JSON))
        common = self.session.headers
        last = self._json_defaults
        changes = getattr(common, "changes", None)
        if last is None or last[0] is not common or last[1] is not changes or changes is None:
            own = self._defaults(_JSON)
            fields = _SAYS_JSON if len(own) == len(_JSON) else Fields(own)
            last = self._json_defaults = common, changes, fields
        return last[2]

    def _defaults(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        """Default headers, without those that are common to all requests by the user's will."""
        common = self.session.headers
        return {
            name: value
            for name, value in headers.items()
            if common.get(name) in {None, _OF_REQUESTS.get(name)}
        }

    def _decoded(self, call: Call, response: requests.Response) -> Any:
        """The JSON in a response."""
        body = response.content
        if response.status_code == NO_CONTENT or not body:
            return None
        try:
            depth = call.response_limits.json_depth if call.response_limits is not None else None
            return _json.decode(body, _headers.charset(response.headers), depth)
        except ValueError as error:
            failure = self._not_json(response, error, call.secrets())
        raise failure

    def _not_json(
        self, response: requests.Response, error: Exception, secrets: tuple[str, ...]
    ) -> DecodeError:
        redaction = self._telemetry.redaction
        shown = redaction.response(response, secrets)
        kind = response.headers.get("Content-Type", "no content type")
        at = ""
        if hasattr(error, "lineno"):
            at = f" (line {error.lineno}, column {getattr(error, 'colno', 0)})"
        elif isinstance(error, _json.TooDeepError):
            at = f" ({error}; ResponseLimits(json_depth=...) sets the limit)"
        url = redaction.url(response.url or "")[:LONGEST_URL]
        return DecodeError(
            f"the answer of {url} is not JSON{at}: {redaction.text(kind, secrets)}, "
            f"{len(response.content)} bytes, status {response.status_code}",
            msg=_trouble_of(error),
            pos=getattr(error, "pos", 0),
            lineno=getattr(error, "lineno", 1),
            colno=getattr(error, "colno", 1),
            request=shown.request if shown is not None else None,
            response=shown,
        )

    # --- authentication ----------------------------------------------------------------------

    def _resolve_auth(self, prepared: requests.PreparedRequest) -> Any:
        """The auth of a request to our own origin: the session's, a header of the caller's, netrc.

        :raises CredentialsError: when there is none
        """
        session = self.session
        if session.auth is not None:
            return _auth.checked(session.auth)
        if "Authorization" in prepared.headers:
            return _auth.ANONYMOUS
        if self._netrc_auth is None and session.trust_env and self._asks_netrc:
            host = self._base.origin.host.strip("[]")
            self._netrc_auth = _auth.from_netrc(host, use_default=True)
        if self._netrc_auth is None:
            raise _auth.no_credentials(str(self._base.origin), netrc=self._asks_netrc)
        return self._netrc_auth

    def _auth_of_origin(self) -> Any:
        """The auth for our own origin as far as it is known, or `None`."""
        auth = self.session.auth
        return self._netrc_auth if auth is None else _auth.checked(auth)

    def _warn_of_plaintext(self) -> None:
        if not self._warned_of_plaintext:
            self._warned_of_plaintext = True
            self._telemetry.record(events.PlaintextAuth(self._pool))

    # --- what stands around attempts ---------------------------------------------------------

    @property
    def _states(self) -> HostStates:
        """Our manager's, or those of the one whose hook uses us; our own if there is none."""
        chosen = self._chosen_states
        if chosen is None:
            with self._lock:
                chosen = self._chosen_states
                if chosen is None:
                    chosen = _admission.ambient()
                    if chosen is None:
                        chosen = HostStates(clock=self._clock, random=self._random)
                        _forks.enlist(chosen)
                    self._chosen_states = chosen
        return chosen

    def _safeguards(self, hop: Hop, policy: Policy) -> Safeguards:
        """The quota, breaker and limit of a hop's host under a policy."""
        known = self._guarded
        if hop.own and known is not None and known[0] is policy:
            return known[1]
        if policy.limit is not None:
            self.session.keep_idle(policy.limit.most)
        if not hop.own:
            return self._states.of(str(hop.origin), policy)
        base, states = self._base, self._states
        found = states.of(base.canonical, policy, shown=base.shown(self._redaction))
        self._guarded = policy, found
        if states is not self._chosen_states:
            # A manager has given us its own meanwhile.
            self._guarded = None
        return found

    # --- telemetry ---------------------------------------------------------------------------

    @property
    def _telemetry(self) -> Telemetry:
        """Our own, our manager's, or the default, which isn't made before it is needed."""
        chosen = self._chosen_telemetry
        if chosen is None:
            chosen = self._chosen_telemetry = _telemetry.default(SYSTEM)
        return chosen.heard

    @property
    def _redaction(self) -> Redaction:
        """What may be shown; asking makes no telemetry."""
        chosen = self._chosen_telemetry
        return _redaction.DEFAULT if chosen is None else chosen.redaction

    @property
    def _pool(self) -> Pool:
        """What telemetry calls this connection's pool."""
        pool = self._pool_name
        if pool is None:
            host = self._base.shown(self._redaction)
            pool = self._telemetry.pool(host, self._label, self._identity)
            self._pool_name = pool
        return pool

    @property
    def _label(self) -> str:
        """What telemetry calls our auth."""
        return self._auth_label or label_of(self._auth)

    def _adopt(
        self,
        telemetry: Telemetry,
        policy: Policy | None,
        pool: Pool,
        states: HostStates,
        manager: weakref.ref[ConnectionManager],
    ) -> None:
        """Take what a manager gives to connections that have none of their own."""
        with self._lock:
            self._holders += 1
            # Who puts a closed connection into a manager means to use it.
            self._retired = False
        if self._manager is not None:
            return
        self._manager = manager
        self._inherited_policy = policy
        self._chosen_states, self._guarded = states, None
        if not self._given_instruments:
            self._chosen_telemetry = telemetry.own
            self._pool_name = pool

    # --- being used, and closing -------------------------------------------------------------

    def _entered(self, call: Call) -> None:
        """A call begins."""
        self._used = self._clock.monotonic()
        with self._lock:
            # Side by side: an interrupt must not come between what is counted and that it is.
            call.counted = True
            self._in_flight += 1
        # An event loop that runs has put its own there: to ask for the loop itself takes longer.
        if sys.get_asyncgen_hooks().firstiter is not None:
            self._tell_of_event_loop()

    def _tell_of_event_loop(self) -> None:
        """Say once for the process that a call blocks a running event loop."""
        if _telemetry.told(events.EventLoopBlocked):
            return
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        self._telemetry.record_once(events.EventLoopBlocked(self._pool))

    def _left(self, call: Call) -> None:
        """A call ends; the last one of a closed connection closes its sockets."""
        if not call.counted:
            return
        now = self._used = self._clock.monotonic()
        with self._lock:
            # In a child that was forked by this very call it was forgotten already.
            left = max(self._in_flight - 1, 0)
            # Side by side, as above.
            call.counted = False
            self._in_flight = left
            last = self._in_flight == 0
            close = last and self._retired
            if close and self._holders:
                self._retired = False
            if last and self._idle is not None:
                self._idle.set()
            sweep = now - self._swept >= IDLE / 2
            if sweep:
                self._swept = now
        session = self._session
        # Tidying up must not take the answer away from who waits for it.
        with suppress(Exception):
            if session is not None and close:
                session.close()
            elif session is not None and sweep:
                session.drop_stale()
        if self._manager is not None and (manager := self._manager()) is not None:
            manager._request_ended(self)

    @property
    def last_used(self) -> float:
        """When a call last began or ended, on the connection's monotonic clock, in seconds."""
        return self._used

    @property
    def in_flight(self) -> int:
        """How many calls are under way."""
        return self._in_flight

    def close(self) -> None:
        """Close the sockets: now, or as soon as the last request in flight has ended.

        Whoever still holds the connection may go on using it: a later request opens a socket
        again, and closes it when it ends; or leaves it open, for a manager that has this
        connection to give.
        """
        with self._lock:
            now = self._in_flight == 0
            # What a pool still holds is not done with: others will find it.
            self._retired = not now or self._holders == 0
            session = self._session
        if now and session is not None:
            session.close()

    def _released(self) -> bool:
        """A pool lets go of this connection; whether that was the last one."""
        with self._lock:
            self._holders = max(self._holders - 1, 0)
            return self._holders == 0

    def _sweep(self) -> bool:
        """Close sockets that were idle for too long; whether all was idle for so long."""
        if self._in_flight or self._clock.monotonic() - self._used < IDLE:
            return False
        if self._session is not None:
            self._session.drop_stale()
        return True

    def drained(self, timeout: float | None = None) -> bool:
        """Wait until no request is in flight.

        :param timeout: seconds to wait at most; `None`: as long as it takes
        :returns: whether none is
        """
        with self._lock:
            if self._in_flight == 0:
                return True
            if self._idle is None or self._idle.is_set():
                self._idle = threading.Event()
            idle = self._idle
        return idle.wait(timeout)

    def __reduce__(self) -> str:
        msg = "a Connection has sockets and locks: share it, or make another; it can't be copied"
        raise TypeError(msg)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _renew_in_child(self) -> None:
        """For `_forks`: new locks; no call of the parent's threads is under way in the child."""
        self._lock = threading.RLock()
        self._idle = None
        self._in_flight = 0


def _checked_policy(policy: object) -> Policy | None:
    if policy is not None and not isinstance(policy, Policy):
        msg = f"policy must be a Policy, not {type(policy).__name__}"
        raise ConfigurationError(msg)
    return policy


def label_of(auth: object) -> str:
    """What telemetry calls an auth that was given no label."""
    # The entries of a netrc file, which `None` stands for, are sent as Basic.
    return "basic" if auth is None else _auth.label(auth)


def is_ours(conn: object) -> TypeGuard[Connection]:
    """Whether a connection is one of ours: not by its word, since a mock says so too."""
    return issubclass(type(conn), Connection)


def _itself(_: Call, response: requests.Response) -> requests.Response:
    return response


def _flag(name: str, value: object) -> bool:
    """A setting that is on or off: a text from a configuration file, "no", would be on."""
    if not isinstance(value, bool):
        msg = f"{name} must be True or False, not {type(value).__name__}"
        raise ConfigurationError(msg)
    return value


def _checked_idempotent(value: object) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    msg = f"idempotent must be True, False or None, not {type(value).__name__}"
    raise ConfigurationError(msg)


def _checked_name(value: object) -> str | None:
    if value is None or (isinstance(value, str) and value):
        return value
    msg = "name must be a URL template of few values, such as '/books/{id}'"
    raise ConfigurationError(msg)


def checked_clock(clock: object) -> Clock:
    """The clock to use.

    :raises ConfigurationError: when it is none
    """
    if clock is None:
        return SYSTEM
    if not isinstance(clock, Clock):
        msg = "clock must have monotonic(), time() and sleep(seconds)"
        raise ConfigurationError(msg)
    return clock


def checked_random(random: Any) -> Callable[[], float]:
    """The source of chance to use.

    :raises ConfigurationError: when it is none
    """
    if random is None:
        return _random.random
    if not callable(random):
        msg = "random must be a callable that gives numbers from 0 to 1"
        raise ConfigurationError(msg)
    chosen: Callable[[], float] = random
    return chosen


def _checked_cert(cert: object) -> str | tuple[str, str] | None:
    if cert is None:
        return None
    parts = cert if isinstance(cert, tuple) else (cert,)
    paths = [os.fspath(p) if isinstance(p, str | os.PathLike) else "" for p in parts]
    if not all(isinstance(p, str) and p for p in paths) or len(paths) not in {1, 2}:
        msg = "cert must be the path of a certificate, or a pair of paths (certificate, key)"
        raise ConfigurationError(msg)
    return (paths[0], paths[1]) if isinstance(cert, tuple) and len(paths) == 2 else paths[0]


def _checked_context(context: Any) -> Any:
    if context is not None and not callable(getattr(context, "wrap_socket", None)):
        msg = f"ssl_context must be an ssl.SSLContext, not {type(context).__name__}"
        raise ConfigurationError(msg)
    return context


def _checked_verify(verify: object) -> bool | str:
    if isinstance(verify, bool):
        return verify
    if hasattr(verify, "__fspath__"):
        verify = str(verify)
    if isinstance(verify, str) and verify:
        return verify
    msg = f"verify must be True, False or the path of a CA bundle, not {verify!r}"
    raise ConfigurationError(msg)


def _trouble_of(error: Exception) -> str:
    """What is wrong with a document, in a few words that quote nothing of it."""
    if isinstance(error, _json.TooDeepError):
        return str(error)
    if isinstance(error, UnicodeError):
        return "not text in its encoding"
    return str(getattr(error, "msg", "a number that is too long"))

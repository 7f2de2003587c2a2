"""The clients that meet the faults: ours, and two others set up as people set them up.

Rule: each gets the same connect and read timeouts. Only ours knows a deadline.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

import httpx
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from sleepwalker import ANONYMOUS, Backoff, Connection, Policy
from sleepwalker.exceptions import SleepwalkerException
from sleepwalker.observability.events import RequestFinished
from sleepwalker.resilience.policy import ResponseLimits
from tests.faults.kinds import KEY

if TYPE_CHECKING:
    from tests.faults.kinds import Sent
    from tests.faults.scene import Scene

LARGEST: Final = 2**20
"""Bytes of a body: our response limit in the matrix."""
ATTEMPTS: Final = 3
STATUSES: Final = (408, 429, 500, 502, 503, 504)


class Times(NamedTuple):
    """Seconds."""

    connect: float
    read: float
    deadline: float


class Answer(NamedTuple):
    """What a client gave its caller."""

    status: int
    body: bytes


class Client(ABC):
    """One client, made for one scene."""

    name: ClassVar[str]
    errors: ClassVar[tuple[type[Exception], ...]]
    """The root of its error tree: what its documentation tells a caller to catch."""

    @abstractmethod
    def __init__(self, scene: Scene, times: Times) -> None:
        """Make it."""

    @abstractmethod
    def send(self, sent: Sent, times: Times) -> Answer:
        """Send a request and give a good answer; whatever else comes of it is raised."""

    @property
    def attempts(self) -> int | None:
        """How many attempts the last request took, if the client tells."""
        return None

    @abstractmethod
    def close(self) -> None:
        """Let go of its sockets."""


class Ours(Client):
    """A `Connection` with a policy of its own."""

    name = "sleepwalker"
    errors = (SleepwalkerException,)

    def __init__(self, scene: Scene, times: Times) -> None:
        """Make it."""
        self._finished: list[RequestFinished] = []
        self._conn = Connection(
            scene.url,
            ANONYMOUS,
            verify=str(scene.bundle),
            policy=Policy(
                attempts=ATTEMPTS,
                backoff=Backoff(base=0.001, throttled=0.001),
                connect_timeout=times.connect,
                read_timeout=times.read,
                deadline=times.deadline,
                quota=None,
                breaker=None,
                limit=None,
                response_limits=ResponseLimits(body=LARGEST),
            ),
            registry=False,
            tracer_provider=False,
            logger=False,
            observers=(self,),
        )
        if scene.proxy_url is not None:
            self._conn.session.proxies = {"https": scene.proxy_url}

    def record(self, event: object) -> None:
        """Be an instrument: keep how calls ended."""
        if isinstance(event, RequestFinished):
            self._finished.append(event)

    def send(self, sent: Sent, times: Times) -> Answer:
        """Send."""
        response = self._conn.request(
            sent.kind.method,
            "/",
            data=sent.data,
            headers=sent.headers,
            idempotency_key=sent.key,
            timeout=(times.connect, times.read),
            deadline=times.deadline,
        )
        return Answer(response.status_code, response.content)

    @property
    def attempts(self) -> int | None:
        """As the last call's event has it."""
        return self._finished[-1].attempts if self._finished else None

    def close(self) -> None:
        """Close."""
        self._conn.close()


def _headers(sent: Sent) -> dict[str, str]:
    return sent.headers | ({KEY: sent.key} if sent.key is not None else {})


class Requests(Client):
    """A `requests.Session` over `Retry(total=3)`."""

    name = "requests"
    errors = (requests.RequestException,)
    options: ClassVar[dict[str, Any]] = {}

    def __init__(self, scene: Scene, times: Times) -> None:
        """Make it."""
        del times
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(scene.bundle)
        adapter = HTTPAdapter(
            max_retries=Retry(
                total=3, backoff_factor=0.01, status_forcelist=STATUSES, **self.options
            )
        )
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        if scene.proxy_url is not None:
            self._session.proxies = {"https": scene.proxy_url}
        self._url = f"{scene.url}/"

    def send(self, sent: Sent, times: Times) -> Answer:
        """Send."""
        data: Any = sent.data
        response = self._session.request(
            sent.kind.method,
            self._url,
            data=data,
            headers=_headers(sent),
            timeout=(times.connect, times.read),
        )
        response.raise_for_status()
        return Answer(response.status_code, response.content)

    def close(self) -> None:
        """Close."""
        self._session.close()


class RequestsAnyMethod(Requests):
    """The same, with the option that makes `Retry` retry POST."""

    name = "requests, any method"
    options: ClassVar[dict[str, Any]] = {"allowed_methods": None}


class Httpx(Client):
    """An `httpx.Client` over `HTTPTransport(retries=3)`."""

    name = "httpx"
    errors = (httpx.HTTPError,)

    def __init__(self, scene: Scene, times: Times) -> None:
        """Make it."""
        del times
        transport = httpx.HTTPTransport(
            retries=3,
            verify=scene.authority.client_context(),
            proxy=scene.proxy_url,
            trust_env=False,
        )
        self._client = httpx.Client(transport=transport, trust_env=False)
        self._url = f"{scene.url}/"

    def send(self, sent: Sent, times: Times) -> Answer:
        """Send."""
        response = self._client.request(
            sent.kind.method,
            self._url,
            content=sent.data,
            headers=_headers(sent),
            timeout=httpx.Timeout(times.read, connect=times.connect),
        )
        response.raise_for_status()
        return Answer(response.status_code, response.content)

    def close(self) -> None:
        """Close."""
        self._client.close()


OTHERS: Final = (Requests, RequestsAnyMethod, Httpx)

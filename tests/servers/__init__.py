"""What Sleepwalker's integration tests talk to: real servers on loopback, with faults by script.

    def test_a_get_is_sent_again_after_a_503(server: ScriptedServer) -> None:
        server.script(respond(503), reset_after_reading(), respond(json={"id": 1}))
        connection = Connection(server.url, ANONYMOUS)
        assert connection.json_request("GET", "/books/1") == {"id": 1}
        assert server.count(method="GET", target="/books/1") == 3

Servers (listen once constructed; context managers; `close()` ends every thread and socket):
    ScriptedServer(default: Answer = echo(), *, tls: SSLContext | None = None, host="127.0.0.1")
        .script(*answers)  .default = answer   one answer a request, in order; then the default
        .url  .localhost_url  .port
        .requests: list[Request]  .count(*, method=None, target=None) -> int
        .connections: list[ConnectionRecord]: number, accepted_at, handshaken, bytes_received,
            requests, closed_at, closed_by ("client" | "server" | None), error
        .wait_for(predicate, timeout=5.0)      AssertionError if it does not come true
        .stop()  .start()  .restart()          on the same port; records and script stay
        .starts: int                           2 after the first restart
        .close()  .check()                     check raises what the script or a handler did wrong
    ForwardProxy(*, user: tuple[str, str] | None = None, tls=None, host=...): a ScriptedServer too
    refused_port(host="127.0.0.1")             context manager: a port that refuses connections
    unanswered_port(*hosts, port=0)            one where connecting gets no answer, on each of them
Request: number, connection, received_at, method, target, path, version, headers, body, text,
    json(), client_cert, client_name. Headers: case-insensitive; .get_all(name), .raw (the pairs)
Answer = Action | Sequence[Action] | handler(Request) -> Action | Sequence[Action]
Actions. `a + b` (or `[a, b]`) does both at one request: `informational(103) + stall(e) + echo()`
    respond(status=200, headers=(), body=b"", *, json=..., close=False)
    redirect(status, location)  echo(status=200)  informational(status=100, headers=())
    raw(data)  trickle(data, interval)  flood(data) until the client leaves
    wire(status, headers, body, *, json=...) -> bytes for these
    truncated_body(body=b"half", length=None, status=200, headers=())  garbage_status_line()
    truncated_chunked(body=b"half", status=200, headers=())
    stall(until: Event | None = None)  close_without_answer()  reset_after_reading()
    hang_up(data)                           sends and closes at a request's first byte
    cut()                                   closes without TLS's good-bye
    signal(event)                           sets it: `raw(data) + signal(event)`
    stall_before_reading(until: Event | None = None)    from a request's first byte on
    refuse_body(status=413, headers=(), *, rest="read" | "close" | "stall")    once a head is read
    reset_before_reading(*, head=False)     at a request's first byte, or once its head is read
    stall_handshake(until: Event | None = None)  close_in_handshake()  reset_in_handshake()    TLS,
                                            at new connections
    trickle_handshake(interval)             the same; no handshake comes of it
    read_slowly(interval)                   of the body, and never answer
    before_body(action)                     do it once the head is read, the body still unread
    restart()                               the server restarts on its port instead of answering
    tunnel()  forward()                     a ForwardProxy's work, as in `stall(event) + tunnel()`
Handlers (what was shown is in `.seen`; `then` answers those let in, by default an echo):
    RequireBasic(user, password, then=None)  SetCookies(cookies: Mapping, attributes="Path=/")
    RequireBearer(*tokens, then=None)  .accept(*tokens)  .revoke(*tokens)
    RequireDigest(user, password, algorithm="MD5" | "SHA-256", then=None, realm="test")  .forget()
    OtlpCollector(*, rejecting=0)  .spans  .points  .mistakes    a tracing backend, over OTLP/HTTP
TLS: CertificateAuthority  .bundle  .client_context(cert=None)  .client_certificate(name="client")
    .server_context("good" | "wrong name" | "expired" | "unknown authority",
                    *, require_client_cert=False)
    ClientCertificate(cert_file, key_file): a tuple, as `cert=` takes it
Fixtures: ca, server, tls_server, two_tls_hosts, proxy,
    make_server(default=None, *, tls: bool | SSLContext = False, host=...): MakeServer,
    netrc_file({host_or_"default": (login, password)}) -> Path: NetrcFile. Isolation is automatic.
"""

from __future__ import annotations

from tests.servers.actions import (
    Action,
    Answer,
    Handler,
    before_body,
    close_in_handshake,
    close_without_answer,
    cut,
    echo,
    flood,
    garbage_status_line,
    hang_up,
    informational,
    raw,
    read_slowly,
    redirect,
    refuse_body,
    reset_after_reading,
    reset_before_reading,
    reset_in_handshake,
    respond,
    restart,
    signal,
    stall,
    stall_before_reading,
    stall_handshake,
    trickle,
    trickle_handshake,
    truncated_body,
    truncated_chunked,
)
from tests.servers.certificates import CertificateAuthority, CertificateKind, ClientCertificate
from tests.servers.channel import ConnectionRecord
from tests.servers.collector import OtlpCollector, ReceivedPoint, ReceivedSpan
from tests.servers.fixtures import MakeServer, NetrcFile
from tests.servers.handlers import (
    DigestAlgorithm,
    RequireBasic,
    RequireBearer,
    RequireDigest,
    SetCookies,
    digest_response,
)
from tests.servers.listening import refused_port, unanswered_port
from tests.servers.proxy import ForwardProxy, forward, tunnel
from tests.servers.scripted import ScriptedServer
from tests.servers.wire import Headers, Request, wire

__all__ = [
    "Action",
    "Answer",
    "CertificateAuthority",
    "CertificateKind",
    "ClientCertificate",
    "ConnectionRecord",
    "DigestAlgorithm",
    "ForwardProxy",
    "Handler",
    "Headers",
    "MakeServer",
    "NetrcFile",
    "OtlpCollector",
    "ReceivedPoint",
    "ReceivedSpan",
    "Request",
    "RequireBasic",
    "RequireBearer",
    "RequireDigest",
    "ScriptedServer",
    "SetCookies",
    "before_body",
    "close_in_handshake",
    "close_without_answer",
    "cut",
    "digest_response",
    "echo",
    "flood",
    "forward",
    "garbage_status_line",
    "hang_up",
    "informational",
    "raw",
    "read_slowly",
    "redirect",
    "refuse_body",
    "refused_port",
    "reset_after_reading",
    "reset_before_reading",
    "reset_in_handshake",
    "respond",
    "restart",
    "signal",
    "stall",
    "stall_before_reading",
    "stall_handshake",
    "trickle",
    "trickle_handshake",
    "truncated_body",
    "truncated_chunked",
    "tunnel",
    "unanswered_port",
    "wire",
]

"""The benchmarks' server answers, keeps account, and never outlives its parent."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import urllib3

from benchmarks.certificates import certificates
from benchmarks.server import DOCUMENT, HOST, LARGE, LARGE_PATH, PATH, Account, Server

ROOT = Path(__file__).parent.parent.parent


def get(client: http.client.HTTPConnection) -> bytes:
    client.request("GET", PATH)
    return client.getresponse().read()


def test_it_answers_with_the_document_and_accounts_for_requests_and_connections() -> None:
    with (
        Server() as server,
        closing(http.client.HTTPConnection(HOST, server.port, timeout=10)) as one,
        closing(http.client.HTTPConnection(HOST, server.port, timeout=10)) as other,
    ):
        assert server.account() == Account(requests=0, connections=0)

        answers = [get(one), get(one), get(other)]

        assert [json.loads(answer) for answer in answers] == [DOCUMENT] * 3
        assert server.account() == Account(requests=3, connections=2)
        assert server.account() == Account(requests=3, connections=2)


def test_requests_that_come_together_or_in_pieces_are_all_answered() -> None:
    head = f"GET {PATH} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
    with Server() as server, socket.create_connection((HOST, server.port), timeout=10) as sock:
        sock.sendall(head + head + head[:9])
        sock.sendall(head[9:])
        reader = sock.makefile("rb")
        for _ in range(3):
            while reader.readline() != b"\r\n":
                pass
            assert json.loads(reader.read(len(json.dumps(DOCUMENT)))) == DOCUMENT
        reader.close()

        assert server.account().requests == 3


def test_ctrl_c_is_left_to_its_parent() -> None:
    code = (
        "from benchmarks.server import Server\n"
        "import os, signal\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "with Server() as server:\n"
        "    os.killpg(0, signal.SIGINT)\n"
        "    print(server.account())\n"
    )

    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )

    assert (ran.stdout, ran.stderr) == ("Account(requests=0, connections=0)\n", "")


def test_it_speaks_https_too_with_a_certificate() -> None:
    with (
        certificates() as files,
        Server(files.server) as server,
        urllib3.PoolManager(ca_certs=str(files.bundle)) as pools,
    ):
        answers = [pools.request("GET", f"{server.secure_url}{PATH}").json() for _ in range(2)]

        assert answers == [DOCUMENT] * 2
        assert server.account() == Account(requests=2, connections=1)


def test_a_request_that_says_so_ends_its_connection_with_its_answer() -> None:
    head = f"GET {PATH} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()
    with Server() as server, socket.create_connection((HOST, server.port), timeout=10) as sock:
        sock.sendall(head)
        answer = sock.makefile("rb").read()

    assert b"\r\nconnection: close\r\n\r\n" in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == DOCUMENT


def test_a_tenants_document_is_everybodys() -> None:
    with Server() as server:
        got = urllib3.request("GET", f"{server.url}/tenants/7{LARGE_PATH}").json()

    assert got == LARGE


def test_it_ends_when_it_is_closed() -> None:
    with Server() as server, socket.create_connection((HOST, server.port), timeout=10) as sock:
        server.close()

        assert sock.recv(1) == b""


def test_it_ends_when_its_parent_is_killed() -> None:
    code = (
        "from benchmarks.server import Server\n"
        "import sys\n"
        "print(Server().port, flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        port = int(parent.stdout.readline())
        with socket.create_connection((HOST, port), timeout=10) as sock:
            parent.kill()

            # Closed by the end of the server's process: nothing else in it closes connections.
            assert sock.recv(1) == b""

"""`sleepwalker get`: what it asks for, what it shows, and how it ends."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.asking import Ended, lines_of, run
from tests.servers import (
    Request,
    RequireBasic,
    RequireBearer,
    close_without_answer,
    echo,
    refused_port,
    respond,
    stall,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.asking import Commands, Terminal
    from tests.servers import (
        Action,
        CertificateAuthority,
        MakeServer,
        NetrcFile,
        ScriptedServer,
    )

HAL = "application/hal+json"
COMMANDS = ("get", "--auth", "none")
BOOK = {
    "title": "Solaris",
    "_links": {
        "author": {"href": "/authors/1", "title": "Lem"},
        "search": {"href": "/search{?q,tag*}", "templated": True},
        "item": [{"href": "/items/a", "name": "first"}, {"href": "/items/b"}],
    },
}


def hal(body: object, status: int = 200, **headers: str) -> Action:
    return respond(status, {"Content-Type": HAL, **headers}, json.dumps(body).encode())


def linking(rel: str, href: str) -> Action:
    return hal({"_links": {rel: {"href": href}}})


def get(url: str, *options: str, **environ: str) -> Ended:
    return run("get", "--auth", "none", url, *options, environ=environ)


def library(request: Request) -> Action:
    return hal(BOOK) if request.path == "/books/7" else echo()


@pytest.fixture
def book(make_server: MakeServer) -> ScriptedServer:
    return make_server(library)


def targets(server: ScriptedServer) -> list[str]:
    return [request.target for request in server.requests]


# --- what it shows --------------------------------------------------------------------------


def test_json_is_set_out_anew_without_colours(book: ScriptedServer) -> None:
    done = get(f"{book.url}/books/7")

    assert done == (0, json.dumps(BOOK, indent=2) + "\n", "")


def test_raw_bytes_are_those_that_came(server: ScriptedServer) -> None:
    server.default = respond(200, {"Content-Type": "application/json"}, b'{"a":1.0,"a":2}\n\n')

    assert get(server.url, "--raw").out == '{"a":1.0,"a":2}\n\n'


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/plain", b"no newline"),
        ("application/octet-stream", b"\x00\xff"),
        ("application/json", b'{"far": 1e999}'),
        ("application/json", b"null"),
        ("application/json", b""),
    ],
)
def test_what_is_no_json_goes_through_a_pipe_as_it_came(
    server: ScriptedServer, kind: str, body: bytes
) -> None:
    server.default = respond(200, {"Content-Type": kind}, body)

    done = get(server.url)

    assert (done.code, done.err) == (0, "")
    assert done.out.encode("utf-8", "surrogateescape") == body


def test_included_are_status_and_headers_but_no_cookie(server: ScriptedServer) -> None:
    headers = [("X-Kind", "book"), ("Set-Cookie", "a=s3cr3t"), ("Set-Cookie", "b=s3cr3t")]
    server.default = respond(200, headers, json={})

    out = get(server.url, "--include").out

    assert out.startswith("HTTP/1.1 200 OK\n")
    assert "\nX-Kind: book\nSet-Cookie: REDACTED\nSet-Cookie: REDACTED\n" in out
    assert out.endswith("\n\n{}\n")


def test_the_answer_that_is_an_error_is_included_too(server: ScriptedServer) -> None:
    server.default = respond(404, json={"error_text": "no such book"})

    done = get(f"{server.url}/books/8", "-i")

    assert done.code == 4
    assert done.out.startswith("HTTP/1.1 404 Not Found\n")
    assert done.out.endswith('\n\n{"error_text": "no such book"}')
    assert done.err.startswith(f"sleepwalker: HTTP 404 no such book for GET {server.url}/books/8 (")


def test_links_are_listed_one_a_line(book: ScriptedServer) -> None:
    done = get(f"{book.url}/books/7", "--links")

    assert lines_of(done.out) == [
        {"rel": "author", "url": f"{book.url}/authors/1", "title": "Lem"},
        {"rel": "search", "template": f"{book.url}/search{{?q,tag*}}"},
        {"rel": "item", "url": f"{book.url}/items/a", "name": "first"},
        {"rel": "item", "url": f"{book.url}/items/b"},
    ]


# --- following ------------------------------------------------------------------------------


def test_relations_are_followed_in_their_order(server: ScriptedServer) -> None:
    server.script(linking("author", "/a"), linking("publisher", "/p"))

    done = get(f"{server.url}/b", "--follow", "author", "--follow", "publisher")

    assert json.loads(done.out)["target"] == "/p"
    assert targets(server) == ["/b", "/a", "/p"]


def test_variables_go_to_the_templates_that_have_them(server: ScriptedServer) -> None:
    server.script(
        hal({"_links": {"find": {"href": "/find{?q}", "templated": True}}}),
        hal({"_links": {"page": {"href": "/page{?tag*,n}", "templated": True}}}),
    )

    options = ["--follow", "find", "--follow", "page"]
    for each in ("tag=a b", "q=lem", "tag=c"):
        options += ["--var", each]
    get(server.url, *options)

    assert targets(server) == ["/", "/find?q=lem", "/page?tag=a%20b&tag=c"]


def test_a_variable_for_which_there_is_no_template_is_an_error_before_the_last_link(
    book: ScriptedServer,
) -> None:
    options = ("--follow", "search", "--var", "q=1", "--var", "title=x")
    done = get(f"{book.url}/books/7", *options)

    assert (done.code, done.out) == (9, "")
    assert "no template has the variable title; the last has q, tag" in done.err
    assert targets(book) == ["/books/7"]


@pytest.mark.parametrize(
    ("which", "target"), [("first", "/items/a"), ("1", "/items/a"), ("2", "/items/b")]
)
def test_of_several_links_one_is_taken_by_name_or_number(
    book: ScriptedServer, which: str, target: str
) -> None:
    done = get(f"{book.url}/books/7", "--follow", f"item[{which}]")

    assert json.loads(done.out)["target"] == target


@pytest.mark.parametrize(
    ("rel", "told"),
    [
        ("item", "there are 2 links 'item'; choose one"),
        ("item[3]", "of 2 links 'item' none has the name or number '3'"),
        ("item[0]", "of 2 links 'item' none has the name or number '0'"),
        ("editor", "there is no link 'editor'; there are 'author', 'search', 'item'"),
        ("editor[1]", "there is no link 'editor'"),
    ],
)
def test_a_link_that_is_not_there_is_an_error_that_says_which_are(
    book: ScriptedServer, rel: str, told: str
) -> None:
    done = get(f"{book.url}/books/7", "--follow", rel)

    assert (done.code, done.out) == (9, "")
    assert done.err.startswith(f"sleepwalker: {told}")
    assert "--follow 'REL[NAME]'" in done.err


def test_a_format_can_be_chosen(server: ScriptedServer) -> None:
    server.default = respond(
        200, {"Link": "</other>; rel=next", "Content-Type": HAL}, json.dumps(BOOK).encode()
    )

    links = lines_of(get(server.url, "--links", "--format", "link-header").out)

    assert links == [{"rel": "next", "url": f"{server.url}/other"}]


def test_where_links_are_can_be_said_of_a_document_of_no_format(server: ScriptedServer) -> None:
    server.default = respond(
        headers={"Link": "</up>; rel=up"},
        json={"paging": {"next": "?page=2"}, "results": [{"url": "/a"}, {"url": "/b"}]},
    )
    pointers = ("--link", "next=/paging/next", "--link", "item=/results[]/url")

    alone = lines_of(get(server.url, "--links", *pointers).out)
    both = lines_of(get(server.url, "--links", *pointers, "--format", "link-header").out)

    assert alone == [
        {"rel": "next", "url": f"{server.url}/?page=2"},
        {"rel": "item", "url": f"{server.url}/a"},
        {"rel": "item", "url": f"{server.url}/b"},
    ]
    assert both == [{"rel": "up", "url": f"{server.url}/up"}, *alone]


def test_an_array_without_a_name_can_be_where_links_are(server: ScriptedServer) -> None:
    server.script(respond(json=[{"url": "/a"}, {"url": "/b"}]))

    get(server.url, "--link", "item=[]/url", "--follow", "item[2]")

    assert targets(server) == ["/", "/b"]


# --- how it ends ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "options", "code", "told"),
    [
        (respond(404), (), 4, "HTTP 404 Not Found for GET "),
        (respond(503), ("--retries", "0"), 5, "HTTP 503 Service Unavailable for GET "),
        (close_without_answer(), ("--retries", "0"), 6, "closed"),
        (stall(), ("--timeout", "0.5", "--retries", "0"), 7, "--timeout SECONDS"),
        (stall(), ("--deadline", "0.5"), 7, "--deadline SECONDS, or --policy deadline="),
        (linking("up", "mailto:x@example.com"), ("--follow", "up"), 8, "only http and https"),
        (linking("up", "//u:p4ssw0rd@h.example/"), ("--follow", "up"), 8, "without userinfo"),
        (hal("{"), ("--format", "hal", "--follow", "up"), 9, "there is no link 'up'"),
        (respond(200, {"Content-Type": HAL}, b"{"), (), 10, "(here: get --raw shows what came)"),
        (respond(200, {"Content-Type": HAL}, b"[" * 501), (), 10, "response_limits.json_depth=N"),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
def test_each_kind_of_failure_has_its_exit_code_and_a_line(
    server: ScriptedServer, answer: Action, options: tuple[str, ...], code: int, told: str
) -> None:
    server.default = answer

    done = get(server.url, *options)

    assert (done.code, done.out) == (code, "")
    assert len(done.err.splitlines()) == 1
    assert done.err.startswith("sleepwalker: ")
    assert told in done.err
    assert "p4ssw0rd" not in done.err
    assert len(server.requests) == 1


def test_a_host_that_can_not_be_reached_has_the_exit_code_6() -> None:
    with refused_port() as port:
        done = get(f"http://127.0.0.1:{port}/", "--retries", "1")

    assert done.code == 6
    assert "Connection refused" in done.err
    assert "attempts: 2" in done.err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--retries", "1", "--policy", "attempts=2"), "--retries and --policy attempts"),
        (("--policy", "attempts"), "--policy takes SETTING=VALUE"),
        (("--policy", "atempts=3"), "--policy: unknown policy setting 'atempts'"),
        (("--policy", "backoff.base=x"), "--policy: "),
        (("--timeout", "-1"), "timeout"),
        (("--var", "q=1"), "there is no --follow"),
        (("--var", "q", "--follow", "x"), "--var takes NAME=VALUE"),
        (("--format", "xml"), "--format: there is no 'xml'; there are link-header, hal, siren"),
        (("--link", "next"), "--link takes REL=/POINTER"),
        (("--link", "next=paging"), "--link takes REL=/POINTER"),
        (("--link", "next=/~2"), "~"),
        (("--link", "next=/a", "--link", "next=/b"), "--link next: there is one already"),
        (("--header", "Accept"), "--header takes 'Name: value'"),
        (("--header", "Authorization: t"), "every user of this machine can read it: use --auth\n"),
        (("--header-env", "X-Key"), "--header-env takes NAME=VARIABLE"),
        (("--header-env", "Authorization=PATH"), "--header-env Authorization: use --auth"),
        (("--header-env", "X-Key=NO_SUCH"), "the variable that it names is not set"),
        (("--cacert", "/no/such"), "--cacert: /no/such can't be read: No such file"),
        (("--allow-address", "here"), "here"),
        (("--anonymous-host", "a/b", "--auth", "env"), "a host pattern is"),
        (("--template-host", "a/b"), "a host pattern is"),
    ],
)
def test_options_that_can_not_be_used_are_told_in_a_line_and_nothing_is_sent(
    server: ScriptedServer, options: tuple[str, ...], told: str
) -> None:
    done = get(server.url, *options, SLEEPWALKER_TOKEN="t")

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("sleepwalker: ")
    assert told in done.err
    assert len(done.err.splitlines()) == 1
    assert server.connections == []


@pytest.mark.parametrize("url", ["library.example", "ftp://library.example/", "https://", "/a"])
def test_a_url_that_is_none_is_told(url: str) -> None:
    done = get(url)

    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1


def test_all_of_an_error_is_shown_to_who_asks(server: ScriptedServer) -> None:
    server.default = respond(503)

    done = get(server.url, "--retries", "1", "--policy", "backoff=none", "-v")

    assert done.code == 5
    assert "info: request.retry_scheduled host=" in done.err
    assert "Traceback (most recent call last):" in done.err
    assert "HTTPServiceUnavailable" in done.err


def test_a_mistake_of_the_command_itself_is_told_as_one(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise LookupError("s3cr3t")

    monkeypatch.setattr("sleepwalker.cli.get.reached", broken)

    done = get(server.url)

    assert (done.code, done.err) == (
        70,
        "sleepwalker: LookupError, which should not happen; -v shows where\n",
    )


# --- who we are -----------------------------------------------------------------------------

SECRETS = ("p4ssw0rd", "t0k3nt0k3n", "k3yk3yk3y", "s3ss10n", "cmVhZGVyOnA0c3N3MHJk")
ENVIRON = {
    "SLEEPWALKER_USER": "reader",
    "SLEEPWALKER_PASSWORD": SECRETS[0],
    "API_KEY": SECRETS[2],
}


def test_without_credentials_nothing_is_sent(server: ScriptedServer) -> None:
    done = run("get", server.url)

    assert done.code == 8
    assert f"no credentials for {server.url}" in done.err
    assert "--auth none" in done.err
    assert server.connections == []


def test_the_netrc_file_is_asked_for_the_url_and_its_default_only_there(
    make_server: MakeServer, netrc_file: NetrcFile
) -> None:
    netrc_file({"default": ("reader", "p4ssw0rd")})
    away = make_server()
    door = RequireBasic("reader", "p4ssw0rd", linking("away", f"{away.url}/far"))
    home = make_server(door)

    assert run("get", "--allow-plaintext", home.url).code == 0
    done = run("get", "--allow-plaintext", home.url, "--follow", "away")

    assert done.code == 8
    assert "--anonymous-host" in done.err
    assert away.connections == []


def test_credentials_from_the_environment_go_to_the_urls_own_host_only(
    make_server: MakeServer, netrc_file: NetrcFile, ca: CertificateAuthority
) -> None:
    netrc_file({"localhost": ("other", "0th3rs")})
    away = make_server(tls=True)
    door = RequireBasic("reader", "p4ssw0rd")
    home = make_server(door, tls=True)
    door._then = hal(  # noqa: SLF001 - of the tests' own
        {
            "_links": {
                "known": {"href": f"{away.localhost_url}/known"},
                "public": {"href": f"{away.url}/public"},
            }
        }
    )
    options = ["--auth", "env", "--cacert", str(ca.bundle), "--header", "X-Tenant: west"]
    options += ["--header-env", "X-Api-Key=API_KEY"]

    def follow(rel: str, *more: str) -> Ended:
        return run("get", *options, home.url, "--follow", rel, *more, environ=ENVIRON)

    assert follow("known").code == 0
    assert follow("public").code == 8
    assert follow("public", "--anonymous-host", "127.0.0.1").code == 0

    assert {request.headers.get("X-Api-Key") for request in home.requests} == {SECRETS[2]}
    assert {request.headers.get("X-Tenant") for request in home.requests} == {"west"}
    known, public = away.requests
    assert (known.target, public.target) == ("/known", "/public")
    assert known.headers.get("Authorization") == "Basic b3RoZXI6MHRoM3Jz"
    assert "Authorization" not in public.headers
    for request in away.requests:
        assert "X-Tenant" not in request.headers
        assert "X-Api-Key" not in request.headers
    assert None not in door.seen


def test_an_authority_that_nobody_trusts_has_a_hint(tls_server: ScriptedServer) -> None:
    done = get(tls_server.url)

    assert done.code == 6
    assert "the certificate is not trusted" in done.err
    assert "(here: --cacert FILE)" in done.err


def test_a_token_is_taken_from_the_environment(
    make_server: MakeServer, ca: CertificateAuthority
) -> None:
    home = make_server(RequireBearer("t0k3nt0k3n"), tls=True)
    options = ("get", "--auth", "env", "--cacert", str(ca.bundle), home.url)

    assert run(*options, environ={"SLEEPWALKER_TOKEN": "t0k3nt0k3n"}).code == 0
    assert run(*options, environ={"SLEEPWALKER_TOKEN": "another"}).code == 4


def test_letters_that_latin_1_lacks_are_sent_as_utf_8(make_server: MakeServer) -> None:
    door = RequireBasic("reader", "p€nny")
    environ = {"SLEEPWALKER_USER": "reader", "SLEEPWALKER_PASSWORD": "p€nny"}

    done = run("get", "--auth", "env", "--allow-plaintext", make_server(door).url, environ=environ)

    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({}, "--auth env: set SLEEPWALKER_USER and SLEEPWALKER_PASSWORD, or SLEEPWALKER_TOKEN"),
        ({"SLEEPWALKER_USER": "reader"}, "--auth env: set "),
        ({**ENVIRON, "SLEEPWALKER_TOKEN": "t"}, "SLEEPWALKER_TOKEN is set, and "),
        ({"SLEEPWALKER_TOKEN": "s3cr3t\n"}, "--auth env: a bearer token must be visible"),
    ],
)
def test_what_the_environment_lacks_is_told(
    server: ScriptedServer, environ: dict[str, str], told: str
) -> None:
    done = run("get", "--auth", "env", server.url, environ=environ)

    assert done.code == 2
    assert told in done.err
    assert "s3cr3t" not in done.err
    assert server.connections == []


def test_without_credentials_on_purpose_none_are_sent_anywhere(
    make_server: MakeServer, netrc_file: NetrcFile
) -> None:
    netrc_file({"127.0.0.1": ("a", "b"), "localhost": ("c", "d")})
    away = make_server()
    home = make_server(linking("away", f"{away.localhost_url}/"))

    assert get(home.url, "--follow", "away").code == 0
    for request in (*home.requests, *away.requests):
        assert "Authorization" not in request.headers


def test_a_password_does_not_travel_in_the_clear_unless_it_may(server: ScriptedServer) -> None:
    done = run("get", "--auth", "env", server.url, environ=ENVIRON)

    assert done.code == 8
    assert "(here: --allow-plaintext)" in done.err
    assert server.connections == []
    allowed = run("get", "--auth", "env", "--allow-plaintext", server.url, environ=ENVIRON)
    assert allowed.code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("https://reader:p4ssw0rd@library.example/",),
        ("https:reader:p4ssw0rd@library.example/",),
        ("https://library.example/", "https://reader:p4ssw0rd@library.example/"),
        ("https://library.example/", "--header", "Authorization: Bearer p4ssw0rd"),
        ("https://library.example/", "--header", "X-Api-Key: p4ssw0rd"),
        ("https://library.example/", "--header", "p4ssw0rd"),
        ("https://library.example/", "--header-env", "X-Api-Key=p4ssw0rd"),
    ],
)
def test_a_secret_on_the_command_line_is_refused_and_not_repeated(
    arguments: tuple[str, ...],
) -> None:
    done = run("get", *arguments)

    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1
    assert "p4ssw0rd" not in done.err


def test_a_user_name_in_a_path_is_none(server: ScriptedServer) -> None:
    assert get(f"{server.url}/a//b@c").code == 0
    assert targets(server) == ["/a//b@c"]


def test_the_address_guard_refuses_loopback_unless_it_is_allowed(server: ScriptedServer) -> None:
    done = get(server.url, "--guard")

    assert done.code == 8
    assert "127.0.0.1, which is not global unicast" in done.err
    assert "--allow-address NETWORK" in done.err
    assert server.connections == []
    assert get(server.url, "--allow-address", "127.0.0.0/8").code == 0


def secretive(request: Request) -> Action:
    cookie = ("Set-Cookie", f"session={SECRETS[3]}")
    if request.path == "/fail":
        return respond(500, [cookie], json={"error_text": f"bad token {SECRETS[1]}"})
    links = {
        "fail": {"href": f"/fail?access_token={SECRETS[1]}"},
        "bad": {"href": f"https://reader:{SECRETS[0]}@library.example/"},
        "away": {"href": f"http://localhost:1/?api_key={SECRETS[2]}"},
    }
    body = json.dumps({"_links": links}).encode()
    return respond(200, [("Content-Type", HAL), cookie], body)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--follow", "fail", "-i", "--retries", "0"), 5),
        (("--follow", "bad"), 8),
        (("--follow", "away"), 8),
        (("--follow", "away", "--anonymous-host", "*", "--retries", "0"), 6),
        (("--follow", "none"), 9),
    ],
)
def test_no_secret_is_shown_whatever_is_asked_for(
    make_server: MakeServer, options: tuple[str, ...], code: int
) -> None:
    home = make_server(RequireBasic("reader", SECRETS[0], secretive))
    always = ("--auth", "env", "--allow-plaintext", "--header-env", "X-Api-Key=API_KEY")

    done = run("get", home.url, *always, "-vv", "--trace", *options, environ=ENVIRON)

    assert done.code == code, done.err
    assert "Traceback" in done.err
    for secret in SECRETS:
        assert secret not in done.out + done.err


# --- the trace ------------------------------------------------------------------------------


def rows(err: str) -> Iterator[str]:
    """The rows of a drawn trace without timings and bars."""
    for line in err.splitlines():
        if found := re.fullmatch(r"(.*?) +[\d,.]+ ms.*", line):
            yield found[1]


def test_a_trace_shows_retries_redirects_connects_and_errors(
    make_server: MakeServer,
) -> None:
    away = make_server()
    away.script(respond(302, {"Location": "/there"}), respond(404))
    home = make_server(linking("away", f"{away.url}/here"))
    home.script(respond(503))

    options = ("--follow", "away", "--trace", "--policy", "backoff=none")
    done = get(home.url, *options, COLUMNS="160")

    assert done.code == 4
    assert list(rows(done.err)) == [
        "sleepwalker get ✗",
        f"├─ connect {home.url} none",
        "│  └─ hook DirectHook connected",
        f"├─ request {home.url} none",
        f"│  ├─ GET {home.url}/ 503 ✗",
        f"│  └─ GET {home.url}/ 200",
        f"└─ follow away at {away.url} status ✗",
        f"   ├─ connect {away.url} none",
        "   │  └─ hook DirectHook connected",
        f"   └─ request {away.url} none 404 ✗",
        f"      ├─ GET {away.url}/here 302",
        f"      └─ GET {away.url}/there 404 ✗",
    ]
    assert done.err.splitlines()[-1].startswith("sleepwalker: HTTP 404 Not Found")


def test_what_is_too_long_for_a_line_of_the_trace_goes_on_in_the_next(
    server: ScriptedServer,
) -> None:
    server.default = respond(404)

    done = get(f"{server.url}/{'long/' * 12}", "--trace", COLUMNS="80")

    tree = re.sub(r" +[\d,.]+ ms.*|\s", "", done.err)
    assert f"GET{server.url}/{'long/' * 12}404✗" in tree


def test_a_trace_that_the_environment_silences_is_said(
    server: ScriptedServer,
) -> None:
    done = get(server.url, "--trace", OTEL_SDK_DISABLED="true")

    assert (done.code, done.err) == (0, "There is no trace: OTEL_SDK_DISABLED is set.\n")


# --- at a terminal --------------------------------------------------------------------------


def test_at_a_terminal_json_has_colours_and_the_password_is_asked_for_unseen(
    make_server: MakeServer, commands: Commands, terminal: Terminal
) -> None:
    body = b'{"title": "Sol\xc2\x9baris\\u001b[2J"}'
    door = RequireBasic("reader", "p4ssw0rd", respond(headers={"Content-Type": HAL}, body=body))
    server = make_server(door)
    options = ("--auth", "prompt", "--allow-plaintext", server.url)
    environ = {"TERM": "xterm-256color"}

    with commands.started("get", *options, terminal=terminal, environ=environ) as process:
        terminal.wait_for(lambda text: "User for" in text)
        terminal.type("reader\n")
        terminal.wait_for(lambda text: "Password: " in text and not terminal.echoes)
        terminal.type("p4ssw0rd\n")
        code = process.wait()
    assert terminal.echoes
    terminal.end()

    assert code == 0
    assert "p4ssw0rd" not in terminal.raw
    assert f"User for {server.url} (none: a token): " in terminal.text
    assert terminal.text.endswith('{\n  "title": "Sol\\u009baris\\u001b[2J"\n}\n')
    assert '\x1b[1;34m"title"' in terminal.raw
    assert door.seen == ["Basic cmVhZGVyOnA0c3N3MHJk"]


def test_ctrl_c_at_the_prompt_ends_it_and_leaves_the_terminal_as_it_was(
    server: ScriptedServer, commands: Commands, terminal: Terminal
) -> None:
    options = ("--auth", "prompt", "--allow-plaintext", server.url)

    with commands.started("get", *options, terminal=terminal) as process:
        terminal.wait_for(lambda text: "User for" in text)
        terminal.type("\n")
        terminal.wait_for(lambda text: "Token: " in text and not terminal.echoes)
        terminal.type("\x03")
        code = process.wait()

    assert code == 130
    assert terminal.echoes
    assert "Traceback" not in terminal.text
    assert server.connections == []


def test_without_a_terminal_there_is_no_prompt(server: ScriptedServer, commands: Commands) -> None:
    with commands.started("get", "--auth", "prompt", server.url) as process:
        assert process.wait() == 2
    assert server.connections == []


def test_at_a_terminal_links_are_a_table_and_bytes_are_only_told_of(
    server: ScriptedServer, commands: Commands, terminal: Terminal
) -> None:
    server.script(hal(BOOK), respond(200, {"Content-Type": "image/png"}, b"\x89PNG\r\n\0"))
    for options in (("--links",), ()):
        with commands.started(*COMMANDS, server.url, *options, terminal=terminal) as process:
            assert process.wait() == 0
    terminal.end()

    *table, last = [line.split() for line in terminal.text.splitlines()]
    assert table == [
        ["relation", "leads", "to", "more"],
        ["author", f"{server.url}/authors/1", "title:", "Lem"],
        ["search", f"{server.url}/search{{?q,tag*}}"],
        ["item", f"{server.url}/items/a", "name:", "first"],
        ["item", f"{server.url}/items/b"],
    ]
    assert " ".join(last) == "(7 bytes of image/png: --raw, or a pipe, writes them)"

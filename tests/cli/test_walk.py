"""`sleepwalker walk`: what it writes, what it shows, how it ends, and how it goes on."""

from __future__ import annotations

import io
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from sleepwalker.cli import _links, _progress
from sleepwalker.cli._failures import UsageError
from sleepwalker.cli._output import Output
from sleepwalker.cli.walk import mend
from sleepwalker.exceptions import LinkURLError
from sleepwalker.links import Link, Progress
from tests.cli.asking import Ended, lines_of, run
from tests.servers import Request, ScriptedServer, refused_port, respond, stall, unanswered_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.cli.asking import Commands, Terminal
    from tests.servers import Action, MakeServer

HAL = {"Content-Type": "application/hal+json"}
FULL = Path("/dev/full")
ITEM = ("--rel", "item")


def links(items: list[Any]) -> bytes:
    made = [each if isinstance(each, dict) else {"href": each} for each in items]
    return json.dumps({"n": len(made), "_links": {"item": made, "next": []}}).encode()


def site(items: Mapping[str, list[Any]]) -> Callable[[Request], Action]:
    """Each path's items; a path that is not there is a 404."""

    def answer(request: Request) -> Action:
        found = items.get(request.path)
        if found is None:
            return respond(404, json={"error_text": f"no {request.path}"})
        return respond(200, HAL, links(found))

    return answer


TREE = {"/": ["/1", "/2", "/lost"], "/1": ["/11", "/2"], "/2": [], "/11": ["/", "/12"], "/12": []}


@pytest.fixture
def tree(make_server: MakeServer) -> ScriptedServer:
    return make_server(site(TREE))


def walk(url: str, *options: str, **environ: str) -> Ended:
    return run("walk", "--auth", "none", url, *ITEM, *options, environ=environ)


def asked_for(server: ScriptedServer) -> list[str]:
    return sorted(request.target for request in server.requests)


def paths(records: list[dict[str, Any]]) -> list[str]:
    return ["/" + record["url"].split("/", 3)[3] for record in records]


# --- what it writes -------------------------------------------------------------------------


def test_each_resource_is_a_line_with_what_there_is_to_say(tree: ScriptedServer) -> None:
    done = walk(f"{tree.url}/", "--order", "breadth")
    records = lines_of(done.out)

    assert done.code == 3
    assert done.err.startswith("sleepwalker: 5 resources from 1 host in ")
    assert done.err.endswith("; 1 could not be had; --resume goes on from what was written\n")
    assert paths(records) == ["/", "/1", "/2", "/lost", "/11", "/12"]
    assert asked_for(tree) == sorted(paths(records))
    assert all(0 < record.pop("seconds") < 20 for record in records)
    error = records[3].pop("error")
    assert records[0] == {
        "url": f"{tree.url}/",
        "depth": 0,
        "rel": None,
        "source": None,
        "status": 200,
        "links": {"item": [f"{tree.url}/1", f"{tree.url}/2", f"{tree.url}/lost"]},
    }
    assert records[3] == {
        "url": f"{tree.url}/lost",
        "depth": 1,
        "rel": "item",
        "source": f"{tree.url}/",
        "status": 404,
    }
    assert error["type"] == "HTTPNotFound"
    assert error["message"].startswith("HTTP 404 no /lost for GET ")
    assert [record["depth"] for record in records] == [0, 1, 1, 1, 2, 3]


def test_what_resources_say_is_written_for_who_asks(tree: ScriptedServer) -> None:
    (record,) = lines_of(walk(f"{tree.url}/1", "--data", "--max-depth", "0").out)

    assert record["data"]["n"] == 2


@pytest.mark.parametrize(
    ("options", "visited", "told"),
    [
        (("--max-depth", "1"), ["/1", "/11", "/2"], "links were left out\n"),
        (("--max-resources", "2"), ["/1", "/11"], "links were left out\n"),
        (
            ("--max-resources", "0", "--rel", "next"),
            ["/", "/1", "/11", "/12", "/2", "/lost"],
            "goes on from what was written\n",
        ),
    ],
)
def test_it_goes_as_far_as_it_is_told_to_and_says_what_was_left_out(
    tree: ScriptedServer, options: tuple[str, ...], visited: list[str], told: str
) -> None:
    done = walk(f"{tree.url}/1", *options, "--order", "breadth")

    assert sorted(paths(lines_of(done.out))) == visited
    assert asked_for(tree) == visited
    assert done.err.endswith(told)


def test_an_answer_that_can_not_be_understood_has_its_status_and_time(
    make_server: MakeServer,
) -> None:
    server = make_server(lambda _request: respond(200, HAL, b'{"a": 1,'))

    done = walk(f"{server.url}/")
    (record,) = lines_of(done.out)

    assert done.code == 10
    assert (record["status"], record["error"]["type"]) == (200, "DecodeError")
    assert 0 < record["seconds"] < 20


def test_a_walk_in_which_all_was_had_says_nothing_more(make_server: MakeServer) -> None:
    server = make_server(site({"/": []}))

    done = walk(f"{server.url}/")

    assert (done.code, done.err) == (0, "")


def test_own_headers_go_along_on_the_own_host_only(make_server: MakeServer) -> None:
    away = make_server(site({"/far": []}))
    home = make_server(site({"/": ["/near", f"{away.url}/far"], "/near": []}))

    walk(f"{home.url}/", "--header", "X-Tenant: west", "--format", "hal")

    assert [r.headers.get("X-Tenant") for r in home.requests] == ["west", "west"]
    assert [r.headers.get("X-Tenant") for r in away.requests] == [None]


def test_more_pages_than_hops_are_allowed_are_walked(make_server: MakeServer) -> None:
    def answer(request: Request) -> Action:
        number = int(request.path.removeprefix("/"))
        return respond(200, HAL, links([f"/{number + 1}"] if number < 1010 else []))

    server = make_server(answer)
    # Only as many as it takes: the earlier ones are known.
    done = walk(f"{server.url}/1000", "--max-resources", "5")

    assert paths(lines_of(done.out)) == ["/1000", "/1001", "/1002", "/1003", "/1004"]


# --- how it ends ----------------------------------------------------------------------------


def test_a_start_that_can_not_be_had_has_its_own_exit_code(tree: ScriptedServer) -> None:
    with refused_port() as port:
        unreachable = walk(f"http://127.0.0.1:{port}/", "--retries", "0")
    lost = walk(f"{tree.url}/lost")

    assert (unreachable.code, lost.code) == (6, 4)
    assert lines_of(unreachable.out)[0]["error"]["type"] == "ConnectError"
    assert lost.err.startswith("sleepwalker: HTTP 404 no /lost for GET ")
    assert len(lost.err.splitlines()) == 1


def test_a_deadline_ends_it(make_server: MakeServer) -> None:
    server = make_server(stall())
    server.script(respond(200, HAL, links(["/1"])))

    done = walk(f"{server.url}/", "--deadline", "0.6")

    assert done.code == 7
    assert "the deadline has passed" in done.err
    assert lines_of(done.out)[0]["depth"] == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--resume", "/no/such"), "--resume: /no/such can't be read: No such file"),
        (("--deadline", "0"), "deadline"),
        (("--policy", "x"), "--policy takes"),
        (("https://second.example/",), "give one URL"),
    ],
)
def test_options_that_can_not_be_used_are_told_and_nothing_is_sent(
    tree: ScriptedServer, options: tuple[str, ...], told: str
) -> None:
    done = walk(f"{tree.url}/", *options)

    assert (done.code, done.out) == (2, "")
    assert told in done.err
    assert tree.connections == []


def test_without_credentials_nothing_is_sent(tree: ScriptedServer) -> None:
    assert run("walk", tree.url, *ITEM).code == 8
    assert tree.connections == []


def test_no_secret_is_written_or_shown(make_server: MakeServer) -> None:
    bad = "https://reader:p4ssw0rd@library.example/"
    server = make_server(site({"/": [bad, "/?token=t0k3nt0k3n", "/lost"]}))
    environ = {"SLEEPWALKER_USER": "reader", "SLEEPWALKER_PASSWORD": "s3cr3ts3cr3t"}
    always = ("--auth", "env", "--allow-plaintext", "-vv", "--header-env", "X-Key=API_KEY")
    environ["API_KEY"] = "k3yk3yk3y"

    done = run("walk", f"{server.url}/", *ITEM, *always, environ=environ)

    assert done.code == 3
    assert '"error": {"type": "LinkURLError"' in done.out
    for secret in ("p4ssw0rd", "s3cr3ts3cr3t", "k3yk3yk3y"):
        assert secret not in done.out + done.err
    # A link is data, by which a later walk goes on; the log shows none of it.
    assert "t0k3nt0k3n" in done.out
    assert "t0k3nt0k3n" not in done.err
    assert server.requests[0].headers.get("X-Key") == "k3yk3yk3y"


# --- going on -------------------------------------------------------------------------------


def test_a_later_walk_goes_on_from_what_was_written_and_tries_again_what_failed(
    tree: ScriptedServer, tmp_path: Path
) -> None:
    file = tmp_path / "all.jsonl"
    whole = walk(f"{tree.url}/", "--order", "breadth").out
    first, second, third, fourth, *_ = whole.splitlines(keepends=True)
    file.write_text(first + second + fourth + third[:40], encoding="utf-8")
    before = len(tree.requests)

    done = walk(f"{tree.url}/", "--resume", str(file), "--order", "breadth")

    assert done.code == 3
    assert "--resume: 1 line that can't be understood was passed over" in done.err
    # A line of its own, whatever it is appended to.
    assert done.out.startswith("\n{")
    assert paths(lines_of(done.out.lstrip())) == ["/2", "/lost", "/11", "/12"]
    assert sorted(r.target for r in tree.requests[before:]) == ["/11", "/12", "/2", "/lost"]
    assert [r["depth"] for r in lines_of(done.out.lstrip())] == [1, 1, 2, 3]


def understood(line: str) -> Any:
    """What a line says; `None` for one that is torn."""
    try:
        return json.loads(line)
    except ValueError:
        return None


def test_wherever_a_walk_was_cut_off_both_have_each_resource_once(
    tree: ScriptedServer, tmp_path: Path
) -> None:
    whole = walk(f"{tree.url}/").out.encode()
    file = tmp_path / "all.jsonl"
    for cut in range(0, len(whole), len(whole) // 9):
        file.write_bytes(whole[:cut])
        before = len(tree.requests)

        added = walk(f"{tree.url}/", "--resume", str(file)).out
        rest = added.lstrip()

        # A line may be cut right before its end, and be whole.
        lines = f"{whole[:cut].decode()}{added}".splitlines()
        had = [record for record in map(understood, lines) if record and "error" not in record]
        assert sorted(paths(had)) == ["/", "/1", "/11", "/12", "/2"], cut
        asked = sorted(request.target for request in tree.requests[before:])
        assert asked == sorted(paths(lines_of(rest))), cut


def test_when_all_was_had_a_later_walk_asks_for_nothing(
    make_server: MakeServer, tmp_path: Path
) -> None:
    moved = {"Location": "/new"}

    def answer(request: Request) -> Action:
        return respond(302, moved) if request.path == "/" else site({"/new": ["/new"]})(request)

    server = make_server(answer)
    file = tmp_path / "all.jsonl"
    out = walk(f"{server.url}/").out
    file.write_text(out, encoding="utf-8")
    before = len(server.requests)

    done = walk(f"{server.url}/", "--resume", str(file))

    assert lines_of(out)[0]["requested"] == f"{server.url}/"
    assert done == (0, "", "")
    assert len(server.requests) == before


def test_two_files_are_gone_on_from_in_their_order(tree: ScriptedServer, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text(walk(f"{tree.url}/", "--max-resources", "1").out, encoding="utf-8")
    resume = ("--resume", str(one))
    done = walk(f"{tree.url}/", *resume, "--max-resources", "2", "--order", "breadth")
    two.write_text(done.out, encoding="utf-8")

    rest = walk(f"{tree.url}/", *resume, "--resume", str(two), "--order", "breadth")

    assert paths(lines_of(done.out)) == ["/1"]
    assert paths(lines_of(rest.out)) == ["/2", "/lost", "/11", "/12"]


@pytest.mark.parametrize(
    ("line", "options", "told"),
    [
        ({"url": "https://elsewhere.example/"}, (), "line 1: this is of a walk from elsewhere"),
        ({}, ("--rel", "author"), "line 1: --rel author was not followed then"),
        ({"source": "URL/lost", "depth": 1}, (), "the source of URL/ is not among those before"),
    ],
)
def test_what_another_walk_wrote_is_refused(
    tree: ScriptedServer,
    tmp_path: Path,
    line: dict[str, Any],
    options: tuple[str, ...],
    told: str,
) -> None:
    record: dict[str, Any] = {"url": f"{tree.url}/", "depth": 0, "rel": None, "source": None}
    record = {**record, "status": 200, "links": {"item": []}, **line}
    file = tmp_path / "other.jsonl"
    file.write_text(json.dumps(record).replace("URL", tree.url) + "\n", encoding="utf-8")

    done = walk(f"{tree.url}/", *options, "--resume", str(file))

    assert (done.code, done.out) == (2, "")
    assert told.replace("URL", tree.url) in done.err
    assert tree.connections == []


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "null",
        "[" * 100_000,
        "{}",
        '{"url": 1, "depth": 0, "rel": null, "source": null, "links": {"item": []}}',
        '{"url": "URL", "depth": 0, "rel": null, "source": null, "links": {"item": [1]}}',
        '{"url": "URL", "depth": 0, "rel": null, "source": null, "links": {"item": {"href": 1}}}',
        '{"url": "URL", "depth": 0, "rel": null, "source": null, "links": []}',
    ],
    ids=range(9),
)
def test_a_line_that_no_walk_wrote_is_passed_over(
    tree: ScriptedServer, tmp_path: Path, line: str
) -> None:
    file = tmp_path / "all.jsonl"
    file.write_text(line.replace("URL", f"{tree.url}/2") + "\n", encoding="utf-8")

    done = walk(f"{tree.url}/2", "--resume", str(file))

    assert done.code == 0
    assert done.err == "sleepwalker: --resume: 1 line that can't be understood was passed over\n"
    assert asked_for(tree) == ["/2"]


def test_a_file_that_no_walk_wrote_is_refused_and_left_as_it_is(
    tree: ScriptedServer, tmp_path: Path
) -> None:
    file = tmp_path / "notes"
    file.write_text("some\nnotes", encoding="utf-8")

    done = walk(f"{tree.url}/", "--resume", str(file))

    assert (done.code, done.out) == (2, "")
    assert done.err == f"sleepwalker: --resume: nothing in {file} is of a walk\n"
    assert file.read_text(encoding="utf-8") == "some\nnotes"
    assert tree.connections == []


LIST = "https://library.example/list/"


def a_link(**given: Any) -> Link:
    return Link(rel="item", base=LIST, **given)


@pytest.mark.parametrize(
    ("link", "text"),
    [
        (a_link(href="../books/7"), "https://library.example/books/7"),
        (a_link(href="?page=2#top"), "https://library.example/list/?page=2"),
        (a_link(href="//other.example/x"), "https://other.example/x"),
        (a_link(href="https://a:b@c/"), "https://REDACTED@c/"),
        (
            a_link(href="{/id}{?q}", templated=True, variables={"id": "a b"}),
            "https://library.example/a%20b",
        ),
        (a_link(href="x", method="HEAD"), {"href": "x", "base": LIST, "method": "HEAD"}),
        (a_link(href="a\nb"), {"href": "a\nb", "base": LIST}),
        (
            a_link(href="a\n{x}", templated=True, variables={"x": 1}),
            {"href": "a\n{x}", "base": LIST, "templated": True, "variables": {"x": 1}},
        ),
    ],
)
def test_a_link_that_is_read_again_leads_where_it_led(link: Link, text: object) -> None:
    written = json.loads(json.dumps(_links.written(link)))

    assert written == text
    again = _links.read("item", written, link.base)
    assert again.method == link.method
    if "\n" in link.href:
        with pytest.raises(LinkURLError):
            again.url()
    elif "@" not in link.href:
        assert again.url() == link.url()


def test_what_is_appended_to_a_cut_off_file_takes_the_place_of_its_last_line(
    tmp_path: Path,
) -> None:
    file = tmp_path / "all.jsonl"
    file.write_bytes(b'{"url": 1}\n{"url": "' + b"x" * 100_000)
    with file.open("a", encoding="utf-8") as stream:
        mend(str(file), Output(stream))
        stream.write("more\n")
    assert file.read_bytes() == b'{"url": 1}\nmore\n'

    file.write_bytes(b"of somebody else\nmine")
    with file.open("a", encoding="utf-8") as stream:
        mend(str(file), Output(stream))
    assert file.read_bytes() == b"of somebody else\nmine\n"

    file.write_bytes(b'{"url": 1}\nmore\n')
    with file.open("r+", encoding="utf-8") as stream, pytest.raises(UsageError, match="with >>"):
        mend(str(file), Output(stream))
    assert file.read_bytes() == b'{"url": 1}\nmore\n'


# --- as a process of its own ----------------------------------------------------------------


class Stalling:
    """Lists many items, and lets those from a number on wait."""

    def __init__(self, items: int, from_number: int) -> None:
        self._items = [f"/{number}" for number in range(items)]
        self._from = from_number
        self.go_on = threading.Event()

    def __call__(self, request: Request) -> list[Action]:
        if request.path == "/":
            return [respond(200, HAL, links(self._items))]
        made = [respond(200, HAL, links([]))]
        return made if int(request.path[1:]) < self._from else [stall(self.go_on), *made]


STALLING = ("--auth", "none", *ITEM, "--per-host", "2", "--concurrency", "2")


@pytest.fixture
def stalling(make_server: MakeServer) -> Iterator[tuple[ScriptedServer, Stalling]]:
    answer = Stalling(items=12, from_number=6)
    yield make_server(answer), answer
    answer.go_on.set()


def wait_for_lines(file: Path, count: int) -> None:
    until = time.monotonic() + 20
    while file.read_bytes().count(b"\n") < count:
        assert time.monotonic() < until, file.read_text(encoding="utf-8")
        time.sleep(0.01)


def test_what_was_killed_in_the_middle_goes_on_in_the_same_file(
    stalling: tuple[ScriptedServer, Stalling], commands: Commands, tmp_path: Path
) -> None:
    server, answer = stalling
    file = tmp_path / "all.jsonl"
    with (
        file.open("ab") as out,
        commands.started("walk", *STALLING, f"{server.url}/", out=out) as process,
    ):
        wait_for_lines(file, 7)
        server.wait_for(lambda: len(server.requests) == 9)
        process.send(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    with file.open("ab") as out:
        out.write(b'{"url": "http')  # as far as it had come with the next one
    answer.go_on.set()

    with (
        file.open("ab") as out,
        commands.started(
            "walk", *STALLING, f"{server.url}/", "--resume", str(file), out=out
        ) as process,
    ):
        assert process.wait() == 0

    records = lines_of(file.read_text(encoding="utf-8"))
    everything = ["/", *(f"/{number}" for number in range(12))]
    assert sorted(paths(records)) == sorted(everything)
    times = {target: server.count(target=target) for target in everything}
    # What was under way when it was killed was never written.
    assert times == {target: 2 if target in {"/6", "/7"} else 1 for target in everything}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_with_what_was_written_whole(
    stalling: tuple[ScriptedServer, Stalling],
    commands: Commands,
    tmp_path: Path,
    number: int,
    code: int,
) -> None:
    server, _ = stalling
    file, told = tmp_path / "all.jsonl", tmp_path / "told"
    with (
        file.open("wb") as out,
        told.open("wb") as err,
        commands.started("walk", *STALLING, f"{server.url}/", out=out, err=err) as process,
    ):
        wait_for_lines(file, 7)
        assert process.insist(lambda: process.send(number)) == code

    assert len(lines_of(file.read_text(encoding="utf-8"))) == 7
    (line,) = told.read_text(encoding="utf-8").splitlines()
    assert line.startswith("sleepwalker: 7 resources from 1 host in ")
    assert line.endswith("; cut short; --resume goes on from what was written")
    server.wait_for(lambda: all(each.closed_by for each in server.connections))


def test_at_a_terminal_there_are_a_bar_lines_and_counts_for_each_host(
    make_server: MakeServer, commands: Commands, terminal: Terminal
) -> None:
    away = make_server(site({"/far": []}))
    home = make_server(site({"/": ["/near", "/lost", f"{away.url}/far"], "/near": []}))
    environ = {"TERM": "xterm-256color"}
    options = ("--auth", "none", f"{home.url}/", *ITEM)

    with commands.started("walk", *options, terminal=terminal, environ=environ) as process:
        assert process.wait() == 3
    terminal.end()

    assert "\x1b[?25l" in terminal.raw
    assert terminal.raw.rindex("\x1b[?25h") > terminal.raw.rindex("\x1b[?25l")
    for told in ("200 " + home.url + "/near\n", f"200 {away.url}/far\n", "✗ " + home.url + "/lost"):
        assert told in terminal.text
    assert "4 of 4 known 1 failed" in terminal.text
    assert f"{home.url}  3  " in terminal.text
    assert f"{away.url}  1  " in terminal.text
    assert '{"url"' not in terminal.text
    last = terminal.text.splitlines()[-1]
    assert last.startswith("sleepwalker: 3 resources from 2 hosts in ")


def test_a_second_ctrl_c_ends_it_at_once(commands: Commands, terminal: Terminal) -> None:
    with unanswered_port("127.0.0.1") as port:
        url = f"http://127.0.0.1:{port}/"
        options = ("--auth", "none", url, *ITEM, "--timeout", "30")
        environ = {"TERM": "xterm-256color"}
        with commands.started("walk", *options, terminal=terminal, environ=environ) as process:
            terminal.wait_for(lambda text: "0 of 1 known" in text)
            terminal.type("\x03")
            # Connecting can't be interrupted: the bar has gone, and it is waited for.
            terminal.wait_for(lambda _: "\x1b[?25h" in terminal.raw)
            assert process.insist(lambda: terminal.type("\x03")) == 130


def test_it_ends_quietly_when_nobody_reads_what_it_writes(
    make_server: MakeServer, commands: Commands, tmp_path: Path
) -> None:
    # An endless one, which only ends because of that.
    server = make_server(lambda request: respond(200, HAL, links([f"{request.path}x"])))
    reads, writes = os.pipe()
    told = tmp_path / "told"
    with (
        told.open("wb") as err,
        commands.started(
            "walk", "--auth", "none", f"{server.url}/", *ITEM, out=writes, err=err
        ) as process,
    ):
        os.close(writes)
        with os.fdopen(reads, "rb") as out:
            first = out.readline()
        code = process.wait()

    assert json.loads(first)["depth"] == 0
    assert (code, told.read_bytes()) == (1, b"")


@pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is always full")
def test_an_output_that_can_not_be_written_is_told_in_one_line(
    tree: ScriptedServer, commands: Commands, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    with (
        FULL.open("wb") as full,
        told.open("wb") as err,
        commands.started(
            "walk", "--auth", "none", f"{tree.url}/", *ITEM, out=full, err=err
        ) as process,
    ):
        assert process.wait() == 74

    text = told.read_text(encoding="utf-8")
    assert text == "sleepwalker: the output can't be written: No space left on device\n"


# --- the bar --------------------------------------------------------------------------------


def test_of_many_hosts_those_with_most_are_shown() -> None:
    hosts = {f"https://{number}.example": 100 - number for number in range(12)}
    progress = Progress(900, 34, 2, 40, 0, hosts, 125.0, "under way")
    console = Console(file=io.StringIO(), width=100)

    console.print(_progress.drawn(progress))

    file = console.file
    assert isinstance(file, io.StringIO)
    top, *rows = [" ".join(line.split()) for line in file.getvalue().splitlines()]
    assert top.endswith("934 of 976 known 34 failed 7.5/s 0:02:05")
    assert rows[0] == "https://0.example 100 0.8/s"
    assert len(rows) == 9
    assert rows[-1] == "4 more hosts 362 2.9/s"

"""`sleepwalker get` and `sleepwalker walk`, as typer sees them: options and help."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from sleepwalker.cli._commands import run as run_command
from sleepwalker.cli._credentials import PASSWORD, TOKEN, USER, Auth
from sleepwalker.cli._failures import Exit
from sleepwalker.cli._services import Options

WHO, HOW, WHAT = "Who we are", "How it is asked for", "What is shown"
"""The panels of the help."""

SETTINGS = {"allow_extra_args": True}
"""Of the commands: typer would quote a superfluous argument, which may be a URL with a password."""

Url = Annotated[
    str, typer.Argument(metavar="URL", help="An http or https URL.", show_default=False)
]
AuthOption = Annotated[
    Auth,
    typer.Option(
        help=f"Who we are to the URL's own host. env: {USER} and {PASSWORD}, or {TOKEN}; "
        "prompt: asked at the terminal; none: nothing is told.",
        rich_help_panel=WHO,
    ),
]
AnonymousHosts = Annotated[
    list[str] | None,
    typer.Option(
        "--anonymous-host",
        metavar="PATTERN",
        help="Other hosts that links may lead to and that need no credentials, as "
        "'*.example.com'; all others need an entry in the netrc file.",
        rich_help_panel=WHO,
    ),
]
AllowPlaintext = Annotated[
    bool,
    typer.Option(
        "--allow-plaintext",
        help="Let passwords and tokens travel over plain http.",
        rich_help_panel=WHO,
    ),
]
Headers = Annotated[
    list[str] | None,
    typer.Option(
        "--header",
        metavar="'NAME: VALUE'",
        help="A header for the URL's own host; Accept and User-Agent go to others, too.",
        rich_help_panel=HOW,
    ),
]
HeadersFrom = Annotated[
    list[str] | None,
    typer.Option(
        "--header-env",
        metavar="NAME=VARIABLE",
        help="A header for the URL's own host, with the value in an environment variable: for "
        "API keys.",
        rich_help_panel=WHO,
    ),
]
Formats = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help="How links are read, whatever documents say they are: link-header, hal, siren, "
        "json-api or odata.",
        rich_help_panel=HOW,
    ),
]
Pointers = Annotated[
    list[str] | None,
    typer.Option(
        "--link",
        metavar="REL=/POINTER",
        help="Where links are in documents of no format: next=/paging/next, or "
        "'item=/results[]/url' for each element of an array.",
        rich_help_panel=HOW,
    ),
]
TemplateHosts = Annotated[
    list[str] | None,
    typer.Option(
        "--template-host",
        metavar="PATTERN",
        help="Hosts that the variables of a template may lead to.",
        rich_help_panel=HOW,
    ),
]
Retries = Annotated[
    int | None,
    typer.Option(
        min=0,
        metavar="N",
        help="How often a request is sent again; 2 unless given.",
        rich_help_panel=HOW,
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="For connecting, and for each read; 3 and 10 unless given.",
        rich_help_panel=HOW,
    ),
]
Deadline = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="For all of it; each request has 30, unless --policy deadline=... says otherwise.",
        rich_help_panel=HOW,
    ),
]
PolicySettings = Annotated[
    list[str] | None,
    typer.Option(
        "--policy",
        metavar="SETTING=VALUE",
        help="Any setting of a Policy, as breaker=none or backoff.base=0.1.",
        rich_help_panel=HOW,
    ),
]
Guard = Annotated[
    bool,
    typer.Option(
        "--guard",
        help="Connect to no address that is not public: loopback, private networks, metadata "
        "services of clouds.",
        rich_help_panel=HOW,
    ),
]
AllowedAddresses = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-address",
        metavar="NETWORK",
        help="The same, but for these: 10.20.0.0/16.",
        rich_help_panel=HOW,
    ),
]
CaCert = Annotated[
    str | None,
    typer.Option(
        "--cacert",
        metavar="FILE",
        help="The authorities that certificates are checked by, in PEM.",
        rich_help_panel=HOW,
    ),
]
Verbose = Annotated[
    int,
    typer.Option(
        "--verbose",
        "-v",
        count=True,
        show_default=False,
        metavar="",
        help="Log events, and all of an error; -vv: every request.",
        rich_help_panel=WHAT,
    ),
]


def _only(url: str, context: typer.Context) -> str:
    """The URL, where there is no other argument."""
    if context.args:
        typer.echo("sleepwalker: give one URL, and put options' values behind them", err=True)
        raise typer.Exit(Exit.USAGE)
    return url


def get(
    context: typer.Context,
    url: Url,
    *,
    follow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="REL",
            help="Follow the link of this relation; again for the next one. 'REL[NAME]' or "
            "'REL[2]' where there are several.",
        ),
    ] = None,
    var: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="For the templates of links; each takes those that it has. The same name again "
            "makes a list.",
        ),
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="The bytes as they came.", rich_help_panel=WHAT)
    ] = False,
    include: Annotated[
        bool,
        typer.Option("--include", "-i", help="Status and headers, too.", rich_help_panel=WHAT),
    ] = False,
    links: Annotated[
        bool,
        typer.Option("--links", help="The links instead of the body.", rich_help_panel=WHAT),
    ] = False,
    trace: Annotated[
        bool,
        typer.Option(
            "--trace",
            help="Draw what happened, with timings, on standard error.",
            rich_help_panel=WHAT,
        ),
    ] = False,
    auth: AuthOption = Auth.NETRC,
    anonymous_host: AnonymousHosts = None,
    allow_plaintext: AllowPlaintext = False,
    header: Headers = None,
    header_env: HeadersFrom = None,
    form: Formats = None,
    link: Pointers = None,
    template_host: TemplateHosts = None,
    retries: Retries = None,
    timeout: Timeout = None,
    deadline: Deadline = None,
    policy: PolicySettings = None,
    guard: Guard = False,
    allow_address: AllowedAddresses = None,
    cacert: CaCert = None,
    verbose: Verbose = 0,
) -> None:
    """Get the resource at a URL, follow links from it, and print what is there.

    JSON is set out with colours on a terminal, and without in a pipe. Credentials come from the
    netrc file, unless `--auth` says otherwise, are never taken from the command line, and go to the
    URL's own host only.

        sleepwalker get --auth none https://library.example/books/7
        sleepwalker get https://library.example/ --links
        sleepwalker get https://library.example/ --follow search --var q=lem --follow 'item[2]'
        sleepwalker get https://library.example/books/7 --follow author --trace

    Exit code: 0 done; 1 nobody reads the output; 2 options or a URL that can't be used; 4 a status
    of 4xx; 5 one of 5xx; 6 the host can't be talked to; 7 a timeout or deadline; 8 refused by a
    rule, or no credentials; 9 no such link; 10 an answer that is not what it says it is; 74 the
    output can't be written; 130 after Ctrl-C.
    """
    from sleepwalker.cli import get as work  # noqa: PLC0415 - other commands need no links

    options = Options(
        url=_only(url, context),
        auth=auth,
        anonymous_hosts=anonymous_host or (),
        headers=header or (),
        headers_from=header_env or (),
        formats=form or (),
        pointers=link or (),
        template_hosts=template_host or (),
        retries=retries,
        timeout=timeout,
        deadline=deadline,
        policy=policy or (),
        guard=guard,
        allowed_addresses=allow_address or (),
        cacert=cacert,
        allow_plaintext=allow_plaintext,
        verbosity=verbose,
    )
    request = work.Request(
        options=options,
        follow=follow or (),
        variables=var or (),
        raw=raw,
        include=include,
        links=links,
        trace=trace,
    )
    raise typer.Exit(run_command(lambda command: work.run(request, command), verbose))


class Order(StrEnum):
    """In which order results come."""

    FINISHED = "finished"
    BREADTH = "breadth"


def walk(
    context: typer.Context,
    url: Url,
    *,
    rel: Annotated[
        list[str],
        typer.Option(
            metavar="REL", help="A relation to follow; again for more.", show_default=False
        ),
    ],
    resume: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="Go on from what an earlier walk wrote: nothing in it is asked for again, but "
            "what failed.",
        ),
    ] = None,
    order: Annotated[
        Order, typer.Option(help="As they finish, or level by level.")
    ] = Order.FINISHED,
    concurrency: Annotated[
        int, typer.Option(min=1, max=1000, metavar="N", help="Requests at a time.")
    ] = 16,
    per_host: Annotated[
        int, typer.Option(min=1, max=1000, metavar="N", help="The same, to one host.")
    ] = 4,
    max_depth: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="N", help="Links one after the other; any number unless given."
        ),
    ] = None,
    max_resources: Annotated[
        int,
        typer.Option(
            min=0, metavar="N", help="Resources in all, earlier ones among them; 0: any number."
        ),
    ] = 10_000,
    data: Annotated[
        bool,
        typer.Option("--data", help="What the resources say, too.", rich_help_panel=WHAT),
    ] = False,
    auth: AuthOption = Auth.NETRC,
    anonymous_host: AnonymousHosts = None,
    allow_plaintext: AllowPlaintext = False,
    header: Headers = None,
    header_env: HeadersFrom = None,
    form: Formats = None,
    link: Pointers = None,
    retries: Retries = None,
    timeout: Timeout = None,
    deadline: Deadline = None,
    policy: PolicySettings = None,
    guard: Guard = False,
    allow_address: AllowedAddresses = None,
    cacert: CaCert = None,
    verbose: Verbose = 0,
) -> None:
    """Follow relations from a URL to all that they lead to, many at a time.

    In a pipe each resource is a line of JSON, with its links; on a terminal there is a progress
    bar, with counts and rates for each host. Each URL is visited once.

        sleepwalker walk --auth none https://library.example/ --rel item --rel next
        sleepwalker walk https://library.example/ --rel item --data | jq .data.title
        sleepwalker walk https://library.example/ --rel item --resume all.jsonl >> all.jsonl

    The last one can be cut off, and started again, as often as it needs: the file grows, and
    nothing in it is asked for twice.

    Exit code: 0 all was had; 3 some could not be; 7 the deadline came first; 130 after Ctrl-C (143
    after SIGTERM), with what was written whole. If not even the URL could be had: 4 a status of
    4xx; 5 one of 5xx; 6 the host can't be talked to; 7 a timeout; 8 refused by a rule; 10 not
    understood. 1 nobody reads the output; 2 options or a URL that can't be used; 8 no credentials;
    74 the output can't be written.
    """
    from sleepwalker.cli import walk as work  # noqa: PLC0415 - other commands need no links

    options = Options(
        url=_only(url, context),
        auth=auth,
        anonymous_hosts=anonymous_host or (),
        headers=header or (),
        headers_from=header_env or (),
        formats=form or (),
        pointers=link or (),
        retries=retries,
        timeout=timeout,
        policy=policy or (),
        guard=guard,
        allowed_addresses=allow_address or (),
        cacert=cacert,
        allow_plaintext=allow_plaintext,
        verbosity=verbose,
    )
    request = work.Request(
        options=options,
        rels=rel,
        resume=resume or (),
        data=data,
        order=order.value,
        concurrency=concurrency,
        per_host=per_host,
        max_depth=max_depth,
        max_resources=max_resources or None,
        deadline=deadline,
    )
    raise typer.Exit(run_command(lambda command: work.run(request, command), verbose))

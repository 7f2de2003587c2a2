"""What the three hosts answer: books, authors and reviews, whose documents link to each other.

Each writes its links in a format of its own: books as HAL, authors in `Link` headers, reviews as
Siren. And each book has two links that nobody should follow: to a stranger.

Rules:

1. An API answers from the request alone; it knows no sockets and no faults.
2. Each has authentication of its own kind, and refuses who doesn't pass it.
3. Links to other hosts are absolute URLs, those within a host are not.
4. A review is created once for each idempotency key. Without a key it is created each time: the
   host protects nobody who doesn't ask for it.
"""

from __future__ import annotations

import math
import re
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from sleepwalker.cli.demo.planted import CREDENTIAL, basic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sleepwalker.cli.demo.ledger import Ledger
    from sleepwalker.cli.demo.planted import Planted

BOOKS = "books"
AUTHORS = "authors"
REVIEWS = "reviews"
NAMES = (BOOKS, AUTHORS, REVIEWS)
STRANGER = "stranger"

BOOKS_TYPE = "application/hal+json"
REVIEWS_TYPE = "application/vnd.siren+json"
"""What books and reviews say that their documents are; authors' are plain JSON."""

API_KEY = "X-Api-Key"
"""The header of the reviews' own kind of authentication."""
ERRAND = "X-Errand"
"""The header that says what a client is about: the one that may cross from host to host."""
TOUR, REVIEW = "tour", "review"
"""What it may be about, each with a number behind it."""

TOKEN_LIFE = 5.0
"""Seconds after which the authors' bearer tokens expire."""

SHELF = (
    ("Middlemarch", "George Eliot"),
    ("Silas Marner", "George Eliot"),
    ("Jane Eyre", "Charlotte Brontë"),
    ("Villette", "Charlotte Brontë"),
    ("The Moonstone", "Wilkie Collins"),
    ("The Woman in White", "Wilkie Collins"),
    ("Persuasion", "Jane Austen"),
    ("Emma", "Jane Austen"),
    ("Frankenstein", "Mary Shelley"),
    ("Cranford", "Elizabeth Gaskell"),
    ("North and South", "Elizabeth Gaskell"),
    ("Walden", "Henry David Thoreau"),
)
"""The books and their authors; a book's id is its place here, from 1."""

PEOPLE = tuple(dict.fromkeys(author for _, author in SHELF))
"""The authors; an author's id is their place here, from 1."""

REDIRECTED = 6
"""Each book whose id is a multiple of this links to its author by way of a redirect."""

PAGE = 4
"""How many books or authors stand on a page of their list."""

LATEST = 3
"""How many reviews a list shows."""

RESOURCES: Mapping[str, int] = {
    BOOKS: len(SHELF) + math.ceil(len(SHELF) / PAGE),
    AUTHORS: len(PEOPLE) + math.ceil(len(PEOPLE) / PAGE),
    REVIEWS: len(PEOPLE) + 1,
}
"""How many there are to visit at each host: books, authors, the pages of their lists; the list of
each author's reviews, and that of nobody's."""

FORM = ("number", "book", "author", "stars")
"""What a review is created from."""

PREVIEW, SELLER = "preview", "seller"
"""The links of each book that must not be followed: one leads to plain http, one to a host that we
have no credentials for. Both lead to the stranger."""


class Request(NamedTuple):
    """A request, as an API sees it."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    document: Any
    """The body, decoded from JSON; `None` when there was none."""


class Reply(NamedTuple):
    """An answer: a status, a document for the body, further headers."""

    status: int
    document: Mapping[str, Any]
    headers: Mapping[str, str] = {}


NOT_FOUND = Reply(404, {"error": "there is nothing here"})


class Api(Protocol):
    """What a host answers."""

    name: str

    def reply(self, request: Request) -> Reply:
        """The answer to a request."""


class Books:
    """Books, behind Basic authentication. Some leave their author to a redirect.

    :param urls: gives a host's URL by its name
    :param stranger: the URL of a host that nobody should go to
    """

    name = BOOKS

    def __init__(self, urls: Mapping[str, str], planted: Planted, *, stranger: str) -> None:
        self._urls = urls
        self._stranger = stranger.removeprefix("https://")
        self.user, self.password = planted.new_pair(BOOKS)

    def reply(self, request: Request) -> Reply:
        """The answer to a request."""
        if not _is_basic(request, self.user, self.password):
            return Reply(
                401, {"error": "who are you?"}, {"WWW-Authenticate": 'Basic realm="books"'}
            )
        if request.path == "/books":
            return self._list(request)
        number, rest = _numbered("/books", request.path)
        if not 1 <= number <= len(SHELF):
            return NOT_FOUND
        title, name = SHELF[number - 1]
        author = PEOPLE.index(name) + 1
        author_url = f"{self._urls[AUTHORS]}/authors/{author}"
        if rest == "/author":
            return Reply(307, {"see": author_url}, {"Location": author_url})
        if rest:
            return NOT_FOUND
        redirects = number % REDIRECTED == 0
        return _hal(
            {"id": number, "title": title},
            {
                "self": f"/books/{number}",
                "author": f"/books/{number}/author" if redirects else author_url,
                "reviews": f"{self._urls[REVIEWS]}/reviews?author={author}",
                PREVIEW: f"http://{self._stranger}/previews/{number}",
                SELLER: f"https://{self._stranger}/offers/{number}",
            },
        )

    def _list(self, request: Request) -> Reply:
        page, numbers, more = _page(request, len(SHELF))
        links: dict[str, str | list[str]] = {"item": [f"/books/{number}" for number in numbers]}
        if more:
            links["next"] = f"/books?page={page + 1}"
        return _hal({"page": page}, links)


class Authors:
    """Authors, behind bearer tokens that expire, and that a client gets for an id and a secret."""

    name = AUTHORS

    def __init__(
        self,
        urls: Mapping[str, str],
        planted: Planted,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._urls = urls
        self._planted = planted
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._expiries: dict[str, float] = {}
        self.client_id, self.client_secret = planted.new_pair(AUTHORS)

    def revoke(self) -> None:
        """Make every token worthless before its time."""
        with self._lock:
            self._expiries.clear()

    def reply(self, request: Request) -> Reply:
        """The answer to a request."""
        if (request.method, request.path) == ("POST", "/token"):
            return self._token(request)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not self._is_good(token):
            return Reply(401, {"error": "no such token"}, {"WWW-Authenticate": "Bearer"})
        if request.path == "/authors":
            return self._list(request)
        number, rest = _numbered("/authors", request.path)
        if rest or not 1 <= number <= len(PEOPLE):
            return NOT_FOUND
        name = PEOPLE[number - 1]
        links = [("reviews", f"{self._urls[REVIEWS]}/reviews?author={number}")]
        links += [
            ("book", f"{self._urls[BOOKS]}/books/{index}")
            for index, (_, author) in enumerate(SHELF, 1)
            if author == name
        ]
        return Reply(200, {"id": number, "name": name}, _link_header(links))

    def _list(self, request: Request) -> Reply:
        page, numbers, more = _page(request, len(PEOPLE))
        links = [("item", f"/authors/{number}") for number in numbers]
        if more:
            links.append(("next", f"/authors?page={page + 1}"))
        return Reply(200, {"page": page}, _link_header(links))

    def _token(self, request: Request) -> Reply:
        if not _is_basic(request, self.client_id, self.client_secret):
            return Reply(401, {"error": "no such client"}, {"WWW-Authenticate": "Basic"})
        token, now = self._planted.new(AUTHORS, CREDENTIAL), self._monotonic()
        with self._lock:
            self._expiries = {t: at for t, at in self._expiries.items() if at > now}
            self._expiries[token] = now + TOKEN_LIFE
        return Reply(200, {"access_token": token, "expires_in": TOKEN_LIFE})

    def _is_good(self, token: str) -> bool:
        with self._lock:
            return self._monotonic() < self._expiries.get(token, 0.0)


class Reviews:
    """Reviews, behind an API key in a header of its own.

    :param warm: whether it is ready from the start, or answers 503 once
    """

    name = REVIEWS

    def __init__(
        self, urls: Mapping[str, str], planted: Planted, ledger: Ledger, *, warm: bool
    ) -> None:
        self._urls = urls
        self._ledger = ledger
        self._lock = threading.Lock()
        self._warm = warm
        self._by_key: dict[str, dict[str, Any]] = {}
        self._by_author: dict[str, list[dict[str, Any]]] = {}
        self._count = 0
        self.api_key = planted.new(REVIEWS, CREDENTIAL)

    def reply(self, request: Request) -> Reply:
        """The answer to a request."""
        if request.headers.get(API_KEY) != self.api_key:
            return Reply(403, {"error": "no such key"})
        match request.method, request.path:
            case "GET", "/ready":
                return self._ready()
            case "GET", "/reviews":
                return self._list(request.query.get("author", ""))
            case "POST", "/reviews":
                return self._create(request)
        return NOT_FOUND

    def _ready(self) -> Reply:
        with self._lock:
            warm, self._warm = self._warm, True
        return Reply(200, {"ready": True}) if warm else Reply(503, {"error": "still waking up"})

    def _list(self, author: str) -> Reply:
        with self._lock:
            latest = list(self._by_author.get(author, ()))
        return _siren(
            200,
            {
                "class": ["reviews"],
                "entities": [{"rel": ["item"], "properties": review} for review in latest],
                "actions": [
                    {
                        "name": "create",
                        "method": "POST",
                        "href": "/reviews",
                        "type": "application/json",
                        "fields": [{"name": name} for name in FORM],
                    }
                ],
            },
        )

    def _create(self, request: Request) -> Reply:
        key, asked = request.headers.get("Idempotency-Key"), request.document
        with self._lock:
            review = self._by_key.get(key) if key is not None else None
            if review is not None:
                self._ledger.resent()
                return _siren(201, {"class": ["review"], "properties": review})
            self._count += 1
            review = {"id": self._count, "book": asked["book"], "stars": asked["stars"]}
            if key is not None:
                self._by_key[key] = review
            latest = self._by_author.setdefault(str(asked["author"]), [])
            latest.append(review)
            del latest[:-LATEST]
            errand = f"{REVIEW} {asked['number']}"
            self._ledger.created(asked["number"], accompanied=request.headers.get(ERRAND) == errand)
        return _siren(201, {"class": ["review"], "properties": review})


class Stranger:
    """What answers where nobody should ask, whoever does: as a host would that is after secrets."""

    name = STRANGER

    def reply(self, request: Request) -> Reply:
        """The answer to a request."""
        return Reply(200, {"welcome": request.path})


def _is_basic(request: Request, user: str, password: str) -> bool:
    return request.headers.get("Authorization") == f"Basic {basic(user, password)}"


def _numbered(collection: str, path: str) -> tuple[int, str]:
    """The number behind a collection's path, and what follows it; 0 when there is none."""
    match = re.fullmatch(rf"{collection}/(\d{{1,9}})(/.*)?", path)
    return (int(match[1]), match[2] or "") if match else (0, "")


def _page(request: Request, count: int) -> tuple[int, range, bool]:
    """The page that is asked for, the numbers on it, and whether there are more behind it."""
    asked = request.query.get("page", "1")
    page = int(asked) if re.fullmatch(r"[1-9]\d{0,8}", asked) else 1
    last = page * PAGE
    return page, range(last - PAGE + 1, min(last, count) + 1), last < count


def _hal(document: Mapping[str, Any], links: Mapping[str, str | list[str]]) -> Reply:
    """A document with its links as HAL has them."""
    written = {
        rel: {"href": to} if isinstance(to, str) else [{"href": each} for each in to]
        for rel, to in links.items()
    }
    return Reply(200, {**document, "_links": written}, {"Content-Type": BOOKS_TYPE})


def _link_header(links: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Relations and where they lead, as RFC 8288 has them."""
    return {"Link": ", ".join(f'<{to}>; rel="{rel}"' for rel, to in links)}


def _siren(status: int, document: Mapping[str, Any]) -> Reply:
    return Reply(status, document, {"Content-Type": REVIEWS_TYPE})

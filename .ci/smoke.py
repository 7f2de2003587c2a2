"""What must hold where only the wheel is installed: `python -I smoke.py VERSION`.

Run without the repository on the path and without any extra. It imports the library, looks for what
the wheel must bring, and sends one real request over loopback.
"""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import importlib.util
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import sleepwalker


class Books(BaseHTTPRequestHandler):
    """Answer every GET with the request's own path and whether it carried a credential."""

    def do_GET(self) -> None:
        """Answer."""
        answer = {"path": self.path, "credential": self.headers.get("Authorization")}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: the library's silence is looked at."""


def check(claim: str, *, holds: bool) -> None:
    """Stop with the claim when it doesn't hold."""
    if not holds:
        sys.exit(f"smoke: not so: {claim}")


def main(version: str) -> None:
    """Check the wheel's version, its files and one request."""
    home = Path(sleepwalker.__file__).parent
    check("the installed package is imported", holds=home.is_relative_to(sys.prefix))
    check("the version is the project's", holds=sleepwalker.__version__ == version)
    check("the metadata has it too", holds=importlib.metadata.version("sleepwalker") == version)
    check(
        "py.typed is there",
        holds=importlib.resources.files("sleepwalker").joinpath("py.typed").is_file(),
    )
    check("tests are not in the wheel", holds=importlib.util.find_spec("tests") is None)
    check("no extra is installed", holds=importlib.util.find_spec("opentelemetry.sdk") is None)

    with ThreadingHTTPServer(("127.0.0.1", 0), Books) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            with sleepwalker.Connection(url, sleepwalker.ANONYMOUS) as connection:
                answer = connection.json_request("GET", "/books/1")
        finally:
            server.shutdown()
            thread.join()
    check("the request is answered", holds=answer == {"path": "/books/1", "credential": None})
    print(f"smoke: sleepwalker {version} works on Python {sys.version.split()[0]}")


if __name__ == "__main__":
    main(sys.argv[1])

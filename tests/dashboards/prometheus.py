"""A real Prometheus for tests, and its promtool.

Rules:

1. It listens on loopback, keeps its data in a folder of the test's, and ends with the test.
2. Nothing waits for a time: what is to come is asked for until it is there.
3. Where the programs are missing a test is skipped, except where `NEEDED` is set: there it fails.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self
from urllib.parse import urlencode, urlsplit

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

NEEDED: Final = "SLEEPWALKER_NEEDS_PROMETHEUS"
"""The environment variable that says that Prometheus must be here."""

PORTS_TRIED: Final = 3

PATIENCE: Final = 30.0
"""Seconds after which what is waited for is taken not to come: a machine may be busy."""


class PrometheusError(AssertionError):
    """It doesn't start, doesn't answer, or what was waited for didn't come."""


class Target(NamedTuple):
    """What is scraped."""

    job: str
    url: str


class Sample(NamedTuple):
    """One series' value."""

    labels: dict[str, str]
    value: float


class Series(NamedTuple):
    """One series' values over time."""

    labels: dict[str, str]
    points: list[tuple[float, float]]
    """Seconds since the epoch, and the value."""


class Exemplar(NamedTuple):
    """One exemplar, and the series it belongs to."""

    series: dict[str, str]
    labels: dict[str, str]
    value: float
    when: float
    """Seconds since the epoch."""


def program(name: str) -> str:
    """Find a program of Prometheus; without it skip the test, or fail where it must be here."""
    path = shutil.which(name)
    if path is not None:
        return path
    if os.environ.get(NEEDED) == "1":
        pytest.fail(f"{name} is not on the path, and {NEEDED} says that it must be")
    pytest.skip(f"{name} is not on the path (Debian, Ubuntu: apt install prometheus)")


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run promtool; its output, both streams of it, is `stdout`."""
    return subprocess.run(
        [program("promtool"), *map(str, arguments)],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
    )


class Prometheus:
    """A running Prometheus.

    :param folder: an empty one, for its configuration, its data and its log
    :param targets: what it scrapes
    :param rules: files of rules that it evaluates
    :param interval: how often it scrapes and evaluates, as Prometheus writes it
    :raises PrometheusError: when it doesn't start
    """

    def __init__(
        self,
        folder: Path,
        targets: Iterable[Target],
        *,
        rules: Sequence[Path] = (),
        interval: str = "500ms",
    ) -> None:
        config = folder / "prometheus.yml"
        config.write_text(yaml.safe_dump(_config(targets, rules, interval)), encoding="utf-8")
        self._folder = folder
        self._start()

    def _start(self) -> None:
        """Start it on a port that is free, until nobody else takes that first."""
        for _ in range(PORTS_TRIED):
            self._port = free_port()
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    [
                        program("prometheus"),
                        f"--config.file={self._folder / 'prometheus.yml'}",
                        f"--storage.tsdb.path={self._folder / 'data'}",
                        f"--web.listen-address=127.0.0.1:{self._port}",
                        "--enable-feature=exemplar-storage",
                        "--log.level=warn",
                    ],
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=self._folder,
                )
            try:
                self._wait(self._is_ready, "it is not ready")
            except BaseException as error:
                self.stop()
                if isinstance(error, PrometheusError) and "address already in use" in str(error):
                    continue
                raise
            return
        msg = f"no port could be had in {PORTS_TRIED} tries"
        raise PrometheusError(msg)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def _log(self) -> Path:
        return self._folder / "log"

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    def stop(self) -> None:
        """End it. Its data is not needed any more, so that it need not be written."""
        self._process.kill()
        self._process.wait()

    def query(self, promql: str, at: float | None = None) -> list[Sample]:
        """Evaluate an expression now, or as of a time; a scalar has no labels."""
        result = self._ask("query", query=promql, time=time.time() if at is None else at)
        if result["resultType"] == "scalar":
            return [Sample({}, float(result["result"][1]))]
        return [Sample(each["metric"], float(each["value"][1])) for each in result["result"]]

    def query_range(self, promql: str, start: float, end: float, step: float) -> list[Series]:
        """Evaluate an expression at each step, in seconds (since the epoch)."""
        result = self._ask("query_range", query=promql, start=start, end=end, step=step)
        return [
            Series(each["metric"], [(float(when), float(value)) for when, value in each["values"]])
            for each in result["result"]
        ]

    def label_values(self, series: str, label: str) -> set[str]:
        """Give the values that a label has in series."""
        return set(self._ask(f"label/{label}/values", **{"match[]": series}))

    def exemplars(self, promql: str, seconds: float = 3600.0) -> list[Exemplar]:
        """Give the exemplars of the series in an expression, of the last seconds."""
        now = time.time()
        result = self._ask("query_exemplars", query=promql, start=now - seconds, end=now + 1)
        return [
            Exemplar(
                each["seriesLabels"],
                exemplar["labels"],
                float(exemplar["value"]),
                float(exemplar["timestamp"]),
            )
            for each in result
            for exemplar in each["exemplars"]
        ]

    def rule_errors(self) -> dict[str, str]:
        """Give what is wrong with each rule whose evaluation failed, by its name."""
        return {
            rule["name"]: rule.get("lastError", "")
            for group in self._ask("rules")["groups"]
            for rule in group["rules"]
            if rule["health"] == "err"
        }

    def wait_for(self, promql: str, at_least: int = 1) -> list[Sample]:
        """Evaluate an expression until it gives so many series.

        :raises PrometheusError: when they don't come
        """
        found: list[Sample] = []

        def there() -> bool:
            found[:] = self.query(promql)
            return len(found) >= at_least

        self._wait(there, f"not {at_least} series of {promql}")
        return found

    def wait_for_scrape(self) -> None:
        """Wait until each target has been scraped once more, with what it shows from now on.

        The first scrape comes five seconds after the start, however short the interval is: so long
        Prometheus gathers targets.

        :raises PrometheusError: when one isn't
        """
        # The first may be told before what it brought can be queried.
        for _ in range(2):
            since = time.time()
            self._wait(lambda: self._scraped(since), "a target was not scraped")  # noqa: B023 - called before the next round

    def _scraped(self, since: float) -> bool:
        targets = self._ask("targets", state="active")["activeTargets"]
        return bool(targets) and all(
            each["health"] == "up"
            and datetime.fromisoformat(each["lastScrape"]).timestamp() > since
            for each in targets
        )

    def _ask(self, what: str, **parameters: object) -> Any:
        status, body = self._get(f"/api/v1/{what}?{urlencode(parameters)}")
        answer = json.loads(body)
        if status != http.client.OK or answer["status"] != "success":
            raise PrometheusError(f"{what} {parameters}: {answer.get('error', body)}")
        return answer["data"]

    def _get(self, path: str) -> tuple[int, str]:
        conn = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        try:
            conn.request("GET", path)
            response = conn.getresponse()
            return response.status, response.read().decode()
        finally:
            conn.close()

    def _is_ready(self) -> bool:
        with suppress(OSError, http.client.HTTPException):
            return self._get("/-/ready")[0] == http.client.OK
        return False

    def _wait(self, condition: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise PrometheusError(f"{otherwise}:\n{self._log.read_text(encoding='utf-8')}")
            time.sleep(0.02)  # between two questions, so that it has a processor to answer with


def _config(targets: Iterable[Target], rules: Sequence[Path], interval: str) -> dict[str, Any]:
    return {
        "global": {
            "scrape_interval": interval,
            "scrape_timeout": interval,
            "evaluation_interval": interval,
        },
        "rule_files": [str(path) for path in rules],
        "scrape_configs": [
            {
                "job_name": target.job,
                "scheme": (parts := urlsplit(target.url)).scheme,
                "metrics_path": parts.path,
                "static_configs": [{"targets": [parts.netloc]}],
            }
            for target in targets
        ],
    }


def free_port() -> int:
    """Give a port on which nobody listens at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port

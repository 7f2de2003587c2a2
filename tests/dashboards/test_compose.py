"""What brings up Grafana, Prometheus and Tempo agrees with itself, and listens on loopback only.

No container engine is needed: what is tested is that files are there, and that what one names the
others have.
"""

from __future__ import annotations

import re
from typing import Any, Final

import pytest
import yaml

from sleepwalker.observability import names
from tests.docs.pages import ROOT

FOLDER: Final = ROOT / "dashboards"
METRICS: Final = {
    value
    for value in vars(names).values()
    if isinstance(value, str) and value.startswith("sleepwalker_")
}


def read(path: str) -> Any:
    """Read a YAML file below `dashboards/`."""
    return yaml.safe_load((FOLDER / path).read_text(encoding="utf-8"))


COMPOSE: Final = read("compose.yaml")
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
MOUNTS: Final = [
    (service, *mount.split(":")) for service, each in SERVICES.items() for mount in each["volumes"]
]
SOURCES: Final = {
    source["name"]: source
    for source in read("provisioning/datasources/sleepwalker.yml")["datasources"]
}


# The compose file


@pytest.mark.parametrize(("service", "source", "target", "mode"), MOUNTS)
def test_every_mounted_file_is_there_and_can_not_be_written(
    service: str, source: str, target: str, mode: str
) -> None:
    assert source.startswith("./"), service
    assert (FOLDER / source).exists()
    assert target.startswith("/")
    assert mode == "ro"


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_is_a_name_and_a_version(service: str) -> None:
    assert re.fullmatch(r"[a-z]+/[a-z]+:v?\d+\.\d+\.\d+", SERVICES[service]["image"])


def test_the_three_services_are_those_that_the_dashboards_are_made_for() -> None:
    images = {name: service["image"].partition(":") for name, service in SERVICES.items()}

    assert {name: image for name, (image, _, _) in images.items()} == {
        "grafana": "grafana/grafana",
        "prometheus": "prom/prometheus",
        "tempo": "grafana/tempo",
    }
    assert images["grafana"][2].startswith("11.6.")


@pytest.mark.parametrize("service", SERVICES)
def test_nothing_listens_but_on_loopback(service: str) -> None:
    what = SERVICES[service]
    if what.get("network_mode") != "host":
        assert what["ports"]
        assert [port for port in what["ports"] if not port.startswith("127.0.0.1:")] == []
    elif service == "prometheus":
        assert "--web.listen-address=127.0.0.1:9090" in what["command"]
    else:
        assert service == "grafana"
        assert what["environment"]["GF_SERVER_HTTP_ADDR"] == "127.0.0.1"


def test_every_file_that_a_service_is_started_with_is_mounted() -> None:
    mounted = {target for _, _, target, _ in MOUNTS}
    named = [
        argument.partition("=")[2]
        for service in SERVICES.values()
        for argument in service.get("command", ())
        if "config.file=" in argument
    ]
    rules = read("prometheus/prometheus.yml")["rule_files"]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]

    assert len(named) == 2
    assert {*named, home, *(f"/etc/prometheus/{rule}" for rule in rules)} <= mounted


def test_exemplars_are_stored() -> None:
    assert "--enable-feature=exemplar-storage" in SERVICES["prometheus"]["command"]


# What Grafana is given


def test_the_dashboards_are_mounted_where_grafana_looks_for_them() -> None:
    [provider] = read("provisioning/dashboards/sleepwalker.yml")["providers"]
    path = provider["options"]["path"]
    mounted = {source for _, source, target, _ in MOUNTS if target.startswith(f"{path}/")}

    assert provider["folder"] == "Sleepwalker"
    assert provider["type"] == "file"
    assert mounted == {
        f"./{dashboard.relative_to(FOLDER).as_posix()}"
        for dashboard in (FOLDER / "grafana").glob("*.json")
    }


def test_an_exemplar_leads_to_its_trace_and_a_span_to_its_metrics() -> None:
    prometheus, tempo = SOURCES["Prometheus"], SOURCES["Tempo"]
    [destination] = prometheus["jsonData"]["exemplarTraceIdDestinations"]
    to_metrics = tempo["jsonData"]["tracesToMetrics"]

    assert destination["name"] == "trace_id"
    assert destination["datasourceUid"] == tempo["uid"]
    assert to_metrics["datasourceUid"] == prometheus["uid"]
    assert prometheus["isDefault"]


def test_what_a_span_leads_to_are_names_that_are_there() -> None:
    to_metrics = SOURCES["Tempo"]["jsonData"]["tracesToMetrics"]
    tags = {tag["key"]: tag["value"] for tag in to_metrics["tags"]}
    found = {
        re.sub("_(count|bucket|sum)$", "", name)
        for query in to_metrics["queries"]
        for name in re.findall(r"sleepwalker_\w+", query["query"])
    }

    assert tags == {names.ATTR_HOST: names.LABEL_HOST, names.ATTR_AUTH: names.LABEL_AUTH}
    assert found == {names.REQUEST_DURATION, names.ATTEMPTS, names.RETRIES}
    assert all("{$$__tags}" in query["query"] for query in to_metrics["queries"])


def test_grafana_asks_where_the_others_listen() -> None:
    tempo = read("tempo.yaml")
    port = tempo["server"]["http_listen_port"]
    spans = tempo["distributor"]["receivers"]["otlp"]["protocols"]["http"]["endpoint"]

    assert SOURCES["Prometheus"]["url"] == "http://127.0.0.1:9090"
    assert SOURCES["Tempo"]["url"] == f"http://127.0.0.1:{port}"
    assert SERVICES["tempo"]["ports"] == [
        f"127.0.0.1:{number}:{number}" for number in (port, int(spans.rpartition(":")[2]))
    ]
    assert tempo["storage"]["trace"]["backend"] == "local"
    for path in (tempo["storage"]["trace"][kind]["path"] for kind in ("wal", "local")):
        assert path.startswith(SERVICES["tempo"]["tmpfs"][0].partition(":")[0])


def test_the_command_that_the_files_name_serves_what_prometheus_scrapes() -> None:
    [job] = read("prometheus/prometheus.yml")["scrape_configs"]
    [target] = job["static_configs"]
    _, _, port = target["targets"][0].partition(":")

    for path in ("compose.yaml", "prometheus/prometheus.yml"):
        command = re.findall(r'make demo ARGS="--port (\d+) ', (FOLDER / path).read_text())
        assert command == [port]


def test_the_demo_that_the_files_name_sends_its_traces_to_where_exemplars_lead() -> None:
    spans = read("tempo.yaml")["distributor"]["receivers"]["otlp"]["protocols"]["http"]["endpoint"]

    for page in (FOLDER / "compose.yaml", ROOT / "docs" / "dashboards.md"):
        [port] = re.findall(r"demo .*--otlp http://127\.0\.0\.1:(\d+)", page.read_text())
        assert port == spans.rpartition(":")[2]

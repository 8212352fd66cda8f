"""The guide to Prometheus and Grafana, on a real Prometheus that reads three real services.

Its services and its Prometheus start once, as the reader of the page starts them.
"""

from __future__ import annotations

import json
import subprocess
import time
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

import guides
import parts
import pytest
from follow import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = "how-to/monitor.md"
FILES = guides.DOCS / "how-to" / "monitor"
PORTS = ["8443", "8444", "9464", "9465", "9466", "9090"]

DASHBOARD = json.loads((FILES / "dashboard.json").read_text())

#: Each rule is evaluated once an hour, because two weeks of it take 20 seconds otherwise.
SELDOM = {
    "    interval: 5m\n    rules": "    interval: 1h\n    rules",
    "evaluation_interval: 5m": "evaluation_interval: 1h",
    "[10m]": "[2h]",
}

#: What Grafana puts into a query.
VARIABLES = {"$job": ".*", "$__rate_interval": "10s", "$__range": "1h"}


def promtool(*args: str, cwd: Path = FILES) -> str:
    program = parts.need_program("promtool")
    done = subprocess.run(
        [program, *args], cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the Prometheus of a reader who has followed the page."""
    parts.need_program("prometheus")
    parts.need_program("curl")
    parts.need("opentelemetry.distro", "opentelemetry.exporter.prometheus", "tlslite")
    home = tmp_path_factory.mktemp("reader")
    reader = Reader(home, ports=PORTS)
    try:
        for block in guides.blocks(PAGE):
            if block.name != "packages":  # the extra "monitor" has them
                reader.read(block)
            rules = home / "tlsfloor.rules.yml"
            if rules.exists():  # the budget is computed every 5 minutes
                rules.write_text(rules.read_text().replace("interval: 5m", "interval: 1s"))
        yield f"http://127.0.0.1:{reader.ports['9090']}"
    finally:
        reader.close()


def query(prometheus: str, text: str) -> list[dict[str, Any]]:
    """Return the samples of a query: labels and value."""
    for name, value in VARIABLES.items():
        text = text.replace(name, value)
    data = urllib.parse.urlencode({"query": text}).encode()
    with urllib.request.urlopen(f"{prometheus}/api/v1/query", data, timeout=20) as answer:
        found = json.load(answer)
    assert found["status"] == "success", found
    return [{**each["metric"], "": float(each["value"][1])} for each in found["data"]["result"]]


def awaited(prometheus: str, text: str) -> list[dict[str, Any]]:
    """Return the samples of a query, once there are some."""
    for _ in range(100):
        if found := query(prometheus, text):
            return found
        time.sleep(0.1)
    pytest.fail(f"no data: {text}")


def test_an_alert_fires_for_the_service_with_the_legacy_server_and_for_no_other(
    prometheus: str,
) -> None:
    alerts = query(prometheus, 'ALERTS{alertname="TlsfloorHandshakesBelowFloor"}')
    assert [each["job"] for each in alerts] == ["shop"]
    # The same peer, from the same program, without an alert: it is exempted.
    used = awaited(prometheus, 'tlsfloor_handshakes_total{job="mail",tls_protocol_version="1.0"}')
    assert [each["tlsfloor_outcome"] for each in used] == ["exempted"]
    names = awaited(prometheus, "target_info")
    assert {each["job"]: each["service_name"] for each in names} == {"shop": "shop", "mail": "mail"}


@pytest.mark.parametrize("panel", DASHBOARD["panels"], ids=lambda panel: panel["title"])
def test_each_panel_of_the_dashboard_has_data(panel: dict[str, Any], prometheus: str) -> None:
    for target in panel["targets"]:
        assert awaited(prometheus, target["expr"])


def test_the_budget_counts_what_no_exemption_allows(prometheus: str) -> None:
    found = awaited(prometheus, "job:tlsfloor_handshakes_below_floor:increase14d")
    counted = {each["job"]: each[""] for each in found}
    assert counted["shop"] > 0
    assert counted["mail"] == 0
    ready = awaited(prometheus, "job:tlsfloor_ready_to_enforce:bool14d")
    assert {each["job"]: each[""] for each in ready} == {"shop": 0, "mail": 0}  # not for 14 days


def test_the_rules_are_valid_and_do_what_their_tests_say() -> None:
    assert "SUCCESS: 14 rules found" in promtool("check", "rules", "tlsfloor.rules.yml")
    assert "SUCCESS" in promtool("test", "rules", "tlsfloor.test.yml")


def test_the_budget_is_met_only_if_nothing_is_unseen_for_two_weeks(tmp_path: Path) -> None:
    for name in ("tlsfloor.rules.yml", "budget.test.yml"):
        text = (FILES / name).read_text()
        for often, seldom in SELDOM.items():
            text = text.replace(often, seldom)
        (tmp_path / name).write_text(text)
    assert "SUCCESS" in promtool("test", "rules", "budget.test.yml", cwd=tmp_path)


def test_the_dashboard_is_valid_by_the_published_schemas() -> None:
    """Grafana's own types keep every key of it, and would drop a key that they do not know."""
    parts.need("grafana_foundation_sdk", since=(3, 11))
    from grafana_foundation_sdk.cog import plugins
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models.dashboard import Dashboard

    plugins.register_default_plugins()

    def kept(dashboard: dict[str, Any]) -> Any:
        return json.loads(JSONEncoder().encode(Dashboard.from_json(dashboard)))

    assert lost(DASHBOARD, kept(DASHBOARD)) == []
    wrong = {**DASHBOARD, "panel": []}
    assert lost(wrong, kept(wrong)) == ["panel"]


def lost(one: Any, other: Any, place: str = "") -> list[str]:
    """Return the places of what is in one JSON value and not in the other."""
    if isinstance(one, dict) and isinstance(other, dict):
        pairs = [(f"{place}.{key}".strip("."), one[key], other.get(key)) for key in one]
        return [each for key, *values in pairs for each in lost(*values, key)]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [each for pair in zip(one, other) for each in lost(*pair, place)]
    return [] if one == other else [place]

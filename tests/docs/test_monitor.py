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

READY = "job:tlsfloor_ready_to_enforce:bool14d"

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
    packages = ("distro", "exporter.prometheus", "instrumentation.logging")
    parts.need(*(f"opentelemetry.{name}" for name in packages), "tlslite")
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


def test_an_alert_fires_for_the_service_with_the_legacy_server_and_each_panel_has_data(
    prometheus: str,
) -> None:
    """One test, so that two workers of pytest do not start all of this twice."""
    alerts = query(prometheus, 'ALERTS{alertname="TlsfloorHandshakesBelowFloor"}')
    assert [each["job"] for each in alerts] == ["shop"]
    # The same peer, from the same program, without an alert: it is exempted.
    used = awaited(prometheus, 'tlsfloor_handshakes_total{job="mail",tls_protocol_version="1.0"}')
    assert [each["tlsfloor_outcome"] for each in used] == ["exempted"]
    names = awaited(prometheus, "target_info")
    assert {each["job"]: each["service_name"] for each in names} == {"shop": "shop", "mail": "mail"}
    starts = awaited(prometheus, "tlsfloor_start_seconds == tlsfloor_start_seconds offset 1s")
    assert {each["job"] for each in starts} == {"shop", "mail"}
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            assert awaited(prometheus, target["expr"]), panel["title"]
    found = awaited(prometheus, "job:tlsfloor_handshakes_below_floor:increase14d")
    counted = {each["job"]: each[""] for each in found}
    assert counted["shop"] > 0
    assert counted["mail"] == 0
    ready = awaited(prometheus, READY)
    assert {each["job"]: each[""] for each in ready} == {"shop": 0, "mail": 0, "batch": 0}


def test_the_budget_is_met_only_if_nothing_is_unseen_for_two_weeks() -> None:
    assert "SUCCESS" in promtool("test", "rules", "budget.test.yml")


_BELOW = 'tlsfloor_handshakes_total{tlsfloor_outcome="below_floor"}'
_SAME_PROCESS = "process_pid)\n                  last_over_time(tlsfloor_start_seconds"

#: A part of a rule -> what is wrong instead of it, and of which services of budget.test.yml the
#: answer is wrong then.
BROKEN = {
    # A counter counts by what it has grown, whatever process it is of, and whenever it began.
    "== last_over_time(tlsfloor_start_seconds[1h] offset 14d)": ("", "daily"),
    _SAME_PROCESS: (_SAME_PROCESS.replace("_pid", "_id"), "child"),
    f"or\n            max_over_time({_BELOW}[14d])": ("", "once brief"),
    f"max_over_time({_BELOW}[14d])\n              - (": (f"0 * ({_BELOW} + ", "gap"),
    # Nobody looked, no handshake was seen, or somebody said that it cannot be seen.
    ">= bool 14 * 24 - 4": (">= bool 1", "new"),
    "rate2h[14d]) > bool 0": ("rate2h[14d]) >= bool 0", "silent"),
    "not_covered[14d]) == bool 0": ("not_covered[14d]) >= bool 0", "unseen"),
    "max10m[14d]) == bool 0": ("max10m[14d]) >= bool 0", "problem"),
    "without_floor[14d]) == bool 0": ("without_floor[14d]) >= bool 0", "half"),
    "down4h[14d]) == bool 0": ("down4h[14d]) >= bool 0", "down"),
    "max_over_time(up[4h]) == 0": ("min_over_time(up[4h]) == 0", "other"),
}


@pytest.mark.parametrize("part", BROKEN)
def test_a_wrong_budget_is_noticed(part: str, tmp_path: Path) -> None:
    parts.need("yaml")
    import yaml

    wrong, jobs = BROKEN[part]
    text = (FILES / "tlsfloor.rules.yml").read_text()
    assert part in text
    (tmp_path / "tlsfloor.rules.yml").write_text(text.replace(part, wrong))
    for job in jobs.split():
        tests = yaml.safe_load((FILES / "budget.test.yml").read_text())
        [test] = tests["tests"]
        ours = f'job="{job}"'
        test["input_series"] = [each for each in test["input_series"] if ours in each["series"]]
        test["promql_expr_test"] = [
            {**query, "exp_samples": [each for each in samples if ours in each["labels"]]}
            for query in test["promql_expr_test"]
            if (samples := query["exp_samples"]) and query["expr"] == READY
        ]
        [[sample]] = [query["exp_samples"] for query in test["promql_expr_test"]]
        (tmp_path / "budget.test.yml").write_text(json.dumps(tests))
        opposite = f"{ours}}} {1 - sample['value']}E\\+00"
        with pytest.raises(AssertionError, match=f"got:.*{opposite}"):
            promtool("test", "rules", "budget.test.yml", cwd=tmp_path)


HOLES = """
rule_files: [tlsfloor.rules.yml]
evaluation_interval: 5m
tests:
  - interval: 5m
    input_series:
      - {series: 'target_info{job="JOB", telemetry_sdk_language="python"}', values: 1x360}
      - {series: 'tlsfloor_problems{job="JOB"}', values: 0x360}
      - {series: 'tlsfloor_handshakes_total{job="JOB"}', values: 0+1x360}
      - {series: 'tlsfloor_armed{job="JOB"}', values: 'ARMED'}
    promql_expr_test:
      - expr: job:tlsfloor_ready_to_enforce:bool14d
        eval_time: 28h
        exp_samples: [{labels: 'job:tlsfloor_ready_to_enforce:bool14d{job="JOB"}', value: READY}]
"""


@pytest.mark.parametrize("values", ["1x360", " ".join(["1x3 _x5 1x2"] * 30)])
def test_holes_of_less_than_an_hour_add_up(values: str, tmp_path: Path) -> None:
    """The service is seen whenever an hour begins, and a third of each hour is missing."""
    rules = (FILES / "tlsfloor.rules.yml").read_text()
    rules = rules.replace("14d]", "1d]").replace("[14d:", "[1d:").replace("14 * 24", "24")
    (tmp_path / "tlsfloor.rules.yml").write_text(rules)
    text = HOLES.replace("JOB", "shop").replace("ARMED", values)
    (tmp_path / "holes.test.yml").write_text(text.replace("READY", str(int("_" not in values))))
    assert "SUCCESS" in promtool("test", "rules", "holes.test.yml", cwd=tmp_path)


#: A part of an alert's rule -> what is wrong instead of it.
BROKEN_ALERTS = {
    # The first value of a series does not count, nor that of a process, nor what a gap hides.
    "or\n            max_over_time(": "or\n            0 * max_over_time(",
    "seconds != last_over_time": "seconds == last_over_time",
    f"max_over_time({_BELOW}[10m])\n              -": f"increase({_BELOW}[10m]) + 0 *",
    # An exempted handshake counts as well.
    '="below_floor"}': '!="at_floor"}',
}


@pytest.mark.parametrize("part", BROKEN_ALERTS)
def test_a_wrong_alert_is_noticed(part: str, tmp_path: Path) -> None:
    for file in FILES.glob("*.yml"):
        text = file.read_text()
        assert part in text or not file.name.endswith(".rules.yml")
        (tmp_path / file.name).write_text(text.replace(part, BROKEN_ALERTS[part]))
    with pytest.raises(AssertionError, match="FAILED"):
        promtool("test", "rules", "tlsfloor.test.yml", cwd=tmp_path)


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

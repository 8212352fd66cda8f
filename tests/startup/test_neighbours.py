"""Agents and tools that enter a process by a start-up file, as tlsfloor does, in any order.

A program under an agent sends a request to a peer below the floor and to one at the floor. A Python
that the program starts does the same. The agent works if it has recorded these requests. The floor
holds if the first request is refused, and succeeds in the same program without the floor.

An agent whose ``sitecustomize`` does not run the next one hides the folder behind its own. Then
nothing may claim a floor.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import Any, NamedTuple, TYPE_CHECKING

import parts
import pytest
from follow import follow
from programs import BOOTSTRAP, PROGRAMS, TIME_LIMIT, clean_environment, python

from tlsfloor.peers import handshakes
from tlsfloor.versions import TLS1_0, TLS1_2

if TYPE_CHECKING:
    from collections.abc import Iterator

START = str(PROGRAMS / "start.py")
TRACED = str(PROGRAMS / "traced.py")

#: Where agents send their data: a closed port of loopback.
NOWHERE = "http://127.0.0.1:9"


class Agent(NamedTuple):
    """An agent: its launcher, its module, and the variables that keep it from the network.

    ``chains`` says whether its ``sitecustomize`` runs the next one, or calls tlsfloor by an entry
    point, as OpenTelemetry's does.
    """

    launcher: tuple[str, ...]
    module: str
    chains: bool
    env: dict[str, str]
    options: tuple[str, ...] = ()


DDTRACE = Agent(
    launcher=("ddtrace-run",),
    module="ddtrace",
    chains=True,
    env={
        "DD_TRACE_AGENT_URL": NOWHERE,
        "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
        "DD_REMOTE_CONFIGURATION_ENABLED": "false",
        "DD_CRASHTRACKING_ENABLED": "false",
    },
)
OPENTELEMETRY = Agent(
    launcher=("opentelemetry-instrument",),
    module="opentelemetry.distro",
    chains=True,
    env={
        "OTEL_TRACES_EXPORTER": "console",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    },
)
ELASTIC = Agent(
    launcher=("elasticapm-run",),
    module="elasticapm",
    chains=False,
    env={
        "ELASTIC_APM_SERVER_URL": NOWHERE,
        "ELASTIC_APM_CENTRAL_CONFIG": "false",
        "ELASTIC_APM_CLOUD_PROVIDER": "none",
        "ELASTIC_APM_METRICS_INTERVAL": "0ms",
    },
)
PATCH = "OTEL_PYTHON_AUTO_INSTRUMENTATION_EXPERIMENTAL_GEVENT_PATCH"

AGENTS = {
    "ddtrace": DDTRACE,
    # With gevent installed, ddtrace removes the modules that it has loaded, also ssl and _ssl. The
    # program then imports its own, which gevent patches here.
    "ddtrace, gevent": DDTRACE._replace(options=("--gevent",)),
    "opentelemetry": OPENTELEMETRY,
    "opentelemetry, gevent": OPENTELEMETRY._replace(env={**OPENTELEMETRY.env, PATCH: "patch_all"}),
    "elasticapm": ELASTIC,
}
CHAINING = [name for name, agent in AGENTS.items() if agent.chains]

SCRIPTS = sysconfig.get_path("scripts")
RUN = (sys.executable, "-m", "tlsfloor", "run", "--")


@pytest.fixture(scope="module")
def ports() -> Iterator[list[str]]:
    """The ports of a peer below the floor and of a peer at the floor."""
    with handshakes.ServerPeer(TLS1_0) as legacy, handshakes.ServerPeer(TLS1_2) as modern:
        yield [str(legacy.port), str(modern.port)]


def launched(
    agent: Agent,
    before: tuple[str, ...],
    between: tuple[str, ...],
    *command: str,
    executable: str = sys.executable,
) -> subprocess.CompletedProcess[str]:
    """Run a Python command under an agent, with words before and after the agent's launcher."""
    parts.need(agent.module, "requests")
    program = os.path.join(SCRIPTS, agent.launcher[0])
    launcher = (executable, program, *agent.launcher[1:])
    return subprocess.run(
        [*before, *launcher, *between, executable, *command],
        env=clean_environment(**agent.env),
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT,
        check=False,
    )


def trace(
    name: str,
    ports: list[str],
    before: tuple[str, ...] = (),
    between: tuple[str, ...] = (),
    executable: str = sys.executable,
) -> dict[str, Any]:
    """Run the program under an agent; return its report, after checking that the agent worked."""
    agent = AGENTS[name]
    if "gevent" in name:
        parts.need("gevent")
    command = (TRACED, *agent.options, *ports)
    done = launched(agent, before, between, *command, executable=executable)
    assert done.returncode == 0, done.stderr
    assert "tlsfloor: error" not in done.stderr or not agent.chains
    [line] = [line for line in done.stdout.splitlines() if line.startswith('{"reached"')]
    report: dict[str, Any] = json.loads(line)
    recorded = report["noted"] + re.findall(r'"http.url": "(\S+?)"', done.stdout)
    assert recorded == [f"https://127.0.0.1:{port}/" for port in ports]
    return report


def assert_held(report: dict[str, Any], route: str = "PYTHONPATH") -> None:
    """Assert that the peer below the floor was refused, and that status() reports the floor."""
    refused, reached = report["reached"]
    assert "PROTOCOL_VERSION" in refused
    assert reached == "Protocol : TLSv1.2"
    assert (report["held"], report["problems"]) == (True, [])
    assert {arming["route"] for arming in report["armings"]} == {route}


def assert_held_in_the_child(report: dict[str, Any]) -> None:
    refused, reached = report["child"]
    assert "PROTOCOL_VERSION" in refused
    assert reached == "TLSv1.2"


@pytest.mark.parametrize("agent", AGENTS)
def test_under_an_agent_without_the_floor_the_legacy_peer_is_reached(
    agent: str, ports: list[str]
) -> None:
    """The control of the other tests: no agent raises a minimum by itself."""
    report = trace(agent, ports)
    assert report["reached"] == ["Protocol : TLSv1", "Protocol : TLSv1.2"]
    assert report["child"] == ["TLSv1", "TLSv1.2"]
    assert (report["held"], report["problems"]) == (False, ["no floor is armed"])


@pytest.mark.parametrize("agent", AGENTS)
def test_in_front_of_an_agent_both_work(agent: str, ports: list[str]) -> None:
    report = trace(agent, ports, between=RUN)
    assert_held(report)
    assert_held_in_the_child(report)
    assert report["first"] == BOOTSTRAP  # also for children, whose tlsfloor may be a mounted folder


@pytest.mark.parametrize("agent", CHAINING)
def test_behind_an_agent_that_runs_the_next_one_both_work(agent: str, ports: list[str]) -> None:
    report = trace(agent, ports, before=RUN)
    assert_held(report)
    assert_held_in_the_child(report)
    assert report["armings"][0]["since"] > "2026"  # although ddtrace removes the module time


def test_behind_an_agent_that_runs_no_other_nothing_claims_a_floor(
    ports: list[str],
) -> None:
    report = trace("elasticapm", ports, before=RUN)
    assert report["reached"] == ["Protocol : TLSv1", "Protocol : TLSv1.2"]
    assert (report["held"], report["armings"]) == (False, [])
    missing, never_ran = report["problems"]
    assert missing == "no floor is armed"
    assert never_ran.startswith(f"Python did not run the start-up file in {BOOTSTRAP}; hint: ")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter with an installed floor, and with the packages of the tests."""
    place = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    [packages] = (place / "lib").glob("python*/site-packages")
    (packages / "packages.pth").write_text(
        "\n".join([sysconfig.get_path("purelib"), str(Path(BOOTSTRAP).parents[1])])
    )
    done = python("-m", "tlsfloor", "install", "--prefix", str(place))
    assert done.returncode == 0, done.stderr
    return str(place / "bin" / "python")


@pytest.mark.parametrize("agent", ["ddtrace, gevent", "opentelemetry", "elasticapm"])
def test_no_agent_hides_an_installed_floor(agent: str, ports: list[str], installed: str) -> None:
    report = trace(agent, ports, executable=installed)
    assert_held(report, "an installed file")
    assert_held_in_the_child(report)


@pytest.mark.timeout(600)
def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    parts.need(ELASTIC.module)
    follow("how-to/agents.md", tmp_path)


#: Starts a Python that only coverage's start-up file makes measure anything.
PARENT = """
import subprocess, sys
sys.exit(subprocess.call([sys.executable, *sys.argv[1:]]))
"""


@pytest.mark.parametrize("route", ["COVERAGE_PROCESS_START", "patch = subprocess"])
@pytest.mark.parametrize("armed", [False, True], ids=["control", "armed"])
def test_coverage_measures_children(
    route: str, armed: bool, ports: list[str], tmp_path: Path
) -> None:
    """``a1_coverage.pth`` starts it there; the lines that ran show whether TLS 1.0 was reached."""
    parts.need("coverage")
    from coverage import CoverageData

    settings = tmp_path / "coveragerc"
    settings.write_text(f"[run]\nparallel = true\ndata_file = {tmp_path}/data\n")
    env = clean_environment(PYTHONPATH=BOOTSTRAP if armed else "")
    if route == "COVERAGE_PROCESS_START":
        command = ["-c", PARENT]
        env["COVERAGE_PROCESS_START"] = str(settings)
    else:
        with settings.open("a") as file:
            file.write("patch = subprocess\n")
        (tmp_path / "parent.py").write_text(PARENT)
        command = ["-m", "coverage", "run", f"--rcfile={settings}", str(tmp_path / "parent.py")]
    done = python(*command, START, ports[0], env=env)
    assert (done.returncode, done.stderr) == (0, "")
    files = [CoverageData(str(path)) for path in tmp_path.glob("data.*")]
    for file in files:
        file.read()
    ran = {line for file in files for line in file.lines(START) or []}
    text = Path(START).read_text().splitlines()
    reached, refused = (
        next(number for number, line in enumerate(text, 1) if marker in line) in ran
        for marker in ("return tls.version()", 'return "%s: %s"')
    )
    assert (reached, refused) == (not armed, armed)


DEBIAN = "/usr/bin/python3"


@pytest.mark.parametrize("armed", [False, True], ids=["control", "armed"])
def test_debians_own_sitecustomize_runs(armed: bool, ports: list[str], tmp_path: Path) -> None:
    """It installs the hook of apport, if there is one. Here the hook prints a line."""
    if not list(Path("/etc").glob("python3.*/sitecustomize.py")):
        pytest.skip("this is not Debian")
    (tmp_path / "apport_python_hook.py").write_text(
        "import sys\ndef install():\n    sys.stderr.write('installed\\n')\n"
    )
    path = [BOOTSTRAP] * armed + [str(tmp_path)]
    env = clean_environment(PYTHONPATH=os.pathsep.join(path), PYTHONDONTWRITEBYTECODE="1")
    done = python(START, *ports, env=env, executable=DEBIAN)
    assert (done.returncode, done.stderr) == (0, "installed\n")
    refused, reached = json.loads(done.stdout.splitlines()[1])
    assert "PROTOCOL_VERSION" in refused if armed else refused == "TLSv1"
    assert reached == "TLSv1.2"


@pytest.fixture(scope="module")
def editable(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter of virtualenv, with setuptools' ``.pth`` files: the shim and a finder."""
    parts.need("virtualenv")
    place = tmp_path_factory.mktemp("editable")
    make = ["-m", "virtualenv", "--quiet", "--no-pip", "--setuptools", "bundle", "--no-download"]
    made = python(*make, str(place / "venv"))
    assert made.returncode == 0, made.stderr
    executable = str(place / "venv" / "bin" / "python")
    (place / "source").mkdir()
    (place / "source" / "__init__.py").write_text(Path(START).read_text())
    (place / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\n[project]\nname = "edited"\nversion = "1"\n'
        '[tool.setuptools]\npackages = ["edited"]\npackage-dir = { edited = "source" }\n'
    )
    build = "from setuptools import build_meta; build_meta.build_editable('.')"
    built = python("-c", build, executable=executable, cwd=place)
    assert built.returncode == 0, built.stderr
    [wheel] = place.glob("*.whl")
    [packages] = (place / "venv" / "lib").glob("python*/site-packages")
    zipfile.ZipFile(wheel).extractall(packages)
    assert {path.name.partition("-")[0] for path in packages.glob("*.pth")} >= {
        "distutils",
        "__editable__.edited",
    }
    return executable


EDITED = """
import json, sys, warnings
import distutils, edited
assert any(getattr(each, "__name__", "") == "_EditableFinder" for each in sys.meta_path)
assert "setuptools" in distutils.__file__
warnings.simplefilter("ignore")
print(json.dumps([edited.attempt(port) for port in sys.argv[1:]]))
"""


@pytest.mark.parametrize("armed", [False, True], ids=["control", "armed"])
def test_the_finders_of_setuptools_work(armed: bool, ports: list[str], editable: str) -> None:
    env = clean_environment(PYTHONPATH=BOOTSTRAP if armed else "")
    done = python("-c", EDITED, *ports, env=env, executable=editable)
    assert (done.returncode, done.stderr) == (0, "")
    refused, reached = json.loads(done.stdout)
    assert "PROTOCOL_VERSION" in refused if armed else refused == "TLSv1"
    assert reached == "TLSv1.2"

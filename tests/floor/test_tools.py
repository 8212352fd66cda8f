"""Tools that instrument modules or change a process: each runs, and the floor holds.

Each comes before the floor and after it. That the tool is at work is shown every time: without the
floor, where the old peer is reached, too.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import parts
import pytest
from programs import BOOTSTRAP, PROGRAMS, clean_environment, python

from tlsfloor.peers import handshakes
from tlsfloor.versions import TLS1_0, TLS1_2

PACKAGES = str(Path(BOOTSTRAP).parents[1])

#: A tool of ``programs/tool.py`` -> what must be installed for it.
TOOLS = {
    "beartype": "beartype",
    "beartype_packages": "beartype",
    "bpython": "bpython",
    "coverage": "coverage",
    "ddtrace": "ddtrace",
    "debugpy": "debugpy",
    "demandimport": "hgdemandimport",
    "dropped": "ssl",
    "eventlet": "eventlet",
    "freezegun": "freezegun",
    "gevent": "gevent",
    "ipython": "IPython",
    "jaxtyping": "jaxtyping",
    "lazy_loader": "lazy_loader",
    "meta_path": "ssl",
    "mock": "ssl",
    "pyfakefs": "pyfakefs",
    "pytest": "pytest",
    "reload": "ssl",
    "settrace": "ssl",
    "truststore": "truststore",
    "typeguard": "typeguard",
    "typeguard_packages": "typeguard",
}

#: Several at once. Mercurial's makes lazy what another one instruments.
TOGETHER = [
    "beartype+demandimport",
    "coverage+typeguard",
    "gevent+typeguard",
    "truststore+demandimport",
    "typeguard+demandimport",
]

#: Nothing that these do reaches the network, nor is a warning of theirs a finding.
QUIET = {
    "DD_CRASHTRACKING_ENABLED": "false",
    "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
    "DD_REMOTE_CONFIGURATION_ENABLED": "false",
    "DD_TRACE_AGENT_URL": "http://127.0.0.1:9",
    "IPYTHONDIR": os.devnull,
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}

ROUTES = ("PYTHONPATH", "early", "late")


@pytest.fixture(scope="module")
def ports() -> Iterator[list[str]]:
    """A peer below the floor and one at it."""
    with handshakes.ServerPeer(TLS1_0) as old, handshakes.ServerPeer(TLS1_2) as new:
        yield [str(old.port), str(new.port)]


def need(tools: str) -> None:
    parts.need(*(TOOLS[each] for each in tools.split("+")))


def environment(route: str, *path: str, **more: str) -> dict[str, str]:
    first = BOOTSTRAP if route == "PYTHONPATH" else PACKAGES
    return clean_environment(**{**QUIET, "PYTHONPATH": os.pathsep.join([first, *path]), **more})


def run(tools: str, route: str, ports: list[str], *path: str) -> tuple[dict[str, Any], str]:
    """Run the program; return its result, and its stderr."""
    env = environment(route, *path)
    done = python(str(PROGRAMS / "tool.py"), tools, route, *ports, env=env)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert told.pop("works") == [True] * (tools.count("+") + 1)
    return told, done.stderr


_controls: dict[str, str] = {}


def control(tools: str, ports: list[str], *path: str) -> str:
    """Assert that the old peer is reached without the floor; return the stderr."""
    if tools not in _controls:
        told, _controls[tools] = run(tools, "none", ports, *path)
        assert told == {"older": ["TLSv1", "TLSv1.2"], "new": ["TLSv1", "TLSv1.2"]}
    return _controls[tools]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("tools", [*TOOLS, *TOGETHER])
def test_the_floor_holds_with_a_tool_in_the_process(
    tools: str, route: str, ports: list[str]
) -> None:
    need(tools)
    assert_held(tools, route, ports)


@pytest.mark.parametrize("route", ROUTES)
def test_the_floor_holds_with_the_certificates_of_the_system(
    route: str, ports: list[str], fetched: Callable[[str], str]
) -> None:
    """The tool is in a separate folder, because its start-up file changes each process."""
    assert_held("pip_system_certs", route, ports, fetched("certs"))


def assert_held(tools: str, route: str, ports: list[str], *path: str) -> None:
    stderr = control(tools, ports, *path)
    told, said = run(tools, route, ports, *path)
    for each in ("older", "new", "again"):
        refused, reached = told[each]
        assert "PROTOCOL_VERSION" in refused, told
        assert reached == "TLSv1.2", told
    assert (told["held"], told["problems"]) == (True, [])
    # Two modules come before the hooks that see to it; they have no annotations.
    assert told["instrumented"] in ([], ["tlsfloor.hooks", "tlsfloor.stacks"])
    if tools == "ipython":  # it says what it could not reload
        assert "tlsfloor.floor cannot be reloaded: it holds the floor" in said
    else:
        assert said == stderr


#: Command lines; ``PROGRAM`` and ``MODULE`` are what they run, or check.
COMMANDS = {
    "coverage": ("coverage run --data-file=data {program}", ""),
    "crosshair": ("crosshair check --per_condition_timeout=5 {program}", "false when calling"),
    "ddtrace": ("ddtrace-run {python} {program}", ""),
    "debugpy": ("{python} -m debugpy --listen 127.0.0.1:0 {program}", ""),
    "IPython": ("ipython --no-banner --quick {program}", ""),
    "typeguard": (
        "{python} -m pytest -q -p typeguard._pytest_plugin --typeguard-packages=:all: {program}",
        "1 passed",
    ),
    "xdist": ("{python} -m pytest -q -p xdist.plugin -n 2 {program}", "1 passed"),
    "-X importtime": ("{python} -X importtime {program}", "ssl"),
    "-X tracemalloc": ("{python} -X tracemalloc=5 {program}", ""),
    "-v": ("{python} -v {program}", "import 'ssl'"),
    "-W error": ("{python} -X dev -W error {program}", ""),
    "pdb": ("{python} -m pdb -c continue -c quit {program}", ""),
    "trace": ("{python} -m trace --count -C . {program}", ""),
    "cProfile": ("{python} -m cProfile -o profile {program}", ""),
}


def test_bytecode_that_typeguard_has_instrumented_is_not_used(tmp_path: Path) -> None:
    """typeguard writes such bytecode, and reads it while it executes another module."""
    parts.need("typeguard._pytest_plugin")
    package = shutil.copytree(Path(BOOTSTRAP).parent, tmp_path / "tlsfloor")
    words = ["-p", "typeguard._pytest_plugin", "--typeguard-packages=:all:", "test_it.py"]
    for path, program in (
        (tmp_path, "import tlsfloor.wire\ndef test_it(): pass\n"),
        (package / "bootstrap", "import tlsfloor\nassert tlsfloor.status()\ndef test_it(): pass\n"),
    ):
        (tmp_path / "test_it.py").write_text(f"import ssl\n{program}")
        env = clean_environment(PYTHONPATH=str(path), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
        done = python("-m", "pytest", "-q", *words, env=env, cwd=tmp_path)
        assert "1 passed" in done.stdout, done.stdout
        assert list((package / "wire" / "__pycache__").glob("*typeguard*"))


@pytest.mark.parametrize("command", COMMANDS)
def test_the_floor_holds_under_a_command(command: str, ports: list[str], tmp_path: Path) -> None:
    """Without the floor, with it as Python starts, and by a call in the program."""
    line, says = COMMANDS[command]
    words = line.split()
    if words[0] != "{python}":
        parts.need(command)
        words[:1] = [sys.executable, os.path.join(sysconfig.get_path("scripts"), words[0])]
    elif not command.startswith("-"):
        parts.need(command)
    program = tmp_path / "test_command.py"
    program.write_text((PROGRAMS / "tool_command.py").read_text())
    words = [each.format(python=sys.executable, program=program) for each in words]
    statuses = set()
    for route in ("none", "PYTHONPATH", "call"):
        told = tmp_path / route
        env = environment(
            route, TOLD=str(told), PORTS=" ".join(ports), WHEN=route,
            PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", IPYTHONDIR=str(tmp_path),
        )  # fmt: skip
        done = subprocess.run(
            words, env=env, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        assert says in done.stdout + done.stderr
        assert told.exists(), done.stdout + done.stderr
        statuses.add(done.returncode)
        for line in told.read_text().splitlines():  # each worker of xdist writes one
            reached, held = json.loads(line)
            if route == "none":
                assert (reached, held) == (["TLSv1", "TLSv1.2"], False)
            else:
                assert "PROTOCOL_VERSION" in reached[0]
                assert (reached[1], held) == ("TLSv1.2", True)
    assert len(statuses) == 1


@pytest.mark.parametrize("armed", [False, True], ids=["control", "armed"])
def test_mercurial_works(armed: bool, ports: list[str], tmp_path: Path) -> None:
    parts.need("hgdemandimport")
    program = os.path.join(sysconfig.get_path("scripts"), "hg")
    env = environment("PYTHONPATH" if armed else "none", HGRCPATH="", HGUSER="somebody")

    def hg(*words: str) -> tuple[int, str]:
        done = python(program, *words, env=env, cwd=tmp_path)
        return done.returncode, done.stdout + done.stderr

    assert hg("--version", "-q")[0] == 0
    (tmp_path / "file").write_text("")
    for words in (["init"], ["add", "file"], ["commit", "-m", "a message"]):
        assert hg(*words) == (0, "")
    assert hg("log", "-T", "{desc}") == (0, "a message")
    settings = "minimumprotocol=tls1.0", "ciphers=ALL:@SECLEVEL=0"
    options = [word for each in settings for word in ("--config", f"hostsecurity.{each}")]
    old, new = (hg("id", "--insecure", *options, f"https://127.0.0.1:{port}")[1] for port in ports)
    assert ("PROTOCOL_VERSION" if armed else "Protocol : TLSv1\n") in old
    assert "Protocol : TLSv1.2\n" in new


@pytest.mark.parametrize("route", ["none", *ROUTES])
def test_pre_shared_keys_of_sslpsk3(route: str) -> None:
    """sslpsk3 uses the C object before the handshake, in a client and in a server."""
    parts.need("sslpsk3")
    program = str(PROGRAMS / "tool_sslpsk3.py")
    with subprocess.Popen(
        [sys.executable, program, "serve"], env=environment("none"), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as server:  # fmt: skip
        assert server.stdin is not None
        assert server.stdout is not None
        ports = server.stdout.readline().split()
        done = python(program, route, *ports, env=environment(route))
        server.stdin.close()
    assert (done.returncode, done.stderr) == (0, "")
    for refused, reached in json.loads(done.stdout):
        assert reached == "TLSv1.2"
        assert refused == "TLSv1" if route == "none" else "PROTOCOL" in refused


@pytest.mark.parametrize("route", ["none", *ROUTES])
def test_keys_are_logged_by_sslkeylog(route: str, ports: list[str]) -> None:
    """sslkeylog reads the keys from the C object, in each handshake."""
    parts.need("sslkeylog")
    program = str(PROGRAMS / "tool_sslkeylog.py")
    done = python(program, route, *ports, env=environment(route))
    assert (done.returncode, done.stderr) == (0, "")
    for refused, reached in json.loads(done.stdout):
        assert reached == ["TLSv1.2", "CLIENT_RANDOM"]
        if route == "none":
            assert refused == ["TLSv1", "CLIENT_RANDOM"]
        else:
            assert "PROTOCOL_VERSION" in refused


RELOADED = """
import importlib, json, sys, tlsfloor
tlsfloor.enforce("1.2")
import tool
tlsfloor.status()
loaded = [name for name in sorted(sys.modules) if name.startswith("tlsfloor")]
told = {}
for name in loaded:
    try:
        importlib.reload(sys.modules[name])
    except ImportError as error:
        assert "cannot be reloaded" in str(error), error
    for each in ("ssl", "_ssl"):
        sys.modules.pop(each, None)
    told[name] = [tool.attempt(port, tool.make()) for port in sys.argv[1:]]
assert tlsfloor.status().held
print(json.dumps(told))
"""


def test_no_reload_of_a_module_of_tlsfloor_loses_the_floor(ports: list[str]) -> None:
    path = os.pathsep.join([PACKAGES, str(PROGRAMS)])
    done = python("-W", "ignore", "-c", RELOADED, *ports, env=environment("", PYTHONPATH=path))
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert {"tlsfloor", "tlsfloor.floor", "tlsfloor.hooks", "tlsfloor.stacks.stdlib"} <= set(told)
    for refused, reached in told.values():
        assert "PROTOCOL_VERSION" in refused
        assert reached == "TLSv1.2"


def test_modules_of_others_are_reloaded(tmp_path: Path) -> None:
    """Also if its name begins with tlsfloor."""
    (tmp_path / "tlsfloor_like.py").write_text("made = object()")
    program = (
        "import tlsfloor, tlsfloor_like, importlib; tlsfloor.enforce('1.2'); import ssl\n"
        "before = tlsfloor_like.made; importlib.reload(tlsfloor_like)\n"
        "assert tlsfloor_like.made is not before"
    )
    path = os.pathsep.join([PACKAGES, str(tmp_path)])
    done = python("-c", program, env=environment("", PYTHONPATH=path))
    assert (done.returncode, done.stderr) == (0, "")

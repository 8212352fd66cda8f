"""Kernels that a Jupyter server starts, and starts again: each line of the guide arms them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest

import guides
from parts import need
from ports import reserved_port
from programs import BOOTSTRAP, PROGRAMS, armed_environment, clean_environment
from tlsfloor.peers.handshakes import ServerPeer
from tlsfloor.versions import TLS1_0

PAGE = "how-to/frameworks.md"
IPYTHON_CONFIG = "profile_default/ipython_kernel_config.py"
STARTUP_FILE = "profile_default/startup/00-tlsfloor.py"

OPEN = "TLSv1"
REFUSED = "SSLError: [SSL: TLSV1_ALERT_PROTOCOL_VERSION]"


@pytest.fixture(autouse=True, scope="module")
def _packages() -> None:
    need("ipykernel", "jupyter_server")


@pytest.fixture(scope="module")
def cell() -> Iterator[str]:
    """A cell that connects to a server that speaks TLS 1.0, and prints how that ended."""
    with ServerPeer(TLS1_0) as server:
        program = f"import sys; sys.path.append({str(PROGRAMS)!r}); import start"
        yield f"{program}; print(start.attempt({server.port})[:{len(REFUSED)}])"


def run(home: Path, *jobs: list[str], **env: str) -> Any:
    """Run cells in kernels of a fresh server, and run them again in restarted kernels."""
    done = subprocess.run(
        [
            sys.executable,
            str(PROGRAMS / "jupyter_cells.py"),
            str(reserved_port()),
            json.dumps(jobs),
        ],
        cwd=home,
        env={**clean_environment(HOME=str(home), PYDEVD_DISABLE_FILE_VALIDATION="1"), **env},
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def add_kernel(home: Path, name: str, env: dict[str, str]) -> None:
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": name, "language": "python", "env": env}
    write(home / ".local/share/jupyter/kernels" / name / "kernel.json", json.dumps(spec))


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory, cell: str) -> dict[str, Any]:
    """What kernels of a server without a floor print; each is armed in its own way."""
    home = tmp_path_factory.mktemp("home")
    shown = json.loads("{%s}" % guides.block(PAGE, "kernel.json"))["env"]
    add_kernel(home, "kernel.json", {**shown, "PYTHONPATH": BOOTSTRAP})
    line = guides.block(PAGE, "first cell")
    files = {
        "config": (IPYTHON_CONFIG, guides.block(PAGE, "ipython_kernel_config.py")),
        "startup": (STARTUP_FILE, line),
        "failing": (STARTUP_FILE, "import missing\n" + line),
    }
    for name, (file, text) in files.items():
        write(home / name / file, text)
        add_kernel(home, name, {"IPYTHONDIR": str(home / name)})
    jobs = [[name, cell] for name in ("python3", "kernel.json", *files)]
    jobs.append(["python3", line, cell])
    *results, called = run(home, *jobs)
    return {**{name: each for (name, _), each in zip(jobs, results)}, "first cell": called}


def test_a_kernel_connects_without_a_floor(kernels: dict[str, Any]) -> None:
    assert kernels["python3"] == [[OPEN], [OPEN]]


@pytest.mark.parametrize("way", ["kernel.json", "config", "startup"])
def test_a_kernel_is_armed_also_after_a_restart(way: str, kernels: dict[str, Any]) -> None:
    assert kernels[way] == [[REFUSED], [REFUSED]]


def test_the_first_cell_arms_its_kernel_whenever_it_is_run(kernels: dict[str, Any]) -> None:
    assert [printed for [_, printed] in kernels["first cell"]] == [REFUSED, REFUSED]


def test_a_startup_file_that_fails_leaves_the_kernel_open(kernels: dict[str, Any]) -> None:
    """IPython reports the error in the server's log, and goes on: the page says so."""
    assert kernels["failing"] == [[OPEN], [OPEN]]


@pytest.mark.parametrize("way", ["environment", "jupyter_server_config.py"])
def test_a_server_hands_the_floor_to_its_kernels(way: str, tmp_path: Path, cell: str) -> None:
    env = armed_environment("1.2", HOME=str(tmp_path))
    if way != "environment":
        env = {}
        write(tmp_path / ".jupyter" / way, guides.block(PAGE, way))
    assert run(tmp_path, ["python3", cell], **env) == [[[REFUSED], [REFUSED]]]

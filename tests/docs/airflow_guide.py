"""``docs/how-to/frameworks.md``: the section on Airflow, followed; and its DAG on LocalExecutor.

Airflow is large, and pins many packages. So ``nox -s airflow`` installs it and names this file,
which pytest does not collect otherwise.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterator

import guides
import pytest
from follow import Reader
from ports import reserved_port
from programs import clean_environment
from tlsfloor.peers.handshakes import ServerPeer
from tlsfloor.versions import TLS1_0

PAGE = "how-to/frameworks.md"
SETTINGS = "airflow/config/airflow_local_settings.py"
DAG = "airflow/dags/floor_dag.py"
RETURNED = re.compile(r"Returned value was: (\w+)")
PATIENCE = 600  # seconds

pytestmark = pytest.mark.timeout(3000)


def test_the_section_does_what_it_says(tmp_path: Path) -> None:
    files = [f"file: {name}" for name in ("partner.py", SETTINGS, DAG)]
    with contextlib.closing(Reader(tmp_path, ports=["8443"])) as reader:
        for block in guides.blocks(PAGE):
            if block.name in (*files, "airflow") or "tlsfloor serve" in block.text:
                reader.read(block)


@pytest.mark.parametrize("armed", [False, True], ids=["no floor", "the line"])
def test_tasks_that_the_local_executor_forks(armed: bool, tmp_path: Path) -> None:
    """Only the scheduler has the file: the other processes start no tasks."""
    home = tmp_path / "airflow"
    port = str(reserved_port())
    env = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__API__PORT": port,
        "AIRFLOW__API_AUTH__JWT_SECRET": "x" * 64,
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "1",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(reserved_port()),
        "HOME": str(tmp_path),
    }
    with ServerPeer(TLS1_0) as server:
        write(tmp_path / DAG, guides.block(PAGE, f"file: {DAG}"))
        partner = guides.block(PAGE, "file: partner.py")
        write(home / "dags" / "partner.py", partner.replace("8443", str(server.port)))
        for command in (["db", "migrate"], ["dags", "reserialize"], ["dags", "trigger", "floor"]):
            with running(*command, **env) as process:
                assert process.wait(PATIENCE) == 0
        with running("api-server", "--workers", "1", **env):
            if armed:
                write(tmp_path / SETTINGS, guides.block(PAGE, f"file: {SETTINGS}"))
            with running("scheduler", **env):
                found = returned(home / "logs")
    expected = "TLSV1_ALERT_PROTOCOL_VERSION" if armed else "TLSv1"
    assert found == {"worker": expected, "virtualenv": expected}


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@contextlib.contextmanager
def running(*command: str, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command of Airflow, and end it with all that it started."""
    path = f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.Popen(
        ["airflow", *command], env=clean_environment(PATH=path, **env), start_new_session=True
    )
    try:
        yield process
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)


def returned(logs: Path) -> dict[str, str]:
    """Wait for both tasks, and return what their logs say that they returned."""
    end = time.monotonic() + PATIENCE
    found: dict[str, str] = {}
    while len(found) < 2 and time.monotonic() < end:
        time.sleep(1)
        for file in logs.glob("dag_id=*/*/task_id=*/*.log"):
            for value in RETURNED.findall(file.read_text("utf-8", "replace")):
                found[file.parent.name.partition("=")[2]] = value
    return found

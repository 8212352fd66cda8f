"""``docs/how-to/frameworks.md``: the page, followed; and its programs, started in other ways.

The other ways are the servers and pools that the page names and does not start. Each is started
twice, without the page's line and with it, and each of its processes calls a server that speaks
TLS 1.0.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Iterator

import guides
import parts
import pytest
from follow import follow
from peers import call
from ports import reserved_port
from programs import armed_environment, clean_environment, python
from redis_server import redis_server

from tlsfloor.peers import handshakes
from tlsfloor.versions import TLS1_0

PAGE = "how-to/frameworks.md"
LINE = 'import tlsfloor; tlsfloor.enforce("1.2")\n'
OPEN, HELD = "TLSv1", "TLSV1_ALERT_PROTOCOL_VERSION"

#: Seconds for a server or worker to start. It takes one or two.
TIME_LIMIT = 120

#: On a busy machine uvicorn would end workers that need longer than 5 seconds to start.
PATIENT = {"UVICORN_TIMEOUT_WORKER_HEALTHCHECK": "60"}

#: Lets the programs of the page say which process it was.
WITH_PROCESS = """

_call = call


def call():
    import os

    return f"{os.getpid()} {_call()}"
"""

POST_FORK = f"def post_fork(server, worker):\n    {LINE}"

#: How a server is started -> its command, and the file that the line goes into.
SERVERS = {
    "Django, runserver that reloads": ("manage.py runserver PORT", "shop/settings.py"),
    "Django, gunicorn": ("-m gunicorn -w 2 -b 127.0.0.1:PORT shop.wsgi", "shop/settings.py"),
    "Django, uvicorn": (
        "-m uvicorn --workers 2 --port PORT shop.asgi:application",
        "shop/settings.py",
    ),
    "uvicorn": ("-m uvicorn --workers 2 --port PORT api:app", "api.py"),
    "uvicorn --reload": ("-m uvicorn --reload --port PORT api:app", "api.py"),
    "hypercorn": ("-m hypercorn --workers 2 --bind 127.0.0.1:PORT api:app", "api.py"),
    "gunicorn --preload": ("-m gunicorn --preload -w 2 -b 127.0.0.1:PORT web:app", "web.py"),
    "gunicorn, post_fork": ("-m gunicorn -w 2 -b 127.0.0.1:PORT web:app", "post_fork"),
}

#: Celery's pools, and how they are armed.
POOLS = [
    ("prefork", "line"),
    ("threads", "line"),
    ("gevent", "line"),
    ("gevent", "PYTHONPATH"),
    ("eventlet", "line"),
]

#: Celery in a Django project, as its documentation says: the settings and the application.
SETTINGS = """
import ssl

CELERY_BROKER_URL = "rediss://localhost:6380/0"
CELERY_BROKER_USE_SSL = {
    "ssl_ca_certs": "cert.pem",
    "ssl_cert_reqs": ssl.CERT_REQUIRED,
    "ssl_ciphers": "DEFAULT:@SECLEVEL=0",
    "ssl_min_version": ssl.TLSVersion.TLSv1,
}
CELERY_BEAT_SCHEDULE = {"check": {"task": "check", "schedule": 1}}
"""
APPLICATION = """
import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
app = Celery("shop")
app.config_from_object("django.conf:settings", namespace="CELERY")
"""

KOMBU = """
import ssl

import kombu

options = {
    "ssl_ca_certs": "cert.pem",
    "ssl_cert_reqs": ssl.CERT_REQUIRED,
    "ssl_ciphers": "DEFAULT:@SECLEVEL=0",
    "ssl_min_version": ssl.TLSVersion.TLSv1,
}
with kombu.Connection("rediss://localhost:6380/0", ssl=options) as connection:
    connection.ensure_connection(max_retries=1)
    queue = connection.SimpleQueue("floors")
    queue.put("hello")
    print(queue.get(timeout=20).payload)
"""


@pytest.fixture(autouse=True, scope="module")  # before the files of Django
def _packages() -> None:
    parts.need("django", "fastapi", "uvicorn", "hypercorn", "celery", "joblib", "distributed")
    parts.need("flask", "gunicorn", "tlslite")


@pytest.mark.timeout(900)
def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    parts.need("ipykernel", "papermill")
    parts.need_program("redis-server")
    parts.need_program("curl")
    skip = ["packages", "airflow"]  # `nox -s airflow` follows that section
    follow(PAGE, tmp_path, ports=["8443", "8000", "6380"], skip=skip, **PATIENT)


@pytest.fixture(scope="module")
def partner() -> Iterator[int]:
    with handshakes.ServerPeer(TLS1_0) as server:
        yield server.port


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, partner: int) -> Path:
    """A folder with the files of the page, none of which sets a floor."""
    folder = tmp_path_factory.mktemp("files")
    done = python("-m", "django", "startproject", "shop", ".", cwd=folder)
    assert done.returncode == 0, done.stderr
    guides.write_files(PAGE, folder)
    (folder / "gunicorn.conf.py").write_text("")
    replace(folder / "partner.py", {"8443": str(partner)})
    with open(folder / "partner.py", "a") as file:
        file.write(WITH_PROCESS)
    return folder


@pytest.fixture
def project(tmp_path: Path, files: Path) -> Path:
    return shutil.copytree(files, tmp_path / "open")


def replace(file: Path, words: dict[str, str]) -> None:
    text = file.read_text()
    for old, new in words.items():
        assert old in text, (old, file)
        text = text.replace(old, new)
    file.write_text(text)


def armed(project: Path, name: str) -> Path:
    """Return a copy of a project that has the line first in a file."""
    folder = project.with_name("armed")
    shutil.copytree(project, folder)
    file = folder / name
    if name == "post_fork":
        (folder / "gunicorn.conf.py").write_text(POST_FORK)
    elif name:
        file.write_text(LINE + file.read_text())
    return folder


@contextlib.contextmanager
def started(command: str, folder: Path, env: dict[str, str]) -> Iterator[Process]:
    """Run a command of Python in a folder, with all processes that it starts."""
    process = Process(command, folder, env)
    try:
        yield process
    finally:
        process.stop()


class Process:
    """A server or worker, which writes its log to a file."""

    def __init__(self, command: str, folder: Path, env: dict[str, str]) -> None:
        self.log = folder / f"{command.rsplit(maxsplit=1)[-1]}.log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command.split()],
                cwd=folder,
                env=env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.end = time.monotonic() + TIME_LIMIT

    def wait(self) -> None:
        """Wait a moment; it must still run, and not take too long."""
        text = self.log.read_text()
        assert self.process.poll() is None, f"it ended:\n{text}"
        assert time.monotonic() < self.end, f"nothing came:\n{text}"
        time.sleep(0.1)

    def wait_for(self, pattern: str) -> str:
        """Wait for a line in the log."""
        while True:
            found = re.search(pattern, self.log.read_text())
            if found:
                return found[0]
            self.wait()

    def stop(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)


def ask(port: int) -> str:
    """Return what a view of a server answers; empty if there is no server yet."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as answer:
            return answer.read().decode().strip('"\n')
    except OSError:
        return ""


def answers(command: str, folder: Path, file: str) -> set[str]:
    """Return what two processes of a server say: two workers, or one before and after a reload."""
    port = reserved_port()
    found: dict[str, str] = {}
    reloads = "reload" in command or "runserver" in command
    env = clean_environment(**PATIENT)
    with started(command.replace("PORT", str(port)), folder, env) as server:
        while len(found) < 2:
            if found and reloads:
                with open(folder / file, "a") as changed:
                    changed.write("\n")
                reloads = False
            with ThreadPoolExecutor(4) as pool:
                said = filter(None, pool.map(ask, [port] * 4))
            found.update(each.split(" ", 1) for each in said)
            server.wait()
    return set(found.values())


@pytest.mark.parametrize("server", SERVERS)
def test_the_line_holds_in_every_process_of_a_server(server: str, project: Path) -> None:
    command, file = SERVERS[server]
    folder = armed(project, file)  # before the server touches a file
    assert answers(command, project, file) == {OPEN}
    assert answers(command, folder, file) == {HELD}


def test_the_line_holds_on_the_https_of_uvicorn(project: Path) -> None:
    """uvicorn makes its context before it imports the application."""
    folder = armed(project, "api.py")
    replace(folder / "api.py", {'"1.2"': '"1.3"'})
    reached = []
    for each in (project, folder):
        port = reserved_port()
        command = f"-m uvicorn --port {port} --ssl-certfile {handshakes.PEER_FILE} api:app"
        with started(command, each, clean_environment()) as server:
            server.wait_for("running on")
            reached.append([call(port, "1.2 ecdhe"), call(port, "1.3 ecdhe")])
    assert reached[0] == ["TLSv1.2", "TLSv1.3"]
    assert reached[1][1] == "TLSv1.3"
    assert "TLSv" not in reached[1][0]  # asyncio closes the connection, without an alert


@pytest.fixture(scope="module")
def redis() -> Iterator[str]:
    with redis_server("TLSv1.2 TLSv1.3") as port:
        yield str(port)


@pytest.fixture
def legacy_redis() -> Iterator[str]:
    with redis_server("TLSv1.1", ciphers="DEFAULT:@SECLEVEL=0") as port:
        yield str(port)


#: Runs tasks until so many processes of the pool have said what they got.
ASK = """
import sys, tasks
said = {}
while len(said) < int(sys.argv[1]):
    for each in [tasks.check.delay() for _ in range(10)]:
        process, got = each.get(timeout=60).split(" ", 1)
        said.setdefault(process, set()).add(got)
print(set.union(*said.values()))
"""


@pytest.mark.parametrize(("pool", "route"), POOLS)
def test_the_line_holds_in_every_pool_of_celery(
    pool: str, route: str, project: Path, redis: str
) -> None:
    parts.need("redis", *({pool} & {"gevent", "eventlet"}))
    replace(project / "tasks.py", {"6380": redis, "cert.pem": handshakes.CA_FILE})
    folder = armed(project, "tasks.py" if route == "line" else "")
    replace(folder / "tasks.py", {f"{redis}/0": f"{redis}/1"})  # each has a broker of its own
    env = armed_environment("1.2") if route == "PYTHONPATH" else clean_environment()
    command = f"-m celery -A tasks worker --concurrency 2 --pool {pool}"
    with started(command, project, clean_environment()), started(command, folder, env):
        for each, expected in ((project, OPEN), (folder, HELD)):
            done = python("-c", ASK, "2" if pool == "prefork" else "1", cwd=each)
            assert done.stdout == f"{ {expected} }\n", done.stderr


@pytest.mark.parametrize(
    ("role", "works"), [("worker", "celery@.* ready"), ("beat", r"check sent\. id->")]
)
def test_the_line_in_the_settings_of_django_holds_in_celery(
    role: str, works: str, project: Path, legacy_redis: str
) -> None:
    settings = SETTINGS.replace("6380", legacy_redis).replace("cert.pem", handshakes.CA_FILE)
    (project / "shop" / "celery.py").write_text(APPLICATION)
    with open(project / "shop" / "settings.py", "a") as file:
        file.write(settings)
    folder = armed(project, "shop/settings.py")
    command = f"-m celery -A shop {role} --loglevel DEBUG"
    env = clean_environment()
    with started(command, project, env) as before, started(command, folder, env) as held:
        before.wait_for(works)
        held.wait_for(r"floor of this process, set by enforce\(\) at .*settings.py:1")


def test_kombu_alone_is_held(tmp_path: Path, redis: str, legacy_redis: str) -> None:
    text = KOMBU.replace("cert.pem", handshakes.CA_FILE)
    assert python("-c", text.replace("6380", legacy_redis)).stdout == "hello\n"
    assert python("-c", LINE + text.replace("6380", redis)).stdout == "hello\n"
    refused = python("-c", LINE + text.replace("6380", legacy_redis)).stderr
    assert "offers nothing at or above TLS 1.2, which is the floor of this process" in refused


def test_a_worker_that_dask_starts_later_has_the_floor_of_preload(project: Path) -> None:
    """A worker that a nanny starts again goes the same way; ``Client.restart()`` takes longer."""
    later = "        cluster.scale(2)\n        client.wait_for_workers(2)\n        print"
    replace(project / "cluster.py", {"        print": later})
    done = python("cluster.py", cwd=project, env=clean_environment(DASK_CONFIG="dask-config"))
    assert done.stdout.count(HELD) == 2, done.stdout + done.stderr
    assert OPEN + "'" not in done.stdout

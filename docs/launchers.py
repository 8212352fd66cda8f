"""Start a program by launchers and servers, and write which of them are armed.

``python docs/launchers.py [ROW...]`` measures the named rows, or all whose parts are installed. The
table in ``reference/starting.md`` is the only record: the other rows stay. Each row is measured by
each route to a floor, by what the page says to do, and without a floor: that must be open, or the
other results prove nothing. The program asks for as little as it can, and tries to connect by
TLS 1.0 and by TLS 1.2.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from starting import MEANING, PAGE, environment, output

from tlsfloor.deploy.bundle_folder import BOOTSTRAP, PARTS
from tlsfloor.peers.handshakes import ServerPeer
from tlsfloor.versions import TLS1_0, TLS1_2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BEGIN, END = "<!-- launchers -->\n", "<!-- end of launchers -->"
PROGRAMS = Path(__file__).parent.parent / "tests" / "programs"

#: How the floor gets to a process: heading of the table -> what is done.
ROUTES = {
    "folder": "the folder on PYTHONPATH",
    "installed": "installed",
    "called": "`enforce()` in the program",
}
NO_FLOOR, ADVICE = "no floor", "advice"
EACH = "each"  # both applications of a server call enforce(), and not the first one alone
GLOBAL = "global"  # both are in the main interpreter of mod_wsgi

#: Debian's module and its interpreter: others cannot read what lies below the home of root.
MOD_WSGI, SYSTEM_PYTHON = "/usr/lib/apache2/modules/mod_wsgi.so", "/usr/bin/python3"

#: Arms gunicorn and its workers, as its configuration.
GUNICORN_CONF = """\
import tlsfloor

tlsfloor.enforce("1.2")
"""

_PATIENCE = 60  # seconds for a server to answer


class Place:
    """A folder with all that is started, a virtual environment for it, and the peers' ports."""

    def __init__(self, folder: Path, ports: list[str], executable: str) -> None:
        self.folder, self.ports = folder, ports
        self.bundle = folder / "bundle"
        self.tlsfloor("bundle", str(self.bundle))
        self.bootstrap = str(self.bundle / BOOTSTRAP)
        self.app = folder / "app"
        shutil.copytree(PROGRAMS / "launched", self.app)
        shutil.copy(PROGRAMS / "start.py", self.app)
        for part in PARTS:
            if (self.bundle / part).is_dir():  # as a program that depends on tlsfloor has it
                shutil.copytree(self.bundle / part, self.app / part)
        self.prefix = folder / "venv"
        output([executable, "-m", "venv", "--without-pip", str(self.prefix)], environment())
        self.python = str(self.prefix / "bin" / "python")
        # The servers are where this Python has them.
        [purelib] = self.prefix.glob("lib/python*/site-packages")
        tools = [each for each in sys.path if each.endswith(("site-packages", "dist-packages"))]
        (purelib / "tools.pth").write_text("\n".join(tools) + "\n")
        self.env_file = folder / "floor.env"
        self.env_file.write_text(env_file(self.bootstrap))

    @staticmethod
    def tlsfloor(*words: str) -> None:
        """Run a command of tlsfloor here, with this Python."""
        output([sys.executable, "-m", "tlsfloor", *words], environment())

    def environment(self, route: str, **more: str) -> dict[str, str]:
        """Return what a process is started with; what a tool writes at home is written here."""
        more = {"HOME": str(self.folder), **more}
        if route == "folder":
            more["PYTHONPATH"] = self.bootstrap
        if route in ("called", EACH):
            more["FLOOR_CALLED"] = route
        return environment(**more)

    @contextlib.contextmanager
    def route(self, route: str) -> Iterator[None]:
        """Have the floor installed, if that is the route."""
        if route != "installed":
            yield
            return
        self.tlsfloor("install", "--prefix", str(self.prefix))
        try:
            yield
        finally:
            self.tlsfloor("uninstall", "--prefix", str(self.prefix))

    def ran(self, route: str, *command: str, **more: str) -> str:
        """Run a program that prints what it reached, and return what that means."""
        lines = output([*command, *self.ports], self.environment(route, **more), cwd=self.app)
        return meaning(lines.splitlines()[-1])

    def built(self, name: str, *command: str, **more: str) -> str:
        """Return the path of a file, which a command that ends with it builds once."""
        path = self.folder / name
        if not path.exists():
            output([*command, str(path)], self.environment(NO_FLOOR, **more), cwd=self.folder)
        return str(path)

    def served(
        self, route: str, *command: str, path: str = "/", first: str = "", **more: str
    ) -> str:
        """Start a server, ask it what the application reached, and end it.

        ``first`` is another path, to be asked for before.
        """
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = str(free.getsockname()[1])
        words = [each.replace("PORT", port) for each in command]
        with open(self.folder / "server.log", "w+") as log, subprocess.Popen(
            words, cwd=self.app, env=self.environment(route, **more), stdout=log, stderr=log
        ) as server:
            try:
                query = ",".join(self.ports)
                for each in filter(None, (first, path)):
                    told = asked(int(port), f"{each}?{query}", server)
                return meaning(told)
            except OSError as error:
                log.seek(0)
                raise RuntimeError(f"{words} does not answer: {error}: {log.read()}") from error
            finally:
                server.terminate()
                server.wait(_PATIENCE)


def env_file(folder: str) -> str:
    """Return the file of variables that hands the folder over."""
    return f"PYTHONPATH={folder}\nTLSFLOOR=1.2\n"


def asked(port: int, path: str, server: subprocess.Popen[bytes]) -> str:
    """Return what a server answers; it is waited for as long as it runs."""
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port)) as client:
                client.request("GET", path)
                return client.getresponse().read().decode()
        except ConnectionError:
            if server.poll() is not None or time.monotonic() > end:
                raise
        time.sleep(0.1)


def meaning(told: str) -> str:
    """Return what it means that these versions were reached: open, armed or broken."""
    try:
        reached = tuple(each.startswith("TLSv") for each in json.loads(told))
    except ValueError as error:
        raise RuntimeError(f"the program said {told!r}") from error
    return MEANING.get(reached, "broken")


# The launchers, in the order of the table.


def pex(place: Place, route: str, *options: str) -> str:
    """Build a PEX, once for each kind, and run it."""
    if route == ADVICE:
        route, options = "folder", ("--venv", "--non-hermetic-venv-scripts")
    name = f"app{'-'.join(options)}.pex"
    tool = [sys.executable, "-m", "pex", "-D", str(place.app), "-m", "app", *options, "-o"]
    home = {"PEX_ROOT": str(place.folder / "pex")}
    return place.ran(route, place.python, place.built(name, *tool, **home), **home)


def pyinstaller(place: Place, route: str, kind: str) -> str:
    """Freeze the program, into a folder or a file, and run it."""
    tool = [sys.executable, "-m", "PyInstaller", "--log-level", "ERROR", "--name", "app", kind]
    tool += ["--paths", str(place.app)]
    if route == ADVICE:
        # PyInstaller applies tlsfloor's own hook to imports of the program, not of a runtime hook.
        tool += ["--hidden-import", "tlsfloor", "--runtime-hook", str(place.app / "arm.py")]
    work = str(place.folder / "pyinstaller")
    tool += ["--workpath", work, "--specpath", work, str(place.app / "app.py"), "--distpath"]
    home = {"PYINSTALLER_CONFIG_DIR": work}
    built = place.built(f"dist{kind}-{route == ADVICE}", *tool, **home)
    return place.ran(route, os.path.join(built, *["app"] * (1 + (kind == "--onedir"))))


def shiv(place: Place, route: str) -> str:
    """Build a zipapp with the program's dependencies in it, and run it."""
    tool = [sys.executable, "-m", "shiv", "--site-packages", str(place.app), "-e", "app:main"]
    built = place.built("app.pyz", *tool, "-o")
    return place.ran(route, place.python, built, SHIV_ROOT=str(place.folder / "shiv"))


def uv(place: Place, route: str, *words: str) -> str:
    """Run the program by a command of uv, offline."""
    from uv import find_uv_bin

    if route == ADVICE:
        at = 2 if words[0] == "tool" else 1
        words = (*words[:at], "--env-file", str(place.env_file), *words[at:])
    (place.app / "pyproject.toml").write_text(
        '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.8"\n'
    )
    more = {
        "UV_CACHE_DIR": str(place.folder / "uv"),
        "UV_OFFLINE": "1",
        "UV_PROJECT_ENVIRONMENT": str(place.prefix),
        "UV_PYTHON": place.python,
    }
    return place.ran(route, find_uv_bin(), *words, **more)


def uvx(place: Place, route: str) -> str:
    """Run the program as a tool, of a wheel that has it."""
    wheel = place.folder / "floorapp-1-py3-none-any.whl"
    if not wheel.exists():
        info = {
            "METADATA": "Metadata-Version: 2.1\nName: floorapp\nVersion: 1\n",
            "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            "entry_points.txt": "[console_scripts]\nfloorapp = app:main\n",
            "RECORD": "",
        }
        with zipfile.ZipFile(wheel, "w") as file:
            for each in place.app.rglob("*.py"):
                file.write(each, each.relative_to(place.app))
            for name, text in info.items():
                file.writestr(f"floorapp-1.dist-info/{name}", text)
    return uv(place, route, "tool", "run", "--from", str(wheel), "floorapp")


def gunicorn(place: Place, route: str, *options: str) -> str:
    """Start gunicorn."""
    if route == ADVICE:
        (place.folder / "gunicorn.conf.py").write_text(GUNICORN_CONF)
        options = (*options, "--config", str(place.folder / "gunicorn.conf.py"))
    server = [place.python, "-m", "gunicorn", "--bind", "127.0.0.1:PORT", *options]
    return place.served(route, *server, "app:application")


def uwsgi(place: Place, route: str, *options: str, path: str = "/") -> str:
    """Start uWSGI, with the virtual environment."""
    server = [str(Path(sys.executable).with_name("uwsgi")), "--venv", str(place.prefix)]
    server += ["--http-socket", "127.0.0.1:PORT", "--master", "--need-app", "--die-on-term"]
    if path == "/":
        options = (*options, "--wsgi-file", "app.py")
    return place.served(route, *server, *options, path=path, TLSFLOOR="1.2")


def uwsgi_pythonpath(place: Place, route: str) -> str:
    """Start uWSGI; the folder is given by its own option."""
    options = {
        "folder": ["--pythonpath", place.bootstrap],
        ADVICE: ["--env", f"PYTHONPATH={place.bootstrap}"],
    }
    return uwsgi(place, NO_FLOOR if route in options else route, *options.get(route, []))


def uwsgi_no_site(place: Place, route: str) -> str:
    """Start uWSGI without `site`, which runs all start-up files."""
    more = ["--pythonpath", place.bootstrap, "--shared-import", "sitecustomize"]
    return uwsgi(place, route, "--no-site", *(more if route == ADVICE else []))


def uwsgi_mounts(place: Place, route: str) -> str:
    """Start uWSGI with two applications: each has a sub-interpreter of its own."""
    mounts = ["--manage-script-name", "--mount", "/1=app.py", "--mount", "/2=second.py"]
    if route != ADVICE:
        return uwsgi(place, route, *mounts, path="/2")
    shared = uwsgi(place, "called", *mounts, "--single-interpreter", path="/2")
    return _both(shared, uwsgi(place, EACH, *mounts, path="/2"))


def _both(first: str, second: str) -> str:
    """Return the outcome of two pieces of advice."""
    return first if first == second else f"{first}, {second}"


def mod_wsgi(place: Place, route: str, how: str = "envvars", path: str = "/1") -> str:
    """Start Apache; ``how`` is the directive that names the folder, where that is the route."""
    given = how if route == "folder" else ""
    if how == "WSGIPythonPath":  # that is for the processes of Apache itself
        lines = [f"WSGIPythonHome {place.prefix}"]
        lines += [f"WSGIPythonPath {place.bootstrap}"] if given else []
    else:
        option = f"python-path={place.bootstrap}" if given == "python-path=" else ""
        lines = [
            f"WSGIDaemonProcess app python-home={place.prefix} {option}",
            "WSGIProcessGroup app",
        ]
        lines += [f"SetEnv PYTHONPATH {place.bootstrap}"] if given == "SetEnv" else []
    if path == "/2" and route == ADVICE:
        shared = mod_wsgi(place, GLOBAL, how, path)
        return _both(shared, mod_wsgi(place, EACH, how, path))
    if route == GLOBAL:
        lines, route = [*lines, "WSGIApplicationGroup %{GLOBAL}"], "called"
    elif route == ADVICE:
        route = "folder"
    elif given != "envvars":
        route = NO_FLOOR if given else route
    state = place.folder / "apache"
    state.mkdir(exist_ok=True)
    modules = Path(MOD_WSGI).parent
    named = {each: modules / f"mod_{each}.so" for each in ("mpm_event", "authz_core", "env")}
    named["wsgi"] = Path(MOD_WSGI)
    lines = [
        *(f"LoadModule {name}_module {file}" for name, file in named.items()),
        f"DefaultRuntimeDir {state}",
        f"ErrorLog {state}/error.log",
        f"Mutex file:{state}",
        f"PidFile {state}/pid",
        "ServerName localhost",
        "User www-data",
        "Group www-data",
        f"WSGISocketPrefix {state}/wsgi",
        *lines,
        f"WSGIScriptAlias /1 {place.app}/app.py",
        f"WSGIScriptAlias /2 {place.app}/second.py",
        f"<Directory {place.app}>",
        "Require all granted",
        "</Directory>",
    ]
    (state / "httpd.conf").write_text("\n".join(lines) + "\n")
    command = [_apache(), "-f", f"{state}/httpd.conf", "-C", "Listen 127.0.0.1:PORT"]
    if path == "/2":  # the first one has to be there
        return place.served(route, *command, "-DFOREGROUND", path=path, first="/1")
    return place.served(route, *command, "-DFOREGROUND", path=path)


def _apache() -> str:
    return shutil.which("apache2", path=f"{os.environ['PATH']}:/usr/sbin") or "apache2"


def celery(place: Place, route: str) -> str:
    """Start a worker of Celery, and let it do a task."""
    queue = place.folder / "queue"
    queue.mkdir(exist_ok=True)
    more = {"QUEUE": str(queue)}
    worker = [place.python, "-m", "celery", "-A", "tasks", "worker", "--pool", "prefork"]
    worker += ["--concurrency", "1", "--without-gossip", "--without-mingle"]
    ask = "import sys, json, tasks; print(json.dumps(tasks.report.delay(sys.argv[1:]).get(60)))"
    with subprocess.Popen(
        worker,
        cwd=place.app,
        env=place.environment(route, **more),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            return place.ran(NO_FLOOR, place.python, "-c", ask, **more)
        finally:
            server.terminate()
            server.wait(_PATIENCE)


def pool(place: Place, route: str, kind: str) -> str:
    """Let a program start workers before it arms itself."""
    # The program calls enforce() after the workers run, and not as it starts.
    when, route = (route, NO_FLOOR) if route in ("called", ADVICE) else ("", route)
    return place.ran(route, place.python, str(place.app / "pools.py"), kind, when)


def jupyter(place: Place, route: str) -> str:
    """Run a cell in a kernel."""
    spec = {
        "argv": [place.python, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "floor",
        "language": "python",
        "env": {},
    }
    if route == ADVICE:
        spec["env"] = {"PYTHONPATH": place.bootstrap, "TLSFLOOR": "1.2"}
    folder = place.folder / "jupyter"
    (folder / "kernels" / "floor").mkdir(parents=True, exist_ok=True)
    (folder / "kernels" / "floor" / "kernel.json").write_text(json.dumps(spec))
    notebook = str(place.app / "notebook.py")
    return place.ran(route, place.python, notebook, JUPYTER_DATA_DIR=str(folder))


class Row(NamedTuple):
    """A way to launch: what it needs, how a route is measured, and what to do for it.

    ``by`` is the route that the advice takes: one of its own, one of the others, or any.
    """

    needs: str
    start: Callable[[Place, str], str]
    advice: str
    by: str = ADVICE


def _with(start: Callable[..., str], *words: str, **more: str) -> Callable[[Place, str], str]:
    return lambda place, route: start(place, route, *words, **more)


_ANY = "Any of the three.", ""
_PEX = (
    "Put tlsfloor into the PEX and call `enforce()`; or build it with "
    "`--venv --non-hermetic-venv-scripts`: then it reads PYTHONPATH."
)
_INSTALL = "`tlsfloor install` into the environment whose Python runs the PEX.", "installed"
_FREEZE = (
    "Call `enforce()`; or build it with `--hidden-import tlsfloor --runtime-hook arm.py`, where "
    '`arm.py` has `import tlsfloor; tlsfloor.enforce("1.2")`.'
)
_ENV_FILE = "Hand the folder over in the environment, for example by `--env-file floor.env`."
_ENVVARS = "`export PYTHONPATH=DIR` and `export TLSFLOOR=1.2` in Apache's `envvars`."
_INITIALIZER = '`initializer=tlsfloor.enforce, initargs=("1.2",)` for the pool.'
_GUNICORN = "Any of the three; or `enforce()` in `gunicorn.conf.py`."

ROWS = {
    "PEX": Row("pex", pex, _PEX),
    "PEX, `--venv`": Row("pex", _with(pex, "--venv"), _PEX),
    "PEX, `--inherit-path=prefer`": Row("pex", _with(pex, "--inherit-path=prefer"), *_INSTALL),
    "PEX, `--inherit-path=fallback`": Row("pex", _with(pex, "--inherit-path=fallback"), *_INSTALL),
    "PyInstaller, one folder": Row("PyInstaller", _with(pyinstaller, "--onedir"), _FREEZE),
    "PyInstaller, one file": Row("PyInstaller", _with(pyinstaller, "--onefile"), _FREEZE),
    "shiv": Row("shiv", shiv, *_ANY),
    "`uv run`": Row("uv", _with(uv, "run", "app.py"), *_ANY),
    "`uv run --isolated`": Row("uv", _with(uv, "run", "--isolated", "app.py"), _ENV_FILE),
    "`uvx`": Row("uv", uvx, _ENV_FILE),
    "gunicorn": Row("gunicorn", gunicorn, _GUNICORN),
    "gunicorn, `--preload`": Row("gunicorn", _with(gunicorn, "--preload"), _GUNICORN),
    "uWSGI": Row("uwsgi", uwsgi, *_ANY),
    "uWSGI, `lazy-apps`": Row("uwsgi", _with(uwsgi, "--lazy-apps"), *_ANY),
    "uWSGI, the folder by `pythonpath=`": Row(
        "uwsgi", uwsgi_pythonpath, "`env = PYTHONPATH=DIR` in place of `pythonpath = DIR`."
    ),
    "uWSGI, `no-site`": Row(
        "uwsgi", uwsgi_no_site, "`pythonpath = DIR` and `shared-import = sitecustomize`."
    ),
    "uWSGI, the second of two mounts": Row(
        "uwsgi",
        uwsgi_mounts,
        "`enforce()` in each application; or `single-interpreter = true`.",
    ),
    "mod_wsgi, the folder by `envvars`": Row("mod_wsgi", mod_wsgi, *_ANY),
    "mod_wsgi, the folder by `SetEnv`": Row("mod_wsgi", _with(mod_wsgi, "SetEnv"), _ENVVARS),
    "mod_wsgi, the folder by `WSGIPythonPath`": Row(
        "mod_wsgi", _with(mod_wsgi, "WSGIPythonPath"), _ENVVARS
    ),
    "mod_wsgi, the folder by `python-path=`": Row(
        "mod_wsgi", _with(mod_wsgi, "python-path="), _ENVVARS
    ),
    "mod_wsgi, the second application group": Row(
        "mod_wsgi",
        _with(mod_wsgi, path="/2"),
        "`enforce()` in each application; or `WSGIApplicationGroup %{GLOBAL}` for all.",
    ),
    "Celery, `prefork`": Row("celery", celery, *_ANY),
    "Jupyter kernel": Row(
        "ipykernel", jupyter, "PYTHONPATH and TLSFLOOR in `env` of its `kernel.json`."
    ),
    "multiprocessing, forkserver that runs already": Row(
        "multiprocessing", _with(pool, "forkserver"), _INITIALIZER
    ),
    "`InterpreterPoolExecutor`": Row(
        "concurrent.futures.interpreter", _with(pool, "interpreters"), *_ANY
    ),
    "loky, workers that run already": Row("loky", _with(pool, "loky"), _INITIALIZER),
    "Dask, workers that run already": Row(
        "distributed", _with(pool, "dask"), '`client.run(tlsfloor.enforce, "1.2")`.'
    ),
}


class Cell(NamedTuple):
    """One row by one route, and the outcome; ``python`` and ``version`` are what was measured."""

    row: str
    route: str
    outcome: str
    python: str
    version: str


def missing(row: str) -> str:
    """Return what a row needs and is not installed; empty if it can be measured."""
    needs = ROWS[row].needs
    if needs == "mod_wsgi":
        return "" if os.path.exists(MOD_WSGI) and os.access(_apache(), os.X_OK) else needs
    try:
        # uWSGI is a program, and a module that comes with it.
        found = importlib.util.find_spec("uwsgidecorators" if needs == "uwsgi" else needs)
        return "" if found else needs
    except ModuleNotFoundError:
        return needs


def version(needs: str) -> str:
    """Return the version of what a row needs; empty if it is a part of Python."""
    if needs == "mod_wsgi":
        asked = ["dpkg-query", "--show", "--showformat", "${Version}", "libapache2-mod-wsgi-py3"]
        return output(asked, environment())
    try:
        return metadata.version(needs)
    except metadata.PackageNotFoundError:
        return ""


@contextlib.contextmanager
def places() -> Iterator[Callable[[str], Place]]:
    """Give a place for a row: of the Python that this one was made of, or of the system's."""
    made: dict[str, Place] = {}
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(ServerPeer(each)) for each in (TLS1_0, TLS1_2)]

        def place(row: str) -> Place:
            base = getattr(sys, "_base_executable", sys.executable)
            python = SYSTEM_PYTHON if ROWS[row].needs == "mod_wsgi" else base
            if python not in made:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                folder.chmod(0o755)  # Apache's processes are another user's
                made[python] = Place(folder, [str(each.port) for each in peers], python)
            return made[python]

        yield place


def routes(row: str) -> list[str]:
    """Return what a row is measured by: no floor, all routes, and what the page says to do."""
    return [NO_FLOOR, *ROUTES, *([ADVICE] if ROWS[row].by == ADVICE else [])]


def measure(row: str, place: Place, only: tuple[str, ...] = ()) -> list[Cell]:
    """Start a row by each route, or ``only`` these.

    Raises:
        RuntimeError: without a floor it is not open, so that nothing is proved.
    """
    cells = []
    python = output(
        [place.python, "-c", "import platform; print(platform.python_version())"], environment()
    ).strip()
    for route in only or routes(row):
        with place.route(route):
            outcome = ROWS[row].start(place, route)
        if route == NO_FLOOR and outcome != "open":
            raise RuntimeError(f"{row} is {outcome} without a floor")
        cells.append(Cell(row, route, outcome, python, version(ROWS[row].needs)))
    return cells


def helps(row: str, outcomes: dict[str, str]) -> bool:
    """Return whether the advice of a row arms it; ``outcomes`` has the outcome of each route."""
    by = ROWS[row].by
    return {outcomes[route] for route in ([by] if by else ROUTES)} == {"armed"}


def read() -> tuple[dict[tuple[str, str], str], list[str], dict[str, str]]:
    """Return what the page says: (row, route) -> outcome, versions of Python, tool -> version."""
    text = PAGE.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]
    rows = [[cell.strip(" *") for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    outcomes = {
        (name, route): outcome
        for name, *cells in filter(None, rows)
        if name in ROWS
        for route, outcome in zip(ROUTES, cells)
    }
    pythons, _, tools = text.rpartition("Measured with Python ")[2].strip(".\n").partition("; ")
    named = (tool.rpartition(" ") for tool in tools.split(", "))
    return outcomes, pythons.split(", "), {name: number for name, _, number in named}


def table(outcomes: dict[tuple[str, str], str], pythons: list[str], tools: dict[str, str]) -> str:
    """Return the table of the page, and with what it was measured."""
    lines = [
        f"| started by | {' | '.join(ROUTES.values())} | what to do |",
        "| --- " * (len(ROUTES) + 2) + "|",
    ]
    for name, row in ROWS.items():
        if (name, "folder") in outcomes:
            found = [outcomes[name, route] for route in ROUTES]
            cells = [f"**{outcome}**" if outcome == "armed" else outcome for outcome in found]
            lines.append(f"| {name} | {' | '.join(cells)} | {row.advice} |")
    known = sorted(set(pythons), key=lambda python: [*map(int, python.split("."))])
    named = ", ".join(f"{name} {tools[name]}" for name in sorted(tools, key=str.lower))
    return "\n".join([*lines, "", f"Measured with Python {', '.join(known)}; {named}."]) + "\n"


def main(rows: list[str]) -> int:
    """Measure these rows, or all that can be, and write the page; 1 if an advice does not help."""
    outcomes, pythons, tools = read()
    useless = []
    with places() as place:
        for row in rows or ROWS:
            needs = ROWS[row].needs
            if missing(row):
                print(f"{row}: not measured, {needs} is missing", file=sys.stderr)
                continue
            cells = measure(row, place(row))
            print(f"{row}: {', '.join(f'{cell.route}: {cell.outcome}' for cell in cells)}")
            found = {cell.route: cell.outcome for cell in cells}
            outcomes.update({(row, route): found[route] for route in ROUTES})
            pythons.append(cells[0].python)
            tools.update({needs: cells[0].version} if cells[0].version else {})
            useless += [] if helps(row, found) else [row]
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    written = table(outcomes, pythons, tools)
    PAGE.write_text(before + BEGIN + written + END + rest.partition(END)[2], "utf-8")
    for row in useless:
        print(f"error: the advice for {row} does not arm it", file=sys.stderr)
    return 1 if useless else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

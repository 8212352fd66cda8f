"""When arming fails: TLSFLOOR_ON_ERROR decides, and no process runs unprotected without a word.

Every case ends in a real handshake, or in the lack of one. What is found out as Python starts makes
an ``abort`` before any of the program ran; what only the import of a TLS stack can tell, there.
"""

from __future__ import annotations

import glob
import json
import os
import shutil
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple, TYPE_CHECKING

import pytest

import parts
from programs import BOOTSTRAP, PROGRAMS, clean_environment, python
from tlsfloor.peers import handshakes
from tlsfloor.versions import FLOORS, TLS1_0

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START = str(PROGRAMS / "start.py")

#: What a program reaches that was told to accept everything, when nothing stops it.
UNPROTECTED = ["TLSv1"]


class Failure(NamedTuple):
    """A way in which arming fails: ``make(tmp_path)`` returns the environment for it.

    ``said`` is what the error says; ``late`` tells that only the import of ``ssl`` can find out;
    ``alone`` that tlsfloor must not be installed for it.
    """

    make: Callable[[Path], dict[str, str]]
    said: str
    late: bool = False
    alone: bool = False


def variables(**given: str) -> Callable[[Path], dict[str, str]]:
    return lambda _tmp_path: {"PYTHONPATH": BOOTSTRAP, **given}


def missing_package(tmp_path: Path) -> dict[str, str]:
    shutil.copytree(BOOTSTRAP, tmp_path / "opt" / "bootstrap")
    return {"PYTHONPATH": str(tmp_path / "opt" / "bootstrap")}


def broken_package(file: str) -> Callable[[Path], dict[str, str]]:
    def make(tmp_path: Path) -> dict[str, str]:
        copy = tmp_path / "tlsfloor"
        # Without its byte code, which would be used if the file is as old and as long as before.
        shutil.copytree(Path(BOOTSTRAP).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
        (copy / file).write_text("not a module\n")
        return {"PYTHONPATH": str(copy / "bootstrap")}

    return make


def replaced_ssl(text: str) -> Callable[[Path], dict[str, str]]:
    """An ``ssl.py`` on the path that is not Python's."""

    def make(tmp_path: Path) -> dict[str, str]:
        (tmp_path / "ssl.py").write_text(text)
        return {"PYTHONPATH": os.pathsep.join([BOOTSTRAP, str(tmp_path)])}

    return make


#: A module that has the name only: a context of its own, and no TLS.
OWN_SSL = "class SSLContext: pass\n"

#: A stand-in that brings the real thing along, by a name that nobody watches.
SHIM_SSL = """
import importlib.util, os, sys
file = os.path.join(os.path.dirname(os.__file__), "ssl.py")
spec = importlib.util.spec_from_file_location("real_ssl", file)
real = sys.modules["real_ssl"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(real)
SSLContext, PROTOCOL_SSLv23 = (lambda *args: real.SSLContext(*args)), real.PROTOCOL_SSLv23
"""

#: The real ``_ssl``, with an OpenSSL that speaks no TLS 1.3, although it was built for one.
LESS_THAN_PROMISED = """
import importlib.machinery, importlib.util, sys
path = [entry for entry in sys.path if entry != __file__.rpartition("/")[0]]
spec = importlib.machinery.PathFinder.find_spec("_ssl", path)
this = sys.modules["_ssl"]
real = importlib.util.module_from_spec(spec)
spec.loader.exec_module(real)
sys.modules["_ssl"] = this  # the extension of 3.8 and 3.9 puts itself there
globals().update({name: value for name, value in vars(real).items() if not name.startswith("__")})

# Beneath what holds the floor on the real one, which is loaded by its own name.
raw = real._SSLContext.__mro__[-2]

class _SSLContext(raw):
    @property
    def minimum_version(self):
        return raw.minimum_version.__get__(self)

    @minimum_version.setter
    def minimum_version(self, value):
        if value == 0x304:
            raise ValueError("Unsupported TLS/SSL version 0x304")
        raw.minimum_version.__set__(self, value)
"""

#: The same with OpenSSL 1.0.2, where no context has a minimum.
OPENSSL_1_0_2 = (
    LESS_THAN_PROMISED.partition("class _SSLContext")[0]
    + """
class Missing:
    def __get__(self, context, kind=None):
        raise AttributeError("minimum_version")

class _SSLContext(raw):
    minimum_version = maximum_version = Missing()

HAS_TLSv1_3 = False
"""
)

#: The same, that was built for what it has.
OLD_OPENSSL = f"{LESS_THAN_PROMISED}\nHAS_TLSv1_3 = False\n"


def old_openssl(tmp_path: Path, text: str = OLD_OPENSSL) -> dict[str, str]:
    (tmp_path / "_ssl.py").write_text(text)
    path = os.pathsep.join([BOOTSTRAP, str(tmp_path)])
    return {"PYTHONPATH": path, "TLSFLOOR": "1.3"}


FAILURES = {
    "unknown floor": Failure(variables(TLSFLOOR="2.0"), "TLSFLOOR: '2.0'"),
    "empty floor": Failure(variables(TLSFLOOR=""), "TLSFLOOR: it is empty"),
    "a floor of blanks": Failure(variables(TLSFLOOR=" "), "TLSFLOOR: ' '"),
    "a floor in two lines": Failure(variables(TLSFLOOR="1.2\n9"), r"TLSFLOOR: '1.2\n9'"),
    "a floor beyond ASCII": Failure(variables(TLSFLOOR="1\u00bd"), "TLSFLOOR: '1"),
    "SSL 3.0 as floor": Failure(variables(TLSFLOOR="SSLv3"), "TLSFLOOR: 'SSLv3'"),
    "unknown floor of the cluster": Failure(
        variables(TLS_MIN_VERSION="VersionTLS99"),
        "TLS_MIN_VERSION: 'VersionTLS99'",
    ),
    "empty floor of the cluster": Failure(
        variables(TLS_MIN_VERSION="", TLSFLOOR="1.2"),
        "TLS_MIN_VERSION: it is empty",
    ),
    "package missing": Failure(
        missing_package, "No module named 'tlsfloor'; hint: a part of the package is", alone=True
    ),
    "arming broken": Failure(broken_package("arm.py"), "invalid syntax"),
    "hooks broken": Failure(broken_package("hooks.py"), "invalid syntax"),
    "table broken": Failure(broken_package("stacks/__init__.py"), "invalid syntax"),
    "guard broken": Failure(broken_package("stacks/stdlib.py"), "invalid syntax"),
    "somebody's own ssl": Failure(
        replaced_ssl(OWN_SSL), "the floor cannot be held on <module 'ssl'", late=True
    ),
    "a stand-in for ssl": Failure(
        replaced_ssl(SHIM_SSL), "the floor cannot be held on <module 'ssl'", late=True
    ),
    # Only an abort looks at OpenSSL as Python starts, so that it ends it before the program.
    "a floor above this OpenSSL": Failure(old_openssl, "cannot be held to TLS 1.3"),
}


@pytest.fixture(scope="module")
def port() -> Iterator[str]:
    """A peer that is below every floor except 1.0."""
    with handshakes.ServerPeer(TLS1_0) as peer:
        yield str(peer.port)


@pytest.fixture(scope="module")
def lonely(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter without any package, also without tlsfloor."""
    place = tmp_path_factory.mktemp("lonely")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    executable = str(place / "bin" / "python")
    # Elsewhere, since `-c` can import what is in the current folder.
    assert python("-c", "import tlsfloor", executable=executable, cwd=place).returncode == 1
    return executable


def start(port: str, env: dict[str, str], executable: str) -> tuple[int, str, list[str]]:
    """Run the program; return its status, its stderr, and what it reached if it ever started."""
    done = python(START, port, env=clean_environment(**env), executable=executable)
    said = done.stdout.splitlines()
    assert said[:1] in ([], ["started"])
    return done.returncode, done.stderr, json.loads(said[1]) if len(said) > 1 else said


def outcome_of(
    failure: str, outcome: str | None, tmp_path: Path, port: str, lonely: str
) -> tuple[Failure, int, str, list[str]]:
    case = FAILURES[failure]
    env = case.make(tmp_path)
    if outcome:
        env["TLSFLOOR_ON_ERROR"] = outcome
    return (case, *start(port, env, lonely if case.alone else sys.executable))


@pytest.mark.parametrize("outcome", [None, "block"], ids=["by default", "block"])
@pytest.mark.parametrize("failure", FAILURES)
def test_block_refuses_tls_and_nothing_else(
    failure: str, outcome: str | None, tmp_path: Path, port: str, lonely: str
) -> None:
    """As in a Python that was built without ssl: ``import ssl`` fails, and the program runs."""
    case, status, stderr, reached = outcome_of(failure, outcome, tmp_path, port, lonely)
    assert status == 0
    assert stderr == ""
    assert reached[0].startswith("ImportError: tlsfloor: error: ")
    assert case.said in reached[0]


@pytest.mark.parametrize("failure", FAILURES)
def test_abort_ends_the_process(failure: str, tmp_path: Path, port: str, lonely: str) -> None:
    """One line and status 78: before the program runs, or when it imports a TLS stack."""
    case, status, stderr, reached = outcome_of(failure, "abort", tmp_path, port, lonely)
    assert status == 78
    assert stderr.startswith("tlsfloor: error: ")
    assert stderr.count("\n") == 1
    assert case.said in stderr
    assert reached == (["started"] if case.late else [])


@pytest.mark.parametrize("failure", FAILURES)
def test_warn_prints_a_line_and_runs_unprotected(
    failure: str, tmp_path: Path, port: str, lonely: str
) -> None:
    """One line, and then TLS 1.0, which is the control of the other two outcomes."""
    case, status, stderr, reached = outcome_of(failure, "warn", tmp_path, port, lonely)
    assert status == 0
    assert stderr.startswith("tlsfloor: error: ")
    assert stderr.endswith("; this process runs without the floor\n")
    assert stderr.count("\n") == 1
    assert case.said in stderr
    if failure == "somebody's own ssl":
        assert "PROTOCOL_SSLv23" in reached[0]  # there is no TLS in it
    elif failure == "a stand-in for ssl":
        assert (
            "PROTOCOL_VERSION" in reached[0]
        )  # it was held all the same, although nobody can tell
    else:
        assert reached == UNPROTECTED


@pytest.mark.parametrize("outcome", [None, "block", "abort"], ids=str)
@pytest.mark.parametrize("failure", FAILURES)
def test_observe_refuses_nothing_and_aborts_only_before_the_program(
    failure: str, outcome: str | None, tmp_path: Path, port: str, lonely: str
) -> None:
    """Who asks for an abort wants no process whose configuration cannot be understood.

    A stack that cannot be seen is no reason to end a program that was to be left alone.
    """
    case = FAILURES[failure]
    env = {**case.make(tmp_path), "TLSFLOOR_MODE": "observe"}
    if outcome:
        env["TLSFLOOR_ON_ERROR"] = outcome
    status, stderr, reached = start(port, env, lonely if case.alone else sys.executable)
    # What is observed below the floor of this OpenSSL or on another ssl is no failure to start.
    starts = case.late or failure in ("guard broken", "a floor above this OpenSSL")
    if outcome == "abort" and not starts:
        assert (status, reached) == (78, [])
        assert stderr.startswith("tlsfloor: error: ")
        assert case.said in stderr
        assert stderr.count("\n") == 1
        return
    assert status == 0
    assert reached == UNPROTECTED or "PROTOCOL_SSLv23" in reached[0] or case.late, reached
    if not starts:
        assert case.said in stderr
        assert stderr.endswith("; this process runs without the floor\n")


@pytest.mark.parametrize("outcome", ["explode", "", "Warn"])
def test_an_unknown_outcome_blocks(outcome: str, port: str) -> None:
    """An outcome that does not exist is treated as the safe one, with a message."""
    env = {"PYTHONPATH": BOOTSTRAP, "TLSFLOOR_ON_ERROR": outcome}
    status, stderr, reached = start(port, env, sys.executable)
    assert (status, stderr) == (0, "")
    assert f"unknown outcome in TLSFLOOR_ON_ERROR: {outcome!r}" in reached[0]
    assert "write one of warn, block, abort" in reached[0]


@pytest.mark.parametrize(
    "failure", [name for name in FAILURES if not name.endswith(("broken", "missing"))]
)
def test_the_message_says_what_to_do(failure: str, tmp_path: Path, port: str, lonely: str) -> None:
    """Each error ends with a hint."""
    _case, _status, stderr, _reached = outcome_of(failure, "warn", tmp_path, port, lonely)
    assert "; hint: " in stderr


BLOCKED = """
import json, sys
problems = []
for name in ("ssl", "_ssl", "ssl"):
    try:
        __import__(name)
    except ImportError as error:
        problems.append(str(error))
import hashlib, http.client, socket, urllib.request
try:
    urllib.request.urlopen("https://127.0.0.1:1/")
except Exception as error:
    problems.append(str(error))
https = hasattr(http.client, "HTTPSConnection")
print(json.dumps([problems, hashlib.sha256(b"").hexdigest()[:8], https]))
"""


def test_a_blocked_process_is_like_a_python_without_ssl() -> None:
    """Each import of ssl fails; modules that also work without TLS do."""
    env = clean_environment(PYTHONPATH=BOOTSTRAP, TLSFLOOR="x")
    done = python("-c", BLOCKED, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    problems, digest, https = json.loads(done.stdout)
    assert problems[0] == problems[2]
    assert "TLSFLOOR" in problems[0]
    assert problems[3:] == ["<urlopen error unknown url type: https>"]
    assert digest == "e3b0c442"
    assert not https


STATUS = """
import json, sys
sys.path.append(sys.argv[1])
try:
    import ssl
except ImportError:
    pass
import tlsfloor
status = tlsfloor.status()
print(json.dumps([bool(status), status.floor, status.problems]))
"""


@pytest.mark.parametrize("outcome", ["warn", "block"])
@pytest.mark.parametrize(
    "failure", ["unknown floor", "a stand-in for ssl", "a floor above this OpenSSL"]
)
def test_status_claims_nothing_after_a_failure(failure: str, outcome: str, tmp_path: Path) -> None:
    case = FAILURES[failure]
    env = clean_environment(**case.make(tmp_path), TLSFLOOR_ON_ERROR=outcome)
    done = python("-c", STATUS, str(Path(BOOTSTRAP).parents[1]), env=env)
    held, _floor, problems = json.loads(done.stdout)
    assert not held
    assert any(case.said in problem or "SSLContext is" in problem for problem in problems), problems


def floors_to_use(hint: str) -> list[str]:
    """Return the floors that a hint suggests."""
    return re.findall(r"floor (\d\.\d)", hint)


@pytest.mark.parametrize(
    ("openssl", "works"),
    [
        pytest.param(OPENSSL_1_0_2, [], id="1.0.2"),
        pytest.param(OLD_OPENSSL, ["1.0", "1.1", "1.2"], id="1.1.0"),
    ],
)
def test_the_hint_for_an_old_openssl_works(openssl: str, works: list[str], tmp_path: Path) -> None:
    """Each suggested floor is tried; and a floor is suggested if any works."""
    env = clean_environment(**old_openssl(tmp_path, openssl))

    def tried(floor: str, **more: str) -> tuple[bool, str]:
        done = python(
            "-c",
            "import ssl; print(int(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).minimum_version))",
            env={**env, "TLSFLOOR": floor, **more},
        )
        return int(done.stdout or 0) >= FLOORS[floor], done.stderr

    assert [floor for floor in FLOORS if tried(floor)[0]] == works
    said = tried("1.3")[1]
    assert "ImportError: tlsfloor: error: " in said
    assert "hint: use a Python that was built with OpenSSL 1.1.1 or newer" in said
    assert floors_to_use(said.rpartition("hint: ")[2]) == works[-1:]
    # The control, and the other advice: this Python without the stand-in was built with one.
    assert tried("1.3", PYTHONPATH=BOOTSTRAP) == (True, "")


LESS = """
import json, ssl, sys
sys.path.append(sys.argv[1])
problems = []
for make in (lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.create_default_context):
    try:
        problems.append(repr(make()))
    except ImportError as error:
        problems.append(str(error))
import tlsfloor
status = tlsfloor.status()
print(json.dumps([problems, bool(status), status.problems]))
"""


def test_a_context_that_cannot_be_raised_is_an_error(tmp_path: Path) -> None:
    """The build is trusted until the first context; with "abort" it is checked at once."""
    env = clean_environment(**old_openssl(tmp_path, LESS_THAN_PROMISED))
    done = python("-c", LESS, str(Path(BOOTSTRAP).parents[1]), env=env)
    assert (done.returncode, done.stderr) == (0, "")
    said, held, problems = json.loads(done.stdout)
    assert not held
    assert len([each for each in [*said, *problems] if "cannot be held to TLS 1.3" in each]) == 3
    # The control: the same OpenSSL makes contexts for a floor that it speaks.
    done = python("-c", LESS, str(Path(BOOTSTRAP).parents[1]), env={**env, "TLSFLOOR": "1.2"})
    said, held, problems = json.loads(done.stdout)
    assert (held, problems) == (True, [])
    assert all("SSLContext object" in each for each in said)
    done = python("-c", LESS, env={**env, "TLSFLOOR_ON_ERROR": "abort"})
    assert (done.returncode, done.stdout) == (78, "")
    assert "cannot be held to TLS 1.3" in done.stderr


@pytest.mark.parametrize("outcome", ["abort", "warn", "block"])
def test_an_outcome_does_not_need_stderr(outcome: str, port: str) -> None:
    """It is closed (``2>&-``): an abort still aborts, and ``status()`` has the message."""
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" "$@" 2>&-', sys.executable, START, port],
        env=clean_environment(PYTHONPATH=BOOTSTRAP, TLSFLOOR="x", TLSFLOOR_ON_ERROR=outcome),
        stdout=subprocess.PIPE,
        check=False,
        timeout=60,
    )
    said = done.stdout.decode().splitlines()
    if outcome == "abort":
        assert (done.returncode, said) == (78, [])
        return
    assert done.returncode == 0
    reached = json.loads(said[1])
    if outcome == "warn":
        assert reached == UNPROTECTED
    else:
        assert "TLSFLOOR" in reached[0]


#: A start-up file that uses TLS before ours is run: it keeps a class, a context and a subclass.
EARLY_BIRD = """
import ssl, sys, warnings
warnings.simplefilter("ignore")
class Own(ssl.SSLContext):
    pass
def lowest(kind):
    context = kind(ssl.PROTOCOL_SSLv23)
    context.minimum_version = 0x301
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context
sys.kept = {"class": lambda: lowest(ssl.SSLContext), "subclass": lambda: lowest(Own)}
sys.kept["context"] = lambda context=lowest(ssl.SSLContext): context
sys.kept["module"] = lambda module=ssl: lowest(module.SSLContext)
"""

USE_KEPT = """
import json, socket, sys
reached = {}
for name, make in sys.kept.items():
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as plain:
        try:
            with make().wrap_socket(plain) as tls:
                reached[name] = tls.version()
        except Exception as error:
            reached[name] = "%s: %s" % (type(error).__name__, error)
print(json.dumps(reached))
"""


@pytest.fixture(scope="module")
def early_bird(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter with a ``.pth`` that imports ``ssl``, as other start-up files do."""
    place = tmp_path_factory.mktemp("early")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    [packages] = glob.glob(str(place / "lib" / "py*" / "site-packages"))
    Path(packages, "early_bird.py").write_text(EARLY_BIRD)
    Path(packages, "early_bird.pth").write_text("import early_bird\n")
    return str(place / "bin" / "python")


def use_kept(executable: str, port: str, **env: str) -> tuple[int, str, dict[str, Any]]:
    done = python("-c", USE_KEPT, port, env=clean_environment(**env), executable=executable)
    return done.returncode, done.stderr, json.loads(done.stdout or "{}")


def test_an_ssl_that_was_imported_earlier_is_held(early_bird: str, port: str) -> None:
    status, stderr, reached = use_kept(early_bird, port)
    assert (status, stderr) == (0, "")
    assert reached == dict.fromkeys(["class", "subclass", "context", "module"], "TLSv1")
    status, stderr, reached = use_kept(early_bird, port, PYTHONPATH=BOOTSTRAP)
    assert (status, stderr) == (0, "")
    for name in ("class", "subclass", "context", "module"):
        assert "PROTOCOL_VERSION" in reached[name], reached


@pytest.mark.parametrize("outcome", ["block", "abort", "warn"])
def test_an_ssl_that_was_imported_earlier_has_the_outcome_too(
    early_bird: str, port: str, outcome: str
) -> None:
    """In a blocked process, references to it that were kept make no connection."""
    status, stderr, reached = use_kept(
        early_bird, port, PYTHONPATH=BOOTSTRAP, TLSFLOOR="x", TLSFLOOR_ON_ERROR=outcome
    )
    if outcome == "abort":
        assert (status, reached) == (78, {})
    elif outcome == "warn":
        assert "this process runs without the floor" in stderr
        assert reached == dict.fromkeys(["class", "subclass", "context", "module"], "TLSv1")
    else:
        assert (status, stderr) == (0, "")
        for name in ("class", "subclass", "context", "module"):
            assert reached[name].startswith("ImportError: tlsfloor: error: TLSFLOOR: "), reached


@pytest.mark.parametrize("executable", parts.old_pythons())
def test_a_legacy_python_is_held(executable: str, port: str) -> None:
    """The start-up file runs on 2.7 and newer; test_legacy.py tests what it holds."""
    assert start(port, {}, executable)[2] == UNPROTECTED
    env = {"PYTHONPATH": BOOTSTRAP, "PYTHONDONTWRITEBYTECODE": "1"}
    for outcome in ("block", "abort", "warn"):
        status, stderr, reached = start(port, {**env, "TLSFLOOR_ON_ERROR": outcome}, executable)
        assert (status, stderr) == (0, "")
        assert "PROTOCOL" in reached[0], reached


@pytest.mark.parametrize("outcome", [None, "block", "abort", "warn", "explode"], ids=str)
@pytest.mark.parametrize("executable", parts.old_pythons())
def test_a_legacy_python_obeys_the_outcome(executable: str, outcome: str | None, port: str) -> None:
    """As the newer ones, with the same messages."""
    env = {"PYTHONPATH": BOOTSTRAP, "PYTHONDONTWRITEBYTECODE": "1", "TLSFLOOR": "1.4"}
    said = "tlsfloor: error: TLSFLOOR: '1.4' is not a TLS version; hint: write 1.2 or"
    if outcome:
        env["TLSFLOOR_ON_ERROR"] = outcome
    status, stderr, reached = start(port, env, executable)
    if outcome == "abort":
        assert (status, reached) == (78, [])
        assert stderr.startswith(said)
    elif outcome == "warn":
        assert (status, reached) == (0, UNPROTECTED)
        assert stderr.startswith(said)
        assert stderr.endswith("this process runs without the floor\n")
    else:
        assert (status, stderr) == (0, "")
        said = "unknown outcome in TLSFLOOR_ON_ERROR: 'explode'" if outcome == "explode" else said
        assert said in reached[0]


@pytest.mark.parametrize("executable", parts.old_pythons())
def test_a_legacy_python_is_blocked_without_the_package(
    executable: str, tmp_path: Path, port: str
) -> None:
    env = {**missing_package(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    status, stderr, reached = start(port, env, executable)
    assert (status, stderr.count("\n"), reached == UNPROTECTED) == (0, 1, False)
    assert stderr.startswith("tlsfloor: error: No module named ")
    status, stderr, reached = start(port, {**env, "TLSFLOOR_ON_ERROR": "abort"}, executable)
    assert (status, stderr.count("\n"), reached) == (78, 1, [])


@pytest.mark.parametrize("executable", parts.old_pythons())
def test_a_legacy_python_can_be_left_alone(executable: str, port: str) -> None:
    env = {"PYTHONPATH": BOOTSTRAP, "PYTHONDONTWRITEBYTECODE": "1", "TLSFLOOR": "off"}
    assert start(port, env, executable) == (0, "", UNPROTECTED)


@pytest.mark.parametrize("executable", parts.old_pythons())
def test_a_legacy_python_still_runs_the_next_sitecustomize(executable: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.ran = getattr(sys, 'ran', 0) + 1\n")
    env = clean_environment(
        PYTHONPATH=os.pathsep.join([BOOTSTRAP, str(tmp_path)]), PYTHONDONTWRITEBYTECODE="1"
    )
    program = "import sys, sitecustomize; print('%d %s' % (sys.ran, sitecustomize.__file__))"
    done = python("-c", program, env=env, executable=executable)
    assert done.stdout.split() == ["1", str(tmp_path / "sitecustomize.py")], done.stderr


OTHERS = "import sys; sys.path.insert(0, {0!r}); import OpenSSL.SSL; print('imported')"


def test_an_unknown_floor_refuses_every_stack(tmp_path: Path) -> None:
    (tmp_path / "OpenSSL").mkdir()
    for name in ("__init__", "SSL"):
        (tmp_path / "OpenSSL" / f"{name}.py").touch()
    program = OTHERS.format(str(tmp_path))
    assert python("-c", program, env=clean_environment()).stdout == "imported\n"
    env = clean_environment(PYTHONPATH=BOOTSTRAP, TLSFLOOR="9")
    done = python("-c", program, env=env)
    assert (done.returncode, done.stdout) == (1, "")
    assert "ImportError: tlsfloor: error: TLSFLOOR" in done.stderr


TWICE = """
import json, sys
said = []
for name in ("ssl", "http.client", "urllib.request", "ssl", "_ssl"):
    try:
        __import__(name)
    except ImportError as error:
        said.append(str(error))
if "status" in sys.argv:
    sys.path.append(sys.argv[1])
    import tlsfloor
    said.append(tlsfloor.status().held)
print(json.dumps(said))
"""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TLSFLOOR", "2.0"),
        ("TLSFLOOR_MODE", "nonsense"),
        ("TLSFLOOR_STACKS", "foo=warn"),
        ("TLSFLOOR_STACKS", "nonsense"),
        ("TLSFLOOR_UNCOVERED", "nonsense"),
        ("TLSFLOOR_UNKNOWN", "nonsense"),
    ],
)
def test_a_refused_stack_is_refused_again(name: str, value: str) -> None:
    """Programs try again in other ways: urllib imports ssl if it can."""
    env = clean_environment(PYTHONPATH=BOOTSTRAP, **{name: value})
    home = str(Path(BOOTSTRAP).parents[1])
    for words in ([home], [home, "status"]):
        done = python("-c", TWICE, *words, env=env)
        assert (done.returncode, done.stderr) == (0, "")
        said = json.loads(done.stdout)
        assert len([each for each in said if isinstance(each, str)]) == 3, said
        assert all(name in each for each in said[:3])
        assert said[3:] == [False] * (len(words) - 1)


#: What is set -> the variable that the warning names, or "" where it lists them all.
MISSPELT = {
    "TLSFLOOR_FLOOR": "TLSFLOOR",
    "TLSFLOOR_MIN_VERSION": "TLSFLOOR",
    "TLSFLOORS": "TLSFLOOR",
    "TLSFLOOR_ONERROR": "TLSFLOOR_ON_ERROR",
    "TLSFLOOR_EXEMPTION": "TLSFLOOR_EXEMPTIONS",
    "TLSFLOOR_EVENT_FILE": "TLSFLOOR_EVENTS",
    "TLSFLOOR_DEBUG": "",
}

#: What Kubernetes sets in each container beside a service whose name is ``tlsfloor``.
SERVICE = {
    "TLSFLOOR_SERVICE_HOST": "10.0.0.1",
    "TLSFLOOR_SERVICE_PORT_WEB": "443",
    "TLSFLOOR_PORT": "tcp://10.0.0.1:443",
    "TLSFLOOR_PORT_443_TCP_ADDR": "10.0.0.1",
}


@pytest.mark.parametrize("executable", [sys.executable, *parts.old_pythons()])
def test_misspelt_variables_are_named_once(executable: str) -> None:
    env = {"PYTHONPATH": BOOTSTRAP, "PYTHONDONTWRITEBYTECODE": "1", "TLS_MIN_VERSION": "1.2"}
    program = "import ssl"
    labels = {"TLSFLOOR_LABELS": "anything: it is for reports"}
    for given in ({}, {"TLSFLOOR": "1.3", "TLSFLOOR_ON_ERROR": "block"}, SERVICE, labels):
        done = python("-c", program, executable=executable, env=clean_environment(**env, **given))
        assert (done.returncode, done.stderr) == (0, "")
    given = dict.fromkeys(MISSPELT, "1.3")
    done = python("-c", program, executable=executable, env=clean_environment(**env, **given))
    assert done.returncode == 0
    said = sorted(done.stderr.splitlines())
    assert len(said) == len(MISSPELT)
    for line, name in zip(said, sorted(MISSPELT)):
        start = f"tlsfloor: warning: {name} is not a variable of tlsfloor"
        start += " and changes nothing; hint: "
        hint = f"write {MISSPELT[name]}" if MISSPELT[name] else "use one of TLSFLOOR, "
        assert line.startswith(start + hint), line
        assert line.endswith(hint) or not MISSPELT[name], line


@pytest.mark.parametrize("executable", [sys.executable, *parts.old_pythons()])
def test_a_legacy_python_names_the_variables_that_it_does_not_read(executable: str) -> None:
    given = {
        "TLSFLOOR_EVENTS": os.devnull,
        "TLSFLOOR_EXEMPTIONS": os.devnull,
        "TLSFLOOR_STACKS": "pymssql=warn",
        "TLSFLOOR_UNCOVERED": "warn",
        "TLSFLOOR_UNKNOWN": "block",
    }
    env = clean_environment(PYTHONPATH=BOOTSTRAP, PYTHONDONTWRITEBYTECODE="1", **given)
    done = python("-c", "import ssl", executable=executable, env=env)
    old = executable != sys.executable
    lines = [f"tlsfloor: warning: {each} has no effect before Python 3.8\n" for each in given]
    assert done.returncode == 0
    assert [line in done.stderr for line in lines] == [old] * len(lines)
    if old:
        assert done.stderr.count("\n") == len(lines)


def test_labels_load_nothing() -> None:
    """A process that does not use TLS starts as cheaply with labels as without."""
    program = "import sys; print([name for name in sys.modules if name.startswith('tlsfloor')])"
    for given, loaded in (
        ({"TLSFLOOR_LABELS": "owner=payments"}, False),
        ({"TLSFLOOR_LABEL": "owner=payments"}, True),  # the control
    ):
        env = clean_environment(PYTHONPATH=BOOTSTRAP, TLSFLOOR="1.2", **given)
        assert ("tlsfloor.arm" in python("-c", program, env=env).stdout) == loaded


def test_a_call_names_misspelt_variables_too() -> None:
    program = "import tlsfloor; tlsfloor.enforce('1.2'), tlsfloor.enforce('1.3')"
    home = str(Path(BOOTSTRAP).parents[1])
    for path, off in ((home, {}), (BOOTSTRAP, {}), (BOOTSTRAP, {"TLSFLOOR": "off"})):
        env = clean_environment(PYTHONPATH=path, TLSFLOOR_FLOOR="1.3", **off)
        done = python("-c", program, env=env)
        assert (done.returncode, done.stderr.count("\n")) == (0, 1), done.stderr
        assert "TLSFLOOR_FLOOR is not a variable" in done.stderr

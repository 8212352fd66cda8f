"""The start-up file among others: who runs and how often, what is loaded, what is obeyed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, TYPE_CHECKING

import pytest

from programs import BOOTSTRAP, PROGRAMS, clean_environment, python
from tlsfloor.peers import handshakes
from tlsfloor.versions import TLS1_0, TLS1_2

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The interpreter itself, outside of any virtual environment: there ``usercustomize`` is enabled.
BARE = os.path.realpath(sys.executable)

#: A plain sitecustomize of somebody else: it notes each run and changes the path.
PLAIN = """
import sys
sys.ran = getattr(sys, "ran", []) + ["{name} as " + __name__]
sys.path.append("/added/by/{name}")
"""

#: How ddtrace's sitecustomize runs the next one: out of the path, out of the modules, and in again.
DDTRACE = (
    PLAIN
    + """
import os
here = os.path.dirname(os.path.abspath(__file__))
index = [os.path.abspath(entry) for entry in sys.path].index(here)
del sys.path[index]
mine = sys.modules.pop("sitecustomize")
try:
    import sitecustomize
except ImportError:
    sys.modules["sitecustomize"] = mine
finally:
    sys.path.insert(index, here)
"""
)

#: How others do it: find the file, and run it as a module of another name.
BY_FILE = (
    PLAIN
    + """
import importlib.util, os
here = os.path.dirname(os.path.abspath(__file__))
for entry in sys.path[[os.path.abspath(entry) for entry in sys.path].index(here) + 1:]:
    file = os.path.join(entry, "sitecustomize.py")
    if os.path.exists(file):
        spec = importlib.util.spec_from_file_location("next_sitecustomize", file)
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
        break
"""
)

#: What a program finds: who ran, who has the name, what floor is claimed, what floor is held.
TELL = """
import json, sys
ran = getattr(sys, "ran", [])
owner = getattr(sys.modules.get("sitecustomize"), "__file__", None)
import ssl, tlsfloor, warnings
warnings.simplefilter("ignore")
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.minimum_version = 0x301
status = tlsfloor.status()
print(json.dumps({
    "ran": ran,
    "owner": owner,
    "path": sys.path,
    "claimed": status.floor,
    "held": bool(status),
    "routes": [arming["route"] for arming in status.armings],
    "minimum": int(context.minimum_version),
}))
"""


def folder(tmp_path: Path, name: str, text: str, file: str = "sitecustomize.py") -> str:
    """Make a folder for the path with a start-up file in it."""
    made = tmp_path / name
    made.mkdir()
    (made / file).write_text(text.replace("{name}", name))
    return str(made)


def tell(
    path: list[str], executable: str = sys.executable, program: str = TELL, **environment: str
) -> dict[str, Any]:
    """Start Python with a path, and return what it found in its process."""
    # Where tlsfloor can be imported from, also by a program whose start-up file is not ours.
    home = str(Path(BOOTSTRAP).parents[1])
    env = clean_environment(PYTHONPATH=os.pathsep.join([*path, home]), **environment)
    done = python("-c", program, env=env, executable=executable)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("style", "before"),
    [(PLAIN, False), (DDTRACE, False), (DDTRACE, True), (BY_FILE, False), (BY_FILE, True)],
    ids=["plain after", "ddtrace after", "ddtrace before", "by file after", "by file before"],
)
@pytest.mark.parametrize("third", [False, True], ids=["", "and a third"])
def test_every_sitecustomize_runs_exactly_once(
    tmp_path: Path, style: str, before: bool, third: bool
) -> None:
    """Those that run without tlsfloor run, and no others."""
    chain = [folder(tmp_path, "theirs", style)]
    if third:
        chain.append(folder(tmp_path, "third", PLAIN))
    without = tell(chain)
    assert without["ran"][0] == "theirs as sitecustomize"
    assert len(without["ran"]) == (2 if third and style is not PLAIN else 1)
    found = tell([chain[0], BOOTSTRAP, *chain[1:]] if before else [BOOTSTRAP, *chain])
    # Who is run by ours has the name, as who is imported has; without ours, BY_FILE gives another.
    assert [each.split()[0] for each in found["ran"]] == [
        each.split()[0] for each in without["ran"]
    ]
    assert found["claimed"] == "1.2"
    assert found["held"]
    assert found["minimum"] == TLS1_2
    assert found["routes"] == ["PYTHONPATH"]


def test_a_sitecustomize_that_imports_its_own_name_again_runs_once(tmp_path: Path) -> None:
    """It expects the next one, and would find tlsfloor's, which has run it."""
    again = (
        PLAIN
        + "if len(sys.ran) < 5:\n    del sys.modules['sitecustomize']\n    import sitecustomize\n"
    )
    found = tell([BOOTSTRAP, folder(tmp_path, "theirs", again)])
    assert found["ran"] == ["theirs as sitecustomize"]
    assert found["minimum"] == TLS1_2


def test_the_next_sitecustomize_is_the_module_of_that_name(tmp_path: Path) -> None:
    """Its name, file and changes of the path are as without tlsfloor."""
    theirs = folder(tmp_path, "theirs", PLAIN)
    found, alone = tell([BOOTSTRAP, theirs]), tell([theirs])
    assert found["owner"] == alone["owner"] == os.path.join(theirs, "sitecustomize.py")
    assert [entry for entry in found["path"] if entry != BOOTSTRAP] == alone["path"]
    assert "/added/by/theirs" in found["path"]
    assert alone["claimed"] is None
    assert alone["minimum"] == TLS1_0


def test_status_claims_nothing_if_another_sitecustomize_hides_ours(tmp_path: Path) -> None:
    """Another file comes first and runs no other: nothing is armed, and ``status()`` shows that."""
    path = [folder(tmp_path, "theirs", PLAIN), BOOTSTRAP, str(Path(BOOTSTRAP).parents[1])]
    done = python("-c", TELL, env=clean_environment(PYTHONPATH=os.pathsep.join(path)))
    assert done.stderr.startswith("tlsfloor: error: Python did not run the start-up file in ")
    found = json.loads(done.stdout)
    assert found["ran"] == ["theirs as sitecustomize"]
    assert found["claimed"] is None
    assert not found["held"]
    assert found["minimum"] == TLS1_0


@pytest.mark.parametrize(
    "failure",
    ["raise RuntimeError('of theirs')", "import not_there", "raise SystemExit(3)", "def ("],
)
def test_exceptions_of_the_next_sitecustomize_are_reported_as_without_tlsfloor(
    tmp_path: Path, failure: str
) -> None:
    theirs = folder(tmp_path, "theirs", failure)
    outcomes = []
    for path in ([theirs], [BOOTSTRAP, theirs]):
        env = clean_environment(PYTHONPATH=os.pathsep.join(path))
        done = python("-c", "import sys; print('ran', 'sitecustomize' in sys.modules)", env=env)
        # A traceback has a frame of ours; its last line and the lines without one do not.
        said = [line for line in done.stderr.splitlines() if not line.startswith(" ")]
        outcomes.append((done.returncode, done.stdout, said))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][2], "the failure was not reported at all"


def test_the_floor_is_held_although_the_next_one_failed(tmp_path: Path) -> None:
    theirs = folder(tmp_path, "theirs", "raise RuntimeError('of theirs')")
    env = clean_environment(PYTHONPATH=os.pathsep.join([BOOTSTRAP, theirs]))
    found = json.loads(python("-c", TELL, env=env).stdout)
    assert found["claimed"] == "1.2"
    assert found["minimum"] == TLS1_2


def test_a_package_sitecustomize_runs_too(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs" / "sitecustomize"
    theirs.mkdir(parents=True)
    (theirs / "__init__.py").write_text(PLAIN.replace("{name}", "theirs"))
    found = tell([BOOTSTRAP, str(theirs.parent)])
    assert found["ran"] == ["theirs as sitecustomize"]
    assert found["owner"] == str(theirs / "__init__.py")


def test_a_second_copy_of_the_folder_arms_once(tmp_path: Path) -> None:
    """For example a platform's folder and an installed one; the next file still runs once."""
    home = Path(BOOTSTRAP).parent
    copy = shutil.copytree(
        home, tmp_path / "tlsfloor", ignore=shutil.ignore_patterns("__pycache__")
    )
    theirs = folder(tmp_path, "theirs", PLAIN)
    found = tell([BOOTSTRAP, str(copy / "bootstrap"), theirs])
    assert found["ran"] == ["theirs as sitecustomize"]
    assert found["routes"] == ["PYTHONPATH"]
    assert found["minimum"] == TLS1_2


@pytest.mark.parametrize("target", ["the folder", "the file"])
def test_a_symbolic_link_to_the_folder_arms(tmp_path: Path, target: str) -> None:
    """The next file runs, too: ConfigMaps and store paths are links."""
    theirs = folder(tmp_path, "theirs", PLAIN)
    link = tmp_path / "link"
    if target == "the folder":
        link.symlink_to(BOOTSTRAP)
    else:
        link.mkdir()
        (link / "sitecustomize.py").symlink_to(os.path.join(BOOTSTRAP, "sitecustomize.py"))
    found = tell([str(link), theirs])
    assert found["ran"] == ["theirs as sitecustomize"]
    assert found["claimed"] == "1.2"
    assert found["minimum"] == TLS1_2


def test_a_copy_of_the_folder_alone_uses_the_installed_package(tmp_path: Path) -> None:
    copy = shutil.copytree(
        BOOTSTRAP, tmp_path / "copy", ignore=shutil.ignore_patterns("__pycache__")
    )
    found = tell([str(copy)])
    assert found["claimed"] == "1.2"
    assert found["minimum"] == TLS1_2


def test_usercustomize_is_untouched(tmp_path: Path) -> None:
    theirs = folder(tmp_path, "theirs", PLAIN, "usercustomize.py")
    expected = ["theirs as usercustomize"]
    assert tell([theirs], BARE)["ran"] == expected
    found = tell([BOOTSTRAP, theirs], BARE)
    assert found["ran"] == expected
    assert found["minimum"] == TLS1_2


@pytest.mark.parametrize(
    "variables", [{}, {"TLSFLOOR": "1.3"}, {"TLS_MIN_VERSION": "VersionTLS12"}], ids=str
)
def test_an_idle_process_loads_nothing(tmp_path: Path, variables: dict[str, str]) -> None:
    """Only the name of the package exists, which is executed when it is first used."""
    empty = folder(tmp_path, "empty", "")
    modules = []
    for path in (empty, BOOTSTRAP):
        env = clean_environment(PYTHONPATH=path, **variables)
        done = python("-c", "import sys; print(*sys.modules, sep='\\n')", env=env)
        modules.append(set(done.stdout.split()))
    assert "ssl" not in modules[0]
    assert modules[1] ^ modules[0] == {"tlsfloor"}


def test_importing_ssl_loads_only_what_holds_it(tmp_path: Path) -> None:
    """Each further module would cost every process that uses TLS."""
    program = "import ssl, sys; ssl.create_default_context(); print(*sys.modules, sep='\\n')"
    modules = []
    for path in (folder(tmp_path, "empty", ""), BOOTSTRAP):
        done = python("-c", program, env=clean_environment(PYTHONPATH=path))
        modules.append({each for each in done.stdout.split() if each != "sitecustomize"})
    parts = ("floor", "stacks", "hooks", "arm", "stacks.stdlib")
    expected = {"tlsfloor", *(f"tlsfloor.{each}" for each in parts)}
    # Before 3.10 and in Debian's builds a new context has no minimum, and has to be raised.
    minimum = python("-c", "import ssl; print(int(ssl.create_default_context().minimum_version))")
    if int(minimum.stdout) < TLS1_2:
        expected |= {"__future__", "tlsfloor.stacks._contexts", "tlsfloor.versions"}
    if sys.implementation.name == "pypy":  # whose ssl is built on an extension, which is examined
        expected.add("tlsfloor.stacks._unknown")
    assert modules[1] - modules[0] - {"tlsfloor.stacks._connections", "tlsfloor.events"} == expected


@pytest.mark.parametrize(
    ("variables", "floor"),
    [
        ({}, "1.2"),
        ({"TLSFLOOR": "1.3"}, "1.3"),
        ({"TLSFLOOR": "TLSv1.3"}, "1.3"),
        ({"TLSFLOOR": " 1.3 "}, "1.3"),
        # It replaces the default, also by less: who writes it means it.
        ({"TLSFLOOR": "1.1"}, "1.1"),
        ({"TLS_MIN_VERSION": "VersionTLS13"}, "1.3"),
        ({"TLS_MIN_VERSION": "1.3"}, "1.3"),
        # A cluster's, which knows nothing of tlsfloor, only ever raises the default.
        ({"TLS_MIN_VERSION": "VersionTLS10"}, "1.2"),
        ({"TLS_MIN_VERSION": "1.0"}, "1.2"),
        # Of both the strictest.
        ({"TLSFLOOR": "1.2", "TLS_MIN_VERSION": "VersionTLS13"}, "1.3"),
        ({"TLSFLOOR": "1.3", "TLS_MIN_VERSION": "1.2"}, "1.3"),
        ({"TLSFLOOR": "1.0", "TLS_MIN_VERSION": "1.1"}, "1.1"),
        ({"TLSFLOOR": "off"}, None),
        ({"TLSFLOOR": " OFF "}, None),
        ({"TLSFLOOR": "off", "TLS_MIN_VERSION": "1.3"}, None),
        ({"TLSFLOOR": "off", "TLSFLOOR_ON_ERROR": "nonsense"}, None),
    ],
    ids=str,
)
def test_the_environment_sets_the_floor(variables: dict[str, str], floor: str | None) -> None:
    found = tell([BOOTSTRAP], **variables)
    assert found["claimed"] == floor
    assert found["held"] == (floor is not None)
    wire = 0x300 + 1 + int(floor[2]) if floor else TLS1_0
    assert found["minimum"] == wire


@pytest.mark.parametrize(
    "change",
    [
        "os.environ.clear()",
        "os.environ.update(TLSFLOOR='off')",
        "os.environ.update(TLSFLOOR='1.0', TLS_MIN_VERSION='1.0', TLSFLOOR_ON_ERROR='warn')",
        "os.environ.update(TLSFLOOR='nonsense', TLSFLOOR_ON_ERROR='nonsense')",
    ],
)
def test_later_changes_of_the_environment_have_no_effect(change: str) -> None:
    """The policy is read once, as Python starts: botocore's tests empty ``os.environ``."""
    found = tell([BOOTSTRAP], program=f"import os; {change}\n{TELL}", TLSFLOOR="1.3")
    assert found["claimed"] == "1.3"
    assert found["minimum"] == 0x304


@pytest.fixture(scope="module")
def ports() -> Iterator[list[str]]:
    """A peer below the floor and one at it."""
    with handshakes.ServerPeer(TLS1_0) as old, handshakes.ServerPeer(TLS1_2) as new:
        yield [str(old.port), str(new.port)]


#: What deployments do to the environment of their processes; None is a variable that is not there.
SURROUNDINGS = {
    "HOME is missing": {"HOME": None},
    "HOME does not exist": {"HOME": "/nonexistent"},
    "HOME is read-only": {"HOME": "/proc"},
    "no byte code is written": {"PYTHONDONTWRITEBYTECODE": "1"},
    "byte code has nowhere to go": {"PYTHONPYCACHEPREFIX": "/proc/nowhere"},
    "every warning is an error": {"PYTHONWARNINGS": "error"},
    "PYTHONDEVMODE": {"PYTHONDEVMODE": "1"},
    "docstrings and asserts are stripped": {"PYTHONOPTIMIZE": "2"},
    "the C locale": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
}


@pytest.mark.parametrize("surroundings", SURROUNDINGS)
def test_the_floor_holds_in_every_surrounding(surroundings: str, ports: list[str]) -> None:
    """And nothing is on stderr."""
    for path, expected in (("", ["TLSv1", "TLSv1.2"]), (BOOTSTRAP, ["refused", "TLSv1.2"])):
        env = clean_environment(PYTHONPATH=path)
        for name, value in SURROUNDINGS[surroundings].items():
            env.pop(name, None)
            if value is not None:
                env[name] = value
        done = python(str(PROGRAMS / "start.py"), *ports, env=env)
        assert (done.returncode, done.stderr) == (0, "")
        reached = json.loads(done.stdout.splitlines()[1])
        assert reached[1] == expected[1]
        assert reached[0] == expected[0] or (
            expected[0] == "refused" and "PROTOCOL_VERSION" in reached[0]
        )


def test_a_closed_stderr_does_no_harm(ports: list[str]) -> None:
    script = 'exec "$0" "$@" 2>&-'
    done = subprocess.run(
        ["sh", "-c", script, sys.executable, str(PROGRAMS / "start.py"), *ports],
        env=clean_environment(PYTHONPATH=BOOTSTRAP),
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    )
    reached = json.loads(done.stdout.splitlines()[1])
    assert "PROTOCOL_VERSION" in reached[0]
    assert reached[1] == "TLSv1.2"


NEVER_RAN = """
import sys
sys.path.insert(0, sys.argv[1])
import tlsfloor
print(tlsfloor.status().problems)
try:
    tlsfloor.require("1.2")
except tlsfloor.FloorNotHeldError as error:
    print(error)
tlsfloor.enforce("1.2")
print(tlsfloor.status().problems)
"""


def test_a_folder_that_python_did_not_run_is_named(tmp_path: Path) -> None:
    """For example with options of uWSGI and mod_wsgi, which act after Python has started."""
    home = str(Path(BOOTSTRAP).parents[1])
    for folder_on_path, said in ((str(tmp_path), False), (BOOTSTRAP + os.sep, True)):
        done = python("-c", NEVER_RAN, folder_on_path, env=clean_environment(PYTHONPATH=home))
        assert done.returncode == 0, done.stderr
        problems, error, after = done.stdout.splitlines()
        for text in (problems, error, done.stderr):
            assert ("Python did not run the start-up file" in text) is said
        assert error.count("hint: ") == 1
        assert after == "[]"
    # Where it ran, nothing is said.
    env = clean_environment(PYTHONPATH=BOOTSTRAP)
    done = python("-c", "import tlsfloor; print(tlsfloor.status().held)", env=env)
    assert (done.stdout, done.stderr) == ("True\n", "")

"""``tlsfloor bundle``: a folder that arms every Python that it is mounted for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from programs import PROGRAMS, clean_environment, python
from parts import old_pythons, pythons
from tlsfloor import __version__
from tlsfloor.deploy import bundle_folder
from tlsfloor.errors import InstallError
from tlsfloor.peers import handshakes
from tlsfloor.versions import TLS1_0, TLS1_2

if TYPE_CHECKING:
    from collections.abc import Iterator

START = str(PROGRAMS / "start.py")

#: Prints the entries of sys.path that are in the bundle, and which modules can be imported.
REACH = """
import json, sys
path = [each for each in sys.path if each.startswith(sys.argv[1])]
found = {}
for name in ("tlsfloor", "bootstrap", "tlsfloor_bundle", "sitecustomize"):
    try:
        module = __import__(name)
    except ImportError:
        found[name] = None
    else:
        found[name] = getattr(module, "__file__", None)
        if name == "tlsfloor":
            module.status()
print(json.dumps([path, found]))
"""


def tlsfloor(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return python("-m", "tlsfloor", *words, cwd=cwd)


def write_bytecode(**environment: str) -> dict[str, str]:
    """Return an environment in which Python writes bytecode wherever it can."""
    env = clean_environment(**environment)
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    return env


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a bundle with bytecode for every interpreter here that can have some."""
    folder = tmp_path_factory.mktemp("volume") / "tlsfloor"
    others = [word for each in pythons()[1:] for word in ("--compile", each)]
    done = tlsfloor("bundle", str(folder), *others)
    assert (done.returncode, done.stdout) == (0, f"{folder}/tlsfloor/bootstrap\n")
    assert done.stderr.startswith("tlsfloor 0.")
    return folder


@pytest.fixture(scope="module")
def ports() -> Iterator[list[str]]:
    with handshakes.ServerPeer(TLS1_0) as old, handshakes.ServerPeer(TLS1_2) as new:
        yield [str(old.port), str(new.port)]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return an interpreter without any package."""
    place = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    return str(place / "bin" / "python")


@pytest.mark.parametrize("executable", [*old_pythons(), *pythons()])
def test_a_bundle_arms_every_python_and_stays_as_it_is(
    made: Path, ports: list[str], executable: str
) -> None:
    """Python writes no bytecode if there is some, even into a folder that it can write.

    3.6 and 3.7 have none in a bundle, and write that of the start-up file.
    """
    before = contents(made)
    reached = []
    for path in ("", str(made / "tlsfloor" / "bootstrap")):
        env = write_bytecode(PYTHONPATH=path)
        done = python(START, *ports, executable=executable, env=env)
        assert (done.returncode, done.stderr) == (0, "")
        reached.append(json.loads(done.stdout.splitlines()[1]))
    assert reached[0] == ["TLSv1", "TLSv1.2"]
    assert reached[1][1] == "TLSv1.2"
    assert "TLSv1" not in reached[1][0][:5]
    written = set(contents(made).items()) ^ set(before.items())
    bootstrap = (made / "tlsfloor" / "bootstrap").resolve()
    startup = bootstrap / "__pycache__" / "sitecustomize.cpython-3"
    assert all(name.startswith((f"{startup}6", f"{startup}7")) for name, _ in written)


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files below a folder."""
    return {str(each): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


@pytest.mark.parametrize("executable", pythons())
def test_bytecode_is_used_after_the_folder_was_copied(
    made: Path, tmp_path: Path, executable: str
) -> None:
    """``cp`` gives each file a new time. Tracebacks show the files where they are now."""
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", str(made), str(copy)], check=True)
    package = (copy / "tlsfloor").resolve()
    assert copy in package.parents
    program = """
import ssl, tlsfloor.stacks.stdlib as stdlib
try:
    stdlib.guard(None)
except AttributeError as error:
    frame = error.__traceback__.tb_next.tb_frame
print(frame.f_code.co_filename)
"""
    env = clean_environment(PYTHONPATH=str(copy / "tlsfloor" / "bootstrap"))
    done = python("-v", "-B", "-c", program, executable=executable, env=env)
    assert done.stdout == str(package / "stacks" / "stdlib.py") + "\n"
    sources = [package / "arm.py", package / "stacks" / "stdlib.py"]
    for source in (copy / "tlsfloor" / "bootstrap" / "sitecustomize.py", *sources):
        assert f"matches {source}" in done.stderr
        assert f"code object from {str(source)!r}" not in done.stderr


def test_bytecode_of_an_older_bundle_is_ignored(made: Path, tmp_path: Path) -> None:
    """As if a new bundle was copied over an old one."""
    folder = shutil.copytree(made, tmp_path / "volume")
    file = folder / "tlsfloor" / "arm.py"
    file.write_text(file.read_text() + 'print("this one")\n')
    env = clean_environment(PYTHONPATH=str(folder / "tlsfloor" / "bootstrap"))
    assert python("-c", "import ssl", env=env).stdout == "this one\n"


def test_the_marker_names_the_versions_with_bytecode(made: Path, tmp_path: Path) -> None:
    tag = str(sys.implementation.cache_tag)
    facts = json.loads((made / "tlsfloor-bundle.json").read_text())
    assert tag in facts["bytecode"]
    assert len(facts["bytecode"]) == len(pythons())
    for name in ("bootstrap/{}/sitecustomize.{}.pyc", "verifier/{}/probe.{}.pyc"):
        assert (made / "tlsfloor" / name.format("__pycache__", tag)).is_file()
    done = tlsfloor("bundle", str(tmp_path), "--compile", sys.executable)
    assert done.stderr.splitlines()[1] == f"bytecode for {tag}"


def test_an_interpreter_that_cannot_compile_is_an_error_and_changes_nothing(tmp_path: Path) -> None:
    """An older bundle stays complete."""
    assert tlsfloor("bundle", str(tmp_path)).returncode == 0
    before = contents(tmp_path)
    cases = {
        "nosuchpython": "not started: No such file",
        "/": "not started: Permission denied",
        "true": "it wrote no bytecode",
    }
    for each in old_pythons():
        cases[each] = "ended with status 1: it is Python "
    for each, problem in cases.items():
        done = tlsfloor("bundle", str(tmp_path), "--compile", each)
        assert (done.returncode, done.stdout) == (2, "")
        error, hint = done.stderr.splitlines()
        assert error.startswith(f"error: {each} cannot compile the bundle: {problem}")
        assert hint.startswith("hint: name Python 3.8 or newer")
        assert contents(tmp_path) == before


def test_an_interpreter_that_never_ends_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeper = tmp_path / "python"
    sleeper.write_text("#!/bin/sh\nexec sleep 600\n")
    sleeper.chmod(0o755)
    monkeypatch.setattr(bundle_folder, "COMPILE_LIMIT", 0.2)
    with pytest.raises(InstallError, match=r"no answer within 0\.2 s"):
        bundle_folder.make_bundle(str(tmp_path / "bundle"), [str(sleeper)])
    assert os.listdir(tmp_path / "bundle") == []


def test_only_tlsfloor_can_be_imported_from_a_bundle(made: Path, bare: str) -> None:
    env = clean_environment(PYTHONPATH=str(made / "tlsfloor" / "bootstrap"))
    done = python("-c", REACH, str(made), executable=bare, env=env, cwd=made.parent)
    assert done.stderr == ""
    path, found = json.loads(done.stdout)
    assert path == [str(made / "tlsfloor" / "bootstrap")]
    assert found.pop("tlsfloor") == str((made / "tlsfloor" / "__init__.py").resolve())
    assert found.pop("sitecustomize") == str(made / "tlsfloor" / "bootstrap" / "sitecustomize.py")
    assert set(found.values()) == {None}


def test_commands_work_from_a_bundle(made: Path, bare: str) -> None:
    """No package has to be installed in the container."""
    env = clean_environment(PYTHONPATH=str(made / "tlsfloor" / "bootstrap"))
    done = python("-m", "tlsfloor", "status", executable=bare, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert "floor        1.2, held" in done.stdout
    done = python("-m", "tlsfloor", "path", executable=bare, env=env)
    assert done.stdout == f"{made}/tlsfloor/bootstrap\n"


def test_a_bundle_that_disappears_leaves_guarded_stacks_guarded(bare: str, tmp_path: Path) -> None:
    """A stack that is imported afterwards is refused, and the error says why."""
    folder = tmp_path / "bundle"
    assert tlsfloor("bundle", str(folder)).returncode == 0
    program = """
import shutil, sys
first = len(sys.argv) > 2 and __import__("ssl")
shutil.rmtree(sys.argv[1])
try:
    import ssl
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.minimum_version = 0x301
    except ImportError:
        pass  # what is loaded only for those who ask for less is gone
    print(int(context.minimum_version))
    sys.modules["OpenSSL.SSL"] = None
    import urllib3.util.ssl_
except ImportError as error:
    print(error)
"""
    env = clean_environment(PYTHONPATH=str(folder / "tlsfloor" / "bootstrap"))
    done = python("-W", "ignore", "-c", program, str(folder), executable=bare, env=env)
    assert done.stdout.startswith("tlsfloor: error: No module named 'tlsfloor"), done.stderr
    assert tlsfloor("bundle", str(folder)).returncode == 0
    done = python("-W", "ignore", "-c", program, str(folder), "x", executable=bare, env=env)
    assert done.stdout.splitlines()[0] == str(0x303)


def test_a_bundle_replaces_an_older_one(tmp_path: Path) -> None:
    folder = tmp_path / "volume"
    folder.mkdir()
    (folder / "lost+found").mkdir()  # a fresh volume of ext4
    assert tlsfloor("bundle", str(folder)).returncode == 0
    marker = folder / "tlsfloor-bundle.json"
    marker.write_text(json.dumps({**json.loads(marker.read_text()), "tlsfloor": "0.0.1"}))
    (folder / "tlsfloor" / "gone.py").touch()
    (folder / "wrapt").mkdir()  # of version 0.1
    killed = folder / ".tlsfloor-killed1"
    killed.mkdir()
    os.utime(killed, (0, 0))
    (folder / ".tlsfloor-running1").mkdir()
    older = (folder / "tlsfloor").resolve().parent
    assert tlsfloor("bundle", str(folder)).returncode == 0
    assert json.loads(marker.read_text())["tlsfloor"] != "0.0.1"
    assert not (folder / "tlsfloor" / "gone.py").exists()
    newer = (folder / "tlsfloor").resolve().parent
    there = {"lost+found", "tlsfloor", marker.name, ".tlsfloor-running1", older.name, newer.name}
    assert set(os.listdir(folder)) == there
    # The same once more changes nothing, so that a volume does not fill up.
    assert tlsfloor("bundle", str(folder)).returncode == 0
    assert set(os.listdir(folder)) == there


PROGRAM = str(PROGRAMS / "bundle_interrupted.py")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="each point is tried in a fork")
@pytest.mark.parametrize("how", ["kill", "Ctrl-C", "a full disk"])
@pytest.mark.parametrize("before", ["nothing", "a bundle", "a bundle without links"])
def test_a_bundle_is_complete_wherever_its_making_is_interrupted(
    tmp_path: Path, before: str, how: str
) -> None:
    """At each system call: the old bundle or the new one is there, and the next run succeeds."""
    if before == "a bundle without links" and not sys.platform.startswith("linux"):
        pytest.skip("a folder can only be exchanged for a link on Linux")
    done = python(PROGRAM, str(tmp_path), before, how)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    # PyPy tells of half as many as CPython.
    assert int(done.stderr.split()[0]) > 25, "the points of interruption were not seen"


OPEN_ALL_THE_TIME = """
import sys
tried = 0
while True:
    with open(sys.argv[1]) as file:
        file.read()
    tried += 1
    if tried == 1:
        print("reading", flush=True)
"""


def test_the_startup_file_can_be_opened_while_bundles_are_replaced(tmp_path: Path) -> None:
    """As when containers start while a bundle is replaced."""
    folder = tmp_path / "volume"
    bundle_folder.make_bundle(str(folder))
    file = str(folder / "tlsfloor" / "bootstrap" / "sitecustomize.py")
    command = [sys.executable, "-c", OPEN_ALL_THE_TIME, file]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        reader.stdout.readline()
        for number in range(5):
            (folder / "tlsfloor" / f"changed-{number}.py").touch()
            bundle_folder.make_bundle(str(folder))
        assert reader.poll() is None
        reader.kill()
        assert reader.stderr is not None
        assert reader.stderr.read() == b""


RUN_ON = """
import sys, tlsfloor.arm
print("started", flush=True)
input()
import ssl, tlsfloor
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.minimum_version = 0x301
status = tlsfloor.status()
print(int(context.minimum_version), bool(status), tlsfloor.__version__, status.children)
"""


def test_a_running_process_keeps_the_bundle_that_it_started_with(tmp_path: Path) -> None:
    """It loads most modules later, and always those of its own version."""
    folder = tmp_path / "volume"
    bundle_folder.make_bundle(str(folder))
    file = folder / "tlsfloor" / "__init__.py"
    file.write_text(file.read_text().replace('__version__ = "', '__version__ = "0.0.'))
    env = clean_environment(PYTHONPATH=str(folder / "tlsfloor" / "bootstrap"))
    command = [sys.executable, "-W", "ignore", "-c", RUN_ON]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "started\n"
        bundle_folder.make_bundle(str(folder))
        said, _ = child.communicate("\n")
    minimum, held, version, *children = said.split()
    assert (minimum, held, version[:4]) == (str(0x303), "True", "0.0.")
    assert " ".join(children).startswith("floor 1.2, if they keep the environment")
    done = python("-c", "import tlsfloor; print(tlsfloor.__version__)", env=env)
    assert not done.stdout.startswith("0.0.")


NO_LINKS = """
import os, sys
from tlsfloor import cli
def hook(event, args):
    if event == "os.symlink":
        raise PermissionError(1, "Operation not permitted")
sys.addaudithook(hook)
sys.exit(cli.main(["bundle", sys.argv[1]]))
"""


def test_without_links_a_bundle_is_made_but_never_replaced(tmp_path: Path) -> None:
    """The first bundle needs no links. A second one is an error, and the first stays."""
    folder = tmp_path / "volume"
    done = python("-c", NO_LINKS, str(folder))
    assert (done.returncode, done.stdout) == (0, f"{folder}/tlsfloor/bootstrap\n")
    assert sorted(os.listdir(folder)) == ["tlsfloor", "tlsfloor-bundle.json"]
    env = clean_environment(PYTHONPATH=str(folder / "tlsfloor" / "bootstrap"))
    assert python("-m", "tlsfloor", "status", env=env).returncode == 0
    assert python("-c", NO_LINKS, str(folder)).returncode == 0  # the same
    (folder / "tlsfloor" / "changed.py").touch()
    before = contents(folder)
    done = python("-c", NO_LINKS, str(folder))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: {folder} cannot be replaced as a whole: no link can be made: Operation not "
        "permitted\nhint: write a new folder by tlsfloor bundle DIR, and mount that in containers\n"
    )
    assert contents(folder) == before


def test_bundles_of_two_versions_on_one_path_arm_once(
    made: Path, tmp_path: Path, ports: list[str]
) -> None:
    other = shutil.copytree(made, tmp_path / "other")
    file = other / "tlsfloor" / "__init__.py"
    file.write_text(file.read_text().replace('__version__ = "', '__version__ = "9.'))
    path = [str(each / "tlsfloor" / "bootstrap") for each in (other, made)]
    env = clean_environment(PYTHONPATH=os.pathsep.join(path))
    program = "import tlsfloor; print(tlsfloor.__version__, len(tlsfloor.status().armings))"
    assert python("-c", program, env=env).stdout.split() == [f"9.{__version__}", "1"]
    reached = json.loads(python(START, *ports, env=env).stdout.splitlines()[1])
    assert (reached[0] != "TLSv1", reached[1]) == (True, "TLSv1.2")


def test_a_folder_with_other_files_is_an_error_and_stays(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    done = tlsfloor("bundle", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: {tmp_path} is not a bundle, and not empty: there is notes.txt in it\n"
        "hint: name a new or empty folder: tlsfloor bundle DIR\n"
    )
    assert os.listdir(tmp_path) == ["notes.txt"]


def test_a_folder_named_tlsfloor_alone_is_not_a_bundle(tmp_path: Path) -> None:
    (tmp_path / "tlsfloor").mkdir()
    assert tlsfloor("bundle", str(tmp_path)).returncode == 2
    assert os.listdir(tmp_path) == ["tlsfloor"]


@pytest.mark.parametrize("place", ["/proc/nowhere", "/dev/null/x", "/dev/null"])
def test_a_folder_that_cannot_be_made_is_an_error(place: str) -> None:
    done = tlsfloor("bundle", place)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {place} cannot be written: ")


def test_children_get_a_relative_path_as_an_absolute_one(
    made: Path, ports: list[str], tmp_path: Path
) -> None:
    """PYTHONPATH has relative and empty entries, and the child starts in another folder."""
    program = f"""
import os, subprocess, sys
os.chdir({str(tmp_path)!r})
sys.exit(subprocess.call([sys.executable, *sys.argv[1:]]))
"""
    for path in ("tlsfloor/bootstrap", os.pathsep.join(["", "lib", "./tlsfloor/bootstrap", ""])):
        env = clean_environment(PYTHONPATH=path)
        done = python("-c", program, START, *ports, env=env, cwd=made)
        reached = json.loads(done.stdout.splitlines()[1])
        assert (reached[0] != "TLSv1", reached[1]) == (True, "TLSv1.2"), done.stderr
        # And nothing else of the path is touched.
        done = python("-c", "import os; print(os.environ['PYTHONPATH'])", env=env, cwd=made)
        folder = str(made / "tlsfloor" / "bootstrap")
        assert done.stdout == path.replace("./", "").replace("tlsfloor/bootstrap", folder) + "\n"


IN_FRONT = """
import os
here = os.path.dirname(__file__)
os.environ["PYTHONPATH"] = os.pathsep.join([here, os.environ["PYTHONPATH"]])
"""


def test_the_folder_stays_first_on_the_path_of_children(made: Path, tmp_path: Path) -> None:
    """OpenTelemetry's start-up file, for example, puts its own folder first."""
    (tmp_path / "sitecustomize.py").write_text(IN_FRONT)
    folder = str(made / "tlsfloor" / "bootstrap")
    env = clean_environment(PYTHONPATH=os.pathsep.join([folder, str(tmp_path)]))
    done = python("-c", "import os; print(os.environ['PYTHONPATH'])", env=env)
    assert done.stdout.split(os.pathsep)[0] == folder, done.stderr

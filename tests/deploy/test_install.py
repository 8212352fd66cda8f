"""``tlsfloor install`` and ``uninstall``: the files that they write, and the floor they hold."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple, TYPE_CHECKING

import pytest

from programs import BOOTSTRAP, PROGRAMS, TESTS, clean_environment, python
from parts import old_pythons
from tlsfloor.peers import handshakes
from tlsfloor.versions import TLS1_0, TLS1_2, TLS1_3

if TYPE_CHECKING:
    from collections.abc import Iterator

START = str(PROGRAMS / "start.py")
FILES = ["_tlsfloor.py", "tlsfloor.pth", "tlsfloor.start"]

#: Prints the route and the floor of each arming of the process.
TELL = """
import json, sys
sys.path.append(sys.argv[1])
import tlsfloor
status = tlsfloor.status()
print(json.dumps([[each["route"], each["floor"]] for each in status.armings]))
"""


class Venv(NamedTuple):
    """A virtual environment without any package."""

    prefix: Path
    python: str
    site: Path

    def there(self) -> list[str]:
        hidden = ("__pycache__", "_tlsfloor-")  # the second is the copy of the package
        return sorted(each.name for each in self.site.iterdir() if not each.name.startswith(hidden))

    def copy(self) -> Path:
        [copy] = self.site.glob("_tlsfloor-*")
        return copy


@pytest.fixture
def venv(tmp_path: Path) -> Venv:
    prefix = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(prefix)], check=True)
    [site] = (
        prefix.glob("lib*/*/site-packages")
        if not (prefix / "lib64").exists()
        else [next(prefix.glob("lib/*/site-packages"))]
    )
    return Venv(prefix, str(prefix / "bin" / "python"), site)


@pytest.fixture(scope="module")
def ports() -> Iterator[list[str]]:
    """Return the ports of peers that speak TLS 1.0, 1.2 and 1.3."""
    with contextlib.ExitStack() as stack:
        made = [handshakes.ServerPeer(version) for version in (TLS1_0, TLS1_2, TLS1_3)]
        yield [str(stack.enter_context(each).port) for each in made]


def tlsfloor(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return python("-m", "tlsfloor", *words, env=clean_environment(**environment))


def install(venv: Venv, *words: str) -> None:
    done = tlsfloor("install", "--prefix", str(venv.prefix), *words)
    assert (done.returncode, done.stderr) == (0, "")


def reached(venv: Venv, ports: list[str], *flags: str, **environment: str) -> list[str]:
    """Run a careless program; return the version that it reached at each port, or nothing."""
    done = python(
        *flags, START, *ports, executable=venv.python, env=clean_environment(**environment)
    )
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout.splitlines()[1])
    return [each if each.startswith("TLSv") else "" for each in told]


@pytest.mark.parametrize("flags", [(), ("-E",), ("-I",), ("-s",)], ids=" ".join)
@pytest.mark.parametrize(
    ("floor", "expected"),
    [("1.2", ["", "TLSv1.2", "TLSv1.3"]), ("1.3", ["", "", "TLSv1.3"])],
)
def test_the_floor_holds_with_every_option_except_S(
    venv: Venv, ports: list[str], flags: tuple[str, ...], floor: str, expected: list[str]
) -> None:
    everything = ["TLSv1", "TLSv1.2", "TLSv1.3"]
    assert reached(venv, ports, *flags) == everything
    install(venv, "--floor", floor)
    assert venv.there() == FILES
    assert reached(venv, ports, *flags) == expected
    assert reached(venv, ports, "-S") == everything


def test_the_written_files_are_shown_and_uninstall_removes_them(venv: Venv) -> None:
    """Also bytecode that Python wrote: afterwards all is as before."""
    before = sorted(venv.prefix.rglob("*"))
    done = tlsfloor("install", "--prefix", str(venv.prefix), "--floor", "1.3")
    names = (venv.copy().name, "_tlsfloor.py", "tlsfloor.start", "tlsfloor.pth")
    written = [str(venv.site / name) for name in names]
    assert done.stdout.splitlines() == [
        *(f"wrote {path}" for path in written),
        f"{venv.prefix}/bin/python3 starts with floor 1.3",
    ]
    env = clean_environment()
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    subprocess.run([venv.python, "-c", ""], env=env, check=True)
    assert list(venv.site.glob("__pycache__/_tlsfloor.*"))
    done = tlsfloor("uninstall", "--prefix", str(venv.prefix))
    assert (done.returncode, done.stderr) == (0, "")
    removed = [line.partition("removed ")[2] for line in done.stdout.splitlines()]
    assert (removed[:3], removed[-1]) == (written[:0:-1], written[0])
    after = sorted(path for path in venv.prefix.rglob("*") if path.name != "__pycache__")
    assert after == before


def test_a_second_install_changes_nothing(venv: Venv) -> None:
    install(venv)
    before = [(venv.site / name).stat() for name in FILES]
    done = tlsfloor("install", "--prefix", str(venv.prefix))
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    assert [(venv.site / name).stat().st_ino for name in FILES] == [each.st_ino for each in before]


def test_a_second_install_may_raise_the_floor_but_not_lower_it(
    venv: Venv, ports: list[str]
) -> None:
    install(venv)
    install(venv, "--floor", "1.3")
    done = tlsfloor("install", "--prefix", str(venv.prefix), "--floor", "1.2")
    assert done.returncode == 2
    assert done.stderr == (
        f"error: floor 1.3 is installed in {venv.site}, and a floor is never lowered\n"
        f"hint: tlsfloor uninstall --prefix {venv.prefix} && "
        f"tlsfloor install --prefix {venv.prefix} --floor 1.2\n"
    )
    assert reached(venv, ports) == ["", "", "TLSv1.3"]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"TLSFLOOR": "off"}, ["", "TLSv1.2", "TLSv1.3"]),
        ({"TLSFLOOR": "1.0"}, ["", "TLSv1.2", "TLSv1.3"]),
        ({"TLS_MIN_VERSION": "VersionTLS10"}, ["", "TLSv1.2", "TLSv1.3"]),
        ({"TLSFLOOR": "1.3"}, ["", "", "TLSv1.3"]),
        ({"TLS_MIN_VERSION": "VersionTLS13", "TLSFLOOR": "off"}, ["", "", "TLSv1.3"]),
        # What cannot be understood may have asked for more; the milder outcome is not taken.
        ({"TLSFLOOR": "nonsense", "TLSFLOOR_ON_ERROR": "warn"}, ["", "", ""]),
        ({"TLSFLOOR_ON_ERROR": "explode"}, ["", "", ""]),
    ],
    ids=str,
)
def test_the_environment_may_raise_the_floor_but_not_lower_it(
    venv: Venv, ports: list[str], variables: dict[str, str], expected: list[str]
) -> None:
    install(venv)
    assert reached(venv, ports, **variables) == expected


def test_the_stricter_outcome_of_file_and_environment_holds(venv: Venv, ports: list[str]) -> None:
    install(venv, "--on-error", "abort")
    env = clean_environment(TLSFLOOR="nonsense", TLSFLOOR_ON_ERROR="warn")
    done = python(START, *ports, executable=venv.python, env=env)
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.startswith("tlsfloor: error: TLSFLOOR: 'nonsense'")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("installed", "environment", "armed"),
    [
        ("1.2", {}, [["an installed file", "1.2"], ["PYTHONPATH", "1.2"]]),
        ("1.3", {}, [["an installed file", "1.3"], ["PYTHONPATH", "1.2"]]),
        ("1.0", {}, [["an installed file", "1.0"], ["PYTHONPATH", "1.2"]]),
        ("1.2", {"TLSFLOOR": "1.3"}, [["an installed file", "1.3"], ["PYTHONPATH", "1.3"]]),
        ("1.3", {"TLSFLOOR": "off"}, [["an installed file", "1.3"]]),
        (
            "1.2",
            {"TLSFLOOR_ON_ERROR": "abort"},
            [["an installed file", "1.2"], ["PYTHONPATH", "1.2"]],
        ),
    ],
    ids=str,
)
def test_the_installed_file_and_the_bootstrap_folder_both_arm(
    venv: Venv,
    ports: list[str],
    installed: str,
    environment: dict[str, str],
    armed: list[list[str]],
) -> None:
    """Each arms once, and the stricter floor holds."""
    install(venv, "--floor", installed)
    env = clean_environment(PYTHONPATH=BOOTSTRAP, **environment)
    home = str(Path(BOOTSTRAP).parents[1])
    done = python("-c", TELL, home, executable=venv.python, env=env)
    assert (json.loads(done.stdout), done.stderr) == (armed, "")
    floor = max(each[1] for each in armed)
    expected = ["", "TLSv1.2" if floor == "1.2" else "", "TLSv1.3"]
    assert reached(venv, ports, PYTHONPATH=BOOTSTRAP, **environment) == expected


def test_a_site_directory_that_is_read_twice_arms_once(venv: Venv) -> None:
    install(venv)
    again = f"import site; site.addsitedir({str(venv.site)!r})\n"
    home = str(Path(BOOTSTRAP).parents[1])
    done = python("-c", again + TELL, home, executable=venv.python)
    assert (json.loads(done.stdout), done.stderr) == ([["an installed file", "1.2"]], "")


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_somebody_changed_is_an_error_and_stays(venv: Venv, name: str) -> None:
    install(venv)
    file = venv.site / name
    file.write_text(file.read_text().replace("1.2", "1.0") + "\n# mine\n")
    for command in ("install", "uninstall"):
        done = tlsfloor(command, "--prefix", str(venv.prefix))
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == (
            f"error: {file} was changed since it was written, or tlsfloor did not write it\n"
            f"hint: rm {file}\n"
        )
    assert venv.there() == FILES
    assert file.read_text().endswith("# mine\n")


def test_an_unknown_floor_in_the_file_refuses_tls(venv: Venv, ports: list[str]) -> None:
    install(venv)
    file = venv.site / "_tlsfloor.py"
    file.write_text(file.read_text().replace('"1.2"', '"9"'))
    assert reached(venv, ports) == ["", "", ""]


def install_from_bundle(venv: Venv, made: Path) -> None:
    assert tlsfloor("bundle", str(made)).returncode == 0
    env = clean_environment(PYTHONPATH=str(made / "tlsfloor" / "bootstrap"))
    command = ["-m", "tlsfloor", "install", "--prefix", str(venv.prefix)]
    assert python(*command, executable=venv.python, env=env).returncode == 0


def test_the_copy_is_used_if_the_package_is_gone(
    venv: Venv, ports: list[str], tmp_path: Path
) -> None:
    """As when a mount disappears. ``tlsfloor uninstall`` runs from the copy."""
    install_from_bundle(venv, tmp_path / "bundle")
    text = (venv.site / FILES[0]).read_text()
    assert f"PACKAGE, PACKAGE_COPY = '{tmp_path}/bundle/tlsfloor'" in text
    # A process stays with one bundle, also if another one takes its place.
    program = "import tlsfloor; print(tlsfloor.__file__)"
    package = (tmp_path / "bundle" / "tlsfloor").resolve()
    assert python("-c", program, executable=venv.python).stdout == f"{package}/__init__.py\n"
    shutil.rmtree(tmp_path / "bundle")
    assert reached(venv, ports) == ["", "TLSv1.2", "TLSv1.3"]
    done = python("-m", "tlsfloor", "uninstall", executable=venv.python)
    assert (done.returncode, done.stderr) == (0, "")
    assert venv.there() == []
    assert not list(venv.site.glob("_tlsfloor*"))
    assert reached(venv, ports) == ["TLSv1", "TLSv1.2", "TLSv1.3"]


@pytest.mark.parametrize("way_out", ["install", "rm"])
def test_the_error_without_package_and_copy_names_both_ways_out(
    venv: Venv, ports: list[str], tmp_path: Path, way_out: str
) -> None:
    """Without the package and its copy TLS is refused. Each way out works."""
    install_from_bundle(venv, tmp_path / "bundle")
    shutil.rmtree(tmp_path / "bundle")
    shutil.rmtree(venv.copy())
    done = python("-c", "import ssl", executable=venv.python)
    assert done.returncode == 1
    error, _, hint = done.stderr.splitlines()[-1].partition("; hint: ")
    assert error == "ImportError: tlsfloor: error: No module named 'tlsfloor'"
    assert hint.startswith(f"{venv.site}/_tlsfloor.py needs the package in {tmp_path}/bundle/")
    [again, remove] = hint.split("`")[1::2]
    assert remove.split() == ["rm", *(str(venv.site / name) for name in (FILES[0], *FILES[:0:-1]))]
    if way_out == "rm":
        subprocess.run(remove.split(), check=True)
        assert reached(venv, ports) == ["TLSv1", "TLSv1.2", "TLSv1.3"]
    else:
        assert tlsfloor(*again.split()[1:]).returncode == 0
        assert reached(venv, ports) == ["", "TLSv1.2", "TLSv1.3"]


def test_the_floor_survives_pip_uninstall_but_not_a_new_environment(
    venv: Venv, ports: list[str]
) -> None:
    """pip does not know the start-up files."""
    project = TESTS.parent
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(venv.prefix)]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    [wheel] = venv.prefix.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--python", venv.python]
    for words in (["install", "--no-deps", "--no-index", str(wheel)], ["uninstall", "-y"]):
        if words[0] == "uninstall":
            done = python("-m", "tlsfloor", "install", executable=venv.python)
            assert done.returncode == 0, done.stderr
            words.append("tlsfloor")
        subprocess.run([*pip, *words], check=True, capture_output=True, env=clean_environment())
    assert not (venv.site / "tlsfloor").exists()
    assert reached(venv, ports) == ["", "TLSv1.2", "TLSv1.3"]
    command = [sys.executable, "-m", "venv", "--without-pip", "--clear", str(venv.prefix)]
    subprocess.run(command, check=True)
    assert reached(venv, ports) == ["TLSv1", "TLSv1.2", "TLSv1.3"]


@pytest.mark.parametrize("target", ["nowhere", "a file", "its own text"])
@pytest.mark.parametrize("name", FILES)
def test_nothing_is_written_through_a_link(
    venv: Venv, tmp_path: Path, name: str, target: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    if target == "its own text":
        install(venv)
        shutil.move(venv.site / name, elsewhere)
    elif target == "a file":
        elsewhere.write_text("of somebody")
    before = elsewhere.read_text() if target != "nowhere" else None
    (venv.site / name).symlink_to(elsewhere)
    for command in ("install", "uninstall"):
        done = tlsfloor(command, "--prefix", str(venv.prefix))
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == (
            f"error: {venv.site / name} is a link to {elsewhere}, and nothing is written through a "
            f"link\nhint: rm {venv.site / name}\n"
        )
    assert (elsewhere.read_text() if elsewhere.exists() else None) == before
    (venv.site / name).unlink()
    install(venv)


@pytest.mark.parametrize(
    "line",
    [
        "import sys; print('hello from a .pth')",
        "import sys; sys.stdout.write('{\"folder\": 1}')",
        "import sys; sys.stdout.buffer.write(b'\\xff\\xfe')",
        "import atexit; atexit.register(print, 'bye')",
    ],
)
def test_other_startup_files_may_print(venv: Venv, ports: list[str], line: str) -> None:
    (venv.site / "talkative.pth").write_text(f"{line}\n")
    install(venv)
    assert venv.there() == sorted([*FILES, "talkative.pth"])
    assert tlsfloor("uninstall", "--prefix", str(venv.prefix)).returncode == 0
    assert venv.there() == ["talkative.pth"]


def test_a_dry_run_changes_nothing(venv: Venv) -> None:
    done = tlsfloor("install", "--prefix", str(venv.prefix), "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    assert list(venv.site.iterdir()) == []
    would = [line[len("would write ") :] for line in done.stdout.splitlines()[:-1]]
    assert done.stdout.endswith(f"{venv.prefix}/bin/python3 would start with floor 1.2\n")
    install(venv)
    assert sorted(map(Path, would)) == sorted(venv.site.iterdir())
    before = sorted(venv.site.iterdir())
    done = tlsfloor("uninstall", "--prefix", str(venv.prefix), "--dry-run")
    assert sorted(venv.site.iterdir()) == before
    would = [line[len("would remove ") :] for line in done.stdout.splitlines()]
    assert sorted(map(Path, would)) == before


def test_system_names_the_python_that_it_changes(venv: Venv) -> None:
    """It is the Python from which the environment was made."""
    env = clean_environment(PYTHONPATH=BOOTSTRAP)
    words = ("-m", "tlsfloor", "install", "--system", "--dry-run", "--break-system-packages")
    done = python(*words, executable=venv.python, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()[:2]
    base = python("-c", "import sys; print(sys.base_prefix, sys._base_executable)").stdout.split()
    assert first == (
        f"--system is {base[1]}, from which {venv.prefix} was made: this is for every "
        f"program of it and environments with --system-site-packages, not for {venv.prefix}"
    )
    assert second.startswith(f"would write {base[0]}/")
    assert list(venv.site.iterdir()) == []


INTERRUPTED = """
import sys
from tlsfloor import cli
calls = []
def hook(event, args):
    if event == "subprocess.Popen":
        calls.append(args)
        if len(calls) == 2:  # the files are written, and it is seen whether they arm
            raise KeyboardInterrupt
sys.addaudithook(hook)
sys.exit(cli.main(["install", "--prefix", sys.argv[1], "--floor", "1.3"]))
"""


def test_an_interrupted_install_is_undone(venv: Venv, ports: list[str]) -> None:
    assert python("-c", INTERRUPTED, str(venv.prefix)).returncode != 0
    assert list(venv.site.iterdir()) == []
    install(venv)
    assert python("-c", INTERRUPTED, str(venv.prefix)).returncode != 0
    assert reached(venv, ports) == ["", "TLSv1.2", "TLSv1.3"]


def test_an_installed_file_does_not_run_the_next_sitecustomize(venv: Venv, tmp_path: Path) -> None:
    """Python runs it afterwards, once."""
    (tmp_path / "sitecustomize.py").write_text("print('ran as', __name__)\n")
    install(venv)
    for path in ([], [BOOTSTRAP]):
        env = clean_environment(PYTHONPATH=os.pathsep.join([*path, str(tmp_path)]))
        done = python("-c", "", executable=venv.python, env=env)
        assert (done.stdout, done.stderr) == ("ran as sitecustomize\n", "")


def test_uninstall_reports_that_nothing_is_installed(venv: Venv) -> None:
    done = tlsfloor("uninstall", "--prefix", str(venv.prefix))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: nothing is installed for ")


def test_a_folder_that_is_not_a_prefix_is_an_error(tmp_path: Path) -> None:
    for prefix in (tmp_path, tmp_path / "nowhere", Path(os.devnull)):
        done = tlsfloor("install", "--prefix", str(prefix))
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"error: {prefix} is not the prefix of a Python")
        assert "\nhint: " in done.stderr


@pytest.mark.parametrize(
    "program", ["#!/bin/sh\nexit 1\n", '#!/bin/sh\necho \'{"folder": "", "marker": ""}\'\n']
)
def test_a_python_without_a_site_directory_is_an_error(tmp_path: Path, program: str) -> None:
    (tmp_path / "bin").mkdir()
    file = tmp_path / "bin" / "python"
    file.write_text(program)
    file.chmod(0o755)
    done = tlsfloor("install", "--prefix", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {file} ")
    assert "\nhint: " in done.stderr


@pytest.mark.parametrize("floor", ["2.0", "", "off"])
def test_an_unknown_floor_writes_nothing(venv: Venv, floor: str) -> None:
    done = tlsfloor("install", "--prefix", str(venv.prefix), "--floor", floor)
    assert done.returncode == 2
    assert done.stderr.startswith("error: --floor")
    assert venv.there() == []


#: A Python that everybody may start.
SYSTEM = "/usr/bin/python3"

AS_NOBODY = """
import os, sys
os.setgid(65534), os.setuid(65534)
sys.path.insert(0, sys.argv[1])
from tlsfloor.cli import main
sys.exit(main(["install", "--prefix", sys.argv[2]]))
"""


@pytest.mark.skipif(
    not (hasattr(os, "geteuid") and os.geteuid() == 0 and os.path.exists(SYSTEM)),
    reason="only root can be somebody else, who needs a Python of the system",
)
def test_without_permission_to_write_nothing_changes(tmp_path: Path) -> None:
    prefix, package = tmp_path / "venv", tmp_path / "bundle"
    subprocess.run([SYSTEM, "-m", "venv", "--without-pip", str(prefix)], check=True)
    site = next(prefix.glob("lib/*/site-packages"))
    assert tlsfloor("bundle", str(package)).returncode == 0
    for each in (tmp_path, *tmp_path.parents):
        if not each.stat().st_mode & 0o077:  # pytest's, which nobody else may enter
            each.chmod(0o755)
    done = python("-B", "-c", AS_NOBODY, str(package), str(prefix), executable=SYSTEM)
    assert done.returncode == 2, done.stderr
    assert done.stderr == (
        f"error: {site} cannot be changed: Permission denied\n"
        f"hint: run this command as the owner of {site}\n"
    )
    assert list(site.iterdir()) == []


@pytest.mark.skipif(
    not list(Path("/usr/lib").glob("python3*/EXTERNALLY-MANAGED")), reason="nobody manages a Python"
)
def test_an_externally_managed_environment_is_an_error() -> None:
    done = tlsfloor("install", "--prefix", "/usr")
    assert (done.returncode, done.stdout) == (2, "")
    assert "is managed by the system: " in done.stderr
    assert done.stderr.rstrip().endswith("add --break-system-packages")


def test_files_that_do_not_arm_python_are_removed(venv: Venv) -> None:
    """They would refuse TLS from the next start on."""
    (venv.site / "broken.pth").write_text("import sys; sys._tlsfloor = {'pending': 3}\n")
    done = tlsfloor("install", "--prefix", str(venv.prefix))
    assert done.returncode == 2
    assert "is not armed by the installed files: " in done.stderr
    assert venv.there() == ["broken.pth"]


@pytest.mark.parametrize("executable", old_pythons())
def test_an_old_python_holds_the_installed_floor(
    executable: str, ports: list[str], tmp_path: Path
) -> None:
    version = Path(executable).resolve().parents[1]
    copy = tmp_path / "old"
    shutil.copytree(version, copy, symlinks=True, ignore=shutil.ignore_patterns("test", "*.a"))
    old = Venv(copy, str(copy / "bin" / "python"), next(copy.glob("lib/python*/site-packages")))
    assert reached(old, ports)[:2] == ["TLSv1", "TLSv1.2"]
    install(old)
    assert reached(old, ports, "-E")[:2] == ["", "TLSv1.2"]
    # Without the package the copy holds it; without both TLS is refused, and a line says why.
    file, spare = old.site / "_tlsfloor.py", old.copy()
    text = file.read_text()
    file.write_text(text.replace(str(Path(BOOTSTRAP).parent), "/nowhere/tlsfloor"))
    for each in old.site.glob("_tlsfloor.pyc"):  # 2.7 compares times, of whole seconds
        each.unlink()
    assert reached(old, ports, "-E")[:2] == ["", "TLSv1.2"]
    spare.rename(tmp_path / spare.name)
    done = python(START, *ports, executable=old.python)
    assert (done.returncode, "TLSv1" in done.stdout) == (0, False)
    assert done.stderr.count("\n") == 1
    assert f"; hint: {file} needs the package in /nowhere/tlsfloor, or its copy" in done.stderr
    (tmp_path / spare.name).rename(spare)
    file.write_text(text)
    done = tlsfloor("uninstall", "--prefix", str(copy))
    assert done.returncode == 0
    assert not list(copy.rglob("*tlsfloor*"))

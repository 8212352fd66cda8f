"""Environments share a judgement only if nothing that decides about TLS differs between them.

Each pair differs in one thing. If that did not count, the second environment would get the
verdict of the first without being tried.
"""

from __future__ import annotations

import compileall
import contextlib
import json
import os
import stat
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, Callable

import pytest

from parts import need
from programs import BOOTSTRAP, clean_environment, python
from tlsfloor.inventory import libraries
from tlsfloor.verifier import (
    alike,
    cases,
    environment,
    examine,
    find,
    judge,
    launch,
    schedule,
    startup_code,
)
from tlsfloor.versions import TLS1_0, TLS1_2

if os.name != "posix":
    pytest.skip("environments have links on POSIX", allow_module_level=True)

Change = Callable[[Path, Path], object]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with a package of each library that is tried, all of them empty."""
    top = tmp_path_factory.mktemp("template") / "environment"
    command = [sys.executable, "-m", "venv", "--without-pip", str(top)]
    subprocess.run(command, check=True, timeout=60)
    packages = packages_of(top)
    for library in {library for _, library in cases.SETUPS} - {"ssl"}:
        (packages / library).mkdir()
        (packages / library / "__init__.py").write_text("version = 1\n")
        (packages / f"{library}-1.dist-info").mkdir()
        (packages / f"{library}-1.dist-info" / "METADATA").write_text("Version: 1\n")
    (packages / "urllib3" / "native.so").write_bytes(b"\x7fELF" + bytes(100))
    (packages / "pip").mkdir()
    (packages / "pip" / "__init__.py").write_text("version = 1\n")
    return top


def packages_of(top: Path) -> Path:
    [packages] = top.glob("lib/python*/site-packages")
    return packages


def copied(template: Path, to: Path) -> Path:
    """Copy an environment, with its links, as an installer would make it there."""
    shutil.copytree(template, to, symlinks=True)
    settings = to / "pyvenv.cfg"
    settings.write_text(settings.read_text().replace(str(template), str(to)))
    compileall.compile_dir(packages_of(to), quiet=2)
    return to


def interpreter_of(top: Path) -> find.Interpreter:
    [found] = find.find_interpreters([str(top)]).interpreters
    return found


def likeness(top: Path, comparer: alike.Comparer | None = None) -> alike.Likeness:
    return (comparer or alike.Comparer()).likeness(interpreter_of(top))


@pytest.fixture
def pair(template: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Two environments that are equal, in folders with names of different lengths."""
    return copied(template, tmp_path / "one"), copied(template, tmp_path / "another" / "two")


def test_equal_environments_are_alike(pair: tuple[Path, Path]) -> None:
    """Although bytecode, scripts and settings of each name its own folder."""
    for top in pair:
        script = top / "bin" / "tool"
        script.write_text(f"#!{top}/bin/python\n")
        (packages_of(top) / "redis-1.dist-info" / "RECORD").write_text(
            f"redis/__init__.py,sha256=1\n../../../bin/tool,sha256={hash(top)}\n"
        )
        (packages_of(top) / "aiohttp" / "place.py").write_text(f"place = '{top}/share'\n")
    one, two = map(likeness, pair)
    assert one.digest
    assert (one, one.has_code) == (two, False)


def test_a_copy_with_hard_links_is_alike_and_read_once(pair: tuple[Path, Path]) -> None:
    top = pair[0].parent / "linked"
    shutil.copytree(pair[0], top, symlinks=True, copy_function=os.link)
    comparer = alike.Comparer()
    assert likeness(pair[0], comparer) == likeness(top, comparer)


def write(name: str, text: str) -> Change:
    return lambda top, packages: (packages / name).write_text(text)


def edit_quietly(top: Path, packages: Path) -> None:
    """Change a file and leave its size and times as they were."""
    file = packages / "urllib3" / "__init__.py"
    at = file.stat()
    file.write_text("version = 2\n")
    os.utime(file, ns=(at.st_atime_ns, at.st_mtime_ns))


def edit_bytecode(top: Path, packages: Path) -> None:
    """Change the code and leave the header, so Python takes it for that of its source."""
    [file] = packages.glob("urllib3/__pycache__/__init__.*.pyc")
    data = file.read_bytes()
    file.write_bytes(data[:16] + data[16:].replace(b"version", b"another"))


def outdate_bytecode(top: Path, packages: Path) -> None:
    [file] = packages.glob("urllib3/__pycache__/__init__.*.pyc")
    data = file.read_bytes()
    file.write_bytes(data[:8] + bytes(4) + data[12:])


def set_key(key: str, value: str) -> Change:
    def change(top: Path, packages: Path) -> None:
        lines = (top / "pyvenv.cfg").read_text().splitlines()
        lines = [f"{key} = {value}" if line.startswith(f"{key} =") else line for line in lines]
        (top / "pyvenv.cfg").write_text("\n".join(lines) + "\n")

    return change


def name_neighbour(top: Path, packages: Path) -> None:
    """A longer name that begins as its own does is that of another environment."""
    (packages / "neighbour.py").write_text(f"place = '{top}0/share'\n")


def own_runtime(top: Path, packages: Path) -> None:
    program = top / "bin" / "python"
    real = program.resolve()
    program.unlink()
    shutil.copy2(real, program)


def other_runtime(top: Path, packages: Path) -> None:
    other = top.parent / "other-runtime" / "python"
    other.parent.mkdir(exist_ok=True)
    shutil.copy2((top / "bin" / "python").resolve(), other)
    (top / "bin" / "python").unlink()
    (top / "bin" / "python").symlink_to(other)


def link_file(top: Path, packages: Path) -> None:
    file = packages / "urllib3" / "__init__.py"
    other = top.parent / "elsewhere.py"
    other.write_bytes(file.read_bytes())
    file.unlink()
    file.symlink_to(other)


def debian(name: str, text: str) -> Change:
    """Debian's Python has more folders with start-up files in an environment than others."""

    def change(top: Path, packages: Path) -> None:
        (top / "lib" / "python3" / "dist-packages").mkdir(parents=True)
        (top / "lib" / "python3" / "dist-packages" / name).write_text(text)

    return change


DIFFERENCES: dict[str, Change] = {
    "packages of the system": set_key("include-system-site-packages", "true"),
    "another standard library": set_key("home", "/opt/python/bin"),
    "another setting": set_key("version", "3.0"),
    "another runtime": other_runtime,
    "a runtime of its own": own_runtime,
    "a start-up file": write("agent.pth", "import agent\n"),
    "a start-up file after a byte order mark": write("agent.pth", "\ufeffimport agent\n"),
    "a start-up file of Python 3.15": write("agent.start", "agent:main\n"),
    "sitecustomize": write("sitecustomize.py", ""),
    "sitecustomize without source": write("sitecustomize.pyc", ""),
    "usercustomize": write("usercustomize.py", ""),
    "a folder on the path": write("more.pth", "urllib3\n"),
    "ssl.py": write("ssl.py", ""),
    "socket.py": write("socket.py", ""),
    "json.py": write("json.py", ""),
    "start-up code in a folder of Debian": debian("agent.pth", "import agent\n"),
    "sitecustomize in a folder of Debian": debian("sitecustomize.py", ""),
    "an optional module": write("brotli.py", ""),
    "a library that carries TLS": lambda top, packages: (
        packages / "urllib3" / "native.so"
    ).write_bytes(b"\x7fELF" + b"\1" * 100),
    "a file of the same size and time": edit_quietly,
    "the same source, other bytecode": edit_bytecode,
    "bytecode that is not current": outdate_bytecode,
    "metadata": write("urllib3-1.dist-info/METADATA", "Version: 2\n"),
    "a linked module": link_file,
    "the path of another environment": name_neighbour,
    "a mode": lambda top, packages: (packages / "urllib3" / "native.so").chmod(0o600),
    "a mode of a folder": lambda top, packages: (packages / "urllib3").chmod(0o700),
    "a mode of a folder above": lambda top, packages: top.parent.chmod(0o710),
    "a file of pip that is no module": write("pip/native.so", "x"),
    **{
        library: write(f"{library}/__init__.py", "version = 2\n")
        for library in sorted({library for _, library in cases.SETUPS} - {"ssl"})
    },
}


#: Differences by start-up code, which is tried in each environment, even where the texts are equal.
CODE = {
    *("a start-up file", "a start-up file after a byte order mark", "sitecustomize"),
    *("a start-up file of Python 3.15", "sitecustomize without source", "usercustomize"),
    *("a folder on the path", "start-up code in a folder of Debian"),
    "sitecustomize in a folder of Debian",
}


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_environments_that_differ_in_one_thing_are_not_alike(
    difference: str, pair: tuple[Path, Path]
) -> None:
    one, two = pair
    before = likeness(two)
    assert likeness(one) == before
    DIFFERENCES[difference](two, packages_of(two))
    after = likeness(two)
    assert after.digest != before.digest
    assert after.has_code == (difference in CODE)
    assert likeness(one) == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may chown")
def test_the_owner_counts(pair: tuple[Path, Path]) -> None:
    os.chown(packages_of(pair[1]) / "redis" / "__init__.py", 65534, 65534)
    assert likeness(pair[0]).digest != likeness(pair[1]).digest


def editable(top: Path, packages: Path) -> None:
    (top.parent / "project").mkdir()
    (packages / "__editable__.project.pth").write_text(str(top.parent / "project"))


def link_folder(top: Path, packages: Path) -> None:
    shutil.move(str(packages / "urllib3"), str(top.parent / "urllib3"))
    (packages / "urllib3").symlink_to(top.parent / "urllib3")


def lead_out(top: Path, packages: Path) -> None:
    (packages / "redis" / "conf.py").write_text(f"place = '{top}/../conf'\n")


def move_settings(top: Path, packages: Path) -> None:
    (top / "pyvenv.cfg").rename(top / "bin" / "pyvenv.cfg")


def settings(change: Callable[[str], str]) -> Change:
    def write_changed(top: Path, packages: Path) -> None:
        (top / "pyvenv.cfg").write_text(change((top / "pyvenv.cfg").read_text()))

    return write_changed


def link_to_device(top: Path, packages: Path) -> None:
    (packages / "more.pth").symlink_to("/dev/zero")


UNCLEAR: dict[str, tuple[Change, str]] = {
    "settings next to the programs": (move_settings, "not above the folder of its programs"),
    "a start-up file with unusual characters": (
        write("more.pth", "../one\x0b../../two\n"),
        "has unusual characters",
    ),
    "an editable install": (editable, " to the path"),
    "a linked folder": (link_folder, "which is no file of the environment"),
    "a pipe": (
        lambda top, packages: os.mkfifo(packages / "pipe"),
        "is neither a file nor a folder",
    ),
    "a pipe with the name of a start-up file": (
        lambda top, packages: os.mkfifo(packages / "more.pth"),
        "more.pth is no file",
    ),
    "a start-up file without end": (link_to_device, "more.pth is no file"),
    "a folder of Debian that leads out": (
        debian("more.pth", "../../../../elsewhere\n../../../..\n"),
        " to the path",
    ),
    "a library that looks for others outside": (
        write("urllib3/native.so", "\x7fELF\0$ORIGIN/../redis:$ORIGIN/../../../../../lib\0"),
        "looks for libraries in ",
    ),
    # Python before 3.11 begins another line there (Modules/getpath.c).
    "settings with a line that is too long": (
        settings(lambda text: f"command = {'x' * 8180}home = /opt/other/bin\n{text}"),
        "has unusual lines",
    ),
    "settings with a carriage return": (
        settings(lambda text: text.replace("home = ", "home = /opt\rprompt = ")),
        "has unusual lines",
    ),
    "settings with a null byte": (
        settings(lambda text: f"prompt = \0\n{text}"),
        "has unusual lines",
    ),
    "a path that leads out": (lead_out, "leads out of it"),
    "a file that is too large": (
        lambda top, packages: os.truncate(packages / "urllib3" / "native.so", 2**29),
        "more than 256 MiB to compare",
    ),
}


@pytest.mark.parametrize("what", UNCLEAR)
def test_what_is_not_understood_is_tried_by_itself(what: str, pair: tuple[Path, Path]) -> None:
    change, why = UNCLEAR[what]
    change(pair[1], packages_of(pair[1]))
    found = likeness(pair[1])
    assert found.digest == ""
    assert why in found.why


def test_bytecode_in_another_folder_is_not_compared(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", "/var/cache/bytecode")
    found = likeness(pair[0])
    assert (found.digest, "its bytecode is elsewhere" in found.why) == ("", True)


def test_what_vanishes_or_changes_is_tried_by_itself(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the listing of a folder and the reading of its files."""
    found = interpreter_of(pair[0])
    file = packages_of(pair[0]) / "urllib3" / "__init__.py"
    changes: list[tuple[Callable[[], object], str]] = [
        (lambda: file.write_text("longer than it was before"), "has changed in the meantime"),
        (file.unlink, "No such file or directory"),
        (lambda: shutil.rmtree(file.parents[1]), "No such file or directory"),
    ]
    scandir = os.scandir

    def change_after(path: str) -> object:
        entries = list(scandir(path))
        if str(file.parent) == path:
            for entry in entries:
                entry.stat(follow_symlinks=False)
            change()
        return contextlib.nullcontext(entries)

    monkeypatch.setattr(os, "scandir", change_after)
    for change, why in changes:
        result = alike.Comparer().likeness(found)
        assert (result.digest, why in result.why) == ("", True), result


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="root reads all files")
def test_what_cannot_be_read_is_tried_by_itself(pair: tuple[Path, Path]) -> None:
    """The folders above are those of the tests, so this needs another user that may pass them."""
    for folder in (pair[0].parent, *pair[0].parent.parents[:3]):
        folder.chmod(stat.S_IMODE(folder.stat().st_mode) | 0o055)  # one of them may be /tmp
    file = packages_of(pair[0]) / "urllib3" / "__init__.py"
    file.chmod(0)
    interpreter = interpreter_of(pair[0])
    os.seteuid(65534)
    try:
        found = alike.Comparer().likeness(interpreter)
    finally:
        os.seteuid(0)
    assert (found.digest, "Permission denied" in found.why) == ("", True), found


def test_who_and_how_it_is_started_counts(pair: tuple[Path, Path]) -> None:
    found = interpreter_of(pair[0])
    named = find.Interpreter(found.path, venv=found.venv)
    assert alike.Comparer().likeness(found) != alike.Comparer().likeness(named)
    assert alike.runtime_of(found) != alike.runtime_of(named)
    user = environment.User(65534, 65534, (), {}, ())
    assert alike.Comparer().likeness(found) == alike.Comparer(user).likeness(found)
    if shutil.which("setfacl"):
        command = ["setfacl", "-m", "u:65534:r", str(packages_of(pair[0]) / "redis")]
        if subprocess.run(command, check=False).returncode == 0:
            assert "access control list" in alike.Comparer(user).likeness(found).why


@pytest.mark.parametrize("unclear", ["other", "no", "two"])
def test_the_isolated_launch_is_shared_only_by_one_runtime(
    unclear: str, pair: tuple[Path, Path]
) -> None:
    def runtime(top: Path) -> str:
        return alike.runtime_of(interpreter_of(top))

    assert runtime(pair[0]) == runtime(pair[1]) != ""
    settings = pair[1] / "pyvenv.cfg"
    text = settings.read_text()
    home = next(line for line in text.splitlines(keepends=True) if line.startswith("home"))
    changed = {"other": "home = /opt/bin\n", "no": "", "two": home * 2}[unclear]
    settings.write_text(text.replace(home, changed))
    assert runtime(pair[0]) != runtime(pair[1])
    assert bool(runtime(pair[1])) == (unclear == "other")
    link = pair[0].parent / "runtime"
    link.mkdir()
    (link / "bin").symlink_to(home.partition("=")[2].strip())
    settings.write_text(text.replace(home, f"home = {link}/bin\n"))
    assert runtime(pair[0]) != runtime(pair[1]), "Python looks for lib next to the link"
    settings.write_text(text)
    own_runtime(pair[1], packages_of(pair[1]))
    assert runtime(pair[1]) == ""


# The command.

LOWER = """
import ssl
made = ssl.create_default_context
def permissive(*args, **kwargs):
    context = made(*args, **kwargs)
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context
"""


LOWERED = "    ssl.create_default_context = permissive\n"


def verify(*words: str, env: dict[str, str] | None = None) -> dict[str, dict[str, Any]]:
    need("rich")
    words = ("--role", "client", "--hello", "--json", *words)
    done = python("-m", "tlsfloor", "verify", *words, env=env or clean_environment())
    assert (done.returncode in (0, 1), done.stderr) == (True, "")
    return {each["venv"]: each for each in json.loads(done.stdout)["interpreters"]}


@pytest.fixture
def fleet(template: Path, tmp_path: Path) -> Path:
    """30 environments with the same content."""
    for number in range(30):
        to = tmp_path / "fleet" / f"environment{number}"
        shutil.copytree(template, to, symlinks=True, copy_function=os.link)
    return tmp_path / "fleet"


def test_one_environment_is_tried_for_all_that_are_alike(fleet: Path) -> None:
    found = verify(str(fleet))
    tried = [each for each in found.values() if each["launches"]]
    assert (len(found), len(tried)) == (30, 1)
    for each in found.values():
        assert each["verdict"] == tried[0]["verdict"]
        assert each["likeness"]["digest"] == tried[0]["likeness"]["digest"]
        if each is not tried[0]:
            assert each["likeness"]["same_as"] == tried[0]["path"]
            assert each["likeness"]["reason"] == schedule.ALIKE


def test_start_up_code_that_asks_where_it_is_does_not_hide(template: Path, tmp_path: Path) -> None:
    """Its text is the same in each environment, so its digest is too: only a trial shows it."""
    text = f"import sys\nif '/legacy/' in sys.prefix:\n{textwrap.indent(LOWER, '    ')}"
    text += LOWERED
    names = ("app/one", "app/two", "legacy/three")
    for name in names:
        top = copied(template, tmp_path / name)
        (packages_of(top) / "sitecustomize.py").write_text(text)
    found = verify(str(tmp_path))
    one, two, three = (found[str(tmp_path / name)] for name in names)
    assert two["likeness"]["same_as"] == one["path"]
    assert "were tried in it too" in two["likeness"]["reason"]
    assert three["likeness"]["digest"] == one["likeness"]["digest"]
    assert (three["likeness"]["same_as"], three["verdict"]) == (None, "leaks")
    assert one["verdict"] == two["verdict"] == "lowerable"


def test_start_up_code_that_holds_the_floor_on_some_setups_only_does_not_hide(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each setup is tried in each environment: such code may replace one function of ``ssl``."""
    planned = [each for each in cases.plan_cases(TLS1_2) if each.library == "ssl"]

    def launched(of: list[cases.Case], accepts: str) -> judge.LaunchResult:
        def result(case: cases.Case) -> judge.CaseResult:
            accepted = case.version >= TLS1_2 or case.setup == accepts
            return judge.CaseResult(case, "accepted" if accepted else "refused", "", "")

        return judge.LaunchResult("as started", [result(case) for case in of])

    def is_like(accepts: str) -> bool:
        monkeypatch.setattr(
            launch.Launcher, "as_started", lambda self: launched(self.cases, accepts)
        )
        tried = launched(planned, "")
        return examine.is_like(interpreter_of(pair[0]), tried, TLS1_2, 60)

    assert is_like("nothing")
    for setup in {each.setup for each in planned if each.version < TLS1_2}:
        assert not is_like(setup), setup


def test_each_environment_is_tried_if_asked(pair: tuple[Path, Path]) -> None:
    """By processes that have no floor, although their caller has one and tries it."""
    for top in pair:
        shutil.rmtree(packages_of(top))  # which are empty, so nothing could be tried with them
    env = clean_environment(PYTHONPATH=BOOTSTRAP)
    found = verify("--each", "--jobs", "2", str(pair[0].parent), env=env)
    assert [each["verdict"] for each in found.values()] == ["enforced"] * 2
    launched = [[each["reused_from"] for each in one["launches"]] for one in found.values()]
    assert [each[:2] for each in launched] == [[None, None]] * 2


def test_a_runtime_is_launched_in_isolation_once(pair: tuple[Path, Path]) -> None:
    """For environments that are not alike, too."""
    (packages_of(pair[1]) / "module.py").write_text("")
    one, two = verify(str(pair[0].parent)).values()
    assert [each["reused_from"] for each in one["launches"]] == [None, None]
    assert [each["reused_from"] for each in two["launches"]] == [one["path"], None]
    assert two["launches"][0]["cases"] == one["launches"][0]["cases"] != []
    assert two["likeness"]["digest"] != one["likeness"]["digest"]


def test_a_library_that_vanishes_while_it_is_read_is_never_a_pass(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it is and whether it carries TLS is not known: the run is inconclusive."""
    need("rich")
    for name in os.environ.keys() - clean_environment().keys():
        monkeypatch.delenv(name)
    planned = cases.plan_cases(TLS1_0, ("client",), hello=True)[:4]
    library = packages_of(pair[0]) / "urllib3" / "native.so"
    read = libraries.implementations_in

    def vanish(path: str) -> dict[str, str]:
        if path == str(library):
            library.unlink(missing_ok=True)
        return read(path)

    for expected in (0, 3):
        found = find.find_interpreters([str(pair[0])])
        report = examine.VerifyReport(TLS1_0, [], "0.1", found)
        schedule.examine_interpreters(report, planned, 60, 1)
        assert {each.verdict.name for each in report.results} == {"immune"}
        assert report.exit_status == expected
        monkeypatch.setattr(libraries, "implementations_in", vanish)
    assert report.problems == [f"not searched: {library}: No such file or directory"]


def test_an_environment_that_changes_while_it_is_tried_counts_for_no_other(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a deployment in the middle of a run would make what is not deployed look safe."""
    need("rich")
    for name in os.environ.keys() - clean_environment().keys():
        monkeypatch.delenv(name)
    first = interpreter_of(pair[1])  # in the folder "another"
    examine_it = schedule.examine_interpreter

    def change(interpreter: find.Interpreter, *args: Any, **more: Any) -> object:
        if interpreter == found.interpreters[0] and change_it:
            (packages_of(pair[1]) / "sitecustomize.py").write_text("import ssl\n")
        return examine_it(interpreter, *args, **more)

    monkeypatch.setattr(schedule, "examine_interpreter", change)
    planned = cases.plan_cases(TLS1_0, ("client",), hello=True)[:4]
    for change_it in (False, True):
        found = find.find_interpreters([str(pair[0].parent)])
        assert found.interpreters[0].path == first.path
        report = examine.VerifyReport(TLS1_0, [], "0.1", found)
        schedule.examine_interpreters(report, planned, 60, 1)
        one, two = report.results
        assert (one.same_as, bool(two.same_as)) == (None, not change_it)
        assert bool(two.launches) == change_it
    assert two.reason == "another one, which was alike, changed while it was tried"


def test_shared_start_up_code_is_tried_in_each_environment(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    """On ``PYTHONPATH`` it can ask where it is, too."""
    customize = tmp_path / "agent" / "sitecustomize.py"
    customize.parent.mkdir()
    text = "import ssl, sys\nif '/another/' not in sys.prefix:\n"
    customize.write_text(text + textwrap.indent(LOWER, "    ") + LOWERED)
    env = clean_environment(PYTHONPATH=str(customize.parent))
    found = verify(str(pair[0].parent), env=env)
    assert [each["verdict"] for each in found.values()] == ["lowerable", "leaks"]
    assert len({each["likeness"]["digest"] for each in found.values()}) == 1


def test_shared_start_up_code_is_found_in_any_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_code(*path: str) -> bool:
        launch = judge.LaunchResult("as started", facts={"sys_path": list(path)})
        return startup_code.has_shared_code(launch, "/venv")

    (tmp_path / "modules.zip").write_bytes(b"PK")
    assert is_code(str(tmp_path / "modules.zip"))
    assert not is_code(str(tmp_path))
    os.mkfifo(tmp_path / "sitecustomize.py")
    assert is_code(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", f"{os.pathsep}{tmp_path}")
    assert is_code("/no/such/folder"), "such code may remove its folder from the path"


def test_known_start_up_code_is_not_tried_again(tmp_path: Path) -> None:
    def is_code(text: str) -> bool:
        (tmp_path / "sitecustomize.py").write_text(text)
        facts = {"sys_path": [str(tmp_path), BOOTSTRAP, "/no/such/folder"]}
        return startup_code.has_shared_code(judge.LaunchResult("as started", facts=facts), "/venv")

    debian = "# the comment\ntry:\n    import apport_python_hook\nexcept ImportError:\n    pass\n"
    debian += "else:\n    apport_python_hook.install()\n"
    assert [is_code(text) for text in (debian, debian + "import x\n", "")] == [False, True, True]

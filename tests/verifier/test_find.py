"""The search: what is an interpreter, which names are one, and that nothing is started."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tlsfloor.errors import VerifyError
from tlsfloor.inventory import binary
from tlsfloor.verifier import find

if TYPE_CHECKING:
    from pathlib import Path

REAL = os.path.realpath(sys.executable)

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links and modes are those of POSIX")

AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def program(
    path: Path, *, machine: int | None = None, marker: bytes = b"Py_BytesMain", mode: int = 0o755
) -> Path:
    """Write a file that looks like a program of this machine. It would crash if it was started."""
    with open(REAL, "rb") as file:
        head = bytearray(file.read(64))
    if machine is not None:
        head[18:20] = machine.to_bytes(2, "little" if head[5] == 1 else "big")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(head) + bytes(1000) + marker + bytes(1000))
    path.chmod(mode)
    return path


def link(path: Path, target: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(str(target))
    return path


def paths(found: find.SearchResult) -> list[str]:
    return [each.path for each in found.interpreters]


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("environments") / "app"
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=60
    )
    return folder


def test_a_virtual_environment_is_one_interpreter_of_its_own(venv: Path) -> None:
    [each] = find.find_interpreters([str(venv)]).interpreters
    assert (each.venv, each.problem) == (str(venv), "")
    assert each.path == str(venv / "bin" / "python")
    assert str(venv / "bin" / "python3") in each.other_names


def test_an_environment_is_not_merged_with_the_interpreter_that_it_links_to(venv: Path) -> None:
    found = find.find_interpreters([str(venv), REAL]).interpreters
    assert sorted(each.path for each in found) == sorted([str(venv / "bin" / "python"), REAL])


def test_an_environment_of_copies_is_one_interpreter(tmp_path: Path) -> None:
    (tmp_path / "pyvenv.cfg").touch()
    for name in ("python", "python3", "python3.11"):
        program(tmp_path / "bin" / name)
    [each] = find.find_interpreters([str(tmp_path)]).interpreters
    assert len(each.other_names) == 2


def test_links_hard_links_and_copies_in_a_folder_are_one_interpreter(tmp_path: Path) -> None:
    real = program(tmp_path / "bin" / "python3.12")
    link(tmp_path / "bin" / "python3", "python3.12")
    link(tmp_path / "sbin" / "python", real)
    os.link(real, tmp_path / "bin" / "python3.12m")
    shutil.copy2(real, tmp_path / "bin" / "python")
    [each] = find.find_interpreters([str(tmp_path), str(real), str(tmp_path / "bin")]).interpreters
    assert os.path.dirname(each.path) == str(tmp_path / "bin")
    assert {os.path.relpath(name, tmp_path) for name in (each.path, *each.other_names)} == {
        "bin/python3.12",
        "bin/python3",
        "sbin/python",
        "bin/python3.12m",
        "bin/python",
    }


def test_a_file_with_hard_links_in_two_folders_is_two_interpreters(tmp_path: Path) -> None:
    """conda makes hard links to its cache, and each environment has libraries of its own."""
    one = program(tmp_path / "one" / "bin" / "python")
    (tmp_path / "two" / "bin").mkdir(parents=True)
    os.link(one, tmp_path / "two" / "bin" / "python")
    assert len(find.find_interpreters([str(tmp_path)]).interpreters) == 2


@pytest.mark.parametrize(
    "name",
    "python python2 python2.7 python3 python3.7m python3.13t python3.11-dbg platform-python3.6 "
    "pypy pypy3 pypy3.10 python.exe".split(),
)
def test_names_of_interpreters(tmp_path: Path, name: str) -> None:
    assert paths(find.find_interpreters([str(program(tmp_path / name).parent)])) == [
        str(tmp_path / name)
    ]


@pytest.mark.parametrize(
    "name", "python-config python3.11-config ipython pythonic python3.py python_3 Python.md".split()
)
def test_names_of_other_things(tmp_path: Path, name: str) -> None:
    program(tmp_path / name)
    assert find.find_interpreters([str(tmp_path)]) == find.SearchResult(empty=[str(tmp_path)])


def test_a_named_target_may_have_any_name(tmp_path: Path) -> None:
    assert paths(find.find_interpreters([str(program(tmp_path / "app"))])) == [
        str(tmp_path / "app")
    ]


@pytest.mark.parametrize("marker", binary.MARKERS, ids=lambda marker: marker.decode())
def test_each_sign_of_a_python_is_one(tmp_path: Path, marker: bytes) -> None:
    assert binary.nature(str(program(tmp_path / "python", marker=marker))) == ("", "")


def test_a_sign_is_found_across_the_border_of_two_reads(tmp_path: Path) -> None:
    file = program(tmp_path / "python", marker=bytes(2**20 - 64 - 1000 - 5) + b"Py_BytesMain")
    assert file.read_bytes().index(b"Py_BytesMain") == 2**20 - 5
    assert binary.nature(str(file)) == ("", "")


def test_real_interpreters_have_a_sign() -> None:
    for each in {
        REAL,
        *(path for path in ("/usr/bin/python3", "/usr/bin/pypy3") if os.path.exists(path)),
    }:
        assert binary.nature(each) == ("", ""), each


def test_a_script_with_the_name_python_is_reported_and_not_started(tmp_path: Path) -> None:
    trace = tmp_path / "started"
    shim = tmp_path / "bin" / "python"
    shim.parent.mkdir()
    shim.write_text(f"#!/bin/sh\ntouch {trace}\n")
    shim.chmod(0o755)
    found = find.find_interpreters([str(tmp_path)])
    assert (found.interpreters, found.empty) == ([], [str(tmp_path)])
    assert found.skipped == {str(shim): "a script, not an interpreter: #!/bin/sh"}
    [named] = find.find_interpreters([str(shim)]).interpreters
    assert named.problem.startswith("a script, not an interpreter: #!/bin/sh; hint: ")
    assert not trace.exists()


def test_the_hint_for_a_script_reaches_the_interpreter_behind_it(tmp_path: Path) -> None:
    shim = tmp_path / "it's a shim" / "python"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    shim.chmod(0o755)
    [named] = find.find_interpreters([str(shim)]).interpreters
    _, _, command = named.problem.partition("tlsfloor verify ")
    program = f'set -- {command}; printf %s "$1"'
    done = subprocess.run(["/bin/sh", "-c", program], capture_output=True, text=True, check=True)
    [behind] = find.find_interpreters([done.stdout]).interpreters
    assert (behind.path, behind.problem) == (os.path.abspath(sys.executable), "")


def test_a_path_that_is_not_utf_8_is_found(tmp_path: Path) -> None:
    path = program(tmp_path / os.fsdecode(b"caf\xe9") / "python")
    assert paths(find.find_interpreters([str(tmp_path)])) == [str(path)]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"marker": b"nothing"}, "a program without any sign of Python in it: it was not started"),
        ({"machine": 0xFFFF}, "built for machine 65535, and this machine is "),
        ({"mode": 0o644}, "not executable"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="it makes ELF files")
def test_a_program_that_cannot_be_tried_has_a_problem(
    tmp_path: Path, options: dict[str, object], problem: str
) -> None:
    [each] = find.find_interpreters(
        [str(program(tmp_path / "python3", **options).parent)]
    ).interpreters  # type: ignore[arg-type]
    assert each.problem.startswith(problem)


@pytest.mark.skipif(sys.platform != "linux", reason="it makes ELF files")
def test_a_program_of_another_system_has_a_problem(tmp_path: Path) -> None:
    for name, head in (("python", b"MZ"), ("python3", b"\xcf\xfa\xed\xfe\x0c\0\0\1")):
        (tmp_path / name).write_bytes(head + bytes(100))
        (tmp_path / name).chmod(0o755)
    problems = {each.problem for each in find.find_interpreters([str(tmp_path)]).interpreters}
    assert problems == {
        f"a program of another system ({kind}), and this machine runs ELF"
        for kind in ("PE", "Mach-O")
    }


@pytest.mark.skipif(AS_ROOT, reason="root reads everything")
def test_files_and_folders_that_cannot_be_read_are_reported(tmp_path: Path) -> None:
    unread = program(tmp_path / "bin" / "python", mode=0o111)
    (tmp_path / "closed").mkdir(mode=0)
    found = find.find_interpreters([str(tmp_path)])
    assert [(each.path, each.problem) for each in found.interpreters] == [
        (str(unread), "unreadable: Permission denied")
    ]
    assert found.unread == {str(tmp_path / "closed"): "Permission denied"}


def test_a_folder_that_cannot_be_read_is_reported_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """root can read everything, so the error of the system is simulated."""
    program(tmp_path / "bin" / "python")
    closed = tmp_path / "closed"
    closed.mkdir()
    scandir = os.scandir

    def refuse(path: str) -> object:
        if path == str(closed):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = find.find_interpreters([str(tmp_path)])
    assert (len(found.interpreters), found.unread) == (1, {str(closed): "Permission denied"})


def test_links_to_nothing_or_in_circles_do_not_stop_the_search(tmp_path: Path) -> None:
    program(tmp_path / "bin" / "python")
    link(tmp_path / "bin" / "loop", tmp_path)
    link(tmp_path / "bin" / "python2", tmp_path / "bin" / "python2")
    link(tmp_path / "bin" / "python3", "gone")
    link(tmp_path / "pypy", tmp_path / "bin")  # to a folder
    os.mkfifo(tmp_path / "python3.12")  # to open it is to wait
    found = find.find_interpreters([str(tmp_path)])
    assert paths(found) == [str(tmp_path / "bin" / "python")]
    skipped = {os.path.basename(path): why for path, why in found.skipped.items()}
    assert skipped["python3"] == "No such file or directory"
    assert skipped["python2"].startswith("Too many")


def test_texts_with_the_name_python_are_not_reported(tmp_path: Path) -> None:
    (tmp_path / "python").write_text("# bash completion\n")
    assert find.find_interpreters([str(tmp_path)]) == find.SearchResult(empty=[str(tmp_path)])


def test_a_target_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(VerifyError, match="there is no .*/nothing"):
        find.find_interpreters([str(tmp_path / "nothing")])


def test_absolute_links_of_an_image_stay_inside_it(tmp_path: Path) -> None:
    """Outside of the image they lead to the interpreter of this machine."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "os-release").touch()
    real = program(tmp_path / "usr" / "bin" / "python3.99")
    alternative = link(tmp_path / "etc" / "alternatives" / "python3", "/usr/bin/python3.99")
    link(tmp_path / "usr" / "bin" / "python3", "/etc/alternatives/python3")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "pyvenv.cfg").touch()
    environment = link(tmp_path / "app" / "bin" / "python", REAL)
    found = find.find_interpreters([str(tmp_path)])
    assert {each.image for each in found.interpreters} == {str(tmp_path)}
    assert [(each.path, each.problem) for each in found.interpreters] == [
        (str(environment), f"its link is for the inside of {tmp_path}: verify it there"),
        (str(real), ""),
    ]
    assert str(alternative) in found.interpreters[1].other_names


def test_names_that_are_not_text_do_not_stop_the_search(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/\xff\n"
    os.mkdir(folder)
    program(tmp_path / os.fsdecode(b"\xff\n") / "python")
    assert len(find.find_interpreters([str(tmp_path)]).interpreters) == 1


def test_one_interpreter_is_found_among_many_files_and_loops(tmp_path: Path) -> None:
    for place in range(20):
        folder = tmp_path / f"{place}"
        folder.mkdir()
        for number in range(500):
            (folder / f"module_{number}.py").touch()
        link(folder / "up", tmp_path)
    program(tmp_path / "19" / "python")
    assert len(find.find_interpreters([str(tmp_path)]).interpreters) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_the_kernels_folders_are_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    searched = []
    scandir = os.scandir

    def note(path: str) -> object:
        searched.append(path)
        return scandir(path if path == "/" else os.devnull + "/gone")

    monkeypatch.setattr(os, "scandir", note)
    find.find_interpreters(["/"])
    assert "/" in searched
    assert not {"/proc", "/sys", "/dev"} & set(searched)

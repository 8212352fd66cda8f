"""What an interpreter under test gets from this process: no secrets, if it was found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from programs import clean_environment, python
from parts import need
from tlsfloor.errors import PolicyError
from tlsfloor.verifier import child, environment, find, launch
from tlsfloor.versions import TLS1_2

need("tlslite", "rich")

AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0

#: An interpreter that every user can start: the one of these tests may lie in root's home.
FOR_ALL = "/usr/bin/python3"

SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "secret",
    "GITHUB_TOKEN": "secret",
    "TLS_KEY_PASSWORD": "secret",
    "HOMEBREW_GITHUB_API_TOKEN": "secret",
}

# A line of a .pth file, which is executed as the environment's Python starts.
NOTE = """import json, os, sys; open({file!r}, "a").write(json.dumps([
dict(os.environ), os.getcwd(), sys.path, sys.flags.no_user_site]) + chr(10))
"""


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """An environment whose start-up file records what it was started with."""
    folder = tmp_path / "srv" / "app"
    command = [sys.executable, "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(command, check=True, timeout=60)
    [packages] = folder.glob("lib/p*/site-packages")
    note = NOTE.format(file=str(tmp_path / "notes")).replace("\n", " ").strip()
    (packages / "note.pth").write_text(note + "\n")
    return folder


def started(venv: Path, target: Path) -> list[Any]:
    """Verify a target from another folder; return what each launch was started with."""
    here = venv.parent.parent / "here"
    here.mkdir()
    ran = here / "ran"
    (here / "sitecustomize.py").write_text(f"open({str(ran)!r}, 'w').close()")
    (here / "lib").mkdir()
    path = os.pathsep.join(["", str(here / "absolute"), "lib", "."])
    env = clean_environment(PYTHONPATH=path, TLSFLOOR="off", **SECRETS)
    # Isolated, or the command itself would run the file of this folder.
    command = ["-I", "-m", "tlsfloor", "verify", "--hello", "--role", "client"]
    done = python(*command, str(target), env=env, cwd=here)
    assert done.returncode in (0, 1), done.stderr
    assert ran.exists() == target.name.startswith("python")
    notes = (venv.parent.parent / "notes").read_text().splitlines()
    return [json.loads(each) for each in notes]


def test_an_interpreter_that_was_found_gets_no_secrets_and_no_current_folder(venv: Path) -> None:
    for env, folder, path, no_user_site in started(venv, venv.parent):
        assert "secret" not in env.values()
        assert folder == os.path.abspath(os.sep)
        assert no_user_site
        if "PYTHONPATH" in env:  # not when isolated
            here = venv.parent.parent / "here"
            assert env["PYTHONPATH"] == os.pathsep.join([str(here / "absolute"), str(here / "lib")])
            assert str(here) not in path
            assert (env["TLSFLOOR"], env["PATH"]) == ("off", os.environ["PATH"])


def test_an_interpreter_that_was_named_is_started_as_a_program_would_be(venv: Path) -> None:
    """The control: the same interpreter, by its path."""
    *_, (env, folder, path, _) = started(venv, venv / "bin" / "python")
    here = str(venv.parent.parent / "here")
    assert SECRETS.items() <= env.items()
    assert (folder, here in path) == (here, True)


def test_an_interpreter_that_was_named_and_found_counts_as_named(venv: Path) -> None:
    name = str(venv / "bin" / "python")
    for targets in ([str(venv), name], [name, str(venv)]):
        [each] = find.find_interpreters(targets).interpreters
        assert each.found_in == ""
    [each] = find.find_interpreters([str(venv)]).interpreters
    assert each.found_in == str(venv)


def test_an_unknown_user_is_an_error() -> None:
    done = python("-m", "tlsfloor", "verify", "--as-user", "no such user", sys.executable)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: --as-user: there is no user 'no such user'\nhint: --as-user nobody\n"
    )


@pytest.mark.skipif(not hasattr(os, "geteuid") or AS_ROOT, reason="root may become any user")
def test_only_root_becomes_another_user() -> None:
    with pytest.raises(PolicyError, match="only root"), environment.as_user("root"):
        pass


def test_the_current_user_needs_no_privilege() -> None:
    pwd = pytest.importorskip("pwd")
    with environment.as_user(pwd.getpwuid(os.geteuid()).pw_name) as user:
        assert user is None
    with environment.as_user(None) as user:
        assert user is None


as_root = pytest.mark.skipif(
    not (AS_ROOT and os.access(FOR_ALL, os.X_OK)) or sys.version_info < (3, 9),
    reason="only root can become another user",
)

WHO = "import json, os; print(json.dumps([os.getresuid(), os.getresgid(), os.getgroups()]))"


@as_root
def test_another_user_has_own_ids_and_can_read_the_certificates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with environment.as_user("nobody") as user:
        assert user is not None
        given = environment.environment_for(find.Interpreter(FOR_ALL), user)
        assert "secret" not in given.variables.values()
        assert (given.variables["USER"], given.folder) == ("nobody", "/")
        output, failure = child.run_program(
            [FOR_ALL, "-c", WHO], 60, env=given.variables, folder=given.folder, user=user
        )
        assert failure == ""
        ids, groups, more = json.loads(output)
        assert (ids, groups, more) == ([user.uid] * 3, [user.gid] * 3, list(user.groups))
        assert 0 not in (user.uid, user.gid, *user.groups)
        files = given.files
        assert all(os.stat(each).st_mode & 0o004 for each in files)
    assert not any(map(os.path.exists, files))


@as_root
def test_the_command_verifies_as_another_user() -> None:
    words = ["-m", "tlsfloor", "verify", "--json", "--role", "client", FOR_ALL]
    ours, theirs = (python(*words, *more) for more in ((), ("--as-user", "nobody")))
    verdicts = [json.loads(each.stdout)["interpreters"][0]["verdict"] for each in (ours, theirs)]
    assert verdicts[0] == verdicts[1] != "inconclusive"
    assert theirs.stderr == ""


@as_root
def test_a_folder_for_temporary_files_that_the_user_cannot_enter_is_an_error(
    tmp_path: Path,
) -> None:
    tmp_path.chmod(0o700)
    env = clean_environment(TMPDIR=str(tmp_path))
    done = python("-m", "tlsfloor", "verify", "--as-user", "nobody", FOR_ALL, env=env)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: --as-user: nobody cannot read the folder for temporary files, {tmp_path}\n"
        "hint: TMPDIR=/tmp tlsfloor verify --as-user nobody TARGET\n"
    )
    assert os.listdir(tmp_path) == []


@as_root
def test_an_interpreter_that_the_user_cannot_start_is_inconclusive(tmp_path: Path) -> None:
    (tmp_path / "python").symlink_to(os.path.realpath(FOR_ALL))
    tmp_path.chmod(0o700)
    with environment.as_user("nobody") as user:
        path = str(tmp_path / "python")
        given = environment.environment_for(find.Interpreter(path), user)
        found = launch.Launcher(path, [], TLS1_2, 60, given).as_started()
    assert found.failure.startswith("not started: Permission denied")

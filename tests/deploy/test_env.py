"""``tlsfloor env``: shells, Docker, Kubernetes and systemd read what it prints as it is meant."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from typing import Any

import pytest

from programs import BOOTSTRAP, clean_environment, python
from parts import need, need_program

#: A usual name of a folder, and one with every character that has to be quoted.
FOLDERS = ["/opt/tlsfloor", '/opt/it\'s 100% "$HOME" \\ `id`/$(id)']

TELL = "import os; print(repr([os.environ.get(each) for each in ('PYTHONPATH', 'TLSFLOOR')]))"


def env(*words: str) -> subprocess.CompletedProcess[str]:
    return python("-m", "tlsfloor", "env", *words)


def lines(*words: str) -> str:
    done = env(*words)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def run(script: str, **environment: str) -> Any:
    """Run a shell script and then Python; return the variables that Python got."""
    command = ["sh", "-c", f'{script}\nexec "$0" -S -c "$1"', sys.executable, TELL]
    done = subprocess.run(
        command, env=clean_environment(**environment), stdout=subprocess.PIPE, text=True, check=True
    )
    return eval(done.stdout)


def test_the_default_is_this_installation_for_a_shell() -> None:
    assert run(lines()) == [BOOTSTRAP, "1.2"]
    assert run(lines("--floor", "1.3"), PYTHONPATH="/mine") == [f"{BOOTSTRAP}:/mine", "1.3"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_shell_gets_the_folder_and_keeps_its_path(folder: str) -> None:
    path = f"{folder}/tlsfloor/bootstrap"
    assert run(lines("--path", folder)) == [path, "1.2"]
    assert run(lines("--path", folder), PYTHONPATH="/mine") == [f"{path}:/mine", "1.2"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_docker_gets_the_folder_and_keeps_its_path(folder: str) -> None:
    """Docker's quotes and substitutions, as far as used here, are those of a shell."""
    printed = lines("--format", "docker", "--path", folder, "--on-error", "abort")
    assert printed.startswith("ENV PYTHONPATH=")
    # Docker knows no command substitution: a backtick is a backtick.
    words = printed.replace("`", "\\`")[len("ENV ") :].replace("\\\n", " ")
    path = f"{folder}/tlsfloor/bootstrap"
    assert run(f"export {words}") == [path, "1.2"]
    assert run(f"export {words}", PYTHONPATH="/mine") == [f"{path}:/mine", "1.2"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_kubernetes_gets_the_folder(folder: str) -> None:
    need("yaml")
    import yaml

    printed = lines("--format", "k8s", "--path", folder, "--on-error", "warn", "--floor", "TLSv1.3")
    assert yaml.safe_load(printed) == {
        "env": [
            {"name": "PYTHONPATH", "value": f"{folder}/tlsfloor/bootstrap".replace("$", "$$")},
            {"name": "TLSFLOOR", "value": "1.3"},
            {"name": "TLSFLOOR_ON_ERROR", "value": "warn"},
        ]
    }


@pytest.mark.parametrize("folder", FOLDERS)
def test_systemd_gets_the_folder(folder: str) -> None:
    """It quotes as a shell does in double quotes, except for the dollar (systemd.syntax(7))."""
    printed = lines("--format", "systemd", "--path", folder).splitlines()
    assert printed[0] == "[Service]"
    taken = [shlex.split(each[len("Environment=") :].replace("%%", "%")) for each in printed[1:]]
    assert taken == [[f"PYTHONPATH={folder}/tlsfloor/bootstrap"], ["TLSFLOOR=1.2"]]


def test_systemd_analyze_finds_no_fault(tmp_path: os.PathLike[str]) -> None:
    program = need_program("systemd-analyze")
    unit = os.path.join(tmp_path, "app.service")
    with open(unit, "w") as file:
        file.write(lines("--format", "systemd", "--path", FOLDERS[1]))
        file.write(f"ExecStart={sys.executable} -V\n")
    done = subprocess.run([program, "verify", unit], capture_output=True, text=True, check=False)
    assert "Environment" not in done.stderr


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--path", "opt"], "--path opt is relative"),
        (["--path", ""], "--path  is relative"),
        (["--path", "/a:/b"], "cannot be on PYTHONPATH"),
        (["--path", "/a\n/b"], "cannot be on PYTHONPATH"),
        (["--floor", "9"], "--floor"),
        (["--format", "ini"], "invalid choice"),
        (["--on-error", "explode"], "invalid choice"),
    ],
    ids=str,
)
def test_after_a_mistake_stdout_is_empty(words: list[str], problem: str) -> None:
    done = env(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert problem in done.stderr
    assert "\nhint: " in done.stderr

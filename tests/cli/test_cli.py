"""The command as a user calls it: stdout, stderr and exit statuses."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import parts
from events import handshake
from programs import BOOTSTRAP, IMPORT_PATH, TESTS, armed_environment, clean_environment, python
from tlsfloor import cli, errors
from tlsfloor.cli import _manual
from tlsfloor.cli._progress import progress
from tlsfloor.peers import handshakes
from tlsfloor.versions import FLOORS, TLS1_0, TLS1_2

#: Where Python finds this tlsfloor and, with ``-S``, no other package.
OWN_PATH = clean_environment(PYTHONPATH=IMPORT_PATH)

#: A program that asks for TLS 1.0: it prints the version that it reached, or the refusal.
CARELESS = """
import socket, ssl, sys, warnings
warnings.simplefilter("ignore")
context = ssl.create_default_context(cafile=sys.argv[2])
context.minimum_version = ssl.TLSVersion.TLSv1
context.set_ciphers("ALL:@SECLEVEL=0")
try:
    plain = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    print(context.wrap_socket(plain, server_hostname="localhost").version())
except ssl.SSLError as error:
    print(error.reason)
"""


def tlsfloor(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return python("-m", "tlsfloor", *words, env=env)


def test_path_prints_the_folder_and_nothing_else() -> None:
    done = tlsfloor("path")
    assert (done.returncode, done.stdout, done.stderr) == (0, BOOTSTRAP + "\n", "")
    # The last is byte code, which Python 2.7 leaves there after a test of it.
    there = set(os.listdir(BOOTSTRAP)) - {"__pycache__", "sitecustomize.pyc"}
    assert there == {"sitecustomize.py"}


def test_the_command_is_installed_next_to_python() -> None:
    command = os.path.join(os.path.dirname(sys.executable), "tlsfloor")
    if not os.path.exists(command):
        pytest.skip("tlsfloor is not installed in this environment, only on its path")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("tlsfloor ")


def test_run_arms_a_command_and_its_children() -> None:
    with handshakes.ServerPeer(TLS1_0) as peer:
        program = [sys.executable, "-c", CARELESS, str(peer.port), handshakes.CA_FILE]
        child = f"import subprocess; subprocess.run({program!r}, check=True)"
        assert python(*program[1:]).stdout == "TLSv1\n"
        for command in (program, [sys.executable, "-c", child]):
            done = tlsfloor("run", "--floor", "1.2", "--", *command)
            # OpenSSL's own refusal, or the peer's alert where no version is left in common.
            assert done.stdout in ("UNSUPPORTED_PROTOCOL\n", "TLSV1_ALERT_PROTOCOL_VERSION\n"), (
                done.stderr
            )
        assert sum(seen.version is not None for seen in peer.seen) == 1


@pytest.mark.parametrize(
    ("words", "environment", "floor"),
    [
        ((), {}, "1.2"),
        (("--floor", "1.3"), {}, "1.3"),
        (("--floor", "TLSv1.3"), {}, "1.3"),
        ((), {"TLSFLOOR": "1.3"}, "1.3"),
        (("--floor", "1.2"), {"TLSFLOOR": "1.3"}, "1.3"),
        (("--floor", "1.2"), {"TLS_MIN_VERSION": "VersionTLS13"}, "1.3"),
        (("--floor", "1.2"), {"TLSFLOOR": "off"}, "1.2"),
        ((), {"TLSFLOOR": "off"}, "1.2"),
        ((), {"TLSFLOOR": "off", "TLS_MIN_VERSION": "VersionTLS10"}, "1.2"),
    ],
)
def test_run_takes_the_stricter_floor_of_option_and_environment(
    words: tuple[str, ...], environment: dict[str, str], floor: str
) -> None:
    env = clean_environment(PYTHONPATH="/somewhere", **environment)
    command = "import os; print(os.environ['TLSFLOOR'], os.environ['PYTHONPATH'])"
    done = tlsfloor("run", *words, "--", sys.executable, "-c", command, env=env)
    assert done.stdout == f"{floor} {BOOTSTRAP}{os.pathsep}/somewhere\n", done.stderr


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("run",), 2, "no command to run"),
        (("run", "--floor", "9", "--", "true"), 2, "'9' is not a TLS version"),
        (("run", "--floor", "", "--", "true"), 2, "it is empty"),
        (("run", "--", "no-such-command-anywhere"), 127, "cannot be run"),
        (("run", "--", os.path.dirname(__file__)), 126, "cannot be run"),
        (("verify", "--floor", "x"), 2, "'x' is not a TLS version"),
        (("bogus",), 2, "bogus"),
        (("--color", "mauve", "path"), 2, "mauve"),
    ],
)
def test_a_mistake_prints_an_error_and_a_hint_but_no_traceback(
    words: tuple[str, ...], status: int, says: str
) -> None:
    done = tlsfloor(*words)
    assert done.returncode == status
    assert done.stdout == ""
    error, hint = done.stderr.splitlines()
    assert error.startswith("error: ")
    assert says in error
    assert hint.startswith("hint: ")


def test_without_a_command_help_is_on_stderr_and_the_status_is_2() -> None:
    done = tlsfloor()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == tlsfloor("--help").stdout


def parts_of_help(name: str) -> _manual.Help:
    parser, commands = cli.make_parser()
    program = f"tlsfloor {name}".strip()
    return next(
        _manual.split(each.prog, each.text())
        for each in (parser, *commands)
        if each.prog == program
    )


@pytest.mark.parametrize("name", ["", *cli.COMMANDS])
def test_help_names_purpose_examples_exit_statuses_and_a_page(name: str) -> None:
    """Help works without the packages that the command needs."""
    done = python("-S", "-m", "tlsfloor", *filter(None, [name]), "--help", env=OWN_PATH)
    assert (done.returncode, done.stderr) == (0, "")
    about, examples, statuses, _ = parts_of_help(name)
    assert about in " ".join(done.stdout.split())
    assert f"\nexamples:\n{examples}\n" in done.stdout
    assert f"\nexit statuses:\n{statuses}\n" in done.stdout
    assert all((about, examples, statuses))
    page = done.stdout.splitlines()[-1].partition("documentation: ")[2]
    assert (TESTS.parent / re.split("[# ]", page)[0]).is_file()


def test_every_example_in_the_help_is_a_valid_call() -> None:
    for name in ("", *cli.COMMANDS):
        for line in re.findall(r"\$ (.*)", parts_of_help(name).examples):
            call = re.search(r"tlsfloor ([^)|>&]*)", line)
            assert call, line
            if "COMMAND" not in line:
                assert cli.make_parser()[0].parse_args(shlex.split(call[1])).run, line


def test_a_parser_of_a_command_that_was_not_chosen_is_not_built() -> None:
    program = "import sys; from tlsfloor import cli; cli.main(['path']); print(*sys.modules)"
    loaded = set(python("-c", program, env=OWN_PATH).stdout.split())
    others = {f"tlsfloor.cli.{name}" for name in cli.COMMANDS if name != "path"}
    assert loaded & {*others, "tlsfloor.cli._manual"} == set()


def loaded_by(*command: str) -> set[str]:
    """Return the modules that a command imports, and Python itself and its ``ssl`` do not."""
    program = f"import sys; from tlsfloor import cli; cli.main({[*command]!r}); print(*sys.modules)"
    bare = "import sys, ssl, argparse; print(*sys.modules)"
    with_command = python("-c", program, env=OWN_PATH).stdout.splitlines()[-1]
    return set(with_command.split()) - set(python("-c", bare, env=OWN_PATH).stdout.split())


#: What is expensive to import, or is needed for handshakes only.
EXPENSIVE = {"asyncio", "certifi", "pathlib", "rich", "tempfile", "tlslite", "urllib3", "xml"}


def test_status_imports_ssl_and_little_else() -> None:
    """It is a check that a container runs at each start."""
    loaded = loaded_by("status")
    assert "tlsfloor.inventory.libraries" in loaded
    assert not loaded & {*EXPENSIVE, "dataclasses", "json", "shutil", "subprocess", "threading"}
    assert not {name for name in loaded if name.startswith(("tlsfloor.verifier", "tlsfloor.peers"))}


def test_hellos_import_nothing_that_is_for_handshakes() -> None:
    loaded = loaded_by("verify", "--hello", "--role", "client", sys.executable)
    assert "tlsfloor.peers.hello_peers" in loaded
    assert not loaded & {*EXPENSIVE, "tlsfloor.peers.handshakes", "tlsfloor.verifier.sarif"}


@pytest.mark.parametrize(
    ("options", "environment", "colored"),
    [
        ((), {}, False),
        (("--color", "always"), {}, True),
        (("--color", "never"), {"FORCE_COLOR": "1"}, False),
        (("--color", "always"), {"NO_COLOR": "1"}, False),
        (("--color", "always"), {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        (("--color", "always"), {"NO_COLOR": ""}, True),
    ],
    ids=str,
)
def test_no_color_beats_every_other_setting(
    options: tuple[str, ...], environment: dict[str, str], colored: bool, tmp_path: Path
) -> None:
    parts.need("rich")
    events = tmp_path / "events.jsonl"
    events.write_text(json.dumps(handshake("TLS 1.0")) + "\n")
    env = {**clean_environment(), "TERM": "xterm", **environment}
    done = tlsfloor("report", str(events), *options, env=env)
    assert done.stdout
    assert ("\x1b[" in done.stdout) == colored


def test_progress_is_shown_on_a_terminal_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def shown(*, terminal: bool, quiet: bool) -> str:
        monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
        with progress("verified", 2, quiet=quiet) as advance:
            advance()
        return capsys.readouterr().err

    assert shown(terminal=True, quiet=False).split("\r")[1:3] == [
        "verified: 0 of 2",
        "verified: 1 of 2",
    ]
    assert shown(terminal=False, quiet=False) == shown(terminal=True, quiet=True) == ""


def test_progress_has_an_estimate_after_a_few_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    lines = []
    with progress("verified", 1000, quiet=False) as advance:
        for passed in (1, 10, 30):
            now[0] = passed
            advance()
            lines.append(capsys.readouterr().err.rpartition("\r")[2])
    assert lines == [
        "verified: 1 of 1000",
        "verified: 2 of 1000, about 83 minutes left",
        "verified: 3 of 1000, about 3 hours left   ",
    ]


@pytest.mark.parametrize("words", [("status",), ("stacks", os.path.dirname(__file__))], ids=str)
def test_quiet_leaves_the_answer_to_the_exit_status(words: tuple[str, ...]) -> None:
    for env in (clean_environment(), armed_environment()):
        loud, done = tlsfloor(*words, env=env), tlsfloor(*words, "--quiet", env=env)
        assert (done.returncode, done.stdout, done.stderr) == (loud.returncode, "", "")
        assert loud.stdout


def test_quiet_bundle_prints_only_the_folder(tmp_path: Path) -> None:
    done = tlsfloor("bundle", "-q", str(tmp_path))
    assert (done.stdout, done.stderr) == (f"{tmp_path}/tlsfloor/bootstrap\n", "")


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_completes_commands_and_options(shell: str, tmp_path: Path) -> None:
    parts.need("shtab")
    done = tlsfloor("completion", shell)
    assert (done.returncode, done.stderr) == (0, "")
    for name in cli.COMMANDS:
        assert name in done.stdout
    if shell == "bash" and shutil.which("bash"):
        ask = "COMP_WORDS=(tlsfloor verify --h); COMP_CWORD=2; _shtab_tlsfloor"
        script = f'{done.stdout}\n{ask}; echo "${{COMPREPLY[@]}}"\n'
        found = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
        assert found.stdout.split() == ["--help", "--hello"]


@pytest.fixture
def alone(tmp_path: Path) -> dict[str, str]:
    """Return an environment whose path has a copy of tlsfloor, and with -S no other package."""
    shutil.copytree(Path(IMPORT_PATH) / "tlsfloor", tmp_path / "alone" / "tlsfloor")
    return clean_environment(PYTHONPATH=str(tmp_path / "alone"))


def test_a_missing_package_is_named_with_the_extra_that_installs_it(alone: dict[str, str]) -> None:
    done = python("-S", "-m", "tlsfloor", "completion", "bash", env=alone)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: a part is missing: No module named 'shtab'\nhint: pip install 'tlsfloor[cli]'\n"
    )


def test_a_refused_ssl_is_an_error_with_the_hint_of_the_refusal() -> None:
    parts.need("rich", "tlslite", "urllib3")
    done = tlsfloor("check", "localhost:1", env=armed_environment("9"))
    assert (done.returncode, done.stdout) == (2, "")
    error, hint = done.stderr.splitlines()
    assert error == "error: TLSFLOOR: '9' is not a TLS version"
    assert hint == "hint: write 1.2 or 1.3"


def test_status_stacks_and_hellos_need_no_other_package(
    alone: dict[str, str], tmp_path: Path
) -> None:
    """As in a container that has a bundle and nothing else."""
    for words in (["status"], ["stacks", str(tmp_path)], ["verify", "--hello", "--role", "client"]):
        done = python("-S", "-m", "tlsfloor", *words, env=alone)
        assert (done.returncode in (0, 1), done.stderr) == (True, ""), done.stderr
        assert done.stdout


def test_run_passes_on_the_status_of_the_command() -> None:
    assert tlsfloor("run", "--", sys.executable, "-c", "raise SystemExit(7)").returncode == 7


@pytest.mark.parametrize(
    ("environment", "status", "floor", "says"),
    [
        (clean_environment(), 1, None, "no floor is armed"),
        (armed_environment(), 0, "1.2", ""),
        (armed_environment("1.3"), 0, "1.3", ""),
        (armed_environment("off"), 1, None, "TLSFLOOR=off"),
        (armed_environment("nonsense"), 1, None, "'nonsense' is not a TLS version"),
    ],
    ids=["unarmed", "default", "1.3", "off", "blocked"],
)
def test_status_shows_the_floor_as_text_and_as_json(
    environment: dict[str, str], status: int, floor: str | None, says: str
) -> None:
    done = tlsfloor("status", "--json", env=environment)
    facts = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (status, "")
    assert facts["schema"] == 2
    assert (facts["held"], facts["floor"]) == (status == 0, floor)
    assert [each["route"] for each in facts["armings"]] == ["PYTHONPATH"] * (status == 0)
    assert says in " ".join(facts["problems"])
    text = tlsfloor("status", env=environment)
    assert text.returncode == status
    first = f"floor        {floor}, held" if floor else "floor        none"
    assert text.stdout.splitlines()[0] == first
    assert says in text.stdout


def test_status_exits_with_1_if_the_floor_that_is_armed_is_not_held() -> None:
    lower = "import ssl; from tlsfloor import cli, floor; floor.held = 0x0302; "
    code = lower + "raise SystemExit(cli.main(['status']))"
    done = python("-c", code, env=armed_environment("1.2"))
    assert done.returncode == 1
    assert done.stdout.startswith("floor        1.1, armed, but NOT held\n")


def test_status_without_a_floor_says_how_to_set_one_and_nothing_about_children() -> None:
    lines = tlsfloor("status", env=clean_environment()).stdout.splitlines()
    assert lines[-1] == "problem      no floor is armed; hint: tlsfloor install --floor 1.2"
    assert not any(line.startswith("children") for line in lines)


def test_help_of_run_shows_how_to_write_the_command() -> None:
    usage = tlsfloor("run", "--help").stdout.splitlines()[0]
    assert usage.startswith("usage: tlsfloor run ")
    assert usage.endswith(" -- CMD [ARG ...]")


def test_help_lists_the_exit_statuses_of_the_page_of_commands() -> None:
    page = (TESTS.parent / "docs/reference/cli.md").read_text("utf-8")
    table = page.partition("## Exit statuses")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (\d[\d, ]*) \|", table, re.MULTILINE)
    listed = re.findall(r"^  (\d+) ", _manual.TLSFLOOR, re.MULTILINE)
    assert listed == [status for cell in cells for status in cell.split(", ")]


@pytest.mark.parametrize("executable", parts.old_pythons())
def test_status_answers_on_old_pythons_and_names_no_other_command(executable: str) -> None:
    status = ("-B", "-m", "tlsfloor", "status")
    for env, code, lines in (
        (armed_environment("1.2"), 0, ["floor        1.2, held", "stack        ssl: guarded"]),
        (
            armed_environment("9"),
            1,
            ["floor        none", "problem      tlsfloor: error: TLSFLOOR: '9'"],
        ),
        (OWN_PATH, 1, ["floor        none", "problem      no floor is armed"]),
    ):
        done = python(*status, executable=executable, env=env)
        assert (done.returncode, done.stderr) == (code, "")
        for line in lines:
            assert f"\n{line}" in f"\n{done.stdout}"
        done = python(*status, "--quiet", executable=executable, env=env)
        assert (done.returncode, done.stdout, done.stderr) == (code, "", "")
    for outcome, others in (("block", "refused, where"), ("warn", "NOT held, and imported")):
        env = armed_environment("1.2", TLSFLOOR_ON_ERROR=outcome)
        assert f"others: {others}" in python(*status, executable=executable, env=env).stdout
    done = python("-B", "-m", "tlsfloor", "verify", executable=executable, env=OWN_PATH)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: on Python ")


def test_a_command_records_no_events_and_counts_nothing(tmp_path: Path) -> None:
    """Otherwise ``report`` would count it as broken by a floor. In a program it is recorded."""
    file = tmp_path / "events.jsonl"
    env = armed_environment("1.3", TLSFLOOR_EVENTS=str(file))
    facts = json.loads(tlsfloor("status", "--json", env=env).stdout)
    assert facts["stacks"] == {"ssl": "guarded"}
    assert set(facts["counts"].values()) == {0}
    parts.need("tlslite")
    assert tlsfloor("verify", "--floor", "1.3", "--role", "client", env=env).returncode == 0
    parts.need("urllib3", "certifi")
    with handshakes.ServerPeer(FLOORS["1.2"]) as peer:
        where = f"localhost:{peer.port}"
        check = ["check", where, "--floor", "1.3", "--ca-certs", handshakes.CA_FILE]
        assert tlsfloor(*check, env=env).returncode == 1

    def kinds() -> set[str]:
        return {json.loads(line)["kind"] for line in file.read_text().splitlines()}

    assert kinds() == {"armed"}  # which is said as Python starts
    program = "import ssl, tlsfloor; ssl.create_default_context(); print(tlsfloor.status().counts)"
    assert "'raised': 1" in python("-c", program, env=env).stdout
    assert kinds() == {"armed", "raised"}


def test_a_closed_pipe_is_not_reported() -> None:
    """``tlsfloor status | head -c 1`` prints no traceback and no warning of Python."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "tlsfloor", "status"],
        env=clean_environment(),
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a full disk to try")
@pytest.mark.parametrize(
    "words",
    [
        *(["path"], ["status", "--json"], ["env"], ["stacks", "."], ["stacks", ".", "--json"]),
        *(["verify", ".", "--format", kind] for kind in ("json", "sarif", "junit", "cyclonedx")),
    ],
    ids=" ".join,
)
def test_a_full_disk_is_reported_and_is_no_answer(words: list[str], tmp_path: Path) -> None:
    """Status 1 would mean that something is flagged."""
    if "cyclonedx" in words:
        parts.need("cyclonedx")
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tlsfloor", *words],
            env=clean_environment(),
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "error: the result cannot be written: No space left on device",
        "hint: write it to another place",
    ]


@pytest.mark.skipif(os.name != "posix", reason="Windows removes no current folder")
def test_a_removed_current_folder_is_a_wrong_call(tmp_path: Path) -> None:
    """Status 1 would mean that something is flagged."""
    gone = shlex.quote(str(tmp_path / "gone"))
    done = subprocess.run(
        ["sh", "-c", f'mkdir {gone} && cd {gone} && rmdir {gone} && "$0" -m tlsfloor verify .']
        + [sys.executable],
        env={**clean_environment(), "PYTHONPATH": str(IMPORT_PATH)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: the current folder was removed\nhint: cd to a folder that exists\n"
    )


@pytest.mark.skipif(os.name != "posix", reason="sh closes a file")
def test_with_a_closed_stdout_the_exit_status_is_the_answer() -> None:
    done = subprocess.run(
        ["sh", "-c", '"$0" -m tlsfloor status >&-', sys.executable],
        env=clean_environment(),
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "")


#: A name that would forge a line and color a terminal.
HOSTILE = "x\nerror: forged\x1b[31m\r\x9b2J"
ESCAPED = r"x\nerror: forged\x1b[31m\r\x9b2J"


def is_in_one_line(done: subprocess.CompletedProcess[str]) -> bool:
    lines = f"{done.stdout}{done.stderr}".split("\n")
    return all(each.isprintable() for each in lines) and any(ESCAPED in each for each in lines)


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--", HOSTILE),
        ("stacks", HOSTILE),
        ("check", "--from", HOSTILE),
        ("verify", HOSTILE),
        ("report", HOSTILE),
        ("install", "--prefix", HOSTILE),
        ("serve", "--version", "1.2", "--cert", HOSTILE),
        ("status", HOSTILE),
    ],
    ids=" ".join,
)
def test_a_hostile_argument_cannot_end_its_line(words: tuple[str, ...]) -> None:
    assert is_in_one_line(tlsfloor(*words))


def test_a_hostile_folder_or_exemption_cannot_end_its_line(tmp_path: Path) -> None:
    folder = tmp_path / HOSTILE
    folder.mkdir()
    assert is_in_one_line(tlsfloor("stacks", str(folder)))
    file = folder / "exemptions.toml"
    file.write_text(
        '[[exemption]]\nhost = "old.example.com"\nminimum = "1.0"\nexpires = 2999-12-31\n'
        f"reason = {json.dumps(HOSTILE)}\n"
    )
    assert is_in_one_line(tlsfloor("status", env=armed_environment(TLSFLOOR_EXEMPTIONS=str(file))))
    # What is wrong with the file is said on stderr.
    file.write_text("[[exemption")
    env = armed_environment(TLSFLOOR_EXEMPTIONS=str(file))
    assert is_in_one_line(python("-c", "import ssl", env=env))


def test_a_hostile_server_cannot_end_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    parts.need("rich")
    from tlsfloor.cli import check
    from tlsfloor.endpoints.examination import Attempt, Endpoint, EndpointReport, Negotiation

    reports = [
        EndpointReport(Endpoint("localhost", 443), state="unreachable", reason=HOSTILE),
        EndpointReport(
            Endpoint("localhost", 444), negotiated=Negotiation("untrusted", reason=HOSTILE)
        ),
        EndpointReport(
            Endpoint("localhost", 445), negotiated=Negotiation("x", "TLSv1", HOSTILE, HOSTILE)
        ),
    ]
    reports[1].attempts.append(Attempt(TLS1_0, "rsa", "inconclusive", HOSTILE))
    check.show_reports(reports, TLS1_2)
    lines = capsys.readouterr().out.split("\n")
    assert all(each.isprintable() for each in lines)
    assert sum(each.count(ESCAPED) for each in lines) >= 4


def test_every_error_is_one_line() -> None:
    error = errors.PolicyError(f"problem of {HOSTILE}", hint=HOSTILE)
    assert str(error) == f"problem of {ESCAPED}; hint: {ESCAPED}"


def test_a_command_that_a_program_calls_changes_nothing_in_the_process() -> None:
    """Only in the command's own process may peers speak versions below the floor."""
    program = """
from tlsfloor import cli, floor
from tlsfloor.stacks import TABLE
before = dict(TABLE)
cli.main(["path"])
print(TABLE == before, floor.is_internal())
"""
    done = python("-c", program, env=clean_environment(PYTHONPATH=IMPORT_PATH))
    assert done.stdout.split()[-2:] == ["True", "False"], done.stderr

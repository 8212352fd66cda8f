"""Events and mode ``observe``: what is reported where, and that nothing else changes."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import outputs
from programs import (
    BOOTSTRAP,
    IMPORT_PATH,
    PROGRAMS,
    TESTS,
    armed_environment,
    clean_environment,
    python,
)
from parts import need, old_pythons
from tlsfloor import events as sinks
from tlsfloor.peers import handshakes
from tlsfloor.versions import TLS1_0, TLS1_2

if TYPE_CHECKING:
    from collections.abc import Iterator

START = str(PROGRAMS / "start.py")


@pytest.fixture(scope="module")
def ports() -> Iterator[list[str]]:
    """A peer of TLS 1.0, and one of 1.2."""
    with handshakes.ServerPeer(TLS1_0) as old, handshakes.ServerPeer(TLS1_2) as new:
        yield [str(old.port), str(new.port)]


def observed(file: Path, **more: str) -> dict[str, str]:
    return armed_environment(TLSFLOOR_MODE="observe", TLSFLOOR_EVENTS=str(file), **more)


def events(file: Path, *kinds: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in file.read_text().splitlines()]
    assert outputs.validate(file.read_text()) == "event"
    return [each for each in found if not kinds or each["kind"] in kinds]


def reached(ports: list[str], env: dict[str, str], executable: str = sys.executable) -> list[str]:
    done = python(START, *ports, env=env, executable=executable)
    assert done.returncode == 0, done.stderr
    told: list[str] = json.loads(done.stdout.splitlines()[1])
    return told


def test_observe_changes_nothing_and_reports_all(ports: list[str], tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    assert reached(ports, clean_environment()) == ["TLSv1", "TLSv1.2"]
    assert reached(ports, observed(file)) == ["TLSv1", "TLSv1.2"]
    [armed] = events(file, "armed")
    assert (armed["mode"], armed["floor"], armed["program"]) == ("observe", "1.2", START)
    clamped = events(file, "clamped")
    assert {each["asked"] for each in clamped} == {"TLS 1.0"}
    assert {each["where"].rpartition(":")[0] for each in clamped} == {START}
    handshakes = events(file, "handshake")
    assert [[each["version"], str(each["port"])] for each in handshakes] == [
        ["TLS 1.0", ports[0]],
        ["TLS 1.2", ports[1]],
    ]
    for each in handshakes:
        assert {name: each[name] for name in ("role", "peer", "stack", "mode", "floor")} == {
            "role": "client",
            "peer": "127.0.0.1",
            "stack": "ssl",
            "mode": "observe",
            "floor": "1.2",
        }
        assert each["suite"].startswith("AES")
        assert each["where"].startswith(START)


CONTEXTS = """
import json, ssl, sys, tlsfloor, warnings
warnings.simplefilter("ignore")
found = []
if len(sys.argv) > 1:
    tlsfloor.enforce("1.3", mode=sys.argv[1], on_event=found.append)
    print(json.dumps([each for each in found if each["kind"] == "armed"]))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
before = int(context.minimum_version)
context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
context.maximum_version = ssl.TLSVersion.TLSv1_1
fixed = ssl.SSLContext(ssl.PROTOCOL_TLSv1)
fixed.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())
print(before, int(context.minimum_version), int(context.maximum_version))
seen = [[each["kind"], each["asked"], each.get("bound")] for each in found if "asked" in each]
print(json.dumps(seen))
"""


def test_a_call_can_observe_what_it_would_raise_clamp_and_refuse() -> None:
    control = python(
        "-c", CONTEXTS, env=clean_environment(PYTHONPATH=IMPORT_PATH)
    ).stdout.splitlines()
    done = python("-c", CONTEXTS, "observe", env=clean_environment(PYTHONPATH=IMPORT_PATH))
    armed, now, told = done.stdout.splitlines()
    assert [now] == control[:1]
    assert json.loads(armed)[0]["mode"] == "observe"
    below = [["raised", "TLS 1.2", None]] if now.startswith(str(TLS1_2)) else []
    assert [each for each in json.loads(told) if each[0] != "raised"] == [
        ["clamped", "any version", "minimum"],
        ["clamped", "TLS 1.1", "maximum"],
        ["refused", "TLS 1.0", None],
    ]
    assert [each for each in json.loads(told) if each[0] == "raised"][: len(below)] == below


DIFFERENT = """
import json, ssl, tlsfloor
found = []
tlsfloor.enforce("1.3", mode="observe", on_event=found.append)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
for _ in range(1100):  # each in a line of its own
    exec("\\n" * _ + "context.minimum_version = 0x303")
context.maximum_version = 0x303
print(json.dumps(found[-2:]))
"""


def test_an_event_beyond_the_limit_still_says_what_was_asked() -> None:
    minimum, maximum = json.loads(python("-c", DIFFERENT).stdout)
    assert (minimum["bound"], minimum["asked"]) == ("minimum", "TLS 1.2")
    assert (maximum["bound"], maximum["asked"]) == ("maximum", "TLS 1.2")
    assert minimum["text"] == maximum["text"] == "one of more than 1024 different events"


def test_status_shows_that_nothing_is_held() -> None:
    env = armed_environment(TLSFLOOR_MODE="observe")
    done = python("-m", "tlsfloor", "status", "--json", env=env)
    found = json.loads(done.stdout)
    assert (done.returncode, found["held"], found["floor"], found["observed"]) == (
        1,
        False,
        None,
        "1.2",
    )
    assert found["problems"] == ["floor 1.2 is observed, and not held"]
    assert found["armings"][0]["mode"] == "observe"


HIGHER = """
import tlsfloor
first = tlsfloor.enforce("1.3", mode="observe")
second = tlsfloor.enforce("1.2")
third = tlsfloor.enforce("1.3")
print([[each.floor, each.observed, each.held] for each in (first, second, third)])
"""


def test_a_floor_may_be_held_and_a_higher_one_observed() -> None:
    done = python("-c", HIGHER, env=clean_environment(PYTHONPATH=IMPORT_PATH))
    assert done.stdout == "[[None, '1.3', False], ['1.2', '1.3', True], ['1.3', None, True]]\n"


def test_an_installed_floor_is_held_even_if_the_environment_observes(
    ports: list[str], tmp_path: Path
) -> None:
    prefix, file = tmp_path / "venv", tmp_path / "events.jsonl"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(prefix)], check=True)
    assert python("-m", "tlsfloor", "install", "--prefix", str(prefix)).returncode == 0
    env = clean_environment(TLSFLOOR="1.3", TLSFLOOR_MODE="observe", TLSFLOOR_EVENTS=str(file))
    refused, reached_now = reached(ports, env, str(prefix / "bin" / "python"))
    assert "PROTOCOL_VERSION" in refused
    assert reached_now == "TLSv1.2"
    assert [[each["floor"], each["mode"]] for each in events(file, "armed")] == [
        ["1.2", "enforce"],
        ["1.3", "observe"],
    ]
    [handshake] = events(file, "handshake")
    assert (handshake["version"], handshake["floor"], handshake["mode"]) == (
        "TLS 1.2",
        "1.3",
        "observe",
    )


@pytest.mark.parametrize("executable", old_pythons())
def test_a_legacy_python_reports_that_it_observes_nothing(
    executable: str, ports: list[str]
) -> None:
    env = armed_environment(TLSFLOOR_MODE="observe")
    done = python(START, *ports, env=env, executable=executable)
    assert json.loads(done.stdout.splitlines()[1]) == ["TLSv1", "TLSv1.2"]
    assert done.stderr == (
        "tlsfloor: error: mode observe needs Python 3.8, and nothing is observed here; "
        "hint: use Python 3.8 or newer, or TLSFLOOR_MODE=enforce; "
        "this process runs without the floor\n"
    )


@pytest.mark.parametrize("executable", [sys.executable, *old_pythons()[:1]])
def test_an_unknown_mode_refuses_tls(executable: str, ports: list[str]) -> None:
    env = armed_environment(TLSFLOOR_MODE="obsreve")
    told = reached(ports, env, executable)
    assert all("unknown mode in TLSFLOOR_MODE: 'obsreve'" in each for each in told)


def test_a_call_is_not_raised_to_what_the_environment_only_observes() -> None:
    program = "import tlsfloor; print(tlsfloor.enforce('1.2').floor)"
    for mode, floor in (("observe", "1.2"), ("enforce", "1.3")):
        env = clean_environment(PYTHONPATH=IMPORT_PATH, TLSFLOOR="1.3", TLSFLOOR_MODE=mode)
        assert python("-c", program, env=env).stdout == f"{floor}\n"


def test_status_shows_that_children_only_observe() -> None:
    program = "import tlsfloor; print(tlsfloor.status().children)"
    told = python("-c", program, env=armed_environment(TLSFLOOR_MODE="observe")).stdout
    assert told.startswith("floor 1.2 observed, and not held, if they keep the environment")


@pytest.mark.parametrize(
    ("words", "env", "held"),
    [
        (["--mode", "observe"], {}, False),
        ([], {"TLSFLOOR_MODE": "observe"}, False),
        (["--mode", "enforce"], {"TLSFLOOR_MODE": "observe"}, True),
        ([], {}, True),
    ],
)
def test_run_takes_a_mode(
    words: list[str], env: dict[str, str], held: bool, ports: list[str]
) -> None:
    command = ["-m", "tlsfloor", "run", *words, "--", sys.executable, START, *ports]
    done = python(*command, env=clean_environment(**env))
    assert (json.loads(done.stdout.splitlines()[1])[0] != "TLSv1") == held


def test_what_the_verifier_does_is_no_event(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    program = "import ssl, tlsfloor; assert tlsfloor.status().held"
    done = python("-c", program, env=armed_environment(TLSFLOOR_EVENTS=str(file)))
    assert done.returncode == 0, done.stderr
    assert [each["kind"] for each in events(file)] == ["armed"]


# --- what is written


def test_many_equal_events_are_few_lines_with_a_count(ports: list[str], tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    reached([ports[1]] * 100, observed(file))
    lines = events(file, "handshake")
    assert sum(each["count"] for each in lines) == 100
    assert len(lines) < 10
    assert lines[0]["count"] == 1


CROWD = """
import os, sys
from tlsfloor import events
events.file = sys.argv[1]
for number in range(200):
    events.note("handshake", suite="x" * 500, port=number)
"""


def test_lines_of_many_processes_do_not_mix(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    env = clean_environment(PYTHONPATH=IMPORT_PATH)
    running = [
        subprocess.Popen([sys.executable, "-c", CROWD, str(file)], env=env) for _ in range(8)
    ]
    assert [each.wait(60) for each in running] == [0] * 8
    lines = events(file)
    assert len(lines) == 8 * 200
    assert {each["pid"] for each in lines} == {each.pid for each in running}


BOUNDED = """
import sys
from tlsfloor import events
told = []
events.callbacks.append(told.append)
for number in range(5000):
    events.note("handshake", peer=f"10.0.{number // 256}.{number % 256}", version="TLS 1.0")
events.flush()
print(len(events._counts), sum(each["count"] for each in told), {each["version"] for each in told})
"""


def test_memory_is_bounded_and_no_count_is_lost() -> None:
    done = python("-c", BOUNDED, env=clean_environment(PYTHONPATH=IMPORT_PATH))
    assert done.stdout == "1025 5000 {'TLS 1.0'}\n", done.stderr


FORKS = """
import os, sys
from tlsfloor import events
events.file = sys.argv[1]
for _ in range(3):
    events.note("handshake", port=1)
if os.fork() == 0:
    events.note("handshake", port=1)
    sys.exit()
os.wait()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_child_does_not_deliver_what_its_parent_counted(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    python("-c", FORKS, str(file), env=clean_environment(PYTHONPATH=IMPORT_PATH))
    assert sum(each["count"] for each in events(file)) == 4
    assert len({each["pid"] for each in events(file)}) == 2


# --- sinks that fail

FAILING = """
import json, sys, ssl, tlsfloor
def fail(event):
    raise RuntimeError("mine")
tlsfloor.enforce("1.2", on_event=fail)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.minimum_version = 0x301
status = tlsfloor.status()
print(json.dumps([status.held, int(context.minimum_version), list(status.events.values())]))
"""


@pytest.mark.parametrize(
    ("file", "problem", "why"),
    [
        ("/nowhere/events", "FileNotFoundError", "No such file or directory"),
        ("/dev/full", "OSError", "No space left on device"),
        ("/", "IsADirectoryError", "Is a directory"),
    ],
)
def test_a_sink_that_fails_does_not_fail_the_program_and_is_named(
    file: str, problem: str, why: str
) -> None:
    env = clean_environment(PYTHONPATH=IMPORT_PATH, TLSFLOOR_EVENTS=file)
    done = python("-W", "ignore", "-c", FAILING, env=env)
    said = f"tlsfloor: error: events cannot be written to {file}: {why}; hint: "
    assert (done.returncode, done.stderr.count("\n")) == (0, 1)
    assert done.stderr.startswith(said)
    held, minimum, states = json.loads(done.stdout)
    assert (held, minimum) == (True, TLS1_2)
    assert any(each.startswith(problem) for each in states), states
    assert "RuntimeError: mine" in states


def test_stderr_may_be_closed(ports: list[str]) -> None:
    env = armed_environment(TLSFLOOR_MODE="observe", TLSFLOOR_EVENTS="-")
    command = f'"$0" {START} {" ".join(ports)} 2>&-'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable], env=env, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout.splitlines()[1]) == ["TLSv1", "TLSv1.2"]
    done = python(START, *ports, env=env)
    assert [json.loads(line)["kind"] for line in done.stderr.splitlines()][0] == "armed"


MANY = """
import json, sys
from tlsfloor import events
events.file = sys.argv[1]
for number in range(500):
    events.note("handshake", suite="x" * 500, port=number)
events.flush()
print(json.dumps(events.failures))
"""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("reader", [False, True], ids=["nobody", "one that does not read"])
def test_a_pipe_without_a_reader_does_not_block_the_program(reader: bool, tmp_path: Path) -> None:
    pipe = tmp_path / "events.jsonl"
    os.mkfifo(pipe)
    opened = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK) if reader else -1
    try:
        done = python("-c", MANY, str(pipe), env=clean_environment(PYTHONPATH=IMPORT_PATH))
        problem = "Resource temporarily unavailable" if reader else "No such device or address"
        assert problem in json.loads(done.stdout)[str(pipe)], done.stderr
        env = armed_environment(TLSFLOOR_EVENTS=str(pipe))
        said = python("-c", "import ssl", env=env).stderr
        assert said.startswith(
            f"tlsfloor: error: events cannot be written to {pipe}: {problem}; hint: "
        )
        assert said.count("\n") == 1
        if reader:  # what had a place in it arrived, each line whole
            lines = os.read(opened, 10**6).splitlines()
            assert len(lines) > 10
            assert json.loads(lines[0])["schema"] == 1
    finally:
        if reader:
            os.close(opened)


@pytest.mark.skipif(os.name != "posix", reason="only there a pipe can be asked")
@pytest.mark.parametrize("kind", ["pipe", "socket", "file"])
def test_a_stderr_without_a_reader_does_not_block_the_program(kind: str, tmp_path: Path) -> None:
    if kind == "pipe":
        reading, writing = map(os.fdopen, os.pipe(), "rw")
    elif kind == "socket":
        reading, writing = socket.socketpair()  # type: ignore[assignment] # as a service has it
    else:
        writing = (tmp_path / "stderr").open("w")
        reading = (tmp_path / "stderr").open()
    with reading, writing:
        done = subprocess.run(
            [sys.executable, "-c", MANY, "-"],
            env=clean_environment(PYTHONPATH=IMPORT_PATH),
            stdout=subprocess.PIPE,
            stderr=writing,
            timeout=60,
            check=True,
        )
        failed = json.loads(done.stdout)
        assert failed == {} if kind == "file" else "it is full" in failed["-"]
        if kind == "file":
            assert len(reading.read().splitlines()) == 500


@pytest.mark.skipif(os.name != "posix", reason="only there is this kind of terminal")
@pytest.mark.parametrize("many", [False, True])
def test_a_stopped_terminal_does_not_block_the_program(many: bool) -> None:
    master, slave = os.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", MANY if many else MANY.replace("range(500)", "range(3)"), "-"],
            env=clean_environment(PYTHONPATH=IMPORT_PATH),
            stdout=subprocess.PIPE,
            stderr=slave,
            timeout=60,
            check=True,
        )
        assert b'"port": 0' in os.read(master, 65536)
    finally:
        os.close(slave)
        os.close(master)
    assert ("Resource temporarily unavailable" in done.stdout.decode()) == many, done


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
@pytest.mark.parametrize("open_to", ["its owner", "everyone"])
@pytest.mark.parametrize("last", [True, False], ids=["the file", "a folder"])
@pytest.mark.parametrize("absolute", [True, False])
def test_a_link_in_a_folder_that_everyone_may_write_is_not_followed(
    open_to: str, last: bool, absolute: bool, tmp_path: Path
) -> None:
    target, folder = tmp_path / "target", tmp_path / "folder"
    target.mkdir()
    folder.mkdir()
    file = target / "precious"
    file.write_text("")
    link = folder / "link"
    leads_to = file if last else target
    link.symlink_to(leads_to if absolute else os.path.relpath(leads_to, folder))
    folder.chmod(0o1777 if open_to == "everyone" else 0o755)
    # Nor is it where a link of one's own leads there.
    own = tmp_path / "own"
    own.symlink_to(folder)
    for each in (folder, own):
        path = each / "link" if last else each / "link" / "precious"
        file.write_text("")
        env = clean_environment(PYTHONPATH=IMPORT_PATH, TLSFLOOR_EVENTS=str(path))
        done = python("-W", "ignore", "-c", FAILING, env=env)
        held, minimum, states = json.loads(done.stdout)
        assert (held, minimum) == (True, TLS1_2)
        refused = any("everyone may write is not followed" in state for state in states)
        assert ("everyone may write is not followed" in done.stderr) == refused
        assert refused == (open_to == "everyone"), states
        assert bool(file.read_text()) != refused


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
@pytest.mark.parametrize(
    ("mode", "owner", "follows"),
    [
        (0o755, "other", True),  # a service's own logs, say
        (0o1777, "ours", True),
        (0o1777, "other", False),  # /tmp/app, which anybody may have made
        (0o777, "ours", False),  # anybody may have put it in the place of ours
    ],
)
def test_a_link_in_a_folder_that_any_user_may_have_placed_is_not_followed(
    mode: int, owner: str, follows: bool, tmp_path: Path
) -> None:
    if owner == "other" and os.geteuid():
        pytest.skip("only root can give a folder to another user")
    file, above = tmp_path / "precious", tmp_path / "above"
    folder = above / "folder" / "below"
    file.write_text("")
    folder.mkdir(parents=True)
    (folder / "link").symlink_to(file)
    if owner == "other":
        os.chown(folder.parent, 65534, 65534)
    above.chmod(mode)
    done = python("-c", MANY, str(folder / "link"), env=clean_environment(PYTHONPATH=IMPORT_PATH))
    assert ("everyone may write is not followed" in done.stdout) != follows, done
    assert bool(file.read_text()) == follows


def test_dev_stdout_can_be_opened() -> None:
    some = MANY.replace("range(500)", "range(50)")  # which a pipe holds, however slow its reader is
    done = python("-c", some, "/dev/stdout", env=clean_environment(PYTHONPATH=IMPORT_PATH))
    *lines, failed = done.stdout.splitlines()
    assert (len(lines), failed) == (50, "{}"), done.stderr


PASSES = """
import os, sys
from tlsfloor import _safe_open
os.setuid(65534)
print(os.write(_safe_open.open_nonblocking(sys.argv[1], os.O_WRONLY | os.O_CREAT), b"x"))
"""


@pytest.mark.skipif(os.name != "posix" or os.geteuid(), reason="needs root")
@pytest.mark.parametrize("executable", {sys.executable, shutil.which("pypy3")} - {None})
def test_a_folder_without_read_permission_can_be_passed(executable: str) -> None:
    with tempfile.TemporaryDirectory() as home:  # a folder of pytest is nobody's to pass
        os.chmod(home, 0o711)
        folder = Path(home, "own")
        folder.mkdir()
        os.chown(folder, 65534, 65534)
        env = clean_environment(PYTHONPATH=IMPORT_PATH, PYTHONDONTWRITEBYTECODE="1")
        done = python("-c", PASSES, str(folder / "file"), env=env, executable=executable)
        assert done.stdout == "1\n", done.stderr


@pytest.mark.parametrize(
    ("path", "problem"), [("loop", "Too many levels"), (".", "Is a directory")]
)
def test_a_path_that_leads_to_no_file_is_an_error(path: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    done = python("-c", MANY, str(tmp_path / path), env=clean_environment(PYTHONPATH=IMPORT_PATH))
    assert problem in str(json.loads(done.stdout)), done.stderr


MOVES = """
import os, subprocess, sys
os.chdir(sys.argv[1])
import ssl
if len(sys.argv) > 2:
    subprocess.run([sys.executable, "-c", "import ssl"], check=True)
"""


@pytest.mark.parametrize(
    ("name", "child"), [("events.jsonl", 0), ("events.jsonl", 1), ("block", 0)]
)
def test_a_relative_path_starts_at_the_folder_of_the_start(
    name: str, child: int, tmp_path: Path
) -> None:
    start, other = tmp_path / "start", tmp_path / "other"
    start.mkdir()
    other.mkdir()
    words = ("child",) if child else ()
    env = armed_environment(TLSFLOOR_EVENTS=name)
    done = python("-c", MOVES, str(other), *words, env=env, cwd=start)
    assert (done.returncode, done.stderr, list(other.iterdir())) == (0, "", [])
    assert len(events(start / name, "armed")) == 1 + child


def test_a_relative_path_in_a_deleted_folder_is_an_error(tmp_path: Path) -> None:
    program = "import os, sys\nos.rmdir(os.getcwd())\nos.execv(sys.executable, sys.argv[1:])"
    gone = tmp_path / "gone"
    gone.mkdir()
    words = (sys.executable, "-c", "import ssl")
    env = armed_environment(TLSFLOOR_EVENTS="events.jsonl")
    done = python("-S", "-c", program, *words, env=env, cwd=gone)
    assert "TLSFLOOR_EVENTS=events.jsonl is relative, and the current folder is gone" in done.stderr


TORN = """
import os, resource, sys
from tlsfloor import events
events.file = sys.argv[1]
events.note("handshake", port=1)
before = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(sys.argv[1]) + 20, before[1]))
events.note("handshake", port=2)
resource.setrlimit(resource.RLIMIT_FSIZE, before)
events.note("handshake", port=3)
print(events.failures)
"""


@pytest.mark.skipif(os.name != "posix", reason="limits are those of POSIX")
def test_a_torn_line_does_not_damage_the_next(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    done = python("-c", TORN, str(file), env=clean_environment(PYTHONPATH=IMPORT_PATH))
    assert "only a part of a line could be written" in done.stdout, done.stderr
    first, torn, third = file.read_text().splitlines()
    assert [json.loads(each)["port"] for each in (first, third)] == [1, 3]
    with pytest.raises(ValueError, match="char"):
        json.loads(torn)


# --- logging

LOGGING = """
import logging, sys, ssl, tlsfloor, warnings
warnings.simplefilter("ignore")
tlsfloor.enforce("1.2")
kept = []
class Keep(logging.Handler):
    def emit(self, record):
        kept.append(record)
        tlsfloor.status()  # whatever a handler does
if len(sys.argv) > 1:
    logging.getLogger("tlsfloor").addHandler(Keep())
    logging.getLogger("tlsfloor").setLevel(sys.argv[1])
for _ in range(5):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = 0x301
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLSv1).wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())
    except ssl.SSLError:
        pass
print([[each.levelname, each.tlsfloor["kind"], each.tlsfloor["count"]] for each in kept])
"""


@pytest.mark.parametrize(
    ("level", "told"),
    [
        ("INFO", [["INFO", "clamped", 1], ["WARNING", "refused", 1]]),
        ("WARNING", [["WARNING", "refused", 1], ["WARNING", "refused", 1]]),
        ("ERROR", []),
    ],
)
def test_a_logger_gets_each_event_once_and_a_count_later(level: str, told: list[Any]) -> None:
    done = python("-c", LOGGING, level, env=clean_environment(PYTHONPATH=IMPORT_PATH))
    assert (done.returncode, done.stderr) == (0, "")
    # Some Pythons have a default below the floor: that is raised before anybody asks.
    found = [each for each in eval(done.stdout) if each[1] != "raised"]
    assert found[:2] == told
    if told:
        assert (
            sum(count for _, kind, count in found if kind == "refused") == 4
        )  # the fifth comes last


DEFAULTS = """
import logging, ssl, sys
level = sys.argv[1]
logging.basicConfig(format="%(levelname)s %(message)s", level=level)
import tlsfloor
tlsfloor.enforce("1.3")
for _ in range(3):
    ssl.create_default_context()
ssl.create_default_context()
context = ssl.create_default_context()
context.minimum_version = ssl.TLSVersion.TLSv1_2  # as urllib3 and others do
context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
context.maximum_version = ssl.TLSVersion.TLSv1_2  # which is not usual
"""


def test_defaults_that_are_raised_are_logged_once_for_debugging() -> None:
    """A default of Python at any line; a minimum of TLS 1.2, as libraries set it."""
    armed, asked, maximum = python("-c", DEFAULTS, "INFO").stderr.splitlines()
    assert armed.startswith("INFO armed: floor 1.3, mode enforce")
    start = "INFO clamped: mode enforce, floor 1.3, stack ssl, bound"
    assert asked.startswith(f"{start} minimum, asked any version")
    assert maximum.startswith(f"{start} maximum, asked TLS 1.2")
    lines = python("-c", DEFAULTS, "DEBUG").stderr.splitlines()
    raised = [each for each in lines if "raised" in each]
    assert re.fullmatch(
        r"DEBUG raised: mode enforce, floor 1.3, stack ssl, asked (TLS 1.2|any version) \(1\)",
        raised[0],
    )
    # And then how often, as of each sort.
    assert sum(int(each.rpartition("(")[2][:-1]) for each in raised) == 5
    assert len({each.rpartition(" (")[0] for each in raised}) == 1
    assert any(each.startswith("DEBUG clamped: ") and "asked TLS 1.2" in each for each in lines)


WATCHED = """
import logging, ssl, socket, sys
logging.basicConfig(format="%(levelname)s %(message)s")
context = ssl.create_default_context(cafile=sys.argv[1])
context.minimum_version = ssl.TLSVersion.TLSv1
context.set_ciphers("ALL:@SECLEVEL=0")
for port in sys.argv[2:]:
    with socket.create_connection(("localhost", int(port))) as plain:
        context.wrap_socket(plain, server_hostname="localhost").close()
"""


def test_mode_observe_warns_of_handshakes_below_the_floor(ports: list[str]) -> None:
    """With the usual level of logging only these are logged; the others are for debugging."""
    args = ("-W", "ignore", "-c", WATCHED, handshakes.CA_FILE, *ports)
    assert python(*args, env=clean_environment()).stderr == ""
    done = python(*args, env=armed_environment(TLSFLOOR_MODE="observe"))
    [line] = done.stderr.splitlines()
    assert line.startswith("WARNING handshake: mode observe, floor 1.2, stack ssl, version TLS 1.0")


HOSTILE = """
import json, logging, ssl, socket, sys, warnings
warnings.simplefilter("ignore")
logging.basicConfig(format="%(levelname)s %(message)s")
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.minimum_version = ssl.TLSVersion.TLSv1
context.set_ciphers("ALL:@SECLEVEL=0")
with socket.create_connection(("localhost", int(sys.argv[1]))) as plain:
    try:
        context.wrap_socket(plain, server_hostname="x\\nWARNING forged\\x1b[31m").close()
        print("connected")
    except OSError as error:
        print(json.dumps([str(error), *getattr(error, "__notes__", ())]))
"""


# The verifier's peer wants names of hosts; OpenSSL takes any.
TAKES_ANY_NAME = """
import socket, ssl, sys, warnings
warnings.simplefilter("ignore")
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
context.set_ciphers("ALL:@SECLEVEL=0")
with socket.create_server(("localhost", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    try:
        context.wrap_socket(listener.accept()[0], server_side=True).close()
    except OSError:
        pass
"""


@pytest.mark.parametrize("mode", ["off", "observe", "enforce"])
def test_the_name_of_a_server_cannot_forge_a_line(mode: str, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    env = clean_environment()
    if mode != "off":
        env = armed_environment(TLSFLOOR_MODE=mode, TLSFLOOR_EVENTS=str(file))
    command = [sys.executable, "-c", TAKES_ANY_NAME, handshakes.PEER_FILE]
    with subprocess.Popen(
        command, env=clean_environment(), stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        done = python("-c", HOSTILE, server.stdout.readline().strip(), env=env)
    if mode == "off":
        assert (done.stdout, done.stderr) == ("connected\n", "")  # the control
        return
    kind = "handshake" if mode == "observe" else "failed"
    [line] = done.stderr.splitlines()
    assert line.startswith(f"WARNING {kind}: ")
    assert r"x\nWARNING forged\x1b[31m" in line
    if mode == "enforce":
        said = json.loads(done.stdout)
        assert all(each.isprintable() for each in said)
        assert any(r"x\nWARNING forged\x1b[31m" in each for each in said)
    # As data it is what it was.
    assert {each["server_name"] for each in events(file, kind)} == {"x\nWARNING forged\x1b[31m"}


def test_the_page_names_each_kind_and_its_level() -> None:
    page = (TESTS.parent / "docs" / "reference" / "events.md").read_text()
    told = dict(re.findall(r"^\| `(\w+)` \| ([A-Z]+)\b", page, re.MULTILINE))
    known = dict.fromkeys(told, "WARNING")
    known.update({kind: logging.getLevelName(level) for kind, level in sinks._LEVELS.items()})
    assert told == known


def test_logging_without_a_handler_prints_nothing() -> None:
    done = python("-c", LOGGING, env=clean_environment(PYTHONPATH=IMPORT_PATH))
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


#: A program that compares the handlers of its logging, as CPython's own tests do after each file.
COMPARES_HANDLERS = """
import logging, ssl
before = [ref() for ref in logging._handlerList]
context = ssl.create_default_context()
context.minimum_version = ssl.TLSVersion.TLSv1
try:
    ssl.SSLContext(3).wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())
except ssl.SSLError as error:
    print(error.reason)
print([ref() for ref in logging._handlerList] == before, logging.getLogger("tlsfloor").handlers)
"""


def test_no_handler_of_logging_is_added() -> None:
    environment = clean_environment(PYTHONPATH=BOOTSTRAP, PYTHONWARNINGS="ignore")
    done = python("-c", COMPARES_HANDLERS, env=environment)
    assert (done.stdout, done.stderr) == ("UNSUPPORTED_PROTOCOL\nTrue []\n", "")


#: A program that logs over TLS, and is the server of it as well. Its lock is held meanwhile.
LOGGING_OVER_TLS = """
import logging, logging.handlers, ssl, sys, threading
from http.server import BaseHTTPRequestHandler, HTTPServer
received = []
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        received.append(self.path)
        self.send_response(204)
        self.end_headers()
    def log_message(self, *args):
        pass
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2])
server = HTTPServer(("localhost", 0), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = ssl.create_default_context(cafile=sys.argv[1])
root = logging.getLogger()
root.setLevel(logging.DEBUG)
handler = logging.handlers.HTTPHandler(
    f"localhost:{server.server_port}", "/", secure=True, context=client
)
root.addHandler(handler)
for number in range(3):
    logging.error("from the program")
print(sum("from+the+program" in each for each in received))
root.removeHandler(handler)
kept = []
class Keep(logging.Handler):
    def emit(self, record):
        kept.append(record)
root.addHandler(Keep())
if "tlsfloor" in sys.modules:
    sys.modules["tlsfloor.events"].flush()
print(sorted({each.tlsfloor["role"] for each in kept if each.tlsfloor["kind"] == "handshake"}))
"""


@pytest.mark.parametrize("floor", ["off", "1.2"])
def test_a_handler_that_logs_over_tls_does_not_deadlock(floor: str) -> None:
    """Its connection is reported when it is idle again, and it causes no events itself."""
    env = clean_environment(PYTHONPATH=BOOTSTRAP, TLSFLOOR=floor)
    done = python("-c", LOGGING_OVER_TLS, handshakes.CA_FILE, handshakes.PEER_FILE, env=env)
    told = "[]" if floor == "off" else "['client', 'server']"
    assert (done.returncode, done.stdout.split("\n")) == (0, ["3", told, ""]), done.stderr


# --- asyncio, and a server

ASYNCIO = """
import asyncio, ssl, sys
async def main():
    context = ssl.create_default_context(cafile=sys.argv[2])
    reader, writer = await asyncio.open_connection("localhost", int(sys.argv[1]), ssl=context)
    writer.write(b"GET / HTTP/1.0\\r\\n\\r\\n")
    await reader.read(1)
    writer.close()
asyncio.run(main())
"""


def test_events_of_an_event_loop_have_address_and_name(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    with handshakes.ServerPeer(TLS1_2, "ecdhe") as peer:
        python("-c", ASYNCIO, str(peer.port), handshakes.CA_FILE, env=observed(file))
    [told] = events(file, "handshake")
    assert (told["server_name"], told["port"], told["role"]) == ("localhost", peer.port, "client")
    assert told["peer"] in ("127.0.0.1", "::1")


def test_events_of_a_server_have_its_own_port(tmp_path: Path) -> None:
    need("gunicorn")
    file = tmp_path / "events.jsonl"
    program = """
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    context.wrap_socket(listener.accept()[0], server_side=True)
"""
    command = [sys.executable, "-c", program, handshakes.PEER_FILE]
    with subprocess.Popen(command, env=observed(file), stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        handshakes.call("127.0.0.1", port, TLS1_2, "ecdhe")
    [told] = events(file, "handshake")
    assert (told["role"], told["port"], told["peer"]) == ("server", port, "127.0.0.1")


SWITCHING = """
import gevent, ssl, tlsfloor, warnings
warnings.simplefilter("ignore")
asked = []
def on_event(event):
    if event["kind"] == "clamped":  # before Python 3.10, the default is raised, too
        asked.append(event["asked"])
    gevent.sleep(0.01)
tlsfloor.enforce("1.2", on_event=on_event)
def lower(version):
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).minimum_version = version
versions = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
gevent.joinall([gevent.spawn(lower, version) for version in versions], raise_error=True)
print(sorted(asked))
"""


def test_a_callback_that_switches_greenlets_gets_the_events_of_all() -> None:
    need("gevent")
    done = python("-c", SWITCHING, env=clean_environment(PYTHONPATH=IMPORT_PATH))
    assert (done.stdout, done.stderr) == ("['TLS 1.0', 'TLS 1.1']\n", "")

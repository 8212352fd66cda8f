"""``tlsfloor verify TARGET``: verdicts compared with plain handshakes, misbehaving targets."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from programs import BOOTSTRAP, PROGRAMS, clean_environment, interrupt, python
from parts import need, old_pythons
from tlsfloor import versions
from tlsfloor.peers import handshakes, hello_peers
from tlsfloor.verifier import child, cases, examine, find, judge, launch
from tlsfloor.versions import FLOORS, SSL3, TLS1_2, TLS1_3

need("tlslite", "rich")

from tlslite.tlsconnection import TLSConnection

PLANNED = [case for case in cases.plan_cases(TLS1_2) if case.library == "ssl"]

#: A client's default context, and nothing else: what is enough to see how a launch ends.
SHORT = [case for case in PLANNED if (case.role, case.setup) == ("client", "default")]

posix = pytest.mark.skipif(os.name != "posix", reason="processes are those of POSIX")

CONFIGURATION = """
openssl_conf = init
[init]
ssl_conf = modules
[modules]
system_default = defaults
[defaults]
"""
PERMISSIVE = "MinProtocol = TLSv1\nCipherString = ALL:@SECLEVEL=0\n"
STRICT = "MinProtocol = TLSv1.2\n"

# What a program reaches with a default context, and with all that it can ask for: the plainest way
# to the truth, with no code of the verifier but its peers. Python 2.7 runs it too.
TRUTH = """
import json, socket, ssl, sys

def contexts(role, ca, identity):
    purpose = ssl.Purpose.CLIENT_AUTH if role == "server" else ssl.Purpose.SERVER_AUTH
    plain = ssl.create_default_context(purpose, cafile=ca)
    yield "default", plain
    asked = ssl.create_default_context(purpose, cafile=ca)
    for name in ("OP_NO_TLSv1", "OP_NO_TLSv1_1"):
        asked.options &= ~getattr(ssl, name)
    if hasattr(asked, "minimum_version"):
        asked.minimum_version = ssl.TLSVersion.TLSv1
    asked.set_ciphers("ALL:@SECLEVEL=0")
    yield "asked", asked

ca, identity, ports = json.loads(sys.argv[1])
reached = []
for role, port in ports:
    for way, context in contexts(role, ca, identity):
        if role == "server":
            context.load_cert_chain(identity)
        plain = socket.create_connection(("127.0.0.1", port), 10)
        try:
            if role == "server":
                tls = context.wrap_socket(plain, server_side=True)
                tls.recv(100)
                tls.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n")
            else:
                tls = context.wrap_socket(plain, server_hostname="localhost")
                tls.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
                tls.recv(100)
            reached.append([way, tls.version()])
            tls.close()
        except (ssl.SSLError, socket.error, ValueError):
            pass
        finally:
            plain.close()
print(json.dumps(reached))
"""


def observe(executable: str, env: dict[str, str], *flags: str) -> set[str]:
    """Return how a program gets a version below 1.2: by default, or if it asks for one."""
    started = [
        kind(FLOORS[name], key_exchange).__enter__()
        for kind in (handshakes.ServerPeer, handshakes.ClientPeer)
        for name in ("1.0", "1.1")
        for key_exchange in handshakes.KEY_EXCHANGES
    ]
    try:
        ports = [
            ["client" if isinstance(each, handshakes.ServerPeer) else "server", each.port]
            for each in started
        ]
        job = json.dumps([handshakes.CA_FILE, handshakes.PEER_FILE, ports])
        done = python(*flags, "-c", TRUTH, job, env=env, executable=executable)
        assert done.returncode == 0, done.stderr
        return {way for way, version in json.loads(done.stdout) if version in ("TLSv1", "TLSv1.1")}
    finally:
        for each in started:
            each.__exit__(None, None, None)


def truth(executable: str, env: dict[str, str]) -> str:
    """Return the verdict that follows from plain handshakes, by the definition of each verdict."""
    deployed = observe(executable, env)
    if deployed:
        return "leaks" if "default" in deployed else "lowerable"
    alone = {
        name: value
        for name, value in env.items()
        if not name.startswith(("OPENSSL_", "PYTHON", "TLS"))
    }
    return "enforced" if observe(executable, alone, "-E", "-S") else "immune"


def of_this_machine() -> list[str]:
    places = [path for path in ("/usr/bin/python3", "/usr/bin/pypy3") if os.path.exists(path)]
    versions = os.path.join(os.environ.get("PYENV_ROOT", ""), "versions")
    if os.path.isabs(versions) and os.path.isdir(versions):
        places += [
            each.path
            for each in find.find_interpreters([versions]).interpreters
            if not each.problem
        ]
    return [path for path in places if os.path.realpath(path) != os.path.realpath(sys.executable)]


def steer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: str, **more: str
) -> dict[str, str]:
    """Change the environment of this process, which programs get, and return it."""
    env = clean_environment(**more)
    env.pop("OPENSSL_CONF", None)
    if settings:
        (tmp_path / "openssl.cnf").write_text(CONFIGURATION + settings)
        env["OPENSSL_CONF"] = str(tmp_path / "openssl.cnf")
    for name in os.environ.keys() - env.keys():
        monkeypatch.delenv(name)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return env


ENVIRONMENTS = {
    "as it is": ("", {}),
    "permissive": (PERMISSIVE, {}),
    "strict": (STRICT, {}),
    "armed": ("", {"PYTHONPATH": BOOTSTRAP}),
    "permissive and armed": (PERMISSIVE, {"PYTHONPATH": BOOTSTRAP}),
}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_verdict_is_what_plain_handshakes_show(
    environment: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings, more = ENVIRONMENTS[environment]
    env = steer(monkeypatch, tmp_path, settings, **more)
    found = examine.examine_interpreter(find.Interpreter(sys.executable), PLANNED, TLS1_2, 60)
    assert found.verdict.name == truth(sys.executable, env), found.verdict.reasons
    if "armed" in environment:
        assert found.verdict.name in ("enforced", "immune")
    elif environment == "permissive":
        # Upstream's own minimum holds against it since 3.10, until a program asks (facts 1 and 2).
        assert found.verdict.name in ("leaks", "lowerable")


HELLOS = [case for case in cases.plan_cases(TLS1_2, hello=True) if case.library == "ssl"]


@pytest.mark.parametrize(
    ("path", "environment"),
    [(sys.executable, each) for each in ("as it is", "permissive", "permissive and armed")]
    + [(path, "permissive") for path in of_this_machine()],
)
def test_hellos_never_call_refused_what_a_handshake_completes(
    path: str, environment: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings, more = ENVIRONMENTS[environment]
    steer(monkeypatch, tmp_path, settings, **more)
    full = examine.examine_interpreter(find.Interpreter(path), PLANNED, TLS1_2, 60)
    quick = examine.examine_interpreter(find.Interpreter(path), HELLOS, TLS1_2, 60)
    for by_handshakes, by_hellos in zip(full.launches, quick.launches):
        quick_results = {(each.case.program, each.case.version): each for each in by_hellos.results}
        for each in by_handshakes.results:
            said = quick_results[each.case.program, each.case.version]
            assert said.outcome == "accepted" or each.outcome != "accepted", (said, each)
    # Hellos may flag what OpenSSL refuses later. They are not inconclusive.
    assert quick.verdict.name != "inconclusive", quick.verdict.reasons
    if "armed" in environment:
        assert quick.verdict.name == "enforced"


def test_hellos_need_no_tlslite(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    env = steer(monkeypatch, tmp_path, "", PYTHONPATH=BOOTSTRAP)
    (tmp_path / "tlslite.py").write_text("raise ImportError('not here')")
    env["PYTHONPATH"] += os.pathsep + str(tmp_path)
    command = ["-m", "tlsfloor", "verify", "--hello", "--json"]
    done = python(*command, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["evidence"] == "hello"
    assert python(*command[:-2], env=env).returncode == 2


@pytest.mark.parametrize("key_exchange", handshakes.KEY_EXCHANGES)
def test_the_peer_could_speak_ssl_3(key_exchange: str) -> None:
    with handshakes.ServerPeer(SSL3, key_exchange) as server:
        seen = handshakes.call("127.0.0.1", server.port, SSL3, key_exchange)
    assert (seen.version, server.seen[0].version) == (SSL3, SSL3)


@pytest.mark.parametrize("key_exchange", handshakes.KEY_EXCHANGES)
def test_a_current_client_can_complete_ssl_3(key_exchange: str) -> None:
    """It offers an extended master secret, which SSL 3.0 does not have (RFC 7627 section 4).

    The peer failed on it, and a client that takes SSL 3.0 was said to refuse it.
    """
    need("awscrt")
    case = {"id": "it", "role": "client", "library": "awscrt", "setup": "lowered"}
    job = {"ca": handshakes.CA_FILE, "timeout": 10}
    with handshakes.ServerPeer(SSL3, key_exchange) as peer:
        case["port"] = str(peer.port)
        program = (
            "import json, sys\n"
            "from tlsfloor.verifier import launch\n"
            "probe = {'__name__': 'probe'}\n"
            "exec(launch.PROBE, probe)\n"
            "case, job = map(json.loads, sys.argv[1:])\n"
            "print(probe['attempt']({**case, 'port': int(case['port'])}, job)['version'])\n"
        )
        done = python("-c", program, json.dumps(case), json.dumps(job))
    assert (done.stdout, [each.version for each in peer.seen]) == ("SSLv3\n", [SSL3]), done


@pytest.mark.parametrize("version", cases.VERSIONS)
def test_the_peers_for_hellos_see_what_the_other_side_does(version: int) -> None:
    """The other side is tlslite-ng, which speaks one version and refuses every other."""
    for spoken in cases.VERSIONS:
        with hello_peers.HelloServerPeer(version) as server:
            handshakes.call("127.0.0.1", server.port, spoken)
            server.settle()
        [seen] = server.seen
        assert bool(seen.version) == (spoken == version), (versions.name(spoken), seen)
        with hello_peers.HelloClientPeer(version) as client:
            with socket.create_connection(("127.0.0.1", client.port), 10) as connection:
                tls = TLSConnection(connection)
                with contextlib.suppress(Exception):  # the hello is all that comes
                    chain, key = handshakes.identity(handshakes.PEER_FILE)
                    tls.handshakeServer(
                        certChain=chain, privateKey=key, settings=handshakes.settings(spoken, "rsa")
                    )
            client.settle()
        [seen] = client.seen
        assert bool(seen.version) == (spoken == version), (versions.name(spoken), seen)


def test_tls_1_3_without_an_offer_is_not_a_control() -> None:
    """OpenSSL refuses it with an alert about the extension, which names no version."""
    seen = []
    for capped in (False, True):
        context = ssl.create_default_context(cafile=handshakes.CA_FILE)
        if capped:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        with hello_peers.HelloServerPeer(TLS1_3) as server:
            with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
                with pytest.raises(ssl.SSLError):
                    context.wrap_socket(connection, server_hostname="localhost")
            server.settle()
        seen += server.seen
    assert [each.version for each in seen] == [TLS1_3, None]
    assert seen[1].error == "refused: it does not offer TLS 1.3"


def test_the_launch_waits_for_a_slow_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probe has ended before the peer has read the answer, and the answer still counts."""

    def run(*args: Any, **more: Any) -> tuple[str, str]:
        try:
            return run_it(*args, **more)
        finally:
            gone.set()

    def slow(*arguments: object) -> object:
        assert gone.wait(30)
        return understand(*arguments)

    gone = threading.Event()
    run_it, understand = child.run_program, hello_peers.first_message
    monkeypatch.setattr(launch, "run_program", run)
    monkeypatch.setattr(hello_peers, "first_message", slow)
    planned = [each for each in HELLOS if (each.role, each.setup) == ("client", "default")]
    found = launch.Launcher(sys.executable, planned, TLS1_2, 30).isolated()
    assert {each.outcome for each in found.results} <= {"accepted", "refused"}, found.results


@pytest.mark.parametrize("environment", ["as it is", "permissive"])
@pytest.mark.parametrize("path", of_this_machine())
def test_the_verdict_on_other_interpreters_is_what_plain_handshakes_show(
    path: str, environment: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    env = steer(monkeypatch, tmp_path, ENVIRONMENTS[environment][0])
    found = examine.examine_interpreter(find.Interpreter(path), PLANNED, TLS1_2, 60)
    assert found.verdict.name == truth(path, env), found.verdict.reasons


# Misbehaviour. The environment's sitecustomize runs in front of the probe, as an agent would.


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("environments") / "app"
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=60
    )
    return folder


def misbehave(venv: Path, program: str) -> str:
    """Let the Python of an environment run a program when it starts; return its path."""
    [packages] = venv.glob("lib/python*/site-packages")
    (packages / "sitecustomize.py").write_text(program)
    return str(venv / "bin" / "python")


def printing(facts: str) -> str:
    """Return a program that prints this between the markers and ends with status 0."""
    return (
        f"import os; os.write(1, b'<tlsfloor-facts>' + {facts} + b'</tlsfloor-facts>'); os._exit(0)"
    )


MISBEHAVIOUR = {
    "hangs": ("import time; time.sleep(600)", "no answer within 3 s"),
    "hangs and heeds no signal": (
        "import signal, time\nfor each in (1, 2, 15): signal.signal(each, 1)\ntime.sleep(600)",
        "no answer within 3 s",
    ),
    "crashes": ("import os; os.abort()", "ended by SIGABRT: "),
    "exits at once": ("import os; os._exit(7)", "ended with status 7: no message"),
    "exits at once, content": ("import os; os._exit(0)", "the probe printed no facts"),
    "prints without end": (
        "import os\nwhile True: os.write(1, b'x' * 65536)",
        "printed more than 16 MiB",
    ),
    "complains without end": (
        "import os\nwhile True: os.write(2, b'x' * 65536)",
        "printed more than 16 MiB",
    ),
    "closes stdout": ("import os; os.close(1); os.close(2)", "ended with status "),
    "closes stdout and hangs": (
        "import os, time; os.close(1); os.close(2); time.sleep(600)",
        "no answer within 3 s",
    ),
    "prints garbage between the markers": (
        printing(r"b'\xff\0garbage'"),
        "the probe printed no facts",
    ),
    "prints JSON without end": (
        printing("b'[' * 10**6"),
        "the probe printed no facts",
    ),
    "prints other JSON": (
        printing("""b'{"facts": {}, "cases": [{"error": 2}]}'"""),
        "the probe printed no facts",
    ),
    "names a file that cannot exist": (
        printing(r"""b'{"facts": {"standard_library": "/a\\u0000"}, "cases": []}'"""),
        "the probe printed no facts",
    ),
    "prints what JSON does not have": (
        printing("""b'{"facts": {"version": NaN, "openssl": 1e999}, "cases": []}'"""),
        "the probe printed no facts",
    ),
    "raises a SystemExit": ("import sys; sys.exit('no')", "ended with status 1: "),
}


@posix
@pytest.mark.parametrize("kind", MISBEHAVIOUR)
def test_a_target_that_misbehaves_has_a_failure_within_the_timeout(kind: str, venv: Path) -> None:
    program, failure = MISBEHAVIOUR[kind]
    start = time.monotonic()
    found = launch.Launcher(misbehave(venv, program), SHORT, TLS1_2, 3).as_started()
    assert found.failure.startswith(failure), found.failure
    assert time.monotonic() - start < 60  # not the minutes that it would take
    assert len(found.failure) < 1000
    assert "refused" not in {each.outcome for each in found.results}


@posix
def test_a_leak_before_a_target_failed_is_reported(venv: Path) -> None:
    """The peers saw it, although the probe never printed its answer."""
    program = (
        "import atexit, ssl, time\n"
        "made = ssl.create_default_context\n"
        "def permissive(*args, **kwargs):\n"
        "    context = made(*args, **kwargs)\n"
        "    context.minimum_version = ssl.TLSVersion.TLSv1\n"
        "    context.set_ciphers('ALL:@SECLEVEL=0')\n"
        "    return context\n"
        "ssl.create_default_context = permissive\n"
        "atexit.register(time.sleep, 600)\n"
    )
    found = launch.Launcher(misbehave(venv, program), SHORT, TLS1_2, 10).as_started()
    assert found.failure == "no answer within 10 s"
    assert {each.case.version for each in found.below(TLS1_2, "accepted")} == {0x0301, 0x0302}
    assert {each.outcome for each in found.results} == {"accepted", "inconclusive"}


@posix
def test_output_before_and_after_the_facts_is_ignored(venv: Path) -> None:
    path = misbehave(
        venv,
        "import atexit, sys\n"
        "print('<tlsfloor-facts>noise')\n"
        "atexit.register(print, 'noise</tlsfloor-facts>')\n"
        "sys.stderr.write('noise' * 100000)\n",
    )
    found = launch.Launcher(path, SHORT, TLS1_2, 30).as_started()
    assert (found.failure, {each.outcome for each in found.results} <= {"accepted", "refused"}) == (
        "",
        True,
    )


def is_running(pid: int) -> bool:
    try:
        # A zombie that is not reaped yet is not running.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
@pytest.mark.parametrize(
    "leave", ["", "os.setsid()", "os.setsid(); os.close(0); os.close(1); os.close(2)"]
)
@pytest.mark.parametrize(
    "then", ["", "os._exit(0)", "time.sleep(600)"], ids=["goes on", "exits", "hangs"]
)
def test_children_of_a_target_are_not_left_running(
    leave: str, then: str, venv: Path, tmp_path: Path
) -> None:
    program = (
        "import os, time\n"
        f"pid = {str(tmp_path / 'pid')!r}\n"
        "if not os.fork():\n"
        f"    {leave or 'pass'}\n"
        "    with open(pid + '.new', 'w') as file: file.write(str(os.getpid()))\n"
        "    os.rename(pid + '.new', pid)\n"
        "    time.sleep(600)\n"
        "while not os.path.exists(pid): time.sleep(0.01)\n"
        f"{then}\n"
    )
    start = time.monotonic()
    found = launch.Launcher(misbehave(venv, program), SHORT, TLS1_2, 5 if then else 30).as_started()
    assert time.monotonic() - start < 60
    assert bool(found.failure) == bool(then), found.failure
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 5
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_running(pid)


@posix
def test_the_output_that_is_kept_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "LIMIT", 2**20)
    command = [sys.executable, "-c", "import os; os.write(1, b'x' * (2**20 + 1))"]
    assert child.run_program(command, 30) == (
        "",
        "printed more than 1 MiB",
    )
    command[-1] = "import os\nfor _ in range(16): os.write(1, b'x' * 2**16)"
    assert child.run_program(command, 30) == ("x" * 2**20, "")


def test_a_program_that_cannot_be_started_has_a_reason(tmp_path: Path) -> None:
    for path in (str(tmp_path / "gone"), str(tmp_path), "null\0byte"):
        output, failure = child.run_program([path], 5)
        assert (output, failure.startswith("not started: ")) == ("", True)


def test_a_misbehaving_environment_is_inconclusive_and_never_sound(venv: Path) -> None:
    interpreter = find.Interpreter(misbehave(venv, "import os; os._exit(0)"))
    found = examine.examine_interpreter(interpreter, SHORT, TLS1_2, 30)
    assert (found.verdict.name, found.verdict.reasons[0]) == (
        "inconclusive",
        "the probe printed no facts",
    )


def test_an_ssl_without_security_levels_is_tried_without_them(venv: Path) -> None:
    """AWS-LC and OpenSSL 1.0.2 refuse ``@SECLEVEL``, and get a text without it."""
    path = misbehave(venv, (PROGRAMS / "without_levels.py").read_text())
    every = examine.examine_interpreter(find.Interpreter(path), PLANNED, TLS1_2, 60, armed=True)
    _, deployed, armed = every.launches
    assert [each.facts["all_ciphers"] for each in every.launches] == [
        "ALL:@SECLEVEL=0",
        "ALL",
        "ALL",
    ]
    for each in deployed, armed:
        assert {found.outcome for found in each.results} <= {"accepted", "refused", "absent"}
        allowed = [found for found in each.results if found.case.version == TLS1_2]
        assert {found.outcome for found in allowed} == {"accepted"}
    assert every.other_verdicts["with floor 1.2"].name == "enforced"


MAPPED = """
import mmap, os
path = os.path.join({folder!r}, b"libssl-caf\\xe9.so.9")
with open(path, "wb+") as file:
    file.write(b"x" * 4096)
    file.flush()
    mapped = mmap.mmap(file.fileno(), 0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what is mapped")
def test_a_mapped_file_may_have_any_name(venv: Path, tmp_path: Path) -> None:
    path = misbehave(venv, MAPPED.format(folder=os.fsencode(tmp_path)))
    found = launch.Launcher(path, SHORT, TLS1_2, 30).as_started()
    assert found.failure == ""
    assert str(tmp_path / os.fsdecode(b"libssl-caf\xe9.so.9")) in found.facts["loaded_libraries"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names of files are text")
@pytest.mark.parametrize("executable", [sys.executable, *old_pythons()])
def test_a_path_may_be_in_any_encoding(executable: str, tmp_path: Path) -> None:
    """Python 2 knows its own path as bytes."""
    path = tmp_path / os.fsdecode(b"caf\xe9") / "python"
    path.parent.mkdir()
    path.symlink_to(os.path.realpath(executable))
    for name in ("isolated", "as_started"):
        found = getattr(launch.Launcher(str(path), SHORT, TLS1_2, 60), name)()
        assert (found.failure, found.facts["executable"]) == ("", str(path))
        assert {each.outcome for each in found.results} <= {"accepted", "refused"}


@pytest.mark.parametrize("executable", [sys.executable, *old_pythons()])
@pytest.mark.parametrize("first", ["", "os.getcwd()"])
def test_the_probe_takes_nothing_from_the_current_folder(
    first: str, executable: str, tmp_path: Path
) -> None:
    """The current folder is an empty entry of the path, or an absolute one on PyPy 7.3.5."""
    (tmp_path / "socket.py").write_text("raise SystemExit('socket.py of the current folder')")
    (tmp_path / "json.py").write_text("raise SystemExit('json.py of the current folder')")
    program = f"import os, sys; sys.path[0] = {first}; exec(sys.stdin.read())" if first else None
    job = {"ca": handshakes.CA_FILE, "identity": "", "timeout": 1, "cases": []}
    command = [executable, *(["-c", program] if program else ["-"])]
    done = subprocess.run(
        command,
        input=launch.probe_for(job).decode("ascii"),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=clean_environment(),
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "<tlsfloor-facts>" in done.stdout


def test_a_command_is_short_enough_for_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """CreateProcess takes 32,767 characters. The cases alone have more."""
    commands = []

    def run(command: list[str], *_: object, **__: object) -> tuple[str, str]:
        commands.append(command)
        return "", "not started"

    monkeypatch.setattr(launch, "run_program", run)
    launch.Launcher(sys.executable, cases.plan_cases(TLS1_2), TLS1_2, 60).as_started()
    assert [len(" ".join(command)) < 1000 for command in commands] == [True]


def test_an_interpreter_that_loads_a_library_from_outside_of_its_image_is_inconclusive(
    tmp_path: Path,
) -> None:
    """It runs with the OpenSSL of this machine, and not with the one in the image."""
    found = examine.examine_interpreter(
        find.Interpreter(sys.executable, image=str(tmp_path)), SHORT, TLS1_2, 60
    )
    if not found.launches[0].facts.get("loaded_libraries"):
        pytest.skip("this system does not tell which libraries are loaded")
    assert found.verdict.name == "inconclusive"
    assert "not its image's: verify it there" in found.verdict.reasons[0]


# The command.


def tlsfloor(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return python("-m", "tlsfloor", "verify", *words, env=env)


def test_a_folder_is_searched_and_judged(venv: Path, tmp_path: Path) -> None:
    misbehave(venv, "")
    shim = tmp_path / "python3"
    shim.write_text("#!/bin/sh\n")
    shim.chmod(0o755)
    done = tlsfloor(str(venv), str(tmp_path), "--role", "client", "--format", "json")
    report = json.loads(done.stdout)
    [each] = report["interpreters"]
    assert (each["path"], each["venv"]) == (str(venv / "bin" / "python"), str(venv))
    assert [launch["name"] for launch in each["launches"]] == ["isolated", "as started"]
    assert {case["role"] for launch in each["launches"] for case in launch["cases"]} == {"client"}
    assert report["skipped"] == {str(shim): "a script, not an interpreter: #!/bin/sh"}
    assert report["problems"] == [f"no interpreter found below {tmp_path}"]
    assert (
        done.returncode
        == report["exit_status"]
        == (3 if not each["flagged"] else judge.EXIT_STATUSES[each["verdict"]])
    )
    assert done.stderr == ""


def test_this_interpreter_is_also_tried_with_the_floor() -> None:
    done = tlsfloor("--json", "--role", "server", "--jobs", "1")
    [each] = json.loads(done.stdout)["interpreters"]
    assert each["path"] == sys.executable
    assert each["other_verdicts"]["with floor 1.2"]["verdict"] in ("enforced", "immune")
    assert done.returncode == judge.EXIT_STATUSES[each["verdict"]]


def test_an_armed_environment_has_exit_status_0(venv: Path) -> None:
    misbehave(venv, "")
    env = clean_environment(PYTHONPATH=os.pathsep.join([BOOTSTRAP, *filter(None, sys.path)]))
    done = tlsfloor(str(venv), "--role", "client", env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "as started: ENFORCED, " in done.stdout or "as started: IMMUNE, " in done.stdout


def test_the_exit_status_is_not_0_if_nothing_was_found(tmp_path: Path) -> None:
    done = tlsfloor(str(tmp_path))
    first, made = done.stdout.splitlines()
    assert (done.returncode, first) == (3, f"no interpreter found below {tmp_path}")
    assert made.startswith("made ")


def test_several_interpreters_have_a_line_each(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "python").write_bytes(b"\x7fELF" + bytes(100))
    done = tlsfloor(*(str(tmp_path / name / "python") for name in ("one", "two")))
    lines = done.stdout.splitlines()
    for name in ("one", "two"):
        [line] = [line for line in lines if line.startswith(f"{tmp_path / name / 'python'} ")]
        assert " INCONCLUSIVE " in line
    assert done.returncode == 3


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["/no/such/target"], "error: there is no /no/such/target\nhint: "),
        ([""], "error: a target is empty\nhint: "),  # not the current folder
        (["--floor", "1.4"], "error: --floor: "),
        (["--timeout", "0"], "error: --timeout 0 cannot be waited for"),
        (["--timeout", "nan"], "error: --timeout nan cannot be waited for"),
        (["--jobs", "0"], "error: --jobs 0 is less than 1"),
        (["--role", "peer"], "error: argument --role: "),
        (["--format", "xml"], "error: argument --format: "),
        (
            ["--output", "/no/such/folder/file"],
            "error: /no/such/folder/file cannot be written\nhint: ",
        ),
    ],
)
def test_wrong_options_end_with_status_2_before_anything_is_started(
    words: list[str], complaint: str
) -> None:
    done = tlsfloor(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(complaint)


def ends(*names: str) -> list[int]:
    """Return the numbers of signals. Windows does not have all of them."""
    return [getattr(signal, name) for name in names if hasattr(signal, name)]


@posix
@pytest.mark.parametrize("number", ends("SIGINT", "SIGTERM", "SIGHUP"))
def test_an_interrupted_run_leaves_nothing_running(number: int, venv: Path, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    path = misbehave(
        venv, f"import os, time\nopen({str(pid)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)\n"
    )
    status, errors = interrupt(["verify", path], number, pid)
    assert status == 128 + number
    assert "Traceback" not in errors
    assert not is_running(int(pid.read_text())) or sys.platform != "linux"


def test_output_goes_only_to_the_file(tmp_path: Path) -> None:
    target = tmp_path / "python"
    target.write_text("no program")
    done = tlsfloor(str(target), "--format", "sarif", "--output", str(tmp_path / "report.sarif"))
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "")
    report: Any = json.loads((tmp_path / "report.sarif").read_text())
    assert report["runs"][0]["results"][0]["ruleId"] == "tlsfloor/inconclusive"
    assert oct((tmp_path / "report.sarif").stat().st_mode & 0o777) == oct(0o666 & ~_umask())


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def test_floor_1_3_flags_tls_1_2(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    steer(monkeypatch, tmp_path, "")
    planned = [case for case in cases.plan_cases(TLS1_3, ("client",)) if case.library == "ssl"]
    found = examine.examine_interpreter(find.Interpreter(sys.executable), planned, TLS1_3, 60)
    assert found.verdict.name == "leaks"


def test_an_interpreter_that_could_not_be_tried_has_no_table(venv: Path) -> None:
    """The table would have only question marks; the line of the verdict has the reason."""
    words = ("--hello", "--role", "client", str(venv))
    misbehave(venv, "")
    before = tlsfloor(*words)
    misbehave(venv, "import os; os._exit(7)")
    after = tlsfloor(*words)
    assert before.stdout.startswith("accepts TLS")
    assert (after.returncode, "accepts TLS" in after.stdout) == (3, False)
    assert "as started: INCONCLUSIVE, " in after.stdout
    assert after.stdout.count("as started: INCONCLUSIVE") == 1


# Several interpreters, each in a process of its own.


def left_by(pid: Path) -> Path:
    return pid.with_suffix(".left")


@pytest.fixture
def two_slow(tmp_path: Path) -> tuple[Path, list[Path]]:
    """A folder with two environments that hang, and the files to which they write their ids."""
    pids = []
    for name in ("one", "two"):
        top = tmp_path / "environments" / name
        command = [sys.executable, "-m", "venv", "--without-pip", str(top)]
        subprocess.run(command, check=True, timeout=60)
        pids.append(tmp_path / f"{name}.pid")
        # The number of the worker is that of the parent.
        program = "open({!r}, 'w').write(f'{{os.getpid()}} {{os.getppid()}}')"
        # Its child leaves the group of the program.
        left, own = (program.format(str(each)) for each in (left_by(pids[-1]), pids[-1]))
        text = (
            f"import os, time\nif not os.fork():\n    os.setsid()\n    {left}\nelse:\n    {own}\n"
        )
        misbehave(top, f"{text}time.sleep(600)\n")
    return tmp_path / "environments", pids


def ids_in(files: list[Path]) -> list[list[int]]:
    """Return the ids of the programs and of their parents, as soon as all have started."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = [file.read_text().split() if file.exists() else [] for file in files]
        if all(len(each) == 2 for each in found):
            return [[int(each) for each in ids] for ids in found]
        time.sleep(0.05)
    pytest.fail("the interpreters were not started")


@posix
@pytest.mark.skipif(sys.platform != "linux", reason="is_running() needs /proc")
@pytest.mark.parametrize("number", ends("SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"))
def test_a_run_with_several_processes_leaves_nothing_running(
    number: int, two_slow: tuple[Path, list[Path]]
) -> None:
    """Killed, it cannot stop its workers: they notice that their input has ended."""
    folder, pids = two_slow
    command = [sys.executable, "-m", "tlsfloor", "verify", "--hello", "--each", "--jobs", "2"]
    with subprocess.Popen(
        [*command, str(folder)], env=clean_environment(), stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            ids = ids_in(pids)
            left = [each for each, _ in ids_in(list(map(left_by, pids)))]
            process.send_signal(number)
            _, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
    assert "Traceback" not in errors
    workers = {parent for _, parent in ids}
    assert len(workers) == 2
    assert process.pid not in workers
    deadline = time.monotonic() + 30
    everything = [*left, *(each for pair in ids for each in pair)]
    while any(map(is_running, everything)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_running, everything))


@posix
@pytest.mark.skipif(sys.platform != "linux", reason="is_running() needs /proc")
def test_a_killed_worker_makes_its_interpreter_inconclusive(
    two_slow: tuple[Path, list[Path]],
) -> None:
    """And no other: the run goes on, and ends what the worker had started."""
    folder, pids = two_slow
    command = ["--hello", "--each", "--jobs", "2", "--timeout", "3", "--json"]
    with subprocess.Popen(
        [sys.executable, "-m", "tlsfloor", "verify", *command, str(folder)],
        env=clean_environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            (killed, worker), _ = ids_in(pids)
            os.kill(worker, signal.SIGKILL)
            output, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    one, two = json.loads(output)["interpreters"]
    assert process.returncode == 3
    assert one["reasons"] == ["the verifier failed: its process ended by SIGKILL"]
    assert two["reasons"] == ["no answer within 3 s"]
    assert not is_running(killed)

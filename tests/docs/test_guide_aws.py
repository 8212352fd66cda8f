"""``docs/how-to/aws.md``: its commands and files, and every AWS program at every floor.

They run on a Python that is at fault, Debian 12's own, in a ``test-env`` as the page makes it. That
one borrows the packages of this environment, which are for the same version of Python, so that they
are not installed twice.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import sysconfig
from pathlib import Path
from typing import Iterator

import parts
import pytest

from peers import aws_reply
from guides import DOCS, block, blocks, commands
from programs import BOOTSTRAP, TESTS, TIME_LIMIT, clean_environment, python

from tlsfloor.peers import handshakes
from tlsfloor.versions import FLOORS

pytestmark = pytest.mark.needs("awscli", "pcluster", "boto3", since=(3, 10))

PAGE = "how-to/aws.md"
DEBIAN = "/usr/bin/python3"

#: The port of the page's servers; here each has one of its own.
PORT = "4433"

LISTENS = re.compile(r"^(?:ACCEPT|listening on) \S*:(\d+)", re.MULTILINE)

#: Words of a refusal, of the client or of the server, as AWS's guides promise it.
REFUSAL = re.compile("UNSUPPORTED_PROTOCOL|alert protocol version")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the page's terminals, with a certificate and ``test-env`` in it."""
    parts.need_program("openssl")
    parts.need_program(DEBIAN)
    folder = tmp_path_factory.mktemp("aws")
    packages, scripts = (sysconfig.get_path(each) for each in ("purelib", "scripts"))
    subprocess.run([DEBIAN, "-m", "venv", "--without-pip", str(folder / "test-env")], check=True)
    executable = folder / "test-env" / "bin" / "python"
    told = "import sysconfig; print(sysconfig.get_path('purelib'), sysconfig.get_python_version())"
    site, version = python("-c", told, executable=str(executable)).stdout.split()
    if version != sysconfig.get_python_version():
        pytest.skip(f"{DEBIAN} is Python {version}, and cannot borrow packages of another one")
    Path(site, "borrowed.pth").write_text(f"import site; site.addsitedir({packages!r})\n")
    for name in ("aws", "pcluster", "tlsfloor"):
        _interpreter, rest = Path(scripts, name).read_text().split("\n", 1)
        executable.with_name(name).write_text(f"#!{executable}\n{rest}")
        executable.with_name(name).chmod(0o755)
    for command, _ in commands(block(PAGE, "certificate")):
        done = bash(folder, command)
        assert done.returncode == 0, done.stdout
    return folder


def environment(place: Path, **more: str) -> dict[str, str]:
    """Return what a fresh terminal has, with ``test-env`` active, and nothing of AWS."""
    clean = {name: value for name, value in clean_environment().items() if name[:4] != "AWS_"}
    path = f"{place}/test-env/bin{os.pathsep}{os.environ['PATH']}"
    return {**clean, "HOME": str(place), "PATH": path, "LANG": "C.UTF-8", **more}


def bash(
    place: Path, script: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", script],
        cwd=place,
        env=env or environment(place),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIME_LIMIT,
        check=False,
    )


class Server:
    """A server in another terminal: its port, and all that it has said."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.said = ""
        while not (found := LISTENS.search(self.said)):
            line = process.stdout.readline()
            assert line, f"it did not start: {self.said}"
            self.said += line
        self.port = found.group(1)

    def stop(self) -> None:
        self._process.terminate()
        self.said += self._process.communicate(timeout=TIME_LIMIT)[0]


@contextlib.contextmanager
def serving(place: Path, name: str, *more: str) -> Iterator[Server]:
    """Start the page's server of that name, with more options if there are any."""
    [(command, _)] = commands(block(PAGE, f"server: {name}"))
    with subprocess.Popen(
        ["env", *shlex.split(command.replace(PORT, "0")), *more],
        cwd=place,
        env=environment(place, PYTHONUNBUFFERED="1"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield Server(process)
        finally:
            process.kill()


def follow(place: Path, port: str, name: str) -> None:
    """Type the commands of a block in one terminal; see that each prints what the page says."""
    for each in blocks(PAGE):
        if each.name.startswith("file: "):
            (place / each.name[len("file: ") :]).write_text(each.text.replace(PORT, port))
    typed = ""
    for command, printed in commands(block(PAGE, "environment")) + commands(block(PAGE, name)):
        if command.startswith("export "):
            typed += command.replace(PORT, port) + "\n"
            continue
        done = bash(place, typed + command)
        assert as_printed(printed.replace(PORT, port), done.stdout), f"$ {command}\n{done.stdout}"


def as_printed(page: str, text: str) -> re.Match[str] | None:
    """Tell whether a text is what the page prints, where ``[…]`` stands for anything."""
    return re.fullmatch(".*?".join(map(re.escape, page.split("[…]"))), text, re.DOTALL)


def connections(said: str) -> list[str]:
    """Return what ``tlsfloor serve`` said of each connection."""
    return [line for line in said.splitlines(keepends=True) if ": offered " in line]


def aws(place: Path, endpoint: str, ca: str = "cert.pem", **more: str) -> dict[str, str]:
    """Return the environment of the page, for another endpoint."""
    set_by_page = " ".join(each for each, _ in commands(block(PAGE, "environment")))
    page = dict(each.split("=") for each in set_by_page.split() if each != "export")
    page.update(AWS_ENDPOINT_URL=endpoint, AWS_CA_BUNDLE=str(place / ca))
    return environment(place, **page, **more)


#: A client that leaves the version to OpenSSL, as botocore does; it asks with GET for ``s_server``.
PLAIN = """
import ssl, sys, urllib.request
context = ssl.create_default_context(cafile="cert.pem")
print(urllib.request.urlopen(f"https://localhost:{sys.argv[1]}/", context=context).read().decode())
"""


def plain(place: Path, port: str) -> str:
    return bash(place, f"python -c {shlex.quote(PLAIN)} {port}").stdout


def test_the_check_as_printed_calls_this_python_safe(place: Path) -> None:
    """Whoever asks: clients that other tests find at TLS 1.1 get an SSL error too."""
    with serving(place, "as printed") as server:
        follow(place, server.port, "as printed")
        done = bash(place, "python sdk.py", aws(place, f"https://localhost:{server.port}"))
        assert "urlopen error [SSL: " in plain(place, server.port)
    assert "botocore.exceptions.SSLError: SSL validation failed" in done.stdout


def test_s_server_must_also_choose_static_rsa(place: Path) -> None:
    """With ECDHE it is refused for its signature, which says nothing about versions."""
    with serving(place, "as printed", "-cipher", "DEFAULT:@SECLEVEL=0") as server:
        assert "legacy sigalg" in plain(place, server.port)
    ciphers = "AES128-SHA:@SECLEVEL=0"
    assert f"`-cipher {ciphers}`" in (DOCS / PAGE).read_text("utf-8")
    with serving(place, "as printed", "-cipher", ciphers) as server:
        assert "Protocol  : TLSv1.1" in plain(place, server.port)


def test_the_mended_check(place: Path) -> None:
    """Without a floor all speak TLS 1.1, with it none, and the server says the same."""
    with serving(place, "mended") as server:
        follow(place, server.port, "without a floor")
        follow(place, server.port, "with the floor")
        follow(place, server.port, "by a call")
        follow(place, server.port, "installed")
        server.stop()
    seen = connections(server.said)
    assert len(seen) == 9, seen
    for each in seen[:3]:
        assert as_printed(block(PAGE, "what the server sees without a floor"), each), each
    for each in seen[3:]:
        assert as_printed(block(PAGE, "what the server sees with the floor"), each), each


def test_floor_1_3(place: Path) -> None:
    with serving(place, "1.2") as server:
        follow(place, server.port, "at floor 1.3")
    with serving(place, "1.2", "--version", "1.3") as server:
        follow(place, server.port, "a server of 1.3 at floor 1.3")


#: What answers as AWS does, by version, with a key exchange that a default client accepts.
ENDPOINTS = {"1.1": "rsa", "1.2": "ecdhe", "1.3": "ecdhe"}

#: Below a floor, and at it; without one, what a floor refuses.
TRIED = {"": ("1.1", "1.2"), "1.2": ("1.1", "1.2"), "1.3": ("1.2", "1.3")}

SDK = f"python {TESTS}/programs/aws_sdk.py"

#: A program, and what it says of an endpoint that it reached.
PROGRAMS = {
    "aws s3api list-buckets": '"Name": "floors"',
    "pcluster list-clusters --region us-east-1": '"clusterName": "floors"',
    SDK: "boto3 s3: floors\nboto3 dynamodb: floors\nbotocore sts: 123456789012\n",
}


@pytest.fixture(scope="module")
def endpoints() -> Iterator[dict[str, handshakes.ServerPeer]]:
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(handshakes.ServerPeer(FLOORS[name], kind, reply=aws_reply))
            for name, kind in ENDPOINTS.items()
        }


@pytest.mark.parametrize("floor", TRIED, ids=lambda floor: floor or "no floor")
@pytest.mark.parametrize("program", PROGRAMS, ids=["aws", "pcluster", "sdk"])
def test_programs(
    place: Path, endpoints: dict[str, handshakes.ServerPeer], program: str, floor: str
) -> None:
    armed = {"PYTHONPATH": BOOTSTRAP, "TLSFLOOR": floor} if floor else {}
    assert_held(place, endpoints, program, program, floor, armed)


def test_a_call(place: Path, endpoints: dict[str, handshakes.ServerPeer]) -> None:
    assert_held(place, endpoints, SDK, f"{SDK} 1.3", "1.3", {})


def assert_held(
    place: Path,
    endpoints: dict[str, handshakes.ServerPeer],
    program: str,
    command: str,
    floor: str,
    env: dict[str, str],
) -> None:
    """Assert that it gets real answers from what is at the floor or above, and none from below."""
    for name in TRIED[floor]:
        endpoint = endpoints[name]
        before = len(endpoint.seen)
        url = f"https://localhost:{endpoint.port}"
        done = bash(place, command, aws(place, url, handshakes.CA_FILE, **env))
        negotiated = {seen.version for seen in endpoint.seen[before:]}
        if not floor or FLOORS[name] >= FLOORS[floor]:
            assert PROGRAMS[program] in done.stdout, done.stdout
            assert (done.returncode, negotiated) == (0, {FLOORS[name]})
        else:
            assert len(REFUSAL.findall(done.stdout)) == PROGRAMS[program].count(": "), done.stdout
            assert done.returncode != 0
            assert negotiated == {None}

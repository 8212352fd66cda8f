"""``docs/how-to/aws.md``: the page, followed; and every AWS program at every floor.

All of it runs on Debian 12's own Python, which allows TLS 1.1. The page makes its own environment.
The other tests run in an environment that borrows the packages of this one, to save minutes.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sysconfig
from pathlib import Path
from typing import Iterator

import guides
import parts
import pytest
from follow import follow
from peers import aws_reply
from programs import BOOTSTRAP, TESTS, TIME_LIMIT, clean_environment, python

from tlsfloor.peers import handshakes
from tlsfloor.versions import FLOORS

pytestmark = pytest.mark.needs("awscli", "pcluster", "boto3", since=(3, 10))

PAGE = "how-to/aws.md"
DEBIAN = "/usr/bin/python3"

#: A refusal, as the client or the server reports it.
REFUSAL = re.compile("UNSUPPORTED_PROTOCOL|alert protocol version")


@pytest.fixture(autouse=True, scope="module")
def _programs() -> None:
    parts.need_program("openssl")
    parts.need_program(DEBIAN)
    minimum = "import ssl; print(int(ssl.create_default_context().minimum_version))"
    if int(python("-c", minimum, executable=DEBIAN).stdout) >= FLOORS["1.2"]:
        pytest.skip(f"{DEBIAN} sets a minimum of its own")


@pytest.mark.timeout(900)
def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    follow(PAGE, tmp_path, ports=["4433"])


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` folder of an environment of Debian's Python, with the AWS programs."""
    folder = tmp_path_factory.mktemp("debian")
    packages, scripts = (sysconfig.get_path(name) for name in ("purelib", "scripts"))
    subprocess.run([DEBIAN, "-m", "venv", "--without-pip", str(folder)], check=True)
    interpreter = folder / "bin" / "python"
    ask = "import sysconfig; print(sysconfig.get_path('purelib'), sysconfig.get_python_version())"
    site, version = python("-c", ask, executable=str(interpreter)).stdout.split()
    if version != sysconfig.get_python_version():
        pytest.skip(f"{DEBIAN} is Python {version}, and cannot borrow packages of another one")
    Path(site, "borrowed.pth").write_text(f"import site; site.addsitedir({packages!r})\n")
    for name in ("aws", "pcluster"):
        _shebang, script = Path(scripts, name).read_text().split("\n", 1)
        interpreter.with_name(name).write_text(f"#!{interpreter}\n{script}")
        interpreter.with_name(name).chmod(0o755)
    return folder / "bin"


def run(debian: Path, command: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the environment, without AWS settings of this machine."""
    clean = {name: value for name, value in clean_environment().items() if name[:4] != "AWS_"}
    path = f"{debian}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", command],
        env={**clean, "HOME": str(debian), "PATH": path, "LANG": "C.UTF-8", **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIME_LIMIT,
        check=False,
    )


#: A client that leaves the minimum to OpenSSL, as botocore does; ``s_server`` answers its GET.
DEFAULT_CLIENT = """
import ssl, sys, urllib.request
context = ssl.create_default_context(cafile=sys.argv[2])
print(urllib.request.urlopen(f"https://localhost:{sys.argv[1]}/", context=context).read().decode())
"""


@pytest.mark.parametrize(
    ("ciphers", "outcome"),
    [
        ("", "urlopen error [SSL: "),
        ("DEFAULT:@SECLEVEL=0", "legacy sigalg"),
        ("AES128-SHA:@SECLEVEL=0", "Protocol  : TLSv1.1"),
    ],
    ids=["as AWS prints it", "ECDHE", "static RSA"],
)
def test_s_server_can_speak_tls_1_1_only_with_static_rsa(ciphers: str, outcome: str) -> None:
    assert not ciphers or f"`-cipher {ciphers}`" in (guides.DOCS / PAGE).read_text("utf-8")
    command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-www", "-no_tls1_3", "-no_tls1_2"]
    command += ["-key", handshakes.PEER_FILE, "-cert", handshakes.PEER_FILE]
    command += ["-cipher", ciphers] if ciphers else []
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            lines = iter(server.stdout.readline, "")
            port = next(line.split(":")[-1].strip() for line in lines if line.startswith("ACCEPT"))
            done = python("-c", DEFAULT_CLIENT, port, handshakes.CA_FILE, executable=DEBIAN)
        finally:
            server.kill()
    assert outcome in done.stdout + done.stderr


#: The version of an endpoint -> a key exchange that a default client accepts at that version.
ENDPOINTS = {"1.1": "rsa", "1.2": "ecdhe", "1.3": "ecdhe"}

#: A floor -> the version below it, and the version at it. Without a floor, TLS 1.1 is reached.
TRIED = {"": ("1.1", "1.2"), "1.2": ("1.1", "1.2"), "1.3": ("1.2", "1.3")}

SDK = f"python {TESTS}/programs/aws_sdk.py"

#: A program -> what it prints of an endpoint that it reached.
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
def test_a_program_reaches_no_endpoint_below_the_floor(
    debian: Path, endpoints: dict[str, handshakes.ServerPeer], program: str, floor: str
) -> None:
    armed = {"PYTHONPATH": BOOTSTRAP, "TLSFLOOR": floor} if floor else {}
    assert_held(debian, endpoints, program, program, floor, armed)


def test_a_program_that_sets_the_floor_reaches_no_endpoint_below_it(
    debian: Path, endpoints: dict[str, handshakes.ServerPeer]
) -> None:
    path = str(Path(BOOTSTRAP).parents[1])
    assert_held(debian, endpoints, SDK, f"{SDK} 1.3", "1.3", {"PYTHONPATH": path})


def assert_held(
    debian: Path,
    endpoints: dict[str, handshakes.ServerPeer],
    program: str,
    command: str,
    floor: str,
    env: dict[str, str],
) -> None:
    """Assert that it gets real answers at the floor and above, and none below."""
    for name in TRIED[floor]:
        endpoint = endpoints[name]
        before = len(endpoint.seen)
        settings = {
            "AWS_ENDPOINT_URL": f"https://localhost:{endpoint.port}",
            "AWS_CA_BUNDLE": handshakes.CA_FILE,
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
        }
        done = run(debian, command, **settings, **env)
        negotiated = {seen.version for seen in endpoint.seen[before:]}
        if not floor or FLOORS[name] >= FLOORS[floor]:
            assert PROGRAMS[program] in done.stdout, done.stdout
            assert (done.returncode, negotiated) == (0, {FLOORS[name]})
        else:
            assert len(REFUSAL.findall(done.stdout)) == PROGRAMS[program].count(": "), done.stdout
            assert done.returncode != 0
            assert negotiated == {None}

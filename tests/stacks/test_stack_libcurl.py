"""pycurl and curl_cffi beyond ``test_stacks``: changed handles, late floors, DNS over HTTPS."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import peers
from programs import BOOTSTRAP, armed_environment, assert_held, python
from parts import need
from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.stacks import _libcurl
from tlsfloor.peers import handshakes

STACKS = ("pycurl", "curl_cffi")

LACKING = {
    "pycurl": "class Curl:\n    def setopt(self): ...\n",
    "curl_cffi": "class Curl:\n    def setopt(self): ...\nclass AsyncCurl: ...\n",
}


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current, "held", versions.TLS1_2)


def said(code: str, *args: str, **more: str) -> str:
    """Return what a program printed."""
    done = python("-c", code, *args, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("stack", STACKS)
def test_a_version_that_lacks_what_the_guard_needs_cannot_be_imported(
    stack: str, tmp_path: Path
) -> None:
    (tmp_path / f"{stack}.py").write_text(LACKING[stack])
    both = os.pathsep.join([BOOTSTRAP, str(tmp_path)])
    done = python("-c", f"import {stack}", env=armed_environment(PYTHONPATH=both))
    assert done.returncode == 1
    assert "ImportError: " in done.stderr
    assert f"this version of {stack} cannot be held to a floor: it has no Curl." in done.stderr


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("option", _libcurl.VERSIONS)
@pytest.mark.parametrize(
    ("asked", "comes_to"),
    [
        (0, 6),  # the default
        (1, 6),  # "TLS 1.0 or later"
        (3, 6),  # SSLv3
        (4, 6),
        (6, 6),
        (7, 7),
        (4 | 1 << 16, 6 | 1 << 16),  # any maximum
        (4 | 5 << 16, 6 | 6 << 16),
        (6 | 6 << 16, 6 | 6 << 16),
        (4 | 7 << 16, 6 | 7 << 16),
    ],
)
def test_bounds_are_clamped(option: int, asked: int, comes_to: int) -> None:
    assert _libcurl.clamp_option(option, asked) == comes_to


@pytest.mark.usefixtures("held")
def test_other_options_are_left_alone() -> None:
    assert _libcurl.clamp_option(10002, "https://localhost/").startswith("https:")
    with pytest.raises(TypeError):
        _libcurl.clamp_option("SSLVERSION", 4)
    with pytest.raises(TypeError):
        _libcurl.clamp_option(_libcurl.VERSIONS[0], None)


@pytest.mark.parametrize("stack", STACKS)
def test_names_are_not_resolved_by_https(stack: str) -> None:
    need(stack)
    code = f"""
import {stack}
url = "https://localhost/"
handle = {stack}.Curl()
for each in handle.setopt, getattr(handle, "setopt_string", handle.setopt):
    try:
        each(10279, url)
    except OSError as error:
        assert "do not set DOH_URL" in str(error), error
        print("refused")
"""
    assert said(code, env=armed_environment()).split() == ["refused"] * 2


def test_the_status_reports_a_class_that_was_replaced() -> None:
    need(*STACKS)
    code = """
import curl_cffi
import tlsfloor
tlsfloor.enforce("1.2")
tlsfloor.enforce("1.2")
import pycurl
status = tlsfloor.status()
assert status.held and {"guarded"} == {*status.stacks.values()} and "pycurl" in status.stacks
pycurl.Curl = pycurl.Curl.__base__
curl_cffi.Curl = object
print(tlsfloor.status().problems)
"""
    told = said(code)
    assert "curl_cffi.Curl was replaced" in told
    assert "pycurl.Curl was replaced" in told


def test_pycurl_is_uncovered_if_it_was_imported_before_the_floor_was_armed() -> None:
    need("pycurl")
    code = """
import pycurl, tlsfloor
for again in range(2):
    try:
        tlsfloor.enforce("1.2")
    except tlsfloor.GuardError as error:
        print(error)
status = tlsfloor.status()
assert not status.held and "uncovered" in status.stacks["pycurl"], status
"""
    lines = said(code).splitlines()
    assert len(lines) == 2
    assert all("uncovered: it was imported before the floor was armed" in line for line in lines)


def test_a_second_copy_of_pycurl_is_held_as_well() -> None:
    need("pycurl")
    code = """
import sys, pycurl
first = pycurl.Curl
for name in [name for name in sys.modules if name.startswith("pycurl")]:
    del sys.modules[name]
import pycurl
print(pycurl.Curl is first and pycurl.Curl.__base__ is not object)
"""
    assert said(code, env=armed_environment()) == "True"


def test_only_the_class_that_obeys_is_in_the_modules_of_pycurl() -> None:
    need("pycurl")
    code = """
import sys, pycurl
base = pycurl.Curl.__base__
assert base.__base__ is object
for name, module in sys.modules.items():
    if name != "__main__":
        assert not any(value is base for value in vars(module).values()), name
class Handle(pycurl.Curl): ...
print(type(Handle().duphandle()).__name__)
"""
    assert said(code, env=armed_environment()) == "Handle"


def test_a_closed_handle_does_not_prevent_a_higher_floor() -> None:
    need("pycurl")
    code = """
import tlsfloor
tlsfloor.enforce("1.2")
import pycurl
handle = pycurl.Curl()
handle.close()
print(tlsfloor.enforce("1.3").held)
"""
    assert said(code) == "True"


@pytest.mark.parametrize("kind", ["perform", "add_handle"])
def test_a_transfer_that_began_before_the_floor_is_reported(kind: str) -> None:
    need("curl_cffi")
    code = """
import asyncio, socket, sys, threading, time
import curl_cffi, tlsfloor
listener = socket.create_server(("127.0.0.1", 0))
def handle():
    made = curl_cffi.Curl()
    made.setopt(10002, b"http://127.0.0.1:%d/" % listener.getsockname()[1])
    made.setopt(10001, __import__("io").BytesIO())
    return made
def below():
    return [each for each in tlsfloor.status().below if "transfer" in each]
def arm():
    tlsfloor.enforce("1.2")
    print(len(below()))
def in_a_thread():
    thread = threading.Thread(target=handle().perform)
    thread.start()
    connection = listener.accept()[0]
    arm()
    connection.sendall(b"HTTP/1.1 204 No Content\\r\\n\\r\\n")
    thread.join()
async def in_a_loop():
    multi = curl_cffi.AsyncCurl()
    future = multi.add_handle(handle())
    await asyncio.sleep(0.1)
    connection = listener.accept()[0]
    arm()
    connection.sendall(b"HTTP/1.1 204 No Content\\r\\n\\r\\n")
    await future
    await multi.close()
in_a_thread() if sys.argv[1] == "perform" else asyncio.run(in_a_loop())
print(len(below()))
"""
    assert said(code, kind).split() == ["1", "0"]


RAISED = """
import io, sys, tlsfloor
port, ca = sys.argv[1:]
tlsfloor.enforce("1.2")
from {stack} import Curl
handle = Curl()
{change}
for option, value in ((10002, f"https://localhost:{{port}}/"), (10065, ca), (10001, io.BytesIO())):
    handle.setopt(option, value.encode() if isinstance(value, str) else value)
try:
    handle.perform()
    print("connected")
except Exception as error:
    print(error)
"""


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize(
    ("change", "connects"),
    [
        ("", True),
        ("tlsfloor.enforce('1.3')", False),
        ("handle.setopt(32, 7); handle = handle.duphandle()", False),  # it asked for more
        ("handle.setopt(32, 7); handle.reset()", True),
    ],
)
def test_a_changed_handle_connects_to_a_server_of_1_2_only_if_the_floor_allows_it(
    stack: str, change: str, connects: bool
) -> None:
    need(stack)
    with handshakes.ServerPeer(versions.TLS1_2, "ecdhe") as server:
        code = RAISED.format(stack=stack, change=change)
        told = said(code, str(server.port), handshakes.CA_FILE)
    assert (told == "connected") == connects, told


KEPT = """
import http.server, io, ssl, sys, threading
import tlsfloor
ca, certificate = sys.argv[1:]
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        print(self.connection.version(), self.client_address[1])
    def log_message(self, *args): ...
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate)
context.maximum_version = ssl.TLSVersion.TLSv1_2
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
tlsfloor.enforce("1.2")
from {stack} import Curl
handle = Curl()
for floor in "1.2", "1.2", "1.3":
    tlsfloor.enforce(floor)
    handle.setopt(10002, b"https://localhost:%d/" % server.server_address[1])
    handle.setopt(10065, ca)
    handle.perform()
"""


@pytest.mark.parametrize("stack", STACKS)
def test_a_kept_connection_is_not_reused_at_a_higher_floor(stack: str) -> None:
    need(stack)
    seen = said(KEPT.format(stack=stack), handshakes.CA_FILE, handshakes.PEER_FILE).splitlines()
    assert [line.split()[0] for line in seen] == ["TLSv1.2", "TLSv1.2", "TLSv1.3"]
    assert seen[0] == seen[1], "it is kept as long as the floor is the same"


@pytest.mark.parametrize("floor", ["1.2", "1.3"])
def test_smtp_with_starttls_is_held(floor: str) -> None:
    need("pycurl")
    assert_held("smtp_pycurl", "PYTHONPATH", floor, peer_options=peers.SMTP, worded=False)

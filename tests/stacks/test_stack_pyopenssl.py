"""pyOpenSSL in special cases: single versions, old and future releases, DTLS, a late floor."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import parts
from programs import IMPORT_PATH, ROUTES, armed_environment, clean_environment, python, reach
from tlsfloor.versions import FLOORS


BINDING = "cryptography.hazmat.bindings.openssl.binding"


@pytest.fixture(autouse=True)
def pyopenssl() -> None:
    parts.need("OpenSSL")


def reached(route: str, floor: str, **job: Any) -> tuple[set[str], set[str]]:
    """Return the versions that a program got which asks for TLS 1.0 only, and its other output."""
    told = reach("pyopenssl_one", route, floor, {}, **job)
    versions = {got for got in told.values() if got in FLOORS}
    return versions, set(told.values()) - versions


def run(program: str, *path: str, armed: str = "") -> Any:
    """Run a program and return the JSON that it prints last; in an armed process with a floor."""
    env = armed_environment(armed) if armed else clean_environment()
    folders = [*path, env.get("PYTHONPATH", ""), IMPORT_PATH]
    env["PYTHONPATH"] = os.pathsep.join(filter(None, folders))
    done = python("-W", "ignore", "-c", program, env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("how", ["context", "connection", "implicit", "own"])
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("floor", ["1.2", "1.3"])
def test_a_program_that_asks_for_tls_1_0_only_speaks_the_floor(
    how: str, route: str, floor: str
) -> None:
    assert reached("none", "", how=how)[0] == {"1.0"}
    versions, others = reached(route, floor, how=how)
    if route == "late":  # its maximum cannot be read any more, and is not overwritten blindly
        assert versions == set()
        assert all("no protocols available" in told for told in others), others
    else:
        assert versions == {floor}


@pytest.mark.parametrize("how", ["context", "connection", "implicit", "own"])
@pytest.mark.parametrize("route", ROUTES)
def test_a_single_version_that_cannot_be_raised_is_refused(
    how: str, route: str, fetched: Callable[[str], str]
) -> None:
    path = [fetched("pyopenssl-20")]
    assert reached("none", "", how=how, path=path)[0] == {"1.0"}
    versions, others = reached(route, "1.2", how=how, path=path)
    assert versions == set()
    assert all("this connection speaks TLSv1 only" in told for told in others), others


def test_an_unused_context_of_a_single_version_is_not_refused(
    fetched: Callable[[str], str],
) -> None:
    """Twisted 21 makes one when it is imported."""
    path = [fetched("pyopenssl-20")]
    program = """
SSL.Connection(SSL.Context(SSL.TLSv1_METHOD), None)
print(json.dumps(tlsfloor.status().counts["refused"]))
"""
    assert run(PAIR + program, *path, armed="1.2") == 0


#: Two connections of TLS 1.0 at most, in memory; and who shakes hands for them.
PAIR = """
import json, sys
from OpenSSL import SSL
from tlsfloor.peers import handshakes
import tlsfloor

def context(method=None):
    made = SSL.Context(SSL.SSLv23_METHOD if method is None else method)
    made.use_certificate_chain_file(handshakes.PEER_FILE)
    made.use_privatekey_file(handshakes.PEER_FILE)
    made.set_cipher_list(b"ALL:@SECLEVEL=0")
    return made

def pair(made):
    client, server = SSL.Connection(made, None), SSL.Connection(made, None)
    client.set_connect_state()
    server.set_accept_state()
    return client, server

def step(one, other):
    try:
        one.do_handshake()
    except SSL.WantReadError:
        pass
    try:
        while True:
            other.bio_write(one.bio_read(65536))
    except SSL.WantReadError:
        pass

def low():
    made = context()
    made.set_options(SSL.OP_NO_TLSv1_1 | SSL.OP_NO_TLSv1_2 | SSL.OP_NO_TLSv1_3)
    return pair(made)

def shake(client, server, rounds=3):
    for _ in range(rounds):
        step(client, server)
        step(server, client)

def attempt(call, *args):
    try:
        call(*args)
    except SSL.Error as error:
        return f"{type(error).__name__}: {error}"
"""


def test_a_connection_that_was_open_before_is_reported_and_stays_open() -> None:
    program = """
client, server = low()
shake(client, server)
high = pair(context())
shake(*high)
status = tlsfloor.enforce("1.2")
client.send(b"hello")
server.bio_write(client.bio_read(65536))
said, other = server.recv(5).decode(), high[0].get_protocol_version_name()
print(json.dumps([status.held, status.below, said, other]))
"""
    held, below, said, other = run(PAIR + program)
    assert held
    assert [text.split(":")[0] for text in below] == ["TLSv1 connection"] * 2
    assert (said, other) == ("hello", "TLSv1.3")


@pytest.mark.parametrize("use", ["do_handshake", "send", "recv"])
def test_a_handshake_that_began_before_the_floor_fails(use: str) -> None:
    """TLS 1.0 is already negotiated, so options have no effect any more."""
    program = f"""
args = {{"do_handshake": (), "send": (b"hello",), "recv": (5,)}}[{use!r}]
def half():
    client, server = low()
    step(client, server)
    step(server, client)
    step(client, server)
    step(server, client)
    return client
client = half()
without = attempt(getattr(client, {use!r}), *args)
client = half()
tlsfloor.enforce("1.2")
told = attempt(getattr(client, {use!r}), *args)
print(json.dumps([without, told, client.get_protocol_version_name(), tlsfloor.status().counts]))
"""
    without, told, version, counts = run(PAIR + program)
    assert version == "TLSv1"
    assert without is None or "WantReadError" in without  # done; recv() has nothing to read
    assert told.startswith("ProtocolRefused: "), told
    assert "this connection speaks TLSv1 only, and the floor is 1.2" in told
    assert counts["refused"] == 1


GATES = """
gates = [name for name in vars(SSL._lib) if hasattr(vars(SSL._lib)[name], "__wrapped__")]
"""


def test_reads_and_writes_have_no_gates_if_the_floor_came_first() -> None:
    program = """
client, server = pair(context())
tlsfloor.enforce("1.2")
shake(client, server)
print(json.dumps([gates, tlsfloor.status().stacks, tlsfloor.status().problems]))
"""
    gates, stacks, problems = run(PAIR + GATES + program, armed="1.2")
    assert set(gates) <= {
        "SSL_new",
        "SSL_set_session",
        "SSL_do_handshake",
        "SSL_CTX_set_max_proto_version",
        "SSL_CTX_set_min_proto_version",
        "SSL_set_max_proto_version",
        "SSL_set_min_proto_version",
    }
    assert stacks["OpenSSL.SSL"] == stacks[BINDING] == "guarded"
    assert problems == []


@pytest.mark.parametrize("before", ["", "tlsfloor.enforce('1.2')"])
def test_reads_and_writes_have_gates_if_connections_may_be_older(before: str) -> None:
    program = f"""
{before}
client, server = pair(context())
tlsfloor.enforce("1.3")
{GATES}
shake(client, server)
print(json.dumps([gates, client.get_protocol_version_name()]))
"""
    gates, version = run(PAIR + program)
    assert {"SSL_read", "SSL_write"} < set(gates)
    assert version == "TLSv1.3"


def test_a_replaced_gate_is_reported() -> None:
    program = """
SSL._lib.SSL_do_handshake = None
print(json.dumps(tlsfloor.status().problems))
"""
    problems = run(PAIR + program, armed="1.2")
    told = "lib.SSL_do_handshake was replaced"
    assert sorted(problems) == [f"OpenSSL.SSL: {told}", f"{BINDING}: {told}"]


def test_bounds_are_clamped_and_counted() -> None:
    program = """
made = context()
if hasattr(made, "set_min_proto_version"):
    made.set_min_proto_version(SSL.TLS1_VERSION)
    made.set_max_proto_version(version=SSL.TLS1_1_VERSION)
    made.set_max_proto_version(0)
    made.set_max_proto_version(SSL.TLS1_1_VERSION)
client, server = pair(made)
shake(client, server)
errors = []
for wrong in (None, "1.2"):
    try:
        made.set_min_proto_version(wrong)
    except Exception as error:
        errors.append(type(error).__name__)
print(json.dumps([client.get_protocol_version_name(), tlsfloor.status().counts, errors]))
"""
    version, counts, errors = run(PAIR + program, armed="1.2")
    assert version == "TLSv1.2"
    assert (counts["clamped"], counts["raised"]) == (3, 2)
    assert len(errors) == 2


def test_a_session_does_not_restore_a_single_version(fetched: Callable[[str], str]) -> None:
    """OpenSSL 1.1.1 makes the connection again from its context, which was changed before."""
    program = """
client, server = pair(context())
shake(client, server)
again = SSL.Connection(context(), None)
again.set_context(SSL.Context(SSL.TLSv1_METHOD))
before = again.get_protocol_version_name()
again.set_session(client.get_session())
again.set_connect_state()
told = attempt(again.send, b"hello")
print(json.dumps([before, again.get_protocol_version_name(), told]))
"""
    path = [fetched("pyopenssl-20")]
    before, after, told = run(PAIR + program, *path)
    assert (before, after) == ("TLSv1.3", "TLSv1")
    assert told.startswith("WantReadError"), told  # its hello is written
    before, after, told = run(PAIR + program, *path, armed="1.2")
    assert (before, after) == ("TLSv1.3", "TLSv1")
    assert "this connection speaks TLSv1 only, and the floor is 1.2" in told


@pytest.mark.parametrize("floor", ["1.2", "1.3"])
def test_dtls_counts_as_the_tls_from_which_it_derives(floor: str) -> None:
    program = """
if not hasattr(SSL, "DTLS_METHOD"):
    print(json.dumps(None))
    sys.exit()
def talk():
    ends = pair(context(SSL.DTLS_METHOD))
    for end in ends:
        end.set_ciphertext_mtu(1500)
    shake(*ends)
    return ends[0].get_protocol_version_name(), ends[0].get_finished() is not None
try:
    told = talk()
except SSL.Error as error:
    told = str(error)
print(json.dumps(told))
"""
    without = run(PAIR + program)
    if without is None:
        pytest.skip("this pyOpenSSL has no DTLS")
    assert without == ["DTLSv1.2", True]
    told = run(PAIR + program, armed=floor)
    if floor == "1.2":
        assert told == without
    else:
        assert "this connection speaks DTLSv1.2 only, and the floor is 1.3" in told
        assert "SSL.TLS_METHOD" not in told


#: pyOpenSSL under another name, executed by a program itself.
COPY = """
import importlib.util
found = importlib.util.find_spec("OpenSSL.SSL")
spec = importlib.util.spec_from_file_location("copy_of_ssl", found.origin)
SSL = importlib.util.module_from_spec(spec)
spec.loader.exec_module(SSL)
"""


def test_a_copy_of_the_module_is_held() -> None:
    program = """
made = context()
if hasattr(made, "set_min_proto_version"):
    made.set_min_proto_version(SSL.TLS1_VERSION)
    made.set_max_proto_version(SSL.TLS1_VERSION)
ends = pair(made)
shake(*ends)
print(json.dumps(ends[0].get_protocol_version_name()))
"""
    copied = PAIR.replace("from OpenSSL import SSL\n", COPY)
    assert run(copied + program) == "TLSv1"
    assert run(copied + program, armed="1.2") == "TLSv1.2"


def test_a_copy_of_the_module_raises_its_own_error() -> None:
    program = """
client, server = low()
for _ in range(2):
    step(client, server)
    step(server, client)
tlsfloor.enforce("1.2")
told = attempt(client.send, b"hello")
print(json.dumps(told))
"""
    told = run(PAIR.replace("from OpenSSL import SSL\n", COPY) + program)
    assert told.startswith("ProtocolRefused: ")
    assert "this connection speaks TLSv1 only, and the floor is 1.2" in told


TYPEGUARD = """
import typeguard
typeguard.install_import_hook()
from OpenSSL"""


def test_typeguard_in_front_of_all_finders_does_not_avoid_the_guard(
    fetched: Callable[[str], str],
) -> None:
    program = (
        PAIR.replace("from OpenSSL", TYPEGUARD)
        + """
made = context()
made.set_min_proto_version(SSL.TLS1_VERSION)
made.set_max_proto_version(SSL.TLS1_VERSION)
ends = pair(made)
shake(*ends)
print(json.dumps(ends[0].get_protocol_version_name()))
"""
    )
    path = [fetched("typeguard")]
    assert run(program, *path) == "TLSv1"
    assert run(program, *path, armed="1.2") == "TLSv1.2"


#: One connection by cryptography alone: when it is made, and how it shakes hands.
BARE = """
import json, socket, sys
from cryptography.hazmat.bindings.openssl.binding import Binding
from tlsfloor.peers import handshakes
import tlsfloor

lib, ffi = Binding.lib, Binding.ffi
request = b"GET / HTTP/1.0\\r\\n\\r\\n"

def born():
    context = lib.SSL_CTX_new(lib.TLS_method())
    lib.SSL_CTX_set_cipher_list(context, b"ALL:@SECLEVEL=0")
    if hasattr(lib, "SSL_CTX_set_min_proto_version"):
        lib.SSL_CTX_set_min_proto_version(context, 0x301)
    ssl = lib.SSL_new(context)
    lib.SSL_set_connect_state(ssl)
    return ssl

def shake(ssl, use):
    return lib.SSL_do_handshake(ssl) if use == "do_handshake" else lib.SSL_write(ssl, request, 18)

def reached(ssl, use, version):
    with handshakes.ServerPeer(version) as peer:
        sock = socket.create_connection(("127.0.0.1", peer.port))
        lib.SSL_set_fd(ssl, sock.fileno())
        done = shake(ssl, use)
        lib.ERR_clear_error()
        sock.close()
        return done > 0 and ffi.string(lib.SSL_get_version(ssl)).decode()
"""


@pytest.mark.parametrize("use", ["do_handshake", "write"])
@pytest.mark.parametrize("when", ["early", "between", "never"])
def test_cryptography_without_pyopenssl_is_held(use: str, when: str) -> None:
    program = f"""
made = [born() for _ in range(3)]
if {when == "between"}:
    tlsfloor.enforce("1.2")
told = [reached(ssl, {use!r}, 0x301 + n) for n, ssl in enumerate(made)]
state = tlsfloor.status().stacks.get({BINDING!r})
print(json.dumps([told, "OpenSSL" in sys.modules, state]))
"""
    told, other, state = run(BARE + program, armed="1.2" if when == "early" else "")
    assert not other
    if when == "never":
        assert (told, state) == (["TLSv1", "TLSv1.1", "TLSv1.2"], None)
    else:
        assert (told, state) == ([False, False, "TLSv1.2"], "guarded")


def test_cryptography_without_pyopenssl_gives_the_reason_of_a_refusal(
    fetched: Callable[[str], str],
) -> None:
    program = """
import ssl as python
old = lib.SSL_new(lib.SSL_CTX_new(lib.TLSv1_method()))
lib.SSL_set_connect_state(old)
told = []
for use in ("do_handshake", "write"):
    try:
        shake(old, use)
    except python.SSLError as error:
        told.append(str(error))
print(json.dumps(told))
"""
    path = [fetched("pyopenssl-20")]
    assert run(BARE + program, *path) == []
    for told in run(BARE + program, *path, armed="1.2"):
        assert "this connection speaks TLSv1 only, and the floor is 1.2" in told


#: What the OpenSSL of a future cryptography could lack -> how a connection fails then.
FUTURES = {
    "_lib = Less(_lib, 'SSL_OP_NO_TLSv1_1')": "it lacks SSL_OP_NO_TLSv1_1",
    "_lib = Less(_lib, 'SSL_set_options')": "it lacks SSL_set_options",
    "_lib = Less(_lib, SSL_get_options=lambda ssl: 0)": "this connection speaks TLSv1.3 only",
}


@pytest.mark.parametrize("future", FUTURES)
def test_a_future_version_that_does_not_fit_makes_no_connection(future: str) -> None:
    program = f"""
class Less:
    def __init__(self, lib, *without, **instead):
        self.lib, self.without = lib, without
        vars(self).update(instead)
    def __getattr__(self, name):
        if name in self.without:
            raise AttributeError(name)
        return getattr(self.lib, name)
made = context()
SSL.{future.replace("(_lib", "(SSL._lib")}
def talk():
    client, server = pair(made)
    shake(client, server)
    return client.get_protocol_version_name()
told = [attempt(talk)]
try:
    problems = tlsfloor.enforce("1.2").problems
    talk()
except Exception as error:
    told += [str(error), problems]
print(json.dumps(told))
"""
    without, told, problems = run(PAIR + program)
    assert without is None
    assert FUTURES[future] in told
    if "lacks" in FUTURES[future]:
        assert problems == [f"OpenSSL.SSL: {FUTURES[future]}"]


def test_a_version_that_has_no_functions_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "OpenSSL").mkdir()
    (tmp_path / "OpenSSL" / "__init__.py").write_text("")
    (tmp_path / "OpenSSL" / "SSL.py").write_text("")
    program = """
import json
try:
    import OpenSSL.SSL
    print(json.dumps("imported"))
except ImportError as error:
    print(json.dumps(str(error)))
"""
    assert run(program, str(tmp_path)) == "imported"
    assert "has no attribute '_lib'" in run(program, str(tmp_path), armed="1.2")

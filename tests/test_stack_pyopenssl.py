"""pyOpenSSL in special cases: single versions, old and future releases, DTLS, a late floor."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import parts
from harness import BOOTSTRAP, ROUTES, armed_environment, clean_environment, python, reach
from tlsfloor.versions import FLOORS

HOME = str(Path(BOOTSTRAP).parents[1])

#: The last cryptography with an OpenSSL 1.1.1, and a pyOpenSSL with methods of a single version.
OLD = ["pyOpenSSL==20.0.1", "cryptography==3.4.8"]


@pytest.fixture(autouse=True)
def pyopenssl() -> None:
    parts.need("OpenSSL")


def reached(route: str, floor: str, **job: Any) -> tuple[set[str], set[str]]:
    """Return which versions a program got that asks for TLS 1.0 only, and what else it was told."""
    told = reach("pyopenssl_one", route, floor, {}, **job)
    versions = {got for got in told.values() if got in FLOORS}
    return versions, set(told.values()) - versions


def run(program: str, *path: str, armed: str = "") -> Any:
    """Run a program and return the JSON that it prints last; in an armed process with a floor."""
    env = armed_environment(armed) if armed else clean_environment()
    folders = [*path, env.get("PYTHONPATH", ""), HOME]
    env["PYTHONPATH"] = os.pathsep.join(filter(None, folders))
    done = python("-W", "ignore", "-c", program, env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("how", ["context", "connection", "implicit", "own"])
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("floor", ["1.2", "1.3"])
def test_who_asks_for_tls_1_0_only_speaks_the_floor(how: str, route: str, floor: str) -> None:
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
    how: str, route: str, pytestconfig: pytest.Config
) -> None:
    path = [parts.fetched(pytestconfig.cache, "pyopenssl-20", *OLD)]
    assert reached("none", "", how=how, path=path)[0] == {"1.0"}
    versions, others = reached(route, "1.2", how=how, path=path)
    assert versions == set()
    assert all("this connection speaks TLSv1 only" in told for told in others), others


def test_a_single_version_that_nobody_uses_is_let_be(pytestconfig: pytest.Config) -> None:
    """As Twisted 21 makes one where it is imported."""
    path = [parts.fetched(pytestconfig.cache, "pyopenssl-20", *OLD)]
    program = """
SSL.Connection(SSL.Context(SSL.TLSv1_METHOD), None)
print(json.dumps(tlsfloor.status().counts["refused"]))
"""
    assert run(PAIR + program, *path, armed="1.2") == 0


#: Two connections of TLS 1.0 at most, in memory; and who shakes hands for them.
PAIR = """
import json, sys
from OpenSSL import SSL
from tlsfloor.verify import peers
import tlsfloor

def context(method=None):
    made = SSL.Context(SSL.SSLv23_METHOD if method is None else method)
    made.use_certificate_chain_file(peers.PEER_FILE)
    made.use_privatekey_file(peers.PEER_FILE)
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


def test_a_connection_that_was_open_before_is_named_and_left_alone() -> None:
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
def test_a_handshake_that_is_half_done_ends(use: str) -> None:
    """TLS 1.0 is agreed on already: no option is heeded any more."""
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


def test_nothing_is_left_on_a_connection_once_it_is_proven() -> None:
    program = """
before = {cls: dict(vars(cls)) for cls in (SSL.Context, SSL.Connection)}
client, server = pair(context())
tlsfloor.enforce("1.2")
tlsfloor.enforce("1.3")
added = sorted(set(vars(client)) & set(dir(SSL.Connection)))
shake(client, server)
left = sorted(set(vars(client)) & set(dir(SSL.Connection)))
gates = [
    name
    for cls in before
    for name in vars(cls)
    if vars(cls)[name] is not before[cls].get(name)
]
state = tlsfloor.status().stacks["OpenSSL.SSL"]
from tlsfloor.stacks import pyopenssl
pyopenssl.undo()
exact = all(dict(vars(cls)) == before[cls] for cls in before)
print(json.dumps([added, left, gates, state, exact, tlsfloor.status().problems]))
"""
    added, left, gates, state, exact, problems = run(PAIR + program)
    assert set(added) >= {"do_handshake", "recv", "send"}
    assert left == []
    assert set(gates) <= {
        "__init__",
        "do_handshake",
        "set_session",
        "set_max_proto_version",
        "set_min_proto_version",
    }
    assert state == "guarded"
    assert exact
    assert "OpenSSL.SSL: its Connection is" in " ".join(problems)


def test_a_gate_that_somebody_replaced_is_told() -> None:
    program = """
SSL.Connection.do_handshake = lambda self: None
print(json.dumps(tlsfloor.status().problems))
"""
    [problem] = run(PAIR + program, armed="1.2")
    assert problem == "OpenSSL.SSL: OpenSSL.SSL.Connection.do_handshake was replaced"


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


def test_a_session_does_not_bring_a_single_version_back(pytestconfig: pytest.Config) -> None:
    """OpenSSL 1.1.1 makes the connection anew after its context, which was changed before."""
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
    path = [parts.fetched(pytestconfig.cache, "pyopenssl-20", *OLD)]
    before, after, told = run(PAIR + program, *path)
    assert (before, after) == ("TLSv1.3", "TLSv1")
    assert told.startswith("WantReadError"), told  # its hello is written
    before, after, told = run(PAIR + program, *path, armed="1.2")
    assert (before, after) == ("TLSv1.3", "TLSv1")
    assert "this connection speaks TLSv1 only, and the floor is 1.2" in told


@pytest.mark.parametrize("floor", ["1.2", "1.3"])
def test_dtls_counts_as_the_tls_that_it_is_made_of(floor: str) -> None:
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


#: What a future pyOpenSSL could lack -> how the import of it fails then.
FUTURES = {
    "del Connection": "has no attribute 'Connection'",
    "del Connection.do_handshake": "it lacks 'do_handshake'",
    "del Connection.set_session": "it lacks 'set_session'",
    "_lib = Less(_lib, 'SSL_OP_NO_TLSv1_1')": "it lacks SSL_OP_NO_TLSv1_1",
    "_lib = Less(_lib, 'SSL_set_options')": "it lacks SSL_set_options",
    "_lib = Less(_lib, SSL_get_options=lambda ssl: 0)": "cannot be held to TLS 1.2",
}


@pytest.mark.parametrize("future", FUTURES)
def test_a_future_version_that_does_not_fit_is_not_imported(future: str, tmp_path: Path) -> None:
    (tmp_path / "OpenSSL").mkdir()
    spec = """
import sys, pathlib
for folder in sys.path:
    real = pathlib.Path(folder, "OpenSSL", "SSL.py")
    if real.exists() and str(real.parent) not in __path__:
        __path__.append(str(real.parent))
        break
"""
    (tmp_path / "OpenSSL" / "__init__.py").write_text(spec)
    source = f"""
import OpenSSL
class Less:
    def __init__(self, lib, *without, **instead):
        self.lib, self.without = lib, without
        vars(self).update(instead)
    def __getattr__(self, name):
        if name in self.without:
            raise AttributeError(name)
        return getattr(self.lib, name)
with open(OpenSSL.__path__[1] + "/SSL.py") as file:
    exec(compile(file.read(), file.name, "exec"))
{future}
"""
    (tmp_path / "OpenSSL" / "SSL.py").write_text(source)
    program = """
import json
try:
    import OpenSSL.SSL as found
    print(json.dumps(["imported", found.__file__]))
except ImportError as error:
    import tlsfloor
    print(json.dumps([str(error), tlsfloor.status().held]))
"""
    told, file = run(program, str(tmp_path))
    assert (told, file) == ("imported", str(tmp_path / "OpenSSL" / "SSL.py"))
    told, held = run(program, str(tmp_path), armed="1.2")
    assert FUTURES[future] in told
    assert held is False

"""pyOpenSSL: what is special about its guard."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from harness import armed_environment, python
from parts import fetched, need
from tlsfloor.verify import peers

# Two sides in memory: what the client came to with a server that takes everything. The client's
# context is made by the code before; both are of this process.
PAIR = """
import json, sys, tlsfloor
from OpenSSL import SSL


def loose(method=None):
    context = SSL.Context(SSL.SSLv23_METHOD if method is None else method)
    context.set_cipher_list(b"ALL:@SECLEVEL=0")
    return context

def shake(client, server):
    client.set_connect_state(), server.set_accept_state()
    for _ in range(8):
        for one, other in ((client, server), (server, client)):
            try:
                one.do_handshake()
            except SSL.WantReadError:
                pass
            try:
                other.bio_write(one.bio_read(65536))
            except SSL.WantReadError:
                pass
    return client.get_protocol_version_name()

def server():
    context = loose()
    context.use_certificate_chain_file(PEER)
    context.use_privatekey_file(PEER)
    return SSL.Connection(context, None)

def attempt(make):
    try:
        return shake(SSL.Connection(make() if callable(make) else make, None), server())
    except SSL.Error as error:
        return "%s: %s" % (type(error).__name__, error)
"""


def pair(code: str, env: dict[str, str] | None = None, before: str = "") -> Any:
    need("OpenSSL")
    program = f"import sys\n{before}PEER = {peers.PEER_FILE!r}\n{PAIR}\n{code}\n"
    done = python("-c", program, env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


METHODS = """
found = {}
for name in ("TLSv1", "TLSv1_1", "TLSv1_2", "SSLv23", "TLS"):
    if hasattr(SSL, name + "_METHOD"):
        found[name] = attempt(loose(getattr(SSL, name + "_METHOD")))
context = loose()
context.set_max_proto_version(0x301)
found["maximum"] = attempt(context)
print(json.dumps(found))
"""


@pytest.mark.parametrize(("floor", "low"), [("1.2", "TLSv1.2"), ("1.3", "TLSv1.3")])
def test_a_method_or_maximum_below_the_floor_becomes_the_floor(floor: str, low: str) -> None:
    without = pair(METHODS)
    assert (without["TLSv1"], without["maximum"]) == ("TLSv1", "TLSv1")
    found = pair(METHODS, armed_environment(floor))
    assert found["TLSv1"] == found["TLSv1_1"] == found["maximum"] == low
    assert found["SSLv23"] == "TLSv1.3"
    assert found["TLSv1_2"] == low


LATE = """
old = loose()
old.set_max_proto_version(0x301)
unborn, open_ = loose(), loose()
connection = SSL.Connection(open_, None)
other = server()
shake(connection, other)
fresh = SSL.Connection(old, None)
tlsfloor.enforce("1.2")
found = [len(tlsfloor.status().below), attempt(old), attempt(unborn)]
try:
    found.append(shake(fresh, server()))
except SSL.Error as error:
    found.append(str(error))
print(json.dumps(found))
"""


def test_what_is_older_than_the_floor_is_held_or_named() -> None:
    """An open connection is named; a maximum below the floor leaves nothing to shake hands with."""
    below = LATE.replace("unborn, open_ = loose(), loose()", "unborn, open_ = loose(), old")
    found = pair(below)
    assert found[0] == 1 + 1  # both sides of it are of this process
    assert "no protocols available" in found[1]
    assert found[2] == "TLSv1.3"
    assert "no protocols available" in found[3]
    # A control: open, and not below.
    assert pair(LATE)[0] == 0


def test_the_options_are_openssls() -> None:
    names = ("SSL_OP_NO_SSLv3", "SSL_OP_NO_TLSv1", "SSL_OP_NO_TLSv1_1", "SSL_OP_NO_TLSv1_2")
    read = f"[getattr(SSL._lib, name) for name in {names}]"
    code = f"""
from tlsfloor.stacks import pyopenssl
print(json.dumps([{read}, list(pyopenssl._OFF.values())]))
"""
    told, ours = pair(code)
    assert told == ours


DTLS = """
def attempt_dtls(server_method, client_method):
    context = loose(server_method)
    context.use_certificate_chain_file(PEER), context.use_privatekey_file(PEER)
    try:
        client = SSL.Connection(loose(client_method), None)
        return shake(client, SSL.Connection(context, None))
    except SSL.Error as error:
        return str(error)

print(json.dumps([attempt_dtls(SSL.DTLS_METHOD, SSL.DTLS_METHOD)]))
"""


@pytest.mark.parametrize(("floor", "works"), [("1.2", True), ("1.3", False)])
def test_dtls_1_2_is_held_as_tls_1_2(floor: str, works: bool) -> None:
    [without] = pair(DTLS)
    assert without == "DTLSv1.2"
    [found] = pair(DTLS, armed_environment(floor))
    assert (found == "DTLSv1.2") == works


def test_undoing_leaves_everything_as_it_was() -> None:
    code = """
from tlsfloor.stacks import pyopenssl
classes = (SSL.Context, SSL.Connection)
before = [dict(vars(cls)) for cls in classes]
tlsfloor.enforce("1.2")
tlsfloor.enforce("1.2")
held = [bool(tlsfloor.status()), attempt(loose(SSL.TLSv1_METHOD))]
pyopenssl.undo()
same = [dict(vars(cls)) for cls in classes] == before
print(json.dumps([*held, same, tlsfloor.status().stacks["OpenSSL.SSL"]]))
"""
    held, low, same, state = pair(code)
    assert (held, low, same) == (True, "TLSv1.2", True)
    assert state.startswith("its Connection is <class 'OpenSSL.SSL.Connection'>")


OLD = """
found = {}
for name in ("TLSv1", "TLSv1_1", "TLSv1_2", "SSLv23"):
    found[name] = attempt(lambda: loose(getattr(SSL, name + "_METHOD")))
print(json.dumps(found))
"""


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="cryptography 3.4 is for older Pythons")
@pytest.mark.parametrize(("floor", "fixed"), [("1.2", "TLSv1.2"), ("1.3", "ProtocolRefused: ")])
def test_an_old_pyopenssl_is_held_and_its_fixed_versions_refused(
    pytestconfig: pytest.Config, floor: str, fixed: str
) -> None:
    """Of pyOpenSSL 20 with cryptography 3.4, and so with OpenSSL 1.1.1."""
    cache = pytestconfig.cache
    assert cache is not None
    old = fetched(cache, "pyopenssl-20", "pyOpenSSL==20.0.1", "cryptography==3.4.8")
    code = f"sys.path.insert(0, {old!r})\n"
    without = pair(OLD, before=code)
    assert without == {
        "TLSv1": "TLSv1",
        "TLSv1_1": "TLSv1.1",
        "TLSv1_2": "TLSv1.2",
        "SSLv23": "TLSv1.3",
    }
    found = pair(OLD, armed_environment(floor), before=code)
    assert found["TLSv1"].startswith("ProtocolRefused: [SSL: UNSUPPORTED_PROTOCOL]")
    assert found["TLSv1_1"].startswith("ProtocolRefused: ")
    assert found["TLSv1_2"].startswith(fixed)
    assert found["SSLv23"] == "TLSv1.3"

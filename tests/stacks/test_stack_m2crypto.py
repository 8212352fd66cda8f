"""M2Crypto beyond ``test_stacks``: late floors, and versions that its guard does not fit."""

from __future__ import annotations

import json

from programs import python
from parts import need

FUTURE = """
import M2Crypto.m2
del M2Crypto.m2.ssl_ctx_set_options
import tlsfloor
tlsfloor.enforce("1.2")
"""

PINNED = """
import json, socket, tlsfloor, M2Crypto
from M2Crypto import SSL, m2
from tlsfloor.peers import handshakes
told = []

def make(pin):
    context = SSL.Context(pin, weak_crypto=1)
    context.set_cipher_list("ALL:@SECLEVEL=0")
    connection = SSL.Connection(context)
    connection.set_post_connection_check_callback(None)
    return connection

def connect(version, connection=None):
    with handshakes.ServerPeer(version) as peer:
        connection = connection or make("tlsv1")
        try:
            connection.connect(("127.0.0.1", peer.port))
            told.append(connection.get_version())
        except Exception as error:
            told.append(type(error).__name__)
        return connection

old = connect(0x301)
connect(0x303)
early = [make("tls"), make("tls")]
told.append(len(tlsfloor.enforce("1.2").below))
connect(0x301)
connect(0x303)
connect(0x301, early[0])
connect(0x303, early[1])
tlsfloor.enforce("1.3")
connect(0x303)
connect(0x304)
status = tlsfloor.status()
told += [status.counts["clamped"] > 0, status.stacks["M2Crypto.m2"]]
old.close()
print(json.dumps(told))
"""


def test_a_version_that_lacks_a_function_is_refused() -> None:
    need("M2Crypto")
    done = python("-c", FUTURE)
    assert "GuardError: this version of M2Crypto cannot be held to a floor: " in done.stderr


def test_a_pin_is_dropped_and_the_version_of_an_older_connection_is_checked() -> None:
    need("M2Crypto")
    done = python("-c", PINNED)
    assert done.returncode == 0, done.stderr
    held = ["SSLError", "TLSv1.2", "ProtocolRefused", "TLSv1.2", "SSLError", "TLSv1.3"]
    assert json.loads(done.stdout) == ["TLSv1", "SSLError", 1, *held, True, "guarded"]

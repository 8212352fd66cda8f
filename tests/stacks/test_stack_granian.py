"""Granian beyond ``test_stacks``: late floors, and versions that its guard does not fit."""

from __future__ import annotations

import json

from programs import armed_environment, python
from parts import need

MISFIT = "GuardError: this version of Granian cannot be held to a floor: "

OLD = """
import granian.server.common as common
del common.SSLProtocols
import tlsfloor
tlsfloor.enforce("1.2")
print(tlsfloor.status().stacks["granian.server.common"])
tlsfloor.enforce("1.3")
"""

FUTURE = """
import enum, granian.server.common as common
common.SSLProtocols = enum.Enum("SSLProtocols", "tls13 tls14")
import tlsfloor
tlsfloor.enforce("1.3")
"""

RAISED = """
import json, pathlib, tlsfloor
from granian.server.embed import Server
from tlsfloor.peers.handshakes import PEER_FILE
file = pathlib.Path(PEER_FILE)
files = {"ssl_cert": file, "ssl_key": file, "ssl_key_password": "tls1.2"}
server = Server(None, **files, ssl_protocol_min="tls1.2")
told = [server.ssl_ctx[3:5]]
tlsfloor.enforce("1.2"); told.append(server.ssl_ctx[3:5])
server.wrks = ["one that runs"]
told.append(len(tlsfloor.enforce("1.3").below)); told.append(server.ssl_ctx[3:5])
told.append(len(tlsfloor.status().below))
told.append(tlsfloor.status().stacks["granian.server.common"])
print(json.dumps(told))
"""

MOVED = """
import pathlib
from granian.server.embed import Server
server = Server(None)
server.ssl_ctx = (True, *server.ssl_ctx)
server.ssl_ctx
"""


def test_an_older_version_is_inherent_at_1_2_and_uncovered_above() -> None:
    need("granian")
    done = python("-c", OLD)
    assert done.stdout == "inherent\n", done.stderr
    assert "is uncovered: this Granian has no ssl_protocol_min" in done.stderr


def test_protocols_that_are_not_known_are_refused() -> None:
    need("granian")
    done = python("-c", FUTURE)
    assert f"{MISFIT}its protocols are " in done.stderr


def test_a_tuple_that_is_not_known_is_refused() -> None:
    need("granian")
    done = python("-c", MOVED, env=armed_environment("1.3"))
    assert f"{MISFIT}its minimum is not where it was: " in done.stderr


def test_a_server_made_before_is_held() -> None:
    need("granian")
    done = python("-c", RAISED)
    assert done.returncode == 0, done.stderr
    asked = ["tls1.2", "tls1.2"]  # a password, and a protocol
    held = ["tls1.2", "tls1.3"]
    assert json.loads(done.stdout) == [asked, asked, 1, held, 0, "guarded"]

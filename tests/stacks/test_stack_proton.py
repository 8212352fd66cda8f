"""Qpid Proton beyond ``test_stacks``: servers, late floors, unknown versions."""

from __future__ import annotations

import json

import pytest

from peers import LADDER
from programs import ROUTES, armed_environment, python, serving_program
from parts import need
from tlsfloor.peers import handshakes
from tlsfloor.versions import FLOORS

# The AMQP 1.0 specification, section 2.2: what both sides say first.
HEADER = b"AMQP\x00\x01\x00\x00"

FUTURE = """
import cproton
del cproton.pn_ssl_domain_set_protocols
import tlsfloor
tlsfloor.enforce("1.2")
"""

REFUSING = """
import cproton
cproton.pn_ssl_domain_set_protocols = lambda domain, protocols: -1
import tlsfloor
tlsfloor.enforce("1.2")
"""

RAISED = """
import json, cproton, proton
make, change = cproton.pn_ssl_domain, cproton.pn_ssl_domain_set_protocols
import tlsfloor
old = proton.SSL(proton.Transport(), proton.SSLDomain(proton.SSLDomain.MODE_CLIENT))
tlsfloor.enforce("1.2"); tlsfloor.enforce("1.3")
status = tlsfloor.status()
told = [status.stacks["cproton"], len(status.below)]
del old
told.append(len(tlsfloor.status().below))
told.append([cproton.pn_ssl_domain is make, proton._transport.pn_ssl_domain is make])
domain = proton.SSLDomain(proton.SSLDomain.MODE_CLIENT)
for nonsense in ("TLSv9", ""):
    told.append(cproton.pn_ssl_domain_set_protocols(domain._domain, nonsense))
    told.append(change(domain._domain, nonsense))
print(json.dumps(told))
"""


def answered(route: str, floor: str) -> set[str]:
    """Return the clients of the ladder to which a server spoke AMQP."""
    with serving_program("server_proton", route, floor) as server:
        found = {
            peer: handshakes.call(
                "127.0.0.1", server.port, FLOORS[name], key_exchange, request=HEADER
            ).data
            for peer in LADDER
            for name, key_exchange in [peer.split()]
        }
    return {peer for peer, data in found.items() if data.startswith(HEADER)}


def test_a_server_accepts_all_without_a_floor() -> None:
    need("proton")
    assert answered("none", "") == set(LADDER)


@pytest.mark.parametrize("floor", ["1.2", "1.3"])
@pytest.mark.parametrize("route", ROUTES)
def test_a_server_accepts_none_below_the_floor(route: str, floor: str) -> None:
    need("proton")
    allowed = {peer for peer in LADDER if FLOORS[peer.split()[0]] >= FLOORS[floor]}
    assert answered(route, floor) == allowed


@pytest.mark.parametrize("program", [FUTURE, REFUSING])
def test_a_proton_without_a_list_of_versions_is_refused(program: str) -> None:
    need("proton")
    done = python("-c", program)
    assert "GuardError: " in done.stderr


def test_a_higher_floor_is_held_and_older_connections_are_reported() -> None:
    need("proton")
    done = python("-c", RAISED)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told == ["guarded", 1, 0, [False, False], -6, -6, -6, -6]


def test_proton_is_guarded_when_it_is_imported() -> None:
    need("proton")
    program = "import proton, tlsfloor; print(tlsfloor.status().stacks['cproton'])"
    done = python("-c", program, env=armed_environment("1.3"))
    assert done.stdout == "guarded\n", done.stderr

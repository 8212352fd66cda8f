"""confluent-kafka beyond ``test_stacks``: late floors, and versions that its guard does not fit."""

from __future__ import annotations

import json
import os

import pytest

import peers
from programs import armed_environment, python
from parts import need

FUTURE = """
import confluent_kafka.cimpl
del confluent_kafka.cimpl._AdminClientImpl
import tlsfloor
tlsfloor.enforce("1.2")
"""

CLIENTS = """
import json, sys, threading
import confluent_kafka, confluent_kafka.admin as admin, tlsfloor
sys.path.insert(0, sys.argv[1])
import peers
from tlsfloor.peers import handshakes

def offered(make):
    ended = threading.Event()
    with handshakes.ServerPeer(0x304, **peers.PROTOCOLS["hang up"]) as peer:
        client = make({
            "bootstrap.servers": f"localhost:{peer.port}", "security.protocol": "SSL",
            "ssl.ca.location": handshakes.CA_FILE, "log_level": 0, "group.id": "x",
            "error_cb": lambda error: ended.set(),
        }, **{"ssl.cipher.suites": sys.argv[2]})
        while not ended.is_set():
            client.poll(0.05)
    # openssl-ciphers(1): AES128-SHA, AES128-SHA256, ECDHE-RSA-AES128-GCM-SHA256
    suites = peer.seen[0].offered.cipher_suites
    return [number in suites for number in (0x2F, 0x3C, 0xC02F)]

made = (
    confluent_kafka.Producer,
    confluent_kafka.Consumer,
    lambda config, **more: admin.AdminClient({**config, **more}),
)
print(json.dumps([offered(make) for make in made]))
"""

AGAIN = """
import json, confluent_kafka, tlsfloor
from confluent_kafka import admin
copied, kept = confluent_kafka.Producer, [confluent_kafka.Producer]
told = [tlsfloor.enforce("1.2").below, tlsfloor.status().stacks["confluent_kafka.cimpl"]]
tlsfloor.enforce("1.2")
told.append([producer is confluent_kafka.Producer for producer in (copied, kept[0])])
told.append(len(admin.AdminClient.__mro__))
told.append([confluent_kafka.Producer.__name__, confluent_kafka.Producer.__module__])
print(json.dumps(told))
"""

TOKEN = """
import confluent_kafka, tlsfloor
confluent_kafka.Producer({
    "security.protocol": "SASL_SSL", "sasl.mechanisms": "OAUTHBEARER",
    "sasl.oauthbearer.method": "oidc", "sasl.oauthbearer.client.id": "x",
    "sasl.oauthbearer.client.secret": "x",
    "sasl.oauthbearer.token.endpoint.url": "HTTPS://localhost:1/",
})
print(tlsfloor.status().below)
"""


def test_a_version_that_lacks_a_client_is_refused() -> None:
    need("confluent_kafka")
    done = python("-c", FUTURE)
    assert "GuardError: this version of confluent_kafka cannot be held to a floor: " in done.stderr


@pytest.mark.parametrize("suites", ["ALL:@SECLEVEL=0", "ALL\0:", "", "AES128-SHA256 AES128-SHA"])
def test_every_kind_of_client_offers_no_suite_of_older_versions(suites: str) -> None:
    need("confluent_kafka")
    program = CLIENTS.replace("sys.argv[2]", repr(suites))
    for floor, held in (
        ("1.2", {(False, True, True), (False, True, False)}),
        ("1.3", {(False,) * 3}),
    ):
        done = python("-c", program, os.path.dirname(peers.__file__), env=armed_environment(floor))
        assert done.returncode == 0, done.stderr
        assert {tuple(each) for each in json.loads(done.stdout)} <= held


def test_a_late_floor_reports_that_older_clients_may_exist() -> None:
    need("confluent_kafka")
    done = python("-c", AGAIN)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [
        ["any client of confluent-kafka that is older than the floor"],
        "guarded",
        [True, False],  # a copy in a module is replaced, and no other
        4,
        ["Producer", "cimpl"],
    ]


@pytest.mark.parametrize("floor", ["1.2", "1.3"])
def test_the_https_client_of_librdkafka_is_refused_at_1_3(floor: str) -> None:
    need("confluent_kafka")
    done = python("-c", TOKEN, env=armed_environment(floor))
    if floor == "1.2":
        assert done.stdout == "[]\n", done.stderr
    else:
        assert "sasl.oauthbearer.token.endpoint.url uses, speaks TLS 1.2" in done.stderr

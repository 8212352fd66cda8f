"""The peers of the verifier cost little, and are peers like any others."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading

import pytest

from programs import python
from tlsfloor.peers import handshakes
from tlsfloor.peers.base import SERVER_FILE, PeerGroup
from tlsfloor.versions import TLS1_0, TLS1_2, TLS1_3


def fetch(port: int, group: str | None = None) -> str:
    """Return what a client of ``ssl`` gets, which verifies the certificate."""
    context = ssl.create_default_context(cafile=handshakes.CA_FILE)
    if group:
        context.set_ecdh_curve(group)
    with socket.create_connection(("127.0.0.1", port), 10) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as tls:
            tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return tls.recv(4096).decode()


def test_the_key_of_the_servers_signs_and_decrypts() -> None:
    _, key = handshakes.identity(SERVER_FILE)
    assert (len(key), key.e) == (2048, 65537)
    signed = key.hashAndSign(b"data", "PSS", "sha256", 32)
    assert key.hashAndVerify(signed, b"data", "PSS", "sha256", 32)
    assert not key.hashAndVerify(signed, b"other data", "PSS", "sha256", 32)
    assert key.decrypt(key.encrypt(b"a secret")) == b"a secret"
    assert key.decrypt(bytes(256)) is None


@pytest.mark.parametrize("group", [None, "prime256v1", "secp384r1"])
@pytest.mark.parametrize("version", [TLS1_2, TLS1_3])
def test_a_client_of_any_group_completes_a_handshake(version: int, group: str | None) -> None:
    with handshakes.ServerPeer(version, "ecdhe") as peer:
        assert "Protocol : TLSv1." in fetch(peer.port, group)


def test_a_client_that_is_not_a_peer_has_a_key_that_nobody_knows() -> None:
    """Such as `tlsfloor check`, which may show its certificate to a server of others."""
    from tlslite.keyexchange import ECDHKeyExchange, GroupName

    exchange = ECDHKeyExchange(GroupName.x25519, (3, 4))
    keys = [exchange.get_random_private_key()]
    with handshakes.ServerPeer(TLS1_3) as peer:  # in its own thread it does
        assert handshakes.call("127.0.0.1", peer.port, TLS1_3).version == TLS1_3
        keys.append(exchange.get_random_private_key())
    assert 1 not in keys
    assert len({bytes(key) for key in keys}) == len(keys)


def test_a_connection_belongs_to_the_peer_of_its_port_however_late_it_comes() -> None:
    """One thread accepts for all peers, and none of them waits for another one."""
    before = threading.active_count()
    peers = [handshakes.ServerPeer(version, "ecdhe") for version in (TLS1_2, TLS1_0, TLS1_3)]
    with PeerGroup(peers) as group, contextlib.ExitStack() as stack:
        assert threading.active_count() == before + 1
        silent = stack.enter_context(socket.create_connection(("127.0.0.1", peers[1].port)))
        fetch(peers[2].port)
        fetch(peers[0].port)
        late = stack.enter_context(socket.create_connection(("127.0.0.1", peers[2].port)))
        late.sendall(b"not TLS")
        for each in (silent, late):
            each.shutdown(socket.SHUT_WR)
        group.settle()
    assert [[each.version for each in peer.seen] for peer in peers] == [
        [TLS1_2],
        [None],
        [TLS1_3, None],
    ]
    assert all(each.version or each.error for peer in peers for each in peer.seen)
    assert threading.active_count() == before


def test_tlslite_is_imported_without_its_integrations_until_a_program_asks() -> None:
    program = "import sys; import tlsfloor.peers.handshakes; print(*sys.modules)"
    loaded = set(python("-c", program).stdout.split())
    assert "tlslite.tlsconnection" in loaded
    assert not {"tlslite.api", "asyncio", "xmlrpc", "imaplib", "ssl"} & loaded
    program += "; from tlslite import TLSConnection, HTTPTLSConnection; import tlslite.api"
    assert python("-c", f"{program}; print(tlslite.TLSConnection)").stdout.endswith("'>\n")

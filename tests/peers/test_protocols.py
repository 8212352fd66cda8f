"""What peers say before TLS, to clients that ask in another way, in pieces, or not for TLS."""

from __future__ import annotations

import socket
import ssl
import struct

import pytest

from parts import need
from tlsfloor.peers import base
from tlsfloor.peers.crafted_hellos import client_hello
from tlsfloor.peers.hello_answers import first_message
from tlsfloor.versions import TLS1_2
from tlsfloor.wire import Handshake, Messages, ServerHello, extensions

need("tlslite")

from tlsfloor.peers.handshakes import ServerPeer
from tlsfloor.peers.protocols import PROTOCOLS

SSL_REQUEST, GSS_REQUEST = (struct.pack("!II", 8, code) for code in (80877103, 80877104))


def test_a_peer_names_one_format_of_points_as_mbedtls_takes_the_first() -> None:
    with ServerPeer(TLS1_2, "ecdhe") as peer:
        with socket.create_connection(("127.0.0.1", peer.port), 10) as plain:
            plain.sendall(client_hello(TLS1_2, "ecdhe"))
            answer, stream = None, Messages()
            while answer is None:
                answer = first_message(plain.recv(9000), stream)
    assert isinstance(answer, Handshake)
    formats = dict(ServerHello.parse(answer.body).extensions or [])[extensions.EC_POINT_FORMATS]
    assert formats == b"\1\0"


def peer_for(library: str) -> ServerPeer:
    return ServerPeer(TLS1_2, "ecdhe", **PROTOCOLS[library])


def test_a_postgres_peer_refuses_gssapi_and_accepts_tls_in_pieces() -> None:
    context = ssl.create_default_context(cafile=base.CA_FILE)
    with peer_for("psycopg") as peer:
        with socket.create_connection(("127.0.0.1", peer.port), 10) as plain:
            plain.sendall(GSS_REQUEST)
            assert plain.recv(10) == b"N"
            for number in range(len(SSL_REQUEST)):
                plain.sendall(SSL_REQUEST[number : number + 1])
            assert plain.recv(10) == b"S"
            with context.wrap_socket(plain, server_hostname="localhost") as tls:
                assert tls.version() == "TLSv1.2"
                tls.sendall(b"\0\0\0")
                tls.sendall(b"\x0a\0\3\0\0\0\0")
                assert b"tls_version\0TLSv1.2\0" in tls.recv(1000)
        peer.settle()
    assert [each.version for each in peer.seen] == [TLS1_2]


def test_a_postgres_client_may_begin_with_tls() -> None:
    need("psycopg")
    import psycopg

    options = f"host=localhost user=x sslmode=verify-full sslrootcert={base.CA_FILE}"
    with peer_for("psycopg") as peer:
        try:
            direct = f"{options} port={peer.port} sslnegotiation=direct"
            with psycopg.connect(direct, autocommit=True) as connection:
                assert connection.info.parameter_status("tls_version") == "TLSv1.2"
        except psycopg.ProgrammingError as error:  # a libpq older than 17
            pytest.skip(str(error))


@pytest.mark.parametrize("library", ["psycopg", "MySQLdb"])
@pytest.mark.parametrize("sent", [b"", b"\0\0", b"GET / HTTP/1.0\r\n\r\n" * 9])
def test_a_client_without_tls_fails_and_the_next_one_is_served(library: str, sent: bytes) -> None:
    with peer_for(library) as peer:
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", peer.port), 10) as plain:
                plain.sendall(sent)
        peer.settle()
    assert [each.version for each in peer.seen] == [None, None]
    assert all(each.error for each in peer.seen)

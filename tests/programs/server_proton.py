"""Qpid Proton, a server in memory: its transport between the client and a plain socket."""

import socket

import cproton
import proton


def prepare(job):
    domain = proton.SSLDomain(proton.SSLDomain.MODE_SERVER)
    domain.set_credentials(job["peer"], job["peer"], None)
    cproton.pn_ssl_domain_set_ciphers(domain._domain, "ALL:@SECLEVEL=0")
    return domain, socket.create_server(("127.0.0.1", 0))


def main(job, made):
    domain, listener = made
    cproton.pn_ssl_domain_set_protocols(domain._domain, "T TLSv1.1 TLSv1.2 TLSv1.3")
    print(listener.getsockname()[1], flush=True)
    while True:
        serve(listener.accept()[0], domain)


def serve(sock, domain):
    transport = proton.Transport(proton.Transport.SERVER)
    proton.SSL(transport, domain)
    with sock:
        while transport.capacity() > 0:
            data = sock.recv(transport.capacity())
            if not data:
                return
            transport.push(data)
            while transport.pending() > 0:
                sock.sendall(transport.peek(transport.pending()))
                transport.pop(transport.pending())

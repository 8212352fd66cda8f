"""Qpid Proton, a client: domains that may speak every version, made before a late floor."""

import cproton
import proton
from proton.handlers import MessagingHandler
from proton.reactor import Container

STACK = "proton"
NEEDS = ("proton",)
PEER = "hang up"


class Client(MessagingHandler):
    def __init__(self, url, domain):
        super().__init__()
        self.url, self.domain = url, domain

    def on_start(self, event):
        event.container.connect(
            self.url, ssl_domain=self.domain, reconnect=False, sasl_enabled=False
        )

    def on_transport_error(self, event):
        event.container.stop()


def prepare(job):
    domains = {}
    for port in job["ports"].values():
        domains[port] = domain = proton.SSLDomain(proton.SSLDomain.MODE_CLIENT)
        domain.set_peer_authentication(proton.SSLDomain.ANONYMOUS_PEER)
        cproton.pn_ssl_domain_set_protocols(domain._domain, "TLSv1,TLSv1.1;TLSv1.2 TLSv1.3")
        cproton.pn_ssl_domain_set_ciphers(domain._domain, "ALL:@SECLEVEL=0")
    return domains


def connect(port, job, domains):
    Container(Client(f"amqps://localhost:{port}", domains[port])).run()

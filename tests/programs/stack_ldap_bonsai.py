"""bonsai: each connection makes a TLS context of its own, by default from TLS 1.0 on."""

import bonsai

STACK = "ldap"
NEEDS = ("bonsai",)
PEER = "ldaps"


def prepare(job):
    clients = {}
    for port in job["ports"].values():
        clients[port] = bonsai.LDAPClient(f"ldaps://localhost:{port}")
        clients[port].set_cert_policy("never")
    return clients


def connect(port, job, made):
    made[port].connect(timeout=10).close()

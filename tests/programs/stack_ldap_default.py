"""python-ldap, LDAPS with the global options: TLS 1.0 is the default minimum."""

import ldap

STACK = "ldap"
NEEDS = ("ldap",)
PEER = "ldaps"
NAMES = {"TLS1.0": "TLSv1", "TLS1.1": "TLSv1.1", "TLS1.2": "TLSv1.2", "TLS1.3": "TLSv1.3"}


def prepare(job):
    ldap.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_NEVER)
    return {port: ldap.initialize(f"ldaps://localhost:{port}") for port in job["ports"].values()}


def connect(port, job, made):
    connection = made[port]
    connection.simple_bind_s()
    version = connection.get_option(ldap.OPT_X_TLS_VERSION)
    connection.unbind_s()
    return NAMES.get(version, version)  # GnuTLS has names of its own

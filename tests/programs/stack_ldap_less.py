"""python-ldap, StartTLS with a TLS context of its own that asks for TLS 1.0, by every option."""

import os

os.environ["LDAPTLS_PROTOCOL_MIN"] = "3.1"

import ldap

STACK = "ldap"
NEEDS = ("ldap",)
PEER = "ldap"
NAMES = {"TLS1.0": "TLSv1", "TLS1.1": "TLSv1.1", "TLS1.2": "TLSv1.2", "TLS1.3": "TLSv1.3"}


def connect(port, job, made):
    connection = ldap.initialize(f"ldap://localhost:{port}")
    connection.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_NEVER)
    connection.set_option(ldap.OPT_X_TLS_PROTOCOL_MIN, ldap.OPT_X_TLS_PROTOCOL_TLS1_0)
    if ldap.get_option(ldap.OPT_X_TLS_PACKAGE) == "GnuTLS":
        asked = "NORMAL:-VERS-ALL:+VERS-TLS1.0:+VERS-TLS1.1:+VERS-TLS1.2:+VERS-TLS1.3"
    else:
        asked = "ALL:@SECLEVEL=0"
    connection.set_option(ldap.OPT_X_TLS_CIPHER_SUITE, asked)
    connection.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
    connection.start_tls_s()
    version = connection.get_option(ldap.OPT_X_TLS_VERSION)
    connection.unbind_s()
    return NAMES.get(version, version)

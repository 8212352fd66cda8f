"""mysql-connector-python without its C extension: it lets nobody ask for less than TLS 1.2."""

import mysql.connector

# What every Python has, whatever its defaults are.
SUITES = ["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384"]


def connect(port, job, made):
    database = mysql.connector.connect(
        host="localhost",
        port=port,
        user="me",
        ssl_ca=job["ca"],
        ssl_verify_cert=True,
        tls_versions=["TLSv1.2", "TLSv1.3"],
        tls_ciphersuites=SUITES,
        use_pure=True,
    )
    try:
        return database._socket.sock.version()
    finally:
        database.close()

"""The C extension of mysql-connector-python, asked for versions that it no longer speaks."""

import _mysql_connector

STACK = "mysql_connector"
NEEDS = ("_mysql_connector",)
OUT_OF_REACH = ("1.0 rsa", "1.0 ecdhe", "1.1 rsa", "1.1 ecdhe")
PEER = "mysql"


def connect(port, job, made):
    connection = _mysql_connector.MySQL()
    connection.connect(
        host="127.0.0.1",
        port=port,
        user="me",
        ssl_ca=job["ca"],
        ssl_disabled=False,
        ssl_cipher_suites="ALL:@SECLEVEL=0",
        tls_versions="TLSv1,TLSv1.1,TLSv1.2,TLSv1.3",
    )
    connection.close()

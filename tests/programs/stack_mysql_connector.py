"""mysql-connector-python with its C extension, imported before ``ssl``: each has an OpenSSL."""

import _mysql_connector
import mysql.connector

STACK = "mysql_connector"
NEEDS = ("_mysql_connector",)
OUT_OF_REACH = ("1.0 rsa", "1.0 ecdhe", "1.1 rsa", "1.1 ecdhe")
PEER = "mysql"


def connect(port, job, made):
    assert _mysql_connector.MySQL
    mysql.connector.connect(
        host="127.0.0.1",
        port=port,
        user="me",
        ssl_ca=job["ca"],
        ssl_verify_cert=True,
        tls_versions=["TLSv1.2", "TLSv1.3"],
        use_pure=False,
    ).close()

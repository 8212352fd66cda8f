"""mysql-connector-python with its C extension, which goes before ``ssl``: both have an OpenSSL."""

import _mysql_connector
import mysql.connector

STACK = "mysql_connector"
NEEDS = ("_mysql_connector",)
PEER = "mysql"


def connect(port, job, made):
    mysql.connector.connect(
        host="127.0.0.1",
        port=port,
        user="me",
        ssl_ca=job["ca"],
        ssl_verify_cert=True,
        tls_versions=["TLSv1.2", "TLSv1.3"],
        use_pure=False,
    ).close()

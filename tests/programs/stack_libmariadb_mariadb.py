"""``mariadb``: every version is asked for, by its own argument."""

import mariadb

STACK = "libmariadb"
ROW = "mariadb._mariadb"
NEEDS = ("mariadb",)
PEER = "mysql"


def connect(port, job, made):
    mariadb.connect(
        host="127.0.0.1",
        port=port,
        user="me",
        ssl_ca=job["ca"],
        ssl_verify_cert=True,
        ssl_cipher="ALL:@SECLEVEL=0",
        tls_version="TLSv1.0,TLSv1.1,TLSv1.2,TLSv1.3",
    ).close()

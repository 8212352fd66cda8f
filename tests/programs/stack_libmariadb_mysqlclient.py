"""mysqlclient as usual: libmariadb accepts TLS 1.0 by default."""

import MySQLdb

STACK = "libmariadb"
ROW = "MySQLdb._mysql"
NEEDS = ("MySQLdb",)
PEER = "mysql"


def connect(port, job, made):
    # There is no argument for the version.
    ssl = {"ca": job["ca"], "cipher": "ALL:@SECLEVEL=0"}
    MySQLdb.connect(host="127.0.0.1", port=port, user="me", ssl=ssl, ssl_mode="VERIFY_CA").close()

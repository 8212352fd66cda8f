"""The C module of mysqlclient, with a connection string instead of a host."""

from MySQLdb import _mysql

STACK = "libmariadb"
ROW = "MySQLdb._mysql"
NEEDS = ("MySQLdb",)
PEER = "mysql"

# A late floor does not reach a "connect" that was taken from the module before.
STRING = (
    "host=127.0.0.1;port={port};user=me;ssl-enforce=1;ssl-ca={ca};ssl-cipher={{ALL:@SECLEVEL=0}};"
    "tls-version=TLSv1.0,TLSv1.1,TLSv1.2,TLSv1.3"
)


def connect(port, job, made):
    _mysql.connect(STRING.format(port=port, ca=job["ca"]), ssl_mode="VERIFY_CA").close()

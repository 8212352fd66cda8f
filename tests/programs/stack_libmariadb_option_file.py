"""mysqlclient: every version is asked for in an option file and group of the program."""

import os
import tempfile

import MySQLdb

STACK = "libmariadb"
ROW = "MySQLdb._mysql"
NEEDS = ("MySQLdb",)
PEER = "mysql"

OPTIONS = """
[mine]
user = me
host = 127.0.0.1
port = {port}
ssl-ca = {ca}
ssl-cipher = ALL:@SECLEVEL=0
tls_version = TLSv1.0,TLSv1.1,TLSv1.2,TLSv1.3
"""


def connect(port, job, made):
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "my own.cnf")
        with open(file, "w") as options:
            options.write(OPTIONS.format(port=port, ca=job["ca"]))
        MySQLdb.connect(
            read_default_file=file, read_default_group="mine", ssl_mode="VERIFY_CA"
        ).close()

"""ADBC's driver of Flight SQL, which is written in Go: TLS 1.2 at least."""

import adbc_driver_flightsql.dbapi as flightsql

STACK = "adbc"
NEEDS = ("adbc_driver_flightsql",)
PEER = "h2"
OUT_OF_REACH = ("1.0 rsa", "1.0 ecdhe", "1.1 rsa", "1.1 ecdhe", "1.2 rsa")
REFUSED = ("1.3",)


def connect(port, job, made):
    with open(job["ca"]) as file:
        options = {"adbc.flight.sql.client_option.tls_root_certs": file.read()}
    try:
        with flightsql.connect(f"grpc+tls://localhost:{port}", db_kwargs=options) as database:
            with database.cursor() as cursor:
                cursor.execute("SELECT 1")
    except flightsql.Error:
        return  # the peer hangs up, whatever the version was

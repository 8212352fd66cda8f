"""A client of Arrow Flight, which is gRPC."""

from pyarrow import flight

STACK = "arrow"
ROW = "pyarrow._flight"
NEEDS = ("pyarrow",)
PEER = "h2"
OUT_OF_REACH = ("1.0 rsa", "1.0 ecdhe", "1.1 rsa", "1.1 ecdhe", "1.2 rsa")
REFUSED = ("1.3",)


def connect(port, job, made):
    with open(job["ca"], "rb") as file:
        client = flight.connect(f"grpc+tls://localhost:{port}", tls_root_certs=file.read())
    try:
        list(client.list_flights(options=flight.FlightCallOptions(timeout=5)))
    except flight.FlightError:
        return  # the peer hangs up, whatever the version was

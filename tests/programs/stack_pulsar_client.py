"""A client of Pulsar, which looks a topic up."""

import pulsar

STACK = "pulsar"
NEEDS = ("pulsar",)
PEER = "hang up"
OUT_OF_REACH = ("1.0 rsa", "1.0 ecdhe", "1.1 rsa", "1.1 ecdhe")
REFUSED = ("1.3",)
AT_ONCE = True


def connect(port, job, made):
    client = pulsar.Client(
        f"pulsar+ssl://localhost:{port}",
        tls_trust_certs_file_path=job["ca"],
        operation_timeout_seconds=1,
        logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error),
    )
    try:
        client.create_producer("topic")
    except (pulsar.ConnectError, pulsar.Timeout):
        return  # the peer is no Pulsar, and hangs up
    finally:
        client.close()

"""A client of Pulsar, which asks for a producer."""

import threading

import pulsar

STACK = "pulsar"
NEEDS = ("pulsar",)
PEER = "hang up"
OUT_OF_REACH = ("1.0 rsa", "1.0 ecdhe", "1.1 rsa", "1.1 ecdhe")
REFUSED = ("1.3",)


def connect(port, job, made):
    client = pulsar.Client(
        f"pulsar+ssl://localhost:{port}",
        tls_trust_certs_file_path=job["ca"],
        logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error),
    )
    answered = threading.Event()
    client._client.create_producer_async(
        "topic", pulsar._pulsar.ProducerConfiguration(), lambda *_: answered.set()
    )
    # The peer is no Pulsar, and hangs up; then this client tries again for some time.
    answered.wait(1)
    client.shutdown()

"""confluent-kafka, whose librdkafka has an OpenSSL of its own: a class that derives from a client.

It is taken before a late floor, and asks for every suite as if it were a property of topics.
"""

import threading

from confluent_kafka import SerializingProducer

STACK = "kafka"
NEEDS = ("confluent_kafka",)
PEER = "hang up"


def connect(port, job, made):
    ended = threading.Event()
    client = SerializingProducer(
        {
            "bootstrap.servers": f"localhost:{port}",
            "security.protocol": "SSL",
            "ssl.ca.location": job["ca"],
            "default.topic.config": {"ssl.cipher.suites": "ALL:@SECLEVEL=0"},
            "error_cb": lambda error: ended.set(),
            "log_level": 0,
        }
    )
    for _ in range(100):
        client.poll(0.05)
        if ended.is_set():
            return  # the peer hangs up, whatever the version was
    raise TimeoutError

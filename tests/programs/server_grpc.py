"""A server of gRPC, whose BoringSSL is asked for every suite."""

import os

os.environ["GRPC_SSL_CIPHER_SUITES"] = "ALL"

from concurrent import futures

import grpc


def prepare(job):
    with open(job["peer"], "rb") as file:
        identity = file.read()
    server = grpc.server(futures.ThreadPoolExecutor(1))
    credentials = grpc.ssl_server_credentials([(identity, identity)])
    return server, server.add_secure_port("127.0.0.1:0", credentials)


def main(job, made):
    server, port = made
    server.start()
    print(port, flush=True)
    server.wait_for_termination()

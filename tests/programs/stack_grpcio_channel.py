"""gRPC with every cipher suite of its BoringSSL."""

import os

os.environ["GRPC_SSL_CIPHER_SUITES"] = "ALL"

import grpc

STACK = "grpcio"
NEEDS = ("grpc",)
PEER = "h2"
OUT_OF_REACH = ("1.0 rsa", "1.0 ecdhe", "1.1 rsa", "1.1 ecdhe")
REFUSED = ("1.3",)


def connect(port, job, made):
    with open(job["ca"], "rb") as file:
        credentials = grpc.ssl_channel_credentials(file.read())
    options = [("grpc.enable_retries", 0)]
    with grpc.secure_channel(f"localhost:{port}", credentials, options) as channel:
        try:
            channel.unary_unary("/a/b")(b"", timeout=5)
        except grpc.RpcError:
            return  # the peer hangs up, whatever the version was; and gRPC does not tell it

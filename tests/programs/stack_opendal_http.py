"""OpenDAL, which contains rustls: TLS 1.2 with ECDHE is its lowest."""

import os

import opendal

STACK = "opendal"
NEEDS = ("opendal",)
OUT_OF_REACH = ("1.0 rsa", "1.0 ecdhe", "1.1 rsa", "1.1 ecdhe", "1.2 rsa")
REFUSED = ("1.3",)


def connect(port, job, made):
    os.environ["SSL_CERT_FILE"] = job["ca"]  # which it reads when it makes its client
    page = opendal.Operator("http", endpoint=f"https://localhost:{port}").read("x")
    return bytes(page).decode().split(" : ")[1].strip()

"""Arm a floor while a connection is open, or none; return what the status lists as below it."""

import socket
import ssl

import tlsfloor


def main(job, made):
    context = ssl.create_default_context(cafile=job["ca"])
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")
    if job["port"] is None:
        return tlsfloor.enforce(job["floor"]).below
    with socket.create_connection(("127.0.0.1", job["port"])) as plain:
        with context.wrap_socket(plain, server_hostname="localhost"):
            return tlsfloor.enforce(job["floor"]).below

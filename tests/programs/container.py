"""What is in a container: it calls a server, accepts everything, and says what it got."""

import os
import socket
import ssl
import warnings


def handler(event=None, context=None):
    warnings.simplefilter("ignore")
    tls = ssl.create_default_context(cafile=os.environ["CA"])
    tls.minimum_version = ssl.TLSVersion.TLSv1
    tls.set_ciphers("ALL:@SECLEVEL=0")
    plain = socket.create_connection(("127.0.0.1", int(os.environ["PORT"])))
    try:
        return tls.wrap_socket(plain, server_hostname="localhost").version()
    except ssl.SSLError as error:
        return error.reason


if __name__ == "__main__":
    print(handler())

"""16 threads that make contexts, lower them and shake hands, while others arm floors.

What is counted is what the program was handed.
"""

import collections
import socket
import ssl
import threading
import time

#: Threads of each kind, 16 in all.
CLIENTS, ARMERS = 12, 4


def lowest(ca):
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = 0x301
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def connect(context, port):
    with socket.create_connection(("127.0.0.1", port), 20) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as tls:
            tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert tls.recv(1)
            return tls.version()


def main(job, made):
    if job["floors"]:
        import tlsfloor
    outcomes = collections.Counter()
    faults = []
    shared = lowest(job["ca"])
    together = threading.Barrier(CLIENTS + ARMERS)
    stop = time.monotonic() + job["seconds"]

    def client(number):
        together.wait()
        while time.monotonic() < stop:
            # Half of them share one context, and lower it again and again.
            context = shared if number % 2 else lowest(job["ca"])
            context.minimum_version = 0x301
            port = job["ports"][number // 2 % len(job["ports"])]
            try:
                version = connect(context, port)
            except ssl.SSLError as error:
                version = error.reason
            outcomes[version] += 1

    def armer(number):
        together.wait()
        while time.monotonic() < stop:
            for floor in job["floors"]:
                status = tlsfloor.enforce(floor)
                assert status.held and status.floor >= floor, status
            time.sleep(0.01)

    def run(function, number):
        try:
            function(number)
        except BaseException as error:
            faults.append(repr(error))
            together.abort()

    threads = [threading.Thread(target=run, args=(client, number)) for number in range(CLIENTS)]
    threads += [threading.Thread(target=run, args=(armer, number)) for number in range(ARMERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return {
        "outcomes": outcomes,
        "faults": faults,
        "alive": sum(thread.is_alive() for thread in threads),
    }

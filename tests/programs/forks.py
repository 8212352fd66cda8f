"""Forks while other threads are inside of ``enforce()``: the children arm, lower and answer."""

import os
import signal
import ssl
import threading
import time
import warnings


def main(job, made):
    import tlsfloor

    # CPython 3.12 and newer warn of a fork beside threads, which is what this is about.
    warnings.simplefilter("ignore")
    tlsfloor.enforce(
        "1.2"
    )  # has imported everything: a fork inside of an import is CPython's affair
    stop = threading.Event()

    def arm():
        while not stop.is_set():
            tlsfloor.enforce("1.2")

    threads = [threading.Thread(target=arm) for _ in range(4)]
    for thread in threads:
        thread.start()
    outcomes = []
    for _ in range(job["children"]):
        child = os.fork()
        if child == 0:
            try:
                status = tlsfloor.enforce("1.3")
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.minimum_version = 0x301
                os._exit(0 if status.floor == "1.3" and context.minimum_version == 0x304 else 3)
            finally:
                os._exit(4)
        outcomes.append(wait(child))
    stop.set()
    for thread in threads:
        thread.join()
    return outcomes


def wait(child):
    """Return the status of a child, or kill it if it takes longer than any child should."""
    patience = time.monotonic() + 20
    while time.monotonic() < patience:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.WEXITSTATUS(status) if os.WIFEXITED(status) else "killed"
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "it hangs"

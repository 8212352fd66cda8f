"""Threads lower contexts by the ordinary setter while another one arms: arming must not notice."""

import ssl
import sys
import threading
import time


def main(job, made):
    import tlsfloor

    sys.setswitchinterval(1e-6)
    stop = time.monotonic() + job["seconds"]
    faults = []
    minima = set()

    def lower():
        context = ssl.create_default_context()
        while time.monotonic() < stop:
            context.minimum_version = 0x301
            minima.add(int(context.minimum_version))

    def arm():
        while time.monotonic() < stop:
            try:
                tlsfloor.enforce("1.2")
            except tlsfloor.GuardError as error:
                faults.append(str(error))

    threads = [threading.Thread(target=function) for function in (lower, lower, arm)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [faults, sorted(minima)]

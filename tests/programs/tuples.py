"""Threads build tuples, while others ask what holds; the builders must not notice.

CPython grows a tuple in place, and fails if somebody found the unfinished one by the collector.
"""

import sys
import threading
import time


def main(job, made):
    import ssl

    import tlsfloor

    context = ssl.create_default_context()
    tlsfloor.enforce("1.2")
    sys.setswitchinterval(1e-5)
    stop = time.monotonic() + job["seconds"]
    faults = []

    def build():
        while time.monotonic() < stop:
            try:
                tuple(number for number in range(30))
            except SystemError as error:
                faults.append(str(error))

    def ask():
        while time.monotonic() < stop:
            try:
                tlsfloor.status()
                tlsfloor.enforce("1.2")
            except SystemError as error:
                faults.append(str(error))

    threads = [threading.Thread(target=function) for function in (build, build, ask, ask)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [faults, int(context.minimum_version)]

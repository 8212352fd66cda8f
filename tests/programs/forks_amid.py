"""Forks while other threads use all that has a lock; each child uses all of it too, or hangs.

``job["hold"]``: no chance is needed, for a thread holds every lock of tlsfloor at the fork.
"""

import contextlib
import logging
import os
import signal
import ssl
import sys
import threading
import warnings
from _thread import LockType, RLock

import tlsfloor


class Keep(logging.Handler):
    """Takes what is logged. (A stream has a lock that CPython does not renew.)"""

    def emit(self, record):
        pass


logging.getLogger().addHandler(Keep())
logging.getLogger().setLevel(logging.DEBUG)

EXEMPTED, OTHER = "old.example.com", "new.example.com"

# Made once: see child().
INCOMING, OUTGOING = ssl.MemoryBIO(), ssl.MemoryBIO()


def lowest():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = 0x301
    return context


def begin(context, name):
    context.wrap_bio(INCOMING, OUTGOING, server_hostname=name)


def report(context):
    context.minimum_version = 0x301  # an event for the file, the function and logging


FEATURES = {
    "arming": lambda context: tlsfloor.enforce("1.2"),
    "an exemption": lambda context: begin(context, EXEMPTED),
    "a connection": lambda context: begin(context, OTHER),
    "reading": lambda context: context.minimum_version,
    "events": report,
}


def locks():
    """Return every lock that a module of tlsfloor has."""
    return [
        each
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] == "tlsfloor"
        for each in list(vars(module).values())
        if isinstance(each, (LockType, type(RLock())))
    ]


def child(contexts, known):
    """Do everything once; end with 0.

    It makes no context and no BIO: OpenSSL has locks for that, which a fork leaves held too.
    """
    signal.alarm(20)  # its default ends the process
    try:
        for context in contexts:
            for feature in FEATURES.values():
                feature(context)
        sys.modules["tlsfloor.events"].flush()
        held = tlsfloor.enforce("1.2").held
        least = min(each.minimum_version for each in contexts)
        os._exit(0 if held and known and least == 0x303 else 3)
    finally:
        os._exit(4)


def main(job, made):
    # CPython 3.12 and newer warn of a fork beside threads, which is what this is about.
    warnings.simplefilter("ignore")
    context, unused, seen = lowest(), lowest(), []
    tlsfloor.enforce("1.2", on_event=seen.append)
    for feature in FEATURES.values():  # has imported everything: see forks.py
        feature(context)
    tlsfloor.enforce("1.2")
    stop, ready = threading.Event(), threading.Event()

    def hold():
        with contextlib.ExitStack() as held:
            for each in locks():
                held.enter_context(each)
            ready.set()
            stop.wait()

    def use(feature):
        ready.set()
        while not stop.is_set():
            feature(context)

    jobs = [(hold,)] if job["hold"] else [(use, each) for each in FEATURES.values()]
    threads = [threading.Thread(target=each[0], args=each[1:]) for each in jobs]
    for thread in threads:
        thread.start()
    ready.wait()
    outcomes = []
    for _ in range(job["children"]):
        pid = os.fork()
        if pid == 0:
            child([context, unused], seen)
        outcomes.append(os.waitpid(pid, 0)[1])
    stop.set()
    for thread in threads:
        thread.join()
    return [len(locks()), outcomes]

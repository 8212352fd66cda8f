"""Run a program of ``programs/`` under one route: ``drive.py FILE ROUTE FLOOR JOB``.

A client program has ``connect(port, job, made)``, which returns the version that was negotiated, as
``SSLSocket.version()`` names it, or None where its library does not tell; and may have
``prepare(job)``, which makes what a program makes once and is run before a late floor is armed. Any
other program has ``main(job, made)``, which returns what JSON can hold. Folders in ``job["path"]``
come before what is installed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

NAMES = {"TLSv1": "1.0", "TLSv1.1": "1.1", "TLSv1.2": "1.2", "TLSv1.3": "1.3"}

# How OpenSSL says that it does not speak the version of the other side, and how the other side
# says it.
REFUSALS = (
    "UNSUPPORTED_PROTOCOL",
    "ALERT_PROTOCOL_VERSION",
    "unsupported protocol",
    "protocol version",
)


def main() -> None:
    file, route, floor, job_text = sys.argv[1:]
    job = json.loads(job_text)
    # Programs of this folder ask for what CPython and its users warn of.
    warnings.simplefilter("ignore")
    sys.path[:0] = job.get("path", [])
    sys.path.append(os.path.dirname(file))  # some programs share a module
    if route == "early":
        enforce(floor)
    spec = importlib.util.spec_from_file_location("program", file)
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    made = program.prepare(job) if hasattr(program, "prepare") else None
    if route == "late":
        enforce(floor)
    if hasattr(program, "main"):
        result = program.main(job, made)
    else:
        tries = [(program, port, job, made) for port in job["ports"].values()]
        if getattr(program, "AT_ONCE", False):  # a library that takes its time over a refusal
            with ThreadPoolExecutor(len(tries)) as pool:
                results = list(pool.map(lambda each: attempt(*each), tries))
        else:
            results = [attempt(*each) for each in tries]
        result = dict(zip(job["ports"], results))
    print(json.dumps(result))


def enforce(floor: str) -> None:
    import tlsfloor

    tlsfloor.enforce(floor)


def attempt(program: object, port: int, job: dict, made: object) -> str | None:
    try:
        version = program.connect(port, job, made)
    except Exception as error:  # whatever a library makes of the refusal is what its users see
        text = describe(error)
        # TLS refused, and not just a connection that came to nothing.
        return f"refused: {text}" if any(word in text for word in REFUSALS) else text
    return None if version is None else NAMES[version]


def describe(error: BaseException | None) -> str:
    """The error and its causes, as a user reads them from the traceback."""
    texts = []
    while error is not None and len(texts) < 10:
        texts.append(f"{type(error).__name__}: {error}")
        error = error.__cause__ or error.__context__
    return " < ".join(texts)


if __name__ == "__main__":
    main()

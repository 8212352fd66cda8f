"""What the verifier costs: each figure as a ratio to what cannot be saved, measured in turns.

    python -m benchmarks.verifier [--rounds 5] [--files 100000]

Nothing here is a test. ``find`` is the program of that name, on the same tree.
"""

from __future__ import annotations

import argparse
import os
import platform
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable

from tlsfloor.verify import cases, examine, find, hello
from tlsfloor.verify.offer import client_hello
from tlsfloor.versions import TLS1_2
from tlsfloor.wire import ClientHello, Messages

#: Parsed in one sample, so that the clock is no part of it.
PARSES = 1000

#: Files in one folder of the tree that is searched.
WIDTH = 100

INTERPRETER = find.Interpreter(sys.executable)
PLAN = cases.plan(TLS1_2)
HELLOS = cases.plan(TLS1_2, hello=True)
_HELLO = client_hello(0x0303, "ecdhe", "localhost")


def seconds(function: Callable[[], object]) -> float:
    """Return how long one call takes."""
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def bare_starts() -> None:
    """Start the interpreter as often as the verifier does, and import ``ssl`` in it."""
    for _ in range(2):
        subprocess.run([sys.executable, "-c", "import ssl"], check=True)


def parse() -> None:
    """Parse a ClientHello from its records, PARSES times."""
    for _ in range(PARSES):
        stream = Messages()
        stream.feed(_HELLO)
        message = stream.read()
        assert message is not None
        ClientHello.parse(message.body)  # type: ignore[union-attr] # it is a handshake message


def plant(folder: str, files: int) -> None:
    """Make a tree of empty files, with this interpreter somewhere in it."""
    for number in range(files):
        if number % WIDTH == 0:
            below = os.path.join(folder, str(number // WIDTH % 7), str(number // WIDTH))
            os.makedirs(below)
        open(os.path.join(below, f"file{number}"), "w").close()
    os.symlink(sys.executable, os.path.join(below, "python3"))


def rows(folder: str) -> list[tuple[str, Callable[[], object], Callable[[], object]]]:
    """Return each figure: its name, what is measured, and what it stands beside."""
    quick, full = (
        lambda plan=plan: examine.examine(INTERPRETER, plan, TLS1_2, 60) for plan in (HELLOS, PLAN)
    )
    return [
        ("in-process verify() / import ssl in a new process", hello.verify, bare_starts),
        ("one interpreter, hellos / its own bare starts", quick, bare_starts),
        ("one interpreter, handshakes / its own bare starts", full, bare_starts),
        (
            "finding interpreters / find",
            lambda: find.search([folder]),
            lambda: subprocess.run(
                ["find", folder, "-name", "python*"], check=True, stdout=subprocess.DEVNULL
            ),
        ),
        (f"{PARSES} ClientHellos parsed / import ssl in a new process", parse, bare_starts),
    ]


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="samples of each kind (default: 5)")
    parser.add_argument("--files", type=int, default=100_000, help="of the tree (default: 100000)")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"{platform.python_implementation()} {platform.python_version()}, {ssl.OPENSSL_VERSION}")
    print(f"{len(PLAN)} cases by handshake, {len(HELLOS)} by hello, {arguments.files} files")
    print(f"{'':58}{'this':>12}{'beside':>12}{'ratio':>8}")
    with tempfile.TemporaryDirectory() as folder:
        plant(folder, arguments.files)
        for name, measured, beside in rows(folder):
            pairs = [(seconds(measured), seconds(beside)) for _ in range(arguments.rounds)]
            this, other = (statistics.median(each) * 1e3 for each in zip(*pairs))
            print(f"{name:58}{this:>9.2f} ms{other:>9.2f} ms{this / other:>8.2f}")


if __name__ == "__main__":
    main()

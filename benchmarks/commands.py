"""The processor time of commands, compared with only starting the interpreter that they ask about.

``tlsfloor verify PYTHON`` starts an interpreter twice, isolated and as a program would start it.
The time is that of the command and of all that it starts: a busy machine or another number of
processors does not change it.
"""

from __future__ import annotations

import os
import sys
import tempfile
import venv
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.measure import Row, environment, processor_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

STARTS = 2


def spent(times: int, command: list[str]) -> float:
    """Return the seconds of processor time that a command takes, called so many times."""
    # The commands have a verdict: their exit status is no failure.
    quiet = ["sh", "-c", '"$@" >/dev/null || test $? -eq 1', "sh", *command]
    return sum(processor_seconds(quiet, environment()) for _ in range(times))


def rows(*, quick: bool = False) -> Iterator[Row]:
    """Yield a row for each kind of evidence, and one for ``status``."""
    rounds = 1 if quick else 15
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, symlinks=True)
        python = os.path.join(folder, "bin", "python")
        verify = [sys.executable, "-m", "tlsfloor", "verify", python]
        starts = partial(spent, STARTS, [python, "-B", "-c", "import ssl"])
        for name, command, most in (
            ("handshakes", verify, 20),
            ("hellos", [*verify, "--hello"], 6),
        ):
            yield Row(
                f"tlsfloor verify PYTHON, by {name}, processor time",
                "second",
                {
                    f"{STARTS} starts of it, import ssl": starts,
                    "tlsfloor": partial(spent, 1, command),
                },
                most=most,
                rounds=rounds,
            )
    yield Row(
        "tlsfloor status, processor time",
        "second",
        {
            "import ssl": partial(spent, 1, [sys.executable, "-c", "import ssl"]),
            "tlsfloor": partial(spent, 1, [sys.executable, "-m", "tlsfloor", "status"]),
        },
        most=1.5,
        rounds=rounds,
    )

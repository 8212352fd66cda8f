"""Prove by handshakes which TLS versions an interpreter accepts.

Its peers speak each version, and it is tried without the floor and with it.

Examples:
  $ tlsfloor verify
      this interpreter
  $ tlsfloor verify .venv /opt
      every interpreter in these folders
  $ tlsfloor verify --hello
      quickly, without other packages
  $ tlsfloor verify / --format sarif --output report.sarif
      write a file for CI

Exit statuses:
  0     nothing is flagged
  1     an interpreter is flagged: it accepts less than the floor
  2     the call was wrong, or a package is missing
  3     an interpreter could not be verified
  130   interrupted by Ctrl-C
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys

import tlsfloor
from tlsfloor.cli import complain, console, output, quiet_option
from tlsfloor.cli.progress import progress
from tlsfloor.errors import PolicyError, VerifyError
from tlsfloor.policy import floor_of
from tlsfloor.stacks import _coverage
from tlsfloor.versions import floor_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from tlsfloor.verifier.examine import Report

#: What --role means: these are tried.
ROLES = {"client": ("client",), "server": ("server",), "both": ("client", "server")}

#: The files a run can print.
FORMATS = ("text", "json", "sarif", "junit")


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "targets",
        nargs="*",
        metavar="TARGET",
        help="an interpreter, a virtual environment, or a folder with interpreters somewhere "
        "below: each is started (default: this interpreter, without and with the floor)",
    )
    parser.add_argument("--floor", default="1.2", help="1.2 or 1.3 (default: 1.2)")
    parser.add_argument(
        "--role", choices=ROLES, default="both", help="what is tried (default: both)"
    )
    parser.add_argument(
        "--hello",
        action="store_true",
        help="exchange crafted hellos and no handshakes: quick, without tlslite-ng, and may flag "
        "what OpenSSL would refuse later",
    )
    parser.add_argument(
        "--timeout", type=float, default=60, help="seconds for each launch (default: 60)"
    )
    parser.add_argument(
        "--as-user",
        metavar="NAME",
        help="start interpreters as this user: needs root (default: the user who runs this)",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="interpreters at a time (default: as many as there are processors)",
    )
    output.options(parser, FORMATS)
    quiet_option(parser, "show no progress")


def run(arguments: argparse.Namespace) -> int:
    """Find, launch, judge, report."""
    floor = floor_of(arguments.floor, "--floor")
    _check(arguments)
    # Help must work where the extra `verify` is not installed.
    from tlsfloor.verifier import cases, examine, find, surroundings

    if arguments.targets:
        found = find.search(arguments.targets)
    elif sys.executable:
        # No doubt about what it is: it runs this.
        found = find.Found([find.Interpreter(sys.executable)])
    else:
        raise VerifyError("this Python does not know its own path", hint="tlsfloor verify TARGET")
    evidence = "hello" if arguments.hello else "handshake"
    coverage = _coverage.coverage(floor_name(floor))
    outcome = examine.Report(
        floor,
        arguments.targets,
        tlsfloor.__version__,
        found,
        evidence=evidence,
        describe=lambda libraries: _coverage.describe(libraries, coverage),
    )
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(_ended_by_sigterm())
            user = stack.enter_context(surroundings.as_user(arguments.as_user))
            total = len(found.interpreters)
            advance = stack.enter_context(progress("verified", total, quiet=arguments.quiet))
            examine.run(
                outcome,
                cases.plan(floor, ROLES[arguments.role], hello=arguments.hello),
                arguments.timeout,
                arguments.jobs,
                armed=not arguments.targets,
                progress=advance,
                user=user,
            )
    except KeyboardInterrupt:
        complain("interrupted; nothing is left running")
        return 130
    _write(outcome, arguments.format, arguments.output)
    return outcome.status


def _check(arguments: argparse.Namespace) -> None:
    """Complain of a mistake before anything is started."""
    if not 0 < arguments.timeout < 1e6:
        raise PolicyError(
            f"--timeout {arguments.timeout:g} is not a time to wait", hint="--timeout 60"
        )
    if arguments.jobs < 1:
        raise PolicyError(f"--jobs {arguments.jobs} would do nothing", hint="--jobs 2")
    output.check(arguments.output)


def _write(outcome: Report, kind: str, file: str | None) -> None:
    from tlsfloor.verifier import formats, sarif, text

    if output.is_terminal(kind, file):
        with contextlib.suppress(ImportError):  # without rich there are no colors
            text.show(outcome, console())
            return
    writers = {"json": formats.to_json, "sarif": sarif.to_sarif, "junit": formats.to_junit}
    output.write(writers.get(kind, text.to_text)(outcome), file)


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end what was started, as Ctrl-C does: neither reaches the probes' groups."""

    def end(number: int, frame: object) -> None:
        del frame
        sys.exit(128 + number)

    try:
        before = signal.signal(signal.SIGTERM, end)
    except ValueError:  # a thread that is not the main one: nobody sends it signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

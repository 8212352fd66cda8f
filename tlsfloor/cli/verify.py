"""``tlsfloor verify [TARGET ...]``: what interpreters really accept, by handshakes."""

from __future__ import annotations

import contextlib
import os
import signal
import sys

import tlsfloor
from tlsfloor import files
from tlsfloor.cli import complain
from tlsfloor.errors import PolicyError, VerifyError
from tlsfloor.policy import floor_of
from tlsfloor.stacks import about
from tlsfloor.versions import floor_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from tlsfloor.verify.examine import Report

INSTALL = "pip install 'tlsfloor[verify]'"

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
        help="an interpreter, a virtual environment, or a folder with interpreters somewhere below "
        "(default: this interpreter, without and with the floor)",
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
        "--jobs",
        type=int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="interpreters at a time (default: as many as there are processors)",
    )
    parser.add_argument("--format", choices=FORMATS, default="text", help="default: text")
    parser.add_argument(
        "--json", action="store_const", const="json", dest="format", help="--format json"
    )
    parser.add_argument(
        "--output", metavar="FILE", help="write to a file, whole or not at all (default: stdout)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Find, launch, judge, report."""
    floor = floor_of(arguments.floor, "--floor")
    _check(arguments)
    # Not before: `tlsfloor path` must work where the extra is not installed.
    try:
        from tlsfloor.verify import cases, examine, find
    except ImportError as error:
        raise VerifyError(f"a part is missing: {error}", hint=INSTALL) from None

    if arguments.targets:
        found = find.search(arguments.targets)
    elif sys.executable:
        # No doubt about what it is: it runs this.
        found = find.Found([find.Interpreter(sys.executable)])
    else:
        raise VerifyError("this Python does not know its own path", hint="tlsfloor verify TARGET")
    evidence = "hello" if arguments.hello else "handshake"
    coverage = about.coverage(floor_name(floor))
    outcome = examine.Report(
        floor,
        arguments.targets,
        tlsfloor.__version__,
        found,
        evidence=evidence,
        describe=lambda libraries: about.describe(libraries, coverage),
    )
    try:
        with _ended_by_sigterm(), _progress(len(found.interpreters)) as progress:
            examine.run(
                outcome,
                cases.plan(floor, ROLES[arguments.role], hello=arguments.hello),
                arguments.timeout,
                arguments.jobs,
                armed=not arguments.targets,
                progress=progress,
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
            f"--timeout {arguments.timeout:g} is no time to wait", hint="--timeout 60"
        )
    if arguments.jobs < 1:
        raise PolicyError(f"--jobs {arguments.jobs} would do nothing", hint="--jobs 2")
    folder = os.path.dirname(os.path.abspath(arguments.output or ""))
    if arguments.output and not os.path.isdir(folder):
        raise VerifyError(f"{arguments.output} cannot be written", hint=f"mkdir -p {folder}")


def _write(outcome: Report, kind: str, output: str | None) -> None:
    from tlsfloor.verify import formats, report, sarif

    if kind == "text" and not output and sys.stdout.isatty():
        report.show(outcome)
        return
    writers = {"json": formats.to_json, "sarif": sarif.to_sarif, "junit": formats.to_junit}
    text = writers.get(kind, report.to_text)(outcome)
    if not output:
        sys.stdout.write(text)
        return
    try:
        files.write(output, text)
    except OSError as error:
        problem = f"{output} cannot be written: {error.strerror}"
        raise VerifyError(problem, hint="--output FILE") from None


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Callable[[], object]]:
    """Show how far it has come, on stderr, if that is a terminal and there is something to show."""
    from rich.console import Console
    from rich.progress import Progress

    hidden = total < 2 or not sys.stderr.isatty()
    with Progress(console=Console(stderr=True), transient=True, disable=hidden) as bar:
        task = bar.add_task("verifying", total=total)
        yield lambda: bar.advance(task)


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

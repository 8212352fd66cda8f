"""Prove by handshakes which TLS versions an interpreter accepts.

It brings its own servers and clients, which speak every version, and tries the interpreter without
the floor and with it.

Examples:
  $ tlsfloor verify
      this interpreter
  $ tlsfloor verify .venv /opt
      every interpreter in these folders
  $ tlsfloor verify --hello
      quickly, without other packages
  $ tlsfloor verify / --format sarif --output report.sarif
      write a file for CI
  $ tlsfloor verify / --json --output report.json --resume report.json
      go on with a run that was interrupted

Exit statuses:
  0     nothing is flagged
  1     an interpreter accepts a version below the floor
  2     the call was wrong, or a package is missing
  3     an interpreter could not be verified
  130   interrupted by Ctrl-C
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import signal
import sys
from importlib import import_module

import tlsfloor
from tlsfloor.cli import _output, colors, complain, floor_option, quiet_option
from tlsfloor.cli._evidence import about_run
from tlsfloor.cli._progress import progress
from tlsfloor.errors import PolicyError, VerifyError
from tlsfloor.inventory.identity import with_identity
from tlsfloor.policy import floor_of
from tlsfloor.stacks import _coverage
from tlsfloor.versions import floor_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tlsfloor.verifier.examine import VerifyReport

#: The roles that are tried for each value of --role.
ROLES = {"client": ("client",), "server": ("server",), "both": ("client", "server")}

#: The values of --format.
FORMATS = ("text", "json", "sarif", "junit", "cyclonedx")


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "targets",
        nargs="*",
        metavar="TARGET",
        help="an interpreter, a virtual environment, or a folder: each interpreter below it is "
        "started (default: this interpreter, without and with the floor)",
    )
    floor_option(parser)
    parser.add_argument(
        "--role", choices=[*ROLES], default="both", help="the role that is tried (default: both)"
    )
    parser.add_argument(
        "--hello",
        action="store_true",
        help="exchange only crafted hellos, which is quick and does not need tlslite-ng; this may "
        "flag what OpenSSL would refuse later in the handshake",
    )
    parser.add_argument(
        "--timeout", type=float, default=60, help="seconds for each launch (default: 60)"
    )
    parser.add_argument(
        "--as-user",
        metavar="NAME",
        help="start interpreters as this user, which needs root (default: the current user)",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="examine so many interpreters at a time (default: as many as there are processors)",
    )
    parser.add_argument(
        "--each",
        action="store_true",
        help="try every interpreter, also virtual environments with the same content",
    )
    parser.add_argument(
        "--resume",
        metavar="FILE",
        help="take over what has not changed since the run that wrote this JSON",
    )
    _output.options(parser, FORMATS)
    quiet_option(parser, "show no progress")


def run(arguments: argparse.Namespace) -> int:
    """Find the interpreters, examine them, and report the verdicts."""
    floor = floor_of(arguments.floor, "--floor")
    _check_options(arguments)
    # Help must work where the extra `verify` is not installed.
    from tlsfloor.verifier import cases, environment, examine, find, formats, resume, schedule

    if arguments.targets:
        found = find.find_interpreters(arguments.targets)
    elif sys.executable:
        found = find.SearchResult([find.Interpreter(sys.executable)])
    else:
        raise VerifyError("this Python does not know its own path", hint="tlsfloor verify TARGET")
    evidence = "hello" if arguments.hello else "handshake"
    coverage = _coverage.coverage(floor_name(floor))
    identify = list if arguments.format == "text" else with_identity
    report = examine.VerifyReport(
        floor,
        arguments.targets,
        tlsfloor.__version__,
        found,
        evidence=evidence,
        describe=lambda libraries: identify(_coverage.describe(libraries, coverage)),
        run=about_run()["run"],
        roles=ROLES[arguments.role],
    )
    earlier = None
    if arguments.resume is not None:
        now = formats.report_as_dict(report)
        earlier = resume.read_earlier_run(arguments.resume, now, found.interpreters)
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(_ended_by_signals())
            user = stack.enter_context(environment.as_user(arguments.as_user))
            total = len(found.interpreters)
            advance = stack.enter_context(progress("verified", total, quiet=arguments.quiet))
            schedule.examine_interpreters(
                report,
                cases.plan_cases(floor, report.roles, hello=arguments.hello),
                arguments.timeout,
                arguments.jobs,
                armed=not arguments.targets,
                progress=advance,
                user=user,
                try_each=arguments.each,
                earlier=earlier,
                keep=arguments.format == "json",
            )
    except KeyboardInterrupt:
        _interrupted(report, arguments)
        return 130
    except SystemExit:  # SIGTERM or SIGHUP
        _interrupted(report, arguments)
        raise
    _print_report(report, arguments.format, arguments.output)
    return report.exit_status


def _interrupted(report: VerifyReport, arguments: argparse.Namespace) -> None:
    """Write what was verified until now, if it can be resumed, and say how."""
    done = sum(1 for result in report.results if result.fingerprint)
    if not (done and arguments.output):
        complain("interrupted; nothing is left running")
        return
    _print_report(report, arguments.format, arguments.output)
    again = resume_command(sys.argv[1:], arguments.output)
    count = len(report.results)
    are = "1 interpreter is" if count == 1 else f"{count} interpreters are"
    complain(f"interrupted; {are} in {arguments.output}", again)


def resume_command(words: list[str], output: str) -> str:
    """Return the command that goes on with a run of these words, which wrote ``output``."""
    rest = iter(words)
    kept = ["tlsfloor"]
    for word in rest:
        if word == "--resume":
            next(rest, None)  # its file; --output may have the same
        elif not word.startswith("--resume="):
            kept.append(word)
    return " ".join(map(shlex.quote, [*kept, "--resume", output]))


def _check_options(arguments: argparse.Namespace) -> None:
    """Raise an error for a wrong option before anything is started."""
    if not 0 < arguments.timeout < 1e6:
        raise PolicyError(
            f"--timeout {arguments.timeout:g} cannot be waited for", hint="--timeout 60"
        )
    if arguments.jobs < 1:
        raise PolicyError(f"--jobs {arguments.jobs} is less than 1", hint="--jobs 2")
    _output.check_output(arguments.output)
    if arguments.format == "cyclonedx":
        import_module("tlsfloor.verifier.cyclonedx")  # its package may be missing


def _print_report(report: VerifyReport, kind: str, file: str | None) -> None:
    if kind == "text":
        from tlsfloor.verifier import text

        in_colors = _output.is_for_terminal(kind, file) and colors()
        _output.write_report(text.to_text(report, colors=in_colors), file)
    elif kind == "cyclonedx":
        from tlsfloor.verifier import cyclonedx

        _output.write_report(cyclonedx.to_cyclonedx(report), file)
    else:
        from tlsfloor.verifier import formats, sarif

        writers = {"json": formats.to_json, "sarif": sarif.to_sarif, "junit": formats.to_junit}
        _output.write_report(writers[kind](report), file)


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM, and the end of the terminal, end what was started, as Ctrl-C does.

    The probes have groups of their own.
    """

    def end(number: int, frame: object) -> None:
        del frame
        sys.exit(128 + number)

    before = {}
    try:
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            # nohup(1) lets a program ignore it.
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                before[number] = signal.signal(number, end)
    except ValueError:  # only the main thread can set handlers, and gets the signals
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""Show from the events of many processes which connections a floor would break.

Also show what still uses old versions. It reads the JSON of verify, check, stacks and status as
well, from many machines, and shows what they flagged.

Examples:
  $ tlsfloor report /var/log/tlsfloor
      all files of events in a folder
  $ kubectl logs deploy/shop | grep '"schema": *1[,}]' | tlsfloor report -
      from a log, of which only the events are selected
  $ tlsfloor report fleet/
      what verify, check, stacks and status printed as JSON on many machines
  $ tlsfloor report fleet/ --since yesterday.json --silent 2
      what changed, and which machines are silent
  $ tlsfloor report events.jsonl --format html --output report.html
      write a page
  $ tlsfloor report --spark spark://master:7077 s3a://bucket/events/
      let a Spark cluster read the events of a fleet
  $ tlsfloor report --condense web-1.jsonl /var/log/tlsfloor
      write few lines that mean the same, to report on them elsewhere, with those of other machines

Exit statuses:
  0     the floor would break nothing, and nothing is flagged
  1     the floor would break something, or something is flagged
  2     the call was wrong; nothing was done
  3     there is no answer: nothing could be read, or too little was seen
  130   interrupted by Ctrl-C
"""

from __future__ import annotations

import argparse
import contextlib
import os

import tlsfloor
from tlsfloor.cli import _output, complain, console, quiet_option
from tlsfloor.cli._evidence import about_run
from tlsfloor.cli._progress import progress
from tlsfloor.errors import PolicyError, say
from tlsfloor.policy import floor_of
from tlsfloor.versions import floor_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tlsfloor.report.reader import EventFiles
    from tlsfloor.report.tally import Tally

FORMATS = ("text", "json", "html")

#: What ``--sql`` takes, as sqlglot calls it.
DIALECTS = ("athena", "clickhouse", "duckdb", "spark", "trino")

# Problems of files that are named when events are condensed.
_MOST_WARNINGS = 20


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "targets",
        nargs="*",
        metavar="FILE|DIR",
        help="a file of events (see TLSFLOOR_EVENTS) or of JSON that verify, check, stacks or "
        "status printed, plain or gzip; or a folder: all files in it and below that end in .jsonl "
        "or .json, and rotated ones; - is stdin",
    )
    parser.add_argument(
        "--floor",
        default="1.2",
        help="the floor that the exit status is about: 1.2 or 1.3 (default: 1.2)",
    )
    parser.add_argument(
        "--since",
        metavar="FILE",
        help="show what has changed since an earlier report, which --json wrote",
    )
    parser.add_argument(
        "--silent",
        type=float,
        metavar="DAYS",
        help="name machines of which nothing was heard for so many days, and doubt the answer then",
    )
    parser.add_argument(
        "--condense",
        metavar="OUT",
        help="write no report, but as few lines of events as possible on which the report is the "
        "same, to a file or to - (stdout); the exit status is 3 if there are problems, else 0",
    )
    parser.add_argument(
        "--spark",
        metavar="MASTER",
        help="let a Spark cluster read the files, for example spark://HOST:7077; it must have them "
        "at the same paths, or they are an address that Spark reads, such as s3a://BUCKET/FOLDER",
    )
    parser.add_argument(
        "--sql",
        choices=DIALECTS,
        help="print a query that groups lines of events, for an SQL engine where the events are; "
        "the report then reads the rows that it writes as JSON lines",
    )
    _output.options(parser, FORMATS)
    quiet_option(parser, "show no progress")


def run(arguments: argparse.Namespace) -> int:
    """Report; return 0 if the floor breaks nothing, 1 if it breaks something, 3 if unknown."""
    from tlsfloor.report import as_html, as_json, as_text
    from tlsfloor.report.changes import compare, heard_of, read_earlier
    from tlsfloor.report.impact import FLOORS, Impact
    from tlsfloor.report.on_duckdb import DuckDB
    from tlsfloor.report.on_spark import Spark
    from tlsfloor.report.reader import EventFiles
    from tlsfloor.report.tally import Tally

    if arguments.sql:
        return _print_query(arguments)
    if not arguments.targets:
        raise PolicyError("no file or folder is named", hint="tlsfloor report --help")
    floor = floor_name(floor_of(arguments.floor, "--floor"))
    if floor not in FLOORS:
        raise PolicyError(f"--floor {floor} is not 1.2 or 1.3", hint="--floor 1.2")
    if arguments.silent is not None and not 0 < arguments.silent < 1e5:
        raise PolicyError(f"--silent {arguments.silent:g} is no number of days", hint="--silent 7")
    if arguments.condense:
        _check_condense(arguments)
    _check_kept(arguments)
    _output.check_output(arguments.output)
    earlier = read_earlier(arguments.since) if arguments.since is not None else None
    tally = Tally()
    engine = DuckDB(_warn) if arguments.spark is None else Spark(arguments.spark)
    try:
        with progress("files read", None, quiet=arguments.quiet) as advance:
            files = EventFiles(tally, advance, engine)
            files.read(arguments.targets)
    except KeyboardInterrupt:
        complain("interrupted, so there is no report")
        return 130
    run = about_run()["run"]
    if arguments.condense:
        return _condense(tally, files, arguments.condense, run["host"])
    before = heard_of(earlier) if earlier is not None else None
    impact = Impact(floor, tally, files, tlsfloor.__version__, run, arguments.silent, before)
    if earlier is not None:
        impact.changes = compare(earlier, as_json.report_facts(impact), floor)
    if _output.is_for_terminal(arguments.format, arguments.output):
        # Without rich there are no colors, and the terminal breaks the lines.
        with contextlib.suppress(ImportError):
            as_text.print_report(impact, console())
            return impact.status
    formats = {
        "text": as_text.report_text,
        "json": as_json.report_json,
        "html": as_html.report_html,
    }
    _output.write_report(formats[arguments.format](impact), arguments.output)
    return impact.status


def _check_kept(arguments: argparse.Namespace) -> None:
    """Raise an error if a file that is read would be lost, or what is written would be read.

    Condensed events can be added to.
    """
    from tlsfloor.report.reader import NAMES

    out = arguments.condense or arguments.output or ""
    read = [target for target in arguments.targets if os.path.isfile(target)]
    if os.path.isfile(out) and any(os.path.samefile(out, target) for target in read):
        with open(out, "rb") as file:
            is_condensed = b'"condensed"' in file.readline(100)
        if arguments.output or not is_condensed:
            problem = f"{out} is one of the files to read, and would be replaced"
            raise PolicyError(problem, hint="name another file to write to")
    real = os.path.realpath(out)
    if out and NAMES.search(real):
        for target in filter(os.path.isdir, arguments.targets):
            if real.startswith(os.path.join(os.path.realpath(target), "")):
                problem = f"{out} is in {target}, so the next report on that folder would read it"
                raise PolicyError(problem, hint="name a file in another folder")


def _check_condense(arguments: argparse.Namespace) -> None:
    """Raise an error if the options do not fit."""
    out = arguments.condense
    if arguments.output or arguments.format != "text" or arguments.since or arguments.silent:
        raise PolicyError("--condense writes no report", hint=f"--condense {out}")
    if out == "-":
        return
    _output.check_output(out)


def _condense(tally: Tally, files: EventFiles, out: str, host: str) -> int:
    """Write condensed events; return 0 if all was read, 3 if not."""
    from tlsfloor.report.condensed import condensed_lines

    if files.machines.reports:
        problem = f"{files.machines.reports:,} reports of machines were read: only events condense"
        raise PolicyError(problem, hint="name files that contain events only")
    lines = condensed_lines(tally, files, host)
    _output.write_report(lines, None if out == "-" else out, "--condense")
    problems = files.problems()
    for text in problems[:_MOST_WARNINGS]:
        say(f"warning: {text}")
    if len(problems) > _MOST_WARNINGS:
        say(f"warning: {len(problems) - _MOST_WARNINGS:,} more, which the report on {out} lists")
    return 3 if problems else 0


def _print_query(arguments: argparse.Namespace) -> int:
    """Print the query for an SQL engine; return 0."""
    from tlsfloor.report.groups import query_for

    if arguments.targets:
        raise PolicyError(
            "--sql prints a query and reads no file", hint=f"tlsfloor report --sql {arguments.sql}"
        )
    _output.check_output(arguments.output)
    _output.write_report(query_for(arguments.sql), arguments.output)
    return 0


def _warn(problem: str) -> None:
    say(f"warning: {problem}")

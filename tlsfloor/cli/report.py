"""``tlsfloor report FILE|DIR ...``: what the events of many processes come to."""

from __future__ import annotations

import tlsfloor
from tlsfloor.cli import complain, output
from tlsfloor.errors import PolicyError, VerifyError
from tlsfloor.policy import floor_of
from tlsfloor.versions import floor_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from tlsfloor.report.answer import Answer

INSTALL = "pip install 'tlsfloor[verify]'"

#: What a run can print.
FORMATS = ("text", "json", "html")


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "targets",
        nargs="+",
        metavar="FILE|DIR",
        help="what TLSFLOOR_EVENTS wrote, compressed by gzip or not; of a folder, all files in and "
        "below it that end in .jsonl or .json, rotated ones too; - is stdin",
    )
    parser.add_argument(
        "--floor",
        default="1.2",
        help="the floor to come, which the status is about: 1.2 or 1.3 (default: 1.2)",
    )
    output.options(parser, FORMATS)


def run(arguments: argparse.Namespace) -> int:
    """Read, judge, report; 0 the floor would break nothing, 1 it would, 3 it cannot be told."""
    from tlsfloor.report import answer, lines, tally

    floor = floor_name(floor_of(arguments.floor, "--floor"))
    if floor not in answer.FLOORS:
        raise PolicyError(f"--floor {floor} is not one to report on", hint="--floor 1.2")
    output.check(arguments.output)
    if arguments.format == "text":
        try:
            import rich  # noqa: F401 - before anything is read
        except ImportError as error:
            raise VerifyError(f"a part is missing: {error}", hint=INSTALL) from None

    reading, summed = lines.Reading(), tally.Tally()
    try:
        reading.read(arguments.targets, summed.take)
    except KeyboardInterrupt:
        complain("interrupted; nothing is reported")
        return 130
    outcome = answer.Answer(floor, summed, reading, tlsfloor.__version__)
    _write(outcome, arguments.format, arguments.output)
    return outcome.status


def _write(outcome: Answer, kind: str, file: str | None) -> None:
    if kind == "json":
        from tlsfloor.report.answer import to_json as written
    elif kind == "html":
        from tlsfloor.report.page import to_html as written
    else:
        from tlsfloor.report.table import show
        from tlsfloor.report.table import to_text as written

        if output.is_terminal(kind, file):
            show(outcome)
            return
    output.write(written(outcome), file)

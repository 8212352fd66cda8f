"""``tlsfloor verify``: what this interpreter really accepts, as it is and with the floor."""

from __future__ import annotations

import argparse
import json
import sys

from tlsfloor import versions
from tlsfloor.errors import VerifyError
from tlsfloor.policy import floor_of

INSTALL = "pip install 'tlsfloor[verify]'"

#: The exit status of each verdict, design section 7: 0 is for what is sound alone.
STATUSES = {"immune": 0, "enforced": 0, "lowerable": 1, "leaks": 1, "inconclusive": 3}


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--floor", default="1.2", help="1.2 or 1.3 (default: 1.2)")
    parser.add_argument(
        "--timeout", type=float, default=60, help="seconds for each launch (default: 60)"
    )
    parser.add_argument(
        "--json", action="store_true", help="print the evidence of each case as JSON"
    )


def run(arguments: argparse.Namespace) -> int:
    """Launch, judge, report."""
    floor = floor_of(arguments.floor, "--floor")
    name = versions.floor_name(floor)
    # Not before: `tlsfloor path` must work where the extra is not installed.
    try:
        from tlsfloor.verify import cases, judge, launch, report
    except ImportError as error:
        raise VerifyError(f"a part is missing: {error}", hint=INSTALL) from None

    planned = cases.plan(floor)
    isolated = launch.isolated(sys.executable, planned, floor, arguments.timeout)
    deployed = launch.as_deployed(sys.executable, planned, floor, arguments.timeout)
    armed = launch.with_floor(sys.executable, planned, floor, name, arguments.timeout)
    verdicts = {each.name: judge.verdict(isolated, each, floor) for each in (deployed, armed)}
    if arguments.json:
        launches = [each.as_dict() for each in (isolated, deployed, armed)]
        print(json.dumps(report.as_dict(sys.executable, name, verdicts, launches), indent=2))
    else:
        report.show(sys.executable, [deployed, armed], verdicts, floor)
    return STATUSES[verdicts[deployed.name][0]]

"""Show which TLS versions servers accept, and whether a floor would cut them off.

Examples:
  $ tlsfloor check example.com cache:6380
      port 443 unless another is given
  $ tlsfloor check --from endpoints.txt --floor 1.3
      one endpoint on each line
  $ tlsfloor check --aws s3,sts --region eu-central-1
      the endpoints of AWS services

Exit statuses:
  0     the floor would cut off none of them
  1     the floor would cut off one of them
  2     the call was wrong, or a package is missing
  3     no answer was found for one of them
  130   interrupted by Ctrl-C
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import math
import ssl
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tlsfloor import versions
from tlsfloor.cli import JSON_SCHEMA, color_option, console, json_option, quiet_option
from tlsfloor.cli.progress import progress
from tlsfloor.errors import VerifyError, printable
from tlsfloor.policy import floor_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from tlsfloor.endpoints.attempts import Endpoint
    from tlsfloor.endpoints.examination import Report

#: Schemes that begin with TLS, and their ports; STARTTLS is another matter.
SCHEMES = {
    "https": 443,
    "wss": 443,
    "rediss": 6379,
    "ldaps": 636,
    "amqps": 5671,
    "mqtts": 8883,
    "imaps": 993,
    "pop3s": 995,
    "smtps": 465,
}

WRITE = "write HOST, HOST:PORT, [ADDRESS]:PORT or https://HOST"


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "endpoints", nargs="*", metavar="HOST[:PORT] | URL", help="port 443 unless given"
    )
    parser.add_argument(
        "--from", dest="file", metavar="FILE", help="one endpoint a line; - is stdin"
    )
    parser.add_argument(
        "--floor", default="1.2", help="the floor to come: 1.2 or 1.3 (default: 1.2)"
    )
    parser.add_argument(
        "--timeout", type=float, default=10, help="seconds for each connection (default: 10)"
    )
    parser.add_argument(
        "--jobs", type=int, default=8, help="how many endpoints at a time (default: 8)"
    )
    parser.add_argument(
        "--pause",
        type=float,
        default=0,
        help="seconds between two connections to an endpoint (default: 0)",
    )
    parser.add_argument(
        "--ca-certs", metavar="FILE", help="authorities to trust instead of certifi's"
    )
    parser.add_argument(
        "--cert", metavar="FILE", help="client certificate, and its key if no --key"
    )
    parser.add_argument("--key", metavar="FILE", help="the key of the client certificate")
    parser.add_argument(
        "--aws", metavar="SERVICE[,SERVICE]", help="the endpoints of these AWS services"
    )
    parser.add_argument("--region", help="the AWS region of --aws")
    json_option(parser)
    color_option(parser)
    quiet_option(parser, "show no progress")


def run(arguments: argparse.Namespace) -> int:
    """Examine, report; 0 none would be cut off, 1 one would, 3 one answer is not known."""
    floor = floor_of(arguments.floor, "--floor")
    _require(
        0 < arguments.timeout < math.inf,
        f"--timeout {arguments.timeout:g} is not a time",
        "--timeout 10",
    )
    _require(
        0 <= arguments.pause < math.inf, f"--pause {arguments.pause:g} is not a time", "--pause 1"
    )
    _require(0 < arguments.jobs <= 256, f"--jobs {arguments.jobs} is not 1 to 256", "--jobs 8")
    _require(arguments.cert or not arguments.key, "--key needs --cert", "--cert FILE --key FILE")
    # Help must work where the extra `verify` is not installed.
    from tlsfloor.endpoints import examination, negotiation

    found = list(dict.fromkeys(wanted(arguments)))
    _require(found, "no endpoint to check", "tlsfloor check example.com:443")
    context = negotiation.trust(arguments.ca_certs, arguments.cert, arguments.key)
    reports: list[Report] = []
    examined = examination.examine_all(
        found, arguments.jobs, timeout=arguments.timeout, context=context, pause=arguments.pause
    )
    try:
        with progress("checked", len(found), quiet=arguments.quiet) as advance:
            for report in examined:
                reports.append(report)
                advance()
    finally:
        examined.close()  # the connections that are open end by themselves: none is waited for
    if arguments.json:
        print(json.dumps(as_dict(reports, floor), indent=2))
    else:
        show(reports, floor)
    answers = {report.cut_off(floor)[0] for report in reports}
    if any(report.accepts_less(floor)[0] == "unknown" for report in reports):
        answers.add("unknown")
    return 1 if "yes" in answers else 3 if "unknown" in answers else 0


def _require(met: object, problem: str, hint: str) -> None:
    if not met:
        raise VerifyError(problem, hint=hint)


def wanted(arguments: argparse.Namespace) -> list[Endpoint]:
    """Return the endpoints of the arguments, of --from and of --aws.

    Raises:
        VerifyError: one cannot be understood, or there is none where some were announced.
    """
    found = [endpoint(text) for text in arguments.endpoints]
    if arguments.file is not None:
        found += listed(arguments.file)
    if arguments.aws is not None or arguments.region is not None:
        both = arguments.aws and arguments.region
        _require(both, "--aws and --region go together", "--aws s3,sts --region eu-central-1")
        found += aws(arguments.aws.split(","), arguments.region)
    return found


def listed(file: str) -> list[Endpoint]:
    """Return the endpoints in a file, one a line; what begins with # is a remark."""
    try:
        if file == "-":
            text = sys.stdin.read()
        else:
            with open(file, encoding="utf-8-sig") as lines:
                text = lines.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        hint = "--from FILE, with one endpoint a line; --from - reads stdin"
        raise VerifyError(f"{file} cannot be read: {reason.lower()}", hint=hint) from None
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].strip()
        if words:
            found.append(endpoint(words, f" in line {number} of {file}"))
    _require(found, f"no endpoint in {file}", f"{WRITE}, one a line")
    return found


def endpoint(text: str, where: str = "") -> Endpoint:
    """Read HOST, HOST:PORT, an address of either kind, or a URL.

    Raises:
        VerifyError: it is none of them.
    """
    from tlsfloor.endpoints.attempts import Endpoint

    problem = f"{text!r}{where} is not an endpoint"
    try:
        scheme, found, rest = text.partition("://")
        if not found:
            scheme, rest = "https", f"[{text}]" if text.count(":") > 1 and "[" not in text else text
        scheme = scheme.lower()
        parts = urlsplit(f"//{rest}")
        host, port = parts.hostname or "", parts.port
        known = scheme in SCHEMES or (port is not None and scheme not in ("http", "ws"))
        _require(known, f"{problem}: {scheme} does not begin with TLS", WRITE)
        port = SCHEMES[scheme] if port is None else port
        if ":" in host:
            ipaddress.ip_address(host.partition("%")[0])
        else:
            host = host.encode("idna").decode("ascii")
    except ValueError as error:  # UnicodeError is one
        raise VerifyError(f"{problem}: {str(error).lower()}", hint=WRITE) from None
    _require(host and host.isprintable() and " " not in host, f"{problem}: it has no host", WRITE)
    _require(port, f"{problem}: port 0 cannot be connected to", WRITE)
    return Endpoint(host, port)


def aws(services: Iterable[str], region: str) -> list[Endpoint]:
    """Return the endpoints that botocore has for these services; it needs no network to know them.

    Raises:
        VerifyError: botocore is missing, or does not know one of them.
    """
    try:
        botocore = import_module("botocore.session")
        errors = import_module("botocore.exceptions")
    except ImportError as error:
        raise VerifyError(
            f"a part is missing: {error}", hint="pip install 'tlsfloor[aws]'"
        ) from None
    found = []
    try:
        session = botocore.Session()
        regions = {
            name
            for partition in session.get_available_partitions()
            for service in ("ec2", "sts")
            for name in session.get_available_regions(service, partition)
        }
        _known("AWS region", region, regions)
        for service in services:
            _known("AWS service", service.strip(), session.get_available_services())
            client = session.create_client(
                service.strip(),
                region_name=region,
                aws_access_key_id="none",  # nothing is signed, and nothing asked
                aws_secret_access_key="none",  # noqa: S106
            )
            found.append(endpoint(client.meta.endpoint_url))
            client.close()
    except errors.BotoCoreError as error:
        raise VerifyError(f"botocore: {error}", hint="aws configure list") from None
    return found


def _known(kind: str, name: str, names: Iterable[str]) -> None:
    known = sorted(names)
    if name not in known:
        near = difflib.get_close_matches(name, known, 3, 0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"such as {', '.join(known[:5])}"
        raise VerifyError(f"unknown {kind} {name!r}", hint=hint)


def as_dict(reports: list[Report], floor: int) -> dict[str, Any]:
    """Return everything as JSON types; the keys are documented in docs/how-to/check.md."""
    return {
        "schema": JSON_SCHEMA,
        "floor": versions.floor_name(floor),
        "interpreter": sys.executable,
        "openssl": ssl.OPENSSL_VERSION,
        "endpoints": [report.as_dict(floor) for report in reports],
    }


def show(reports: list[Report], floor: int) -> None:
    """Print what each accepts as a table, then a line for each with what it means."""
    from rich.table import Table
    from rich.text import Text

    out = console()
    ladder = (versions.SSL3, *versions.FLOORS.values())
    table = Table("accepts", *map(versions.name, ladder), box=None, pad_edge=False)
    for report in reports:
        if report.attempts and report.state == "reached":
            cells = (_cell(report, version, floor) for version in ladder)
            table.add_row(Text(str(report.endpoint)), *cells)
    if table.row_count:
        out.print(table)
        out.print()
    styles = {"yes": "bold red", "no": "green", "unknown": "yellow"}
    name = versions.floor_name(floor)
    for report in reports:
        answer, why = report.cut_off(floor)
        line = Text(f"{report.endpoint}: floor {name} would cut it off: ")
        line.append(answer, styles[answer]).append(printable(f": {why}"))
        out.print(line)
        if report.state != "reached":
            continue
        less, what = report.accepts_less(floor)
        if less != "no":
            out.print(printable(f"  it accepts less than {name}: {less}: {what}"))
        got = report.negotiated
        if got is not None and got.protocol:
            reason = f", then {got.state}: {got.reason}" if got.reason else ""
            text = f"  Protocol : {got.protocol} ({got.suite}, with this Python){reason}"
            out.print(printable(text))
        elif got is not None:
            text = f"  Protocol : none with this Python, {got.state}: {got.reason}"
            out.print(printable(text))


def _cell(report: Report, version: int, floor: int) -> Any:
    """Return the kinds of key exchange that were accepted; ``-`` for none, ``?`` if not known."""
    from rich.text import Text

    tried = [each for each in report.attempts if each.version == version]
    kinds = [each.key_exchange for each in tried if each.outcome == "accepted"]
    if kinds:
        return Text(" ".join(kinds), "bold red" if version < floor else "green")
    doubt = any(each.outcome == "inconclusive" for each in tried) or not tried
    return Text("?" if doubt else "-", "yellow")

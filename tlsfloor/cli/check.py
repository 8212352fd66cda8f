"""Show which TLS versions servers accept, and whether a floor would cut them off.

Examples:
  $ tlsfloor check example.com cache:6380
      port 443 unless another is given
  $ tlsfloor check --from endpoints.txt --floor 1.3
      one endpoint on each line
  $ tlsfloor check smtp://mail.example.com postgresql://db.example.com
      servers that begin in plain text and switch to TLS (STARTTLS)
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

import argparse
import difflib
import ipaddress
import json
import ssl
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import tlsfloor
from tlsfloor import versions
from tlsfloor.cli import (
    JSON_SCHEMA,
    color_option,
    console,
    floor_option,
    json_option,
    quiet_option,
)
from tlsfloor.cli._evidence import about_run, without_secrets
from tlsfloor.cli._progress import progress
from tlsfloor.endpoints import starttls
from tlsfloor.errors import VerifyError, printable
from tlsfloor.inventory.identity import with_identity
from tlsfloor.policy import floor_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from urllib.parse import SplitResult

    from tlsfloor.endpoints.attempts import Endpoint
    from tlsfloor.endpoints.examination import EndpointReport

#: The ports of schemes that begin with TLS.
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

CLIENT_CERTIFICATES = {
    "not requested": "it asks for no client certificate, so that of --cert was not presented",
    "requested": "it asks for a client certificate, and goes on without one",
    "required": "it demands a client certificate: --cert and --key present one",
    "accepted": "it asks for a client certificate, and accepts that of --cert",
    "refused": "it asks for a client certificate, and refuses that of --cert",
}

WRITE = "write HOST, HOST:PORT, [ADDRESS]:PORT or https://HOST"


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    usual_port = "default port: 443, or that of the protocol"
    add("endpoints", nargs="*", metavar="HOST[:PORT] | URL", help=usual_port)
    add("--from", dest="file", metavar="FILE", help="one endpoint on each line; - is stdin")
    known = (*starttls.PROTOCOLS, starttls.NONE)
    add(
        "--starttls",
        metavar="PROTOCOL",
        type=lambda name: starttls.SCHEMES.get(name.lower(), name.lower()),
        choices=known,
        help=f"what is spoken before TLS: {', '.join(known)} (default: by URL or port)",
    )
    floor_option(parser)
    time = _number(float, 0.001, 86400)
    add("--timeout", type=time, default=10, help="seconds for each connection (default: 10)")
    add("--jobs", type=_number(int, 1, 256), default=8, help="endpoints at a time (default: 8)")
    pause = "seconds between two connections to an endpoint (default: 0)"
    add("--pause", type=_number(float, 0, 86400), default=0, help=pause)
    add("--ca-certs", metavar="FILE", help="certificate authorities to trust (default: certifi's)")
    add("--cert", metavar="FILE", help="client certificate, with its key unless --key is given")
    add("--key", metavar="FILE", help="key of the client certificate")
    add("--aws", metavar="SERVICE[,SERVICE]", help="the endpoints of these AWS services")
    add("--region", help="the AWS region of --aws")
    json_option(parser)
    color_option(parser)
    quiet_option(parser, "show no progress")


def _number(kind: type[float], low: float, high: float) -> Callable[[str], float]:
    def convert(text: str) -> float:
        value = kind(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not from {low:g} to {high:g}")
        return value

    convert.__name__ = kind.__name__  # argparse names it where the text is no number
    return convert


def run(arguments: argparse.Namespace) -> int:
    """Examine and report; 0 none would be cut off, 1 one would be, 3 an answer is unknown."""
    floor = floor_of(arguments.floor, "--floor")
    _require(arguments.cert or not arguments.key, "--key needs --cert", "--cert FILE --key FILE")
    # Help must work where the extra `verify` is not installed.
    from tlsfloor.endpoints import client_certificate, examination, negotiation

    wanted = list(dict.fromkeys(wanted_endpoints(arguments)))
    _require(wanted, "no endpoint to check", "tlsfloor check example.com:443")
    context = negotiation.trust(arguments.ca_certs, arguments.cert, arguments.key)
    reports: list[EndpointReport] = []
    examined = examination.examine_all(
        wanted,
        arguments.jobs,
        timeout=arguments.timeout,
        context=context,
        pause=arguments.pause,
        own=client_certificate.identity(arguments.cert, arguments.key) if arguments.cert else None,
    )
    try:
        with progress("checked", len(wanted), quiet=arguments.quiet) as advance:
            for report in examined:
                reports.append(report)
                advance()
    finally:
        examined.close()  # does not wait for open connections
    if arguments.json:
        print(json.dumps(json_report(reports, floor), indent=2))
    else:
        show_reports(reports, floor)
    answers = {report.cut_off(floor)[0] for report in reports}
    answers |= {report.accepts_below(floor)[0] for report in reports} & {"unknown"}
    return 1 if "yes" in answers else 3 if "unknown" in answers else 0


def _require(met: object, problem: str, hint: str) -> None:
    if not met:
        raise VerifyError(problem, hint=hint)


def wanted_endpoints(arguments: argparse.Namespace) -> list[Endpoint]:
    """Return the endpoints of the arguments, of --from and of --aws.

    Raises:
        VerifyError: one cannot be parsed, or a source has none.
    """
    found = [parse_endpoint(text, protocol=arguments.starttls) for text in arguments.endpoints]
    if arguments.file is not None:
        found += endpoints_of_file(arguments.file, arguments.starttls)
    if arguments.aws is not None or arguments.region is not None:
        both = arguments.aws and arguments.region
        _require(both, "--aws and --region go together", "--aws s3,sts --region eu-central-1")
        found += endpoints_of_aws(arguments.aws.split(","), arguments.region)
    return found


def endpoints_of_file(file: str, protocol: str | None = None) -> list[Endpoint]:
    """Return the endpoints in a file, one on each line; # begins a comment."""
    try:
        if file == "-":
            text = sys.stdin.read()
        else:
            with open(file, encoding="utf-8-sig") as stream:
                text = stream.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        hint = "name a text file with one endpoint on each line, or - for stdin"
        raise VerifyError(f"{file} cannot be read: {reason.lower()}", hint=hint) from None
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    found = [
        parse_endpoint(line, f" in line {number} of {file}", protocol)
        for number, line in enumerate(lines, 1)
        if line
    ]
    _require(found, f"no endpoint in {file}", f"{WRITE}, one on each line")
    return found


def parse_endpoint(text: str, where: str = "", protocol: str | None = None) -> Endpoint:
    """Parse HOST, HOST:PORT, an IPv4 or IPv6 address, or a URL.

    ``protocol`` is what is spoken before TLS; the scheme or else the port says so if it is None.

    Raises:
        VerifyError: it is none of them.
    """
    from tlsfloor.endpoints.attempts import Endpoint

    text = text.strip()
    problem = f"{without_secrets(text)!r}{where} is not an endpoint"
    try:
        scheme, is_url, rest = text.partition("://")
        if not is_url:
            scheme, rest = "", f"[{text}]" if text.count(":") > 1 and "[" not in text else text
        # Some programs add a driver: postgresql+psycopg2.
        scheme = scheme.lower()
        by_scheme = starttls.SCHEMES.get(scheme.partition("+")[0])
        parts = urlsplit(f"//{rest}")
        host, port = parts.hostname or "", _port(parts, problem)
        is_known = not scheme or scheme in SCHEMES or by_scheme or protocol
        begins_with_tls = scheme not in ("http", "ws")
        _require(begins_with_tls, f"{problem}: {scheme} does not begin with TLS", WRITE)
        _require(is_known or port, f"{problem}: {scheme} has no known port, so add it", WRITE)
        if port is None:
            first = starttls.PROTOCOLS.get(by_scheme or protocol or "")
            port = SCHEMES.get(scheme) or (first.ports[0] if first else 443)
        if ":" in host:
            ipaddress.ip_address(host.partition("%")[0])
        else:
            host = host.encode("idna").decode("ascii")
    except ValueError as error:  # UnicodeError is one
        why = "with several colons, it must be an IPv6 address"
        if "[" not in rest:
            why = str(error).lower()
        raise VerifyError(f"{problem}: {why}", hint=WRITE) from None
    _require(host, f"{problem}: it has no host", WRITE)
    is_name = host.isprintable() and not set(host) & set(" ,;@")
    _require(is_name, f"{problem}: a character of it cannot be in the name of a host", WRITE)
    if protocol:
        return Endpoint(host, port, protocol, "option")
    if by_scheme or scheme in SCHEMES:
        return Endpoint(host, port, by_scheme or starttls.NONE, "url")
    return Endpoint(host, port, starttls.PORTS.get(port, starttls.NONE), "port")


def _port(parts: SplitResult, problem: str) -> int | None:
    try:
        port = parts.port
    except ValueError:
        port = 0
    _require(port != 0, f"{problem}: its port is not a number from 1 to 65535", WRITE)
    return port


def endpoints_of_aws(services: Iterable[str], region: str) -> list[Endpoint]:
    """Return the endpoints that botocore has for these services; it knows them without a network.

    Raises:
        ModuleNotFoundError: botocore is not installed.
        VerifyError: botocore does not know one of them.
    """
    botocore = import_module("botocore.session")
    errors = import_module("botocore.exceptions")
    found = []
    try:
        session = botocore.Session()
        regions = {
            name
            for partition in session.get_available_partitions()
            for service in ("ec2", "sts")
            for name in session.get_available_regions(service, partition)
        }
        _require_known("AWS region", region, regions)
        for service in map(str.strip, services):
            _require_known("AWS service", service, session.get_available_services())
            client = session.create_client(
                service,
                region_name=region,
                aws_access_key_id="none",  # no request is signed or sent
                aws_secret_access_key="none",  # noqa: S106
            )
            found.append(parse_endpoint(client.meta.endpoint_url))
            client.close()
    except errors.BotoCoreError as error:
        raise VerifyError(f"botocore: {error}", hint="aws configure list") from None
    return found


def _require_known(kind: str, name: str, names: Iterable[str]) -> None:
    known = sorted(names)
    if name not in known:
        near = difflib.get_close_matches(name, known, 3, 0.5)
        hint = (
            f"did you mean {' or '.join(near)}?"
            if near
            else f"use one such as {', '.join(known[:5])}"
        )
        raise VerifyError(f"unknown {kind} {name!r}", hint=hint)


def json_report(reports: list[EndpointReport], floor: int) -> dict[str, Any]:
    """Return everything as JSON types; docs/how-to/check.md describes the keys."""
    return {
        "schema": JSON_SCHEMA,
        **about_run(),
        "floor": versions.floor_name(floor),
        "evidence": "connections",
        "interpreter": sys.executable,
        "openssl": ssl.OPENSSL_VERSION,
        "libraries": with_identity(tlsfloor.status().libraries),
        "endpoints": [report.as_dict(floor) for report in reports],
    }


def show_reports(reports: list[EndpointReport], floor: int) -> None:
    """Print a table of what each endpoint accepts, then what that means for each."""
    from rich.text import Text

    out = console()
    ladder = (versions.SSL3, *versions.FLOORS.values())
    rows = [[Text(name, "bold") for name in ("accepts", *map(versions.name, ladder))]]
    for report in reports:
        if report.state == "reached":
            cells = (_accepted_kinds(report, version, floor) for version in ladder)
            rows.append([Text(str(report.endpoint)), *cells])
    if len(rows) > 1:
        # rich's own table pads its last column too.
        widths = [max(cell.cell_len for cell in column) for column in zip(*rows)]
        for row in rows:
            for cell, width in zip(row[:-1], widths):
                cell.pad_right(width - cell.cell_len)
            out.print(Text("  ").join(row))
        out.print()
    name = versions.floor_name(floor)
    sentences = {
        "yes": (f"floor {name} would cut it off", "bold red"),
        "no": (f"floor {name} would not cut it off", "green"),
        "unknown": (f"unknown whether floor {name} would cut it off", "yellow"),
    }
    for report in reports:
        answer, why = report.cut_off(floor)
        line = Text(f"{report.endpoint}: ").append(*sentences[answer])
        out.print(line.append(printable(f": {why}")))
        for detail in _details(report, name, floor):
            out.print(printable(f"  {detail}"))


def _details(report: EndpointReport, name: str, floor: int) -> Iterable[str]:
    """Yield what else there is to say about an endpoint."""
    endpoint = report.endpoint
    if endpoint.starttls != starttls.NONE:
        how = {"option": "by --starttls", "url": "by its URL", "port": "a guess from its port"}
        yield f"STARTTLS: {endpoint.starttls} ({how[endpoint.starttls_from]})"
    if report.state != "reached":
        return
    below, which = report.accepts_below(floor)
    if below == "yes":
        yield f"it accepts versions below {name}: {which}"
    elif below == "unknown":
        yield f"unknown whether it accepts versions below {name}: {which}"
    if report.client_certificate:
        yield CLIENT_CERTIFICATES[report.client_certificate]
    found = report.negotiated
    if found is not None and found.protocol:
        does, then = "connects", ""
        if found.reason:  # in TLS 1.3, a certificate is refused after the handshake
            does, then = "completes a handshake", f", then {found.state}: {found.reason}"
        yield f"this Python {does} with {found.protocol} ({found.suite}){then}"
    elif found is not None:
        yield f"this Python does not connect, {found.state}: {found.reason}"


def _accepted_kinds(report: EndpointReport, version: int, floor: int) -> Any:
    """Return the kinds of key exchange that were accepted; ``-`` for none, ``?`` if unknown."""
    from rich.text import Text

    tried = [attempt for attempt in report.attempts if attempt.version == version]
    kinds = [attempt.key_exchange for attempt in tried if attempt.outcome == "accepted"]
    if kinds:
        return Text(" ".join(kinds), "bold red" if version < floor else "green")
    is_unknown = not tried or any(attempt.outcome == "inconclusive" for attempt in tried)
    return Text("?" if is_unknown else "-", "yellow")

"""Write a report for people: a table of accepted versions, and a sentence for each verdict."""

from __future__ import annotations

import re

from tlsfloor import versions
from tlsfloor.errors import printable
from tlsfloor.inventory.libraries import PURE_PYTHON
from tlsfloor.verifier.launch import AS_STARTED
from tlsfloor.versions import FLOORS, SSL3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tlsfloor.verifier.examine import InterpreterResult, VerifyReport
    from tlsfloor.verifier.judge import LaunchResult, Verdict

# More interpreters than this have a line each, and no tables.
_FEW = 3

# Characters of an explanation in the summary. The JSON has all of it.
_SHORT = 120

#: What the names of launches mean. The judge compares with the launches without the floor.
LEGEND = (
    f'"{AS_STARTED}" means: with the environment variables and start-up files that programs get '
    'here; "without the floor": with neither, or as started before the floor is added'
)

#: How the versions of a table become the count of a verdict, unless only hellos were exchanged.
COUNTS = (
    "each version below the floor is tried with two key exchanges, RSA and ECDHE, "
    "and each counts as one"
)

# How each kind of evidence was made.
_EVIDENCE = {
    "handshake": "full handshakes",
    "hello": "crafted hellos only: no handshake was completed",
}

# SGR sequences of a terminal (ECMA-48 section 8.3.117): bold red, green, yellow, and the end.
_RED, _GREEN, _YELLOW, _END = "\033[1;31m", "\033[32m", "\033[33m", "\033[0m"
_COLORS = re.compile("\033\\[[0-9;]*m")


def to_text(report: VerifyReport, *, colors: bool = False) -> str:
    """Return a report as lines of text."""
    lines: list[str] = []
    tried = [result for result in report.results if not result.same_as]
    if len(report.results) <= _FEW:
        for result in tried:
            lines += _cases(result, report.floor)
            lines += map(printable, (*_library_lines(report, result), *_exemption_lines(result)))
            lines += _verdicts(result, report)
    if len(report.results) > 1:
        lines += ["", *_summary(report, tried)]
    lines += [printable(f"skipped: {path}: {why}") for path, why in report.found.skipped.items()]
    lines += [f"{_RED}{printable(problem)}{_END}" for problem in report.problems]
    if report.run:
        lines.append(printable(_provenance(report)))
    text = "".join(f"{line}\n" for line in lines)
    # printable() has removed such sequences from all that an interpreter reports.
    return text if colors else _COLORS.sub("", text)


def _cases(result: InterpreterResult, floor: int) -> list[str]:
    """Return the versions that each program accepts, and what the interpreter is."""
    # A launch with an option of Python has a line below, and no column.
    launches = [each for each in result.launches[1:] if not each.name.startswith(f"{AS_STARTED}, ")]
    results = [each for launch in launches for each in launch.results if each.outcome != "absent"]
    rows = [["accepts TLS", *(launch.name for launch in launches)]]
    programs = dict.fromkeys(each.case.program for each in results)
    outcomes = [_outcomes_of(launch) for launch in launches]
    rows += [[each, *(_accepted_versions(of, each, floor) for of in outcomes)] for each in programs]
    facts = [result.fact(name) for name in ("implementation", "version", "openssl")]
    text = " ".join(filter(None, facts)) or "it did not report its version"
    # If nothing could be tried, there are only question marks, and the verdict says why.
    tried = any(each.outcome != "inconclusive" for each in results)
    return [*(_aligned(rows) if tried else ()), printable(f"{result.interpreter.path}: {text}")]


def _outcomes_of(launch: LaunchResult) -> dict[tuple[str, int], set[str]]:
    """Return the outcomes of each program and version, with any kind of key exchange."""
    found: dict[tuple[str, int], set[str]] = {}
    for each in launch.results:
        found.setdefault((each.case.program, each.case.version), set()).add(each.outcome)
    return found


def _accepted_versions(found: dict[tuple[str, int], set[str]], program: str, floor: int) -> str:
    """Return the versions that a program accepted."""
    versions_of_cell = []
    for name, version in (("SSLv3", SSL3), *FLOORS.items()):
        outcomes = found.get((program, version), set())
        if "accepted" in outcomes:
            versions_of_cell.append(f"{_RED if version < floor else _GREEN}{name}{_END}")
        elif version != SSL3:
            mark = "?" if "inconclusive" in outcomes else "-"
            versions_of_cell.append(f"{_YELLOW}{mark}{_END}  ")
    return " ".join(versions_of_cell)


def _aligned(rows: list[list[str]]) -> list[str]:
    """Return aligned rows, and an empty line after them."""
    widths = [max(len(_COLORS.sub("", cell)) for cell in column) for column in zip(*rows)]
    lines = []
    for row in rows:
        padding = [width - len(_COLORS.sub("", cell)) for cell, width in zip(row, widths)]
        lines.append("  ".join(cell + " " * blanks for cell, blanks in zip(row, padding)).rstrip())
    return [*lines, ""]


def _library_lines(report: VerifyReport, result: InterpreterResult) -> list[str]:
    """Return a line for each TLS library other than ``ssl``, of which the cases say more."""
    lines: dict[tuple[str, str], dict[str, None]] = {}
    for library in report.describe(result.libraries):
        if "ssl" not in library["stack"].split(", "):
            name = library["stack"] or library["path"]
            contents = lines.setdefault((name, library["coverage"]), {})
            contents.update(dict.fromkeys(library["implementation"].split(", ")))
    floor = versions.floor_name(report.floor)
    found = []
    for (name, coverage), contents in lines.items():
        text = ", ".join(contents)
        # The name of a library in Python says what it is.
        text = text if text.endswith(PURE_PYTHON) else f"{name} ({text})"
        found.append(f"other TLS library: {text}: {coverage} if floor {floor} is set")
    return found


def _exemption_lines(result: InterpreterResult) -> list[str]:
    lines = []
    for exemption in result.as_started.fact_list("exemptions"):
        text = "exempted: {host} down to {minimum} until {expires}: {reason}"
        try:
            lines.append(text.format_map(exemption))
        except (KeyError, TypeError):  # an interpreter can report anything
            lines.append(f"exempted: {exemption}")
    return lines


def _verdicts(result: InterpreterResult, report: VerifyReport) -> list[str]:
    """Return a line for each verdict, the most important ones last."""
    verdicts = {AS_STARTED: result.verdict, **result.other_verdicts}
    names = sorted(verdicts, key=lambda name: not name.startswith(f"{AS_STARTED}, "))
    lines = [
        f"{name}: {_colored(verdicts[name])}, {printable(verdicts[name].explanation)}"
        for name in names
    ]
    legend = [LEGEND, COUNTS] if report.evidence == "handshake" else [LEGEND]
    return [*legend, *lines] if result.launches else lines


def _provenance(report: VerifyReport) -> str:
    """Return when, by what, where and how the report was made."""
    earlier = [each.earlier_run for each in report.results if each.earlier_run]
    resumed = f" ({len(earlier)} tried before, on {min(earlier)})" if earlier else ""
    return (
        f"made {report.run['time']}{resumed} by tlsfloor {report.tool} on {report.run['host']}; "
        f"tried as {' and '.join(report.roles)}, by {_EVIDENCE[report.evidence]}"
    )


def _summary(report: VerifyReport, tried: list[InterpreterResult]) -> list[str]:
    """Return a row for each interpreter that was tried, with those that share its verdict."""
    rows = [["interpreter", "version", "OpenSSL", "verdict", "explanation"]]
    for result in tried:
        kind = result.fact("implementation").replace("CPython", "")
        explanation = printable(result.verdict.explanation)
        rows.append(
            [
                printable(result.interpreter.path),
                printable(f"{kind} {result.fact('version')}".strip()),
                # "OpenSSL 3.0.19 27 Jan 2026": the date is in the JSON.
                printable(" ".join(result.fact("openssl").split()[:2]).replace("OpenSSL ", "")),
                _colored(result.verdict),
                explanation[:_SHORT] + ("…" if len(explanation) > _SHORT else ""),
            ]
        )
    head, *lines, _ = _aligned(rows)
    shared: dict[str, dict[str, list[str]]] = {}
    for result in report.results:
        if result.same_as:
            reasons = shared.setdefault(result.same_as.interpreter.path, {})
            reasons.setdefault(result.reason, []).append(result.interpreter.path)
    found = [head]
    for line, result in zip(lines, tried):
        found.append(line)
        for reason, paths in shared.get(result.interpreter.path, {}).items():
            some = ", ".join(paths if len(paths) <= _FEW else (*paths[:2], "…", paths[-1]))
            found.append(printable(f"    the same for {len(paths)}: {some}: {reason}"))
    if shared:
        number = f"{len(tried)} of {len(report.results)}"
        found.append(f"tried: {number} interpreters; with --each, every one is tried")
    return found


def _colored(verdict: Verdict) -> str:
    return f"{_RED if verdict.exit_status else _GREEN}{verdict.name.upper()}{_END}"

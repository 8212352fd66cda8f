"""What a reader sees of a report: the share first, and for each row what to do next."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import parts
from events import BEGIN, event, handshake, many, write
from reports import FINE, OLD, ReportRun, impact_of
from tlsfloor import exemptions
from tlsfloor.cli import check
from tlsfloor.report import phrases, tally
from tlsfloor.report.as_html import report_html
from tlsfloor.report.as_json import report_facts
from tlsfloor.report.as_text import report_text

SHARES = {
    "issue": (
        [*(handshake(count=5120), handshake("TLS 1.2", count=88)), handshake("TLS 1.0", count=5)],
        "floor 1.2 would break 0.1% of handshakes: 1 connection of 3, 5 of 5,213 handshakes",
        "few",
    ),
    "one of a million": (
        [handshake(count=10**6), OLD],
        "floor 1.2 would break <0.1% of handshakes: 1 connection of 2, 1 of 1,000,001 handshakes",
        "few",
    ),
    "all but one": (
        [FINE, handshake("TLS 1.0", count=9999)],
        "floor 1.2 would break >99.9% of handshakes: 1 connection of 2, 9,999 of 10,000 handshakes",
        "yes",
    ),
    "what failed counts too": (
        [handshake(count=3), event("failed", mode="enforce")],
        "floor 1.2 would break 25.0% of handshakes: 1 connection of 2, 1 of 4 handshakes",
        "yes",
    ),
    # Its handshake goes on, and is an event of its own.
    "what would be refused counts once": (
        [FINE, OLD, event("refused", asked="TLS 1.0")],
        "floor 1.2 would break 50.0% of handshakes: 2 connections of 3, 1 of 2 handshakes",
        "yes",
    ),
    "only what would be refused": (
        [FINE, event("refused", asked="TLS 1.0")],
        "floor 1.2 would break something: 1 connection of 2",
        "yes",
    ),
    "not all was seen": (
        [event("refused", asked="TLS 1.0"), event("uncovered", stack="FreeTDS")],
        "floor 1.2 would break something: 1 connection of 1, and not all traffic was seen",
        "yes",
    ),
    "one": (
        [FINE],
        "floor 1.2 would break nothing: the only handshake is at TLS 1.2 or above",
        "no",
    ),
}


@pytest.mark.parametrize("name", SHARES)
def test_the_first_line_is_the_share_of_traffic(name: str) -> None:
    events, headline, tone = SHARES[name]
    impact = impact_of(*events)
    assert report_text(impact).splitlines()[0] == headline
    assert impact.tone("1.2") == tone
    assert f'<div class="card {tone}"><span class="floor">Floor 1.2' in report_html(impact)


def test_a_share_of_none_or_all_has_no_decimals() -> None:
    assert [phrases.share(count, 4) for count in (0, 1, 4)] == ["0%", "25.0%", "100%"]


def test_counts_agree_between_header_and_table() -> None:
    made = [FINE, OLD, handshake("TLS 1.2", host=None, program="other.py")]
    made += [event("failed", mode="enforce", count=4), event("uncovered", program="third.py")]
    impact = impact_of(*made)
    assert impact.scope()[:3] == ["7 handshakes", "3 programs", "1 machine (web-1)"]
    assert sum(count for _, _, count, _ in impact.versions()) == impact.total == 7
    assert impact.size("1.2") == "2 connections, 5 handshakes"
    assert impact.reason("1.2").startswith("2 connections of 4, 5 of 7 handshakes")
    programs = report_html(impact).partition("<h2>Programs")[2]
    assert programs.startswith('<span class="n">3</span>')
    assert programs.count('<td data-label="Program">') == 3
    facts = report_facts(impact)
    assert (facts["hosts"], facts["programs"], facts["floors"]["1.2"]["share"]) == (1, 3, 5 / 7)


def test_the_report_says_when_it_was_made_and_from_which_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "events.jsonl", FINE, OLD)
    facts = ReportRun(capsys, file, "--json").facts
    assert facts["sources"] == [str(file)]
    for kind in ("text", "html"):
        printed = ReportRun(capsys, file, "--format", kind).printed
        assert f"ade {facts['created'][:10]} " in printed
        assert f" from {file}: 2 lines in 1 file" in printed


COMMANDS = {
    "a name": (OLD, "tlsfloor check erp.example:443", "erp.example"),
    "an address": (
        handshake("TLS 1.1", server_name=None, peer="10.0.0.1"),
        "tlsfloor check 10.0.0.1:443",
        "10.0.0.1",
    ),
    "IPv6, in quotes for a shell": (
        handshake("TLS 1.0", server_name=None, peer="::1"),
        "tlsfloor check '[::1]:443'",
        "::1",
    ),
    "no port, and 443 is not guessed": (
        handshake("TLS 1.0", port=None),
        "tlsfloor check erp.example:PORT",
        "erp.example",
    ),
    "a server": (handshake("TLS 1.0", role="server"), "", ""),
    "not seen": (event("uncovered", stack="FreeTDS"), "tlsfloor stacks", ""),
    "of another stack, which has no exemptions": (
        handshake("TLS 1.0", stack="pyOpenSSL"),
        "tlsfloor check erp.example:443",
        "",
    ),
    "SSLv3, which cannot be exempted": (handshake("SSLv3"), "tlsfloor check erp.example:443", ""),
    "a version to find out": (
        {**OLD, "kind": "failed", "version": None},
        "tlsfloor check erp.example:443",
        "erp.example",
    ),
    "an option": (handshake("TLS 1.0", server_name="--from=x"), "", ""),
    "a command": (handshake("TLS 1.0", server_name="$(id).example"), "", ""),
    "a line": (handshake("TLS 1.0", server_name="erp.example\nid"), "", ""),
    "TOML": (handshake("TLS 1.0", server_name='a"\nhost = "b'), "", ""),
    "cut off": (handshake("TLS 1.0", server_name="x" * 300), "", ""),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_each_row_has_a_command_and_an_exemption(name: str, tmp_path: Path) -> None:
    made, command, host = COMMANDS[name]
    [row] = impact_of(made).rows
    assert phrases.command(row, "1.2") == command
    entry = phrases.exemption(row, BEGIN)
    assert f'host = "{host}"' in entry if host else not entry
    for written in (report_text(impact_of(made)), report_html(impact_of(made))):
        assert (command.replace("'", "&#x27;") in written) or command in written
    if command.startswith("tlsfloor check") and "PORT" not in command:
        [_, _, target] = shlex.split(command)
        assert check.parse_endpoint(target).port == 443


def test_the_command_checks_the_floor_of_its_list() -> None:
    printed = report_text(impact_of(handshake("TLS 1.2")))
    assert "    tlsfloor check --floor 1.3 erp.example:443\n" in printed
    assert "[[exemption]]" not in printed
    assert "[[exemption]]" in report_text(impact_of(handshake("TLS 1.2"), floor="1.3"))


def test_a_server_has_one_exemption_if_one_of_its_handshakes_says_the_version() -> None:
    failed = {**OLD, "kind": "failed", "version": None}
    assert 'minimum = ""' in report_text(impact_of(failed))
    printed = report_text(impact_of(OLD, failed))
    assert printed.count("[[exemption]]") == printed.count('minimum = "1.0"') == 1
    elsewhere = {**failed, "port": 8443}
    assert report_text(impact_of(OLD, elsewhere)).count("[[exemption]]") == 2


def test_an_exemption_applies_once_it_has_a_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A pasted entry has no effect until its reason is written."""
    tomllib = pytest.importorskip("tomllib")
    printed = report_text(impact_of(OLD))
    entry = printed.partition("[[exemption]]")[2]
    assert entry
    file = tmp_path / "exemptions.toml"
    for reason in ("", "ticket 4711"):
        pasted = "[[exemption]]" + entry.replace('""', f'"{reason}"')
        [found] = tomllib.loads(pasted)["exemption"]
        assert (found["host"], found["port"], found["minimum"]) == ("erp.example", 443, "1.0")
        file.write_text(pasted)
        file.chmod(0o600)
        loaded, problems = exemptions._read_file(str(file))
        assert [each.host for each in loaded] == ["erp.example"] * bool(reason)
        assert ("it has no reason" in "".join(problems)) == (not reason)


@pytest.mark.parametrize("mode", ["observe", "enforce", None])
@pytest.mark.parametrize("kind", [*tally.KINDS, "to come"])
def test_every_kind_is_in_the_table_and_on_the_page(kind: str, mode: str | None) -> None:
    impact = impact_of(
        event(kind, mode=mode, program="/srv/found.py", version="TLS 1.0", asked="TLS 1.0")
    )
    assert ("/srv/found.py" in report_text(impact)) == (kind != "armed")
    assert "/srv/found.py" in report_html(impact)  # which lists all programs


def test_lines_of_the_future_are_counted_and_named() -> None:
    impact = impact_of(FINE, handshake(time=4e9), handshake(time=1.0))
    said = "2 lines without a valid time (missing, before 2020 or in the future)"
    assert said in report_text(impact).splitlines()
    assert f"Not drawn: {said}." in report_html(impact)
    assert "without a valid time" not in report_text(impact_of(FINE))


def test_machines_are_named_if_they_are_few() -> None:
    def machines(count: int) -> str:
        [row] = impact_of(*(handshake(host=f"h{number:02}") for number in range(count))).rows
        return phrases.hosts(row)

    assert machines(1) == "h00"
    assert machines(2) == "h00 and h01"
    assert machines(5) == "h00, h01, h02, h03 and h04"
    assert machines(6) == "6 machines"
    assert machines(16) == "16 machines"
    assert machines(17) == "more than 16 machines"
    named = impact_of(*(handshake(host=f"h{number}") for number in range(4)))
    for written in (report_text(named), report_html(named)):
        assert "4 machines (h0, h1, h2 and h3)" in written


@pytest.mark.parametrize("width", [40, 80, 132])
def test_no_line_is_wider_than_the_terminal(
    width: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts.need("rich")
    parts.need_program("sh")
    cells = pytest.importorskip("rich.cells")
    for name, value in {"TERM": "xterm", "COLUMNS": str(width), "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    long = f"{'x' * 60}.{'y' * 60}.example"
    made = [
        handshake("TLS 1.0", program=f"/srv/{'中' * 90}.py", where="é" * 150, host="h" * 150),
        handshake("TLS 1.0", server_name=long, text="words " * 30),
        event("uncovered", stack="s" * 150),
    ]
    file = write(tmp_path / ("e" * 150 + ".jsonl"), *made)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    printed = re.sub(r"\x1b\[\d*m", "", ReportRun(capsys, file).printed)
    assert max(map(cells.cell_len, printed.splitlines())) <= width
    # What is to be pasted means the same, though it is folded.
    command = re.findall(r"tlsfloor check(?:.*\\\n)*.*", printed[printed.index("words") :])[0]
    shell = f"tlsfloor() {{ printf '%s ' \"$@\"; }}; {command}"
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True)
    assert done.stdout == f"check {long}:443 "
    if sys.version_info >= (3, 11):
        tomllib = pytest.importorskip("tomllib")
        entries = tomllib.loads(printed[printed.index("[[exemption]]") :])["exemption"]
        assert [each["host"] for each in entries] == [long, "erp.example"]


def test_a_terminal_gets_colours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts.need("rich")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)
    file = write(tmp_path / "events.jsonl", *many(500))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    coloured = ReportRun(capsys, file).printed
    assert "\x1b[1;31m" in coloured  # TLS 1.0 is more than a few here
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[1;31m" not in ReportRun(capsys, file).printed


def test_long_lists_are_cut_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [handshake("TLS 1.0", program=f"p{number:03}") for number in range(250)]
    made += [event("uncovered", stack=f"stack {number:02}") for number in range(30)]
    impact = impact_of(*made)
    written = report_text(impact)
    assert "and 230 more, see --format json" in written
    assert "in doubt: 10 more, see --format json" in written
    html = report_html(impact)
    assert "and 50 more, which" in html
    assert "<summary>and 20 more</summary>" in html
    assert len(report_facts(impact)["rows"]) == 280

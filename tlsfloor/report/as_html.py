"""The impact of a floor as one HTML page, to send to the people who have to act on it.

The page needs no other file: it has no script, font or image, loads nothing, and its content
security policy forbids all of that. Every text of an event passes ``_escaped``. Only a host name
becomes part of a command to copy, and only if it has harmless characters only (see ``phrases``).
"""

from __future__ import annotations

import base64
import hashlib
import html
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from string import Template

from tlsfloor.errors import printable
from tlsfloor.report import phrases
from tlsfloor.report.changes import Changes
from tlsfloor.report.fleet import Fleet
from tlsfloor.report.impact import FLOORS, Impact
from tlsfloor.report.machines import KINDS, VERDICTS
from tlsfloor.report.tally import NO, UNKNOWN, YES, Row
from tlsfloor.versions import TLS1_2, TLS1_3

# Rows of a table, and doubts; and doubts that are not folded away. The JSON has all.
_MOST = 200
_FEW_DOUBTS = 10

# A timeline of at least this many bars fills the width; a single bar stays narrow.
_FULL = 12

# The least height of a bar, of 100: one handshake must be visible next to a million.
_LEAST = 4

# The colour of each list.
_TONES = {"1.2": YES, "1.3": "between", UNKNOWN: UNKNOWN, "exempted": UNKNOWN, "changed": ""}

# How something changed -> its colour.
_CHANGED = {"new": YES, "worse": YES, "in order now": NO, "gone": NO, "not seen again": UNKNOWN}

_UNITS = (("week", 604_800), ("day", 86400), ("hour", 3600), ("minute", 60))


def report_html(impact: Impact) -> str:
    """Return the impact as one page."""
    css = _file("page.css")
    page = Template(_file("page.html")).substitute(
        digest=str(base64.b64encode(hashlib.sha256(css.encode("utf-8")).digest()), "ascii"),
        title=_sentence(impact.headlines()[0].partition(": ")[0], end=""),
        heading="What a TLS floor would break" if impact.has_events else "Where a TLS floor holds",
        css=css,
        scope="<br>".join(_escaped(" · ".join(parts)) for parts in impact.scopes()),
        origin=_sentence(impact.origin()),
        cards="".join(_cards(impact)),
        sections="".join(_sections(impact)),
    )
    # ASCII, like the JSON, so that no encoding of stdout can damage it.
    return str(page.encode("ascii", "xmlcharrefreplace"), "ascii")


def _file(name: str) -> str:
    with open(os.path.join(os.path.dirname(__file__), name), encoding="utf-8") as file:
        return file.read()


def _cards(impact: Impact) -> Iterator[str]:
    for name in FLOORS if impact.has_events else ():
        subject = f"Floor {name} would break"
        yield _card(impact.tone(name), subject, impact.verdict(name), impact.reason(name))
    for name, answer in impact.flagged.items():
        if impact.fleet and (name == impact.floor or not impact.has_events):
            everything = "on everything that was examined"
            proven = UNKNOWN if impact.fleet.is_of_files else everything
            held = {YES: "not everywhere", NO: proven, UNKNOWN: UNKNOWN}
            reason = impact.fleet.reason(FLOORS[name], answer)
            yield _card(answer, f"Floor {name} is held", held[answer], reason)


def _card(tone: str, subject: str, verdict: str, reason: str) -> str:
    return (
        f'<div class="card {tone}"><span class="floor">{subject}</span>'
        f"<strong>{verdict}</strong><p>{_sentence(reason)}</p></div>\n"
    )


def _sections(impact: Impact) -> Iterator[str]:
    doubts = impact.all_doubts()
    if doubts:
        what = "Not all traffic was seen" if impact.has_events else "Not everything was examined"
        yield f'<div class="doubts"><strong>{what}</strong>\n'
        yield _items(doubts[:_FEW_DOUBTS], "")
        more = doubts[_FEW_DOUBTS:]
        if more:
            yield f"<details><summary>and {len(more):,} more</summary>\n"
            yield _items(more[:_MOST], "") + "</details>\n"
        yield "</div>\n"
    if impact.changes:
        yield from _changes(impact.changes)
    if impact.total:
        yield from _timeline(impact)
    for name in _TONES:
        if impact.lists[name]:
            yield from _list(impact, name)
    if impact.rows:
        yield from _programs(impact)
    if impact.fleet:
        yield from _fleet(impact.fleet, FLOORS[impact.floor])


def _timeline(impact: Impact) -> Iterator[str]:
    line = impact.tally.timeline
    starts = line.starts()
    form = "%Y-%m-%d" if line.width >= 86400 else "%Y-%m-%d %H:%M"
    labels = [phrases.moment(start, form) for start in starts]
    yield "<section>\n<h2>Handshakes over time</h2>\n"
    if starts:
        size = next((unit, length) for unit, length in _UNITS if line.width % length == 0)
        yield _soft(
            f"A bar is {phrases.many(line.width // size[1], size[0])}. Each version has its own "
            "scale, so that a few handshakes are visible next to many."
        )
    for wire, name, count, last in impact.versions():
        tone = "old" if (wire or 0) < TLS1_2 else "between" if (wire or 0) < TLS1_3 else "new"
        seen = f"<span>last {phrases.moment(last, '%Y-%m-%d')}</span>" if last else ""
        yield f'<div class="strip {tone}"><div class="name"><b>{name}</b>'
        yield f"<span>{count:,} ({_escaped(phrases.share(count, impact.total))})"
        yield f"</span>{seen}</div>"
        counts = [line.at(start, wire) for start in starts] if wire is not None else []
        empty = "<div></div>" if wire is None else '<div class="empty">at unknown times</div>'
        yield (_bars(name, counts, labels) if any(counts) else empty) + "</div>\n"
    if starts:
        shown = [" to ".join(dict.fromkeys((labels[0], labels[-1])))]
        if len(starts) >= _FULL:
            shown = [labels[0], labels[len(labels) // 2], labels[-1]]
        yield f'<div class="axis"><span>{"</span><span>".join(shown)}</span></div>\n'
    untimed = impact.tally.total("untimed")
    if untimed:
        yield _soft(f"Not drawn: {phrases.without_time(untimed)}.")
    yield "</section>\n"


def _bars(name: str, counts: list[int], labels: list[str]) -> str:
    most = max(counts)
    drawn = (
        f'<svg viewBox="0 0 {max(len(counts), _FULL)} 100" preserveAspectRatio="none" role="img" '
        f'aria-label="{name} over time, at most {most:,} in a bar">'
    )
    for slot, (count, label) in enumerate(zip(counts, labels)):
        if count:
            height = max(100 * count / most, _LEAST)
            drawn += (
                f'<rect x="{slot + 0.08:.2f}" y="{100 - height:.2f}" width="0.84" '
                f'height="{height:.2f}"><title>{label}: {count:,}</title></rect>'
            )
    return drawn + "</svg>"


def _list(impact: Impact, name: str) -> Iterator[str]:
    rows = impact.lists[name]
    cells = [_cells(impact, row, name) for row in rows[:_MOST]]
    yield from _table(
        _sentence(impact.heading(name), end=""), impact.size(name), cells, phrases.advice(rows)
    )
    yield from _rest(len(rows))
    if any(row.rest for row in rows):
        yield _soft("Connections that have no row of their own are summed.")
    yield "</section>\n"


def _cells(impact: Impact, row: Row, name: str) -> dict[str, tuple[str, str]]:
    """Return what the table of a list shows of a row: column -> class of the cell, and its HTML."""
    where = " by ".join(filter(None, (row.where, phrases.through(row))))
    machines = impact.machines(row)
    where = ", ".join(filter(None, (where, machines and f"on {machines}")))
    role = {"client": "as a client", "server": "as a server"}.get(row.role, "")
    command = phrases.command(row, name)
    code = f"<code>{_escaped(command)}</code>" if command else ""
    entry = phrases.exemption(row, impact.created) if name in FLOORS else ""
    if entry:
        code += f"<details><summary>exemption</summary><pre>{html.escape(entry)}</pre></details>"
    what = _two_lines(phrases.what(row), row.exempted or row.text or row.suite)
    return {
        "What": (f"what {_TONES[name]}".strip(), what),
        "Count": ("count", f"{row.count:,}"),
        "Program": ("", _two_lines(phrases.program(row), where)),
        "Peer": ("", _two_lines(*filter(None, (phrases.peer(row), role)))),
        "Last seen": ("when", phrases.moment(row.last)),
        "Run next": ("", code),
    }


def _programs(impact: Impact) -> Iterator[str]:
    spoken: dict[str, Counter[int]] = {}
    for found in impact.rows:
        handshakes = spoken.setdefault(phrases.program(found), Counter())
        if found.kind == "handshake":
            handshakes[found.version] += found.count
    seen = sorted(impact.handshakes)
    # Programs that use the oldest version come first.
    order = sorted(spoken, key=lambda program: [-spoken[program][wire] for wire in seen])
    rows = []
    for program in order[:_MOST]:
        row = {"Program": ("", _escaped(program))}
        for wire in seen:
            count = spoken[program][wire]
            row[phrases.version(wire)] = ("count", f"{count:,}" if count else "")
        rows.append(row)
    yield from _table("Programs", phrases.number_of(impact.tally.names), rows)
    if len(order) > _MOST:
        yield _soft(f"and {len(order) - _MOST:,} more.")
    yield "</section>\n"


def _changes(changes: Changes) -> Iterator[str]:
    """Show what changed since an earlier report."""
    heading, _, amounts = phrases.changes(changes).partition(": ")
    yield f"<section>\n<h2>{_sentence(heading, end='')}</h2>\n{_soft(_sentence(amounts))}"
    rows = [
        {
            "Change": (f"what {_CHANGED[each.how]}", _escaped(each.how)),
            "What": ("", _two_lines(each.name, each.kind)),
            "Where": ("", _escaped(each.where)),
            "Before": ("", _escaped(each.before)),
            "Now": ("", _escaped(each.now)),
        }
        for each in changes.found[:_MOST]
    ]
    if rows:
        yield from _rows(rows)
        yield from _rest(len(changes.found))
    if changes.silent:
        names = phrases.some(changes.silent, "machine")
        yield _soft(_sentence(f"machines that were not heard of since: {names}"))
    if changes.partial:
        yield _soft(_sentence(phrases.NOT_COMPARED))
    yield "</section>\n"


def _fleet(fleet: Fleet, floor: int) -> Iterator[str]:
    """Show what is flagged on machines, and how much of it each owner and each machine has."""
    for kind in KINDS:
        yield from _flagged(fleet, kind, floor)
    if any(each.owner or each.image for each in fleet.findings):
        yield from _verdicts(fleet, "Owners and images", "owner", "image")
    yield from _verdicts(fleet, "Machines", "host", "owner", "image")


def _flagged(fleet: Fleet, kind: str, floor: int) -> Iterator[str]:
    """Show what is flagged or inconclusive of a kind."""
    entries = fleet.entries(kind, floor)
    rows = []
    for entry in entries[:_MOST]:
        found = entry.finding
        rows.append(
            {
                "Verdict": (
                    f"what {found.flagged(floor)}",
                    _two_lines(found.verdict, found.detail),
                ),
                kind.capitalize(): ("", _two_lines(found.name, found.text)),
                "Owner": ("", _two_lines(found.owner, found.image)),
                "Machines": ("", _escaped(entry.where())),
                "Reported": ("when", phrases.moment(entry.last)),
            }
        )
    if rows:
        yield from _table(_sentence(KINDS[kind], end=""), f"{len(entries):,}", rows)
        yield from _rest(len(entries))
        yield "</section>\n"


def _verdicts(fleet: Fleet, heading: str, *fields: str) -> Iterator[str]:
    """Show how often there is each verdict, for each machine or owner."""
    found = fleet.verdicts(*fields)
    seen = {each.verdict for each in fleet.findings}
    rows = []
    for key, hosts, counts in found[:_MOST]:
        row = {field.capitalize(): ("", _escaped(text)) for field, text in zip(fields, key)}
        if "host" not in fields:
            row["Machines"] = ("count", f"{len(hosts):,}")
        for verdict in VERDICTS:
            if verdict in seen:
                row[verdict.capitalize()] = (
                    "count",
                    f"{counts[verdict]:,}" * bool(counts[verdict]),
                )
        rows.append(row)
    if rows:
        yield from _table(heading, f"{len(found):,}", rows)
        yield from _rest(len(found))
        yield "</section>\n"


def _rest(count: int) -> Iterator[str]:
    if count > _MOST:
        yield _soft(f"and {count - _MOST:,} more, which <code>--format json</code> lists.")


def _table(
    heading: str, size: str, rows: list[dict[str, tuple[str, str]]], advice: Iterable[str] = ()
) -> Iterator[str]:
    """Begin a section with a table, whose cells are: column -> class of the cell, and its HTML."""
    yield f'<section>\n<h2>{heading}<span class="n">{size}</span></h2>\n'
    if advice:
        yield _items(advice, "todo")
    yield from _rows(rows)


def _rows(rows: list[dict[str, tuple[str, str]]]) -> Iterator[str]:
    heads = [(column, kind * (kind == "count")) for column, (kind, _) in rows[0].items()]
    head = "".join(f"<th{_class(kind)}>{column}</th>" for column, kind in heads)
    layout = {"What": "kinds", "Verdict": "found", "Change": "changes"}.get(next(iter(rows[0])), "")
    yield f"<table{_class(layout)}>\n<thead><tr>{head}</tr></thead>\n"
    yield "<tbody>\n"
    for row in rows:
        yield "<tr>"
        for column, (kind, text) in row.items():
            yield f'<td data-label="{column}"{_class(kind)}>{text}</td>'
        yield "</tr>\n"
    yield "</tbody>\n</table>\n"


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""


def _two_lines(text: str = "", small: str = "") -> str:
    return _escaped(text) + (f"<small>{_escaped(small)}</small>" if small else "")


def _items(texts: Iterable[str], kind: str) -> str:
    items = "".join(f"<li>{_escaped(text)}</li>\n" for text in texts)
    return f'<ul class="{kind}">\n{items}</ul>\n'


def _soft(text: str) -> str:
    return f'<p class="soft">{text}</p>\n'


def _escaped(text: str) -> str:
    return html.escape(printable(text))


def _sentence(text: str, end: str = ".") -> str:
    return _escaped(text[:1].upper() + text[1:] + end)

"""An answer as one HTML page, to send to the people who have to act on it.

The page is complete by itself: it has no script, font or image, loads nothing, and its content
security policy forbids all of that. Every text of an event passes ``_escaped``. Only a host name
becomes part of a command to copy, and only if it consists of harmless characters (see ``words``).
"""

from __future__ import annotations

import base64
import hashlib
import html
import os
from collections import Counter

from tlsfloor.errors import printable
from tlsfloor.report import words
from tlsfloor.report.answer import FLOORS
from tlsfloor.report.tally import UNKNOWN, YES
from tlsfloor.versions import TLS1_2, TLS1_3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tlsfloor.report.answer import Answer
    from tlsfloor.report.tally import Row

# Rows of a list, programs and doubts, and doubts that are not folded away, so that the page stays
# readable. The JSON has all.
_MOST = 200
_FEW_DOUBTS = 10

# A row of at least this many bars fills the width.
_FULL = 12

# The least height of a bar, of 100: one handshake must be visible next to a million.
_LEAST = 4

# The colour of each list.
_TONES = {"1.2": YES, "1.3": "between", UNKNOWN: UNKNOWN, "exempted": UNKNOWN, "changed": ""}


def to_html(answer: Answer) -> str:
    """Return an answer as one page."""
    # ASCII, like the JSON, so that no encoding of stdout can damage it.
    return str("".join(_page(answer)).encode("ascii", "xmlcharrefreplace"), "ascii")


def _page(answer: Answer) -> Iterator[str]:
    with open(os.path.join(os.path.dirname(__file__), "page.css"), encoding="utf-8") as file:
        css = file.read()
    digest = str(base64.b64encode(hashlib.sha256(css.encode("utf-8")).digest()), "ascii")
    yield (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" '
        f"content=\"default-src 'none'; style-src 'sha256-{digest}'; img-src data:\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n<meta name="robots" content="noindex">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{_sentence(answer.headline(answer.floor).partition(': ')[0], end='')}</title>\n"
        f"<style>{css}</style>\n</head>\n<body>\n"
    )
    yield from _head(answer)
    yield from _timeline(answer)
    for name in _TONES:
        yield from _list(answer, name)
    yield from _programs(answer)
    yield (
        "<footer>Times are UTC. A connection is one line of one program, in one role, to one peer, "
        "at one version. An exemption is an entry of the file that <code>TLSFLOOR_EXEMPTIONS</code>"
        " names; it applies once it has a reason.</footer>\n</body>\n</html>\n"
    )


def _head(answer: Answer) -> Iterator[str]:
    yield "<header>\n<h1>What a TLS floor would break</h1>\n"
    yield f'<p class="soft">{_escaped(" · ".join(answer.scope()))}<br>'
    yield f'{_sentence(answer.origin())}</p>\n</header>\n<div class="cards">\n'
    for name in FLOORS:
        yield (
            f'<div class="card {answer.tone(name)}"><span class="floor">Floor {name} would break'
            f"</span><strong>{answer.verdict(name)}</strong>"
            f"<p>{_sentence(answer.reason(name))}</p></div>\n"
        )
    yield "</div>\n"
    doubts = answer.all_doubts()
    if doubts:
        yield '<div class="doubts"><strong>Not all traffic was seen</strong>\n'
        yield _items(doubts[:_FEW_DOUBTS], "")
        more = doubts[_FEW_DOUBTS:]
        if more:
            yield f"<details><summary>and {words.number(len(more))} more</summary>\n"
            yield _items(more[:_MOST], "") + "</details>\n"
        yield "</div>\n"


def _items(texts: list[str], kind: str) -> str:
    items = "".join(f"<li>{_escaped(each)}</li>\n" for each in texts)
    return f'<ul class="{kind}">\n{items}</ul>\n'


def _timeline(answer: Answer) -> Iterator[str]:
    if not answer.total:
        return
    line = answer.tally.timeline
    starts = line.starts()
    form = "%Y-%m-%d" if line.width >= 86400 else "%Y-%m-%d %H:%M"
    yield "<section>\n<h2>Handshakes over time</h2>\n"
    if starts:
        yield (
            f'<p class="soft">A bar is {_width(line.width)}. Each version has its own scale, so '
            "that a few handshakes are visible next to many.</p>\n"
        )
    wires = {words.version(wire): wire for wire in answer.handshakes}
    for name, count, when in answer.versions():
        wire = wires.get(name, 0)
        tone = "old" if wire < TLS1_2 else "between" if wire < TLS1_3 else "new"
        last = words.moment(when, "%Y-%m-%d")
        seen = f"<span>last {last}</span>" if last else ""
        yield (
            f'<div class="strip {tone}"><div class="name"><b>{name}</b>'
            f"<span>{words.number(count)} ({_escaped(words.share(count, answer.total))})</span>"
            f"{seen}</div>"
        )
        counts = [line.at(start, wire) for start in starts] if name in wires else []
        if any(counts):
            yield from _bars(name, counts, [words.moment(start, form) for start in starts])
        else:
            yield '<div class="empty">at unknown times</div>' if name in wires else "<div></div>"
        yield "</div>\n"
    if starts:
        shown = [words.moment(each, form) for each in starts]
        if len(starts) >= _FULL:
            shown = [shown[0], shown[len(starts) // 2], shown[-1]]
        else:
            shown = [" to ".join(dict.fromkeys((shown[0], shown[-1])))]
        yield '<div class="axis">' + "".join(f"<span>{each}</span>" for each in shown) + "</div>\n"
    if answer.tally.untimed:
        lines = words.many(answer.tally.untimed, "line")
        yield (
            f'<p class="soft">Not drawn: {lines} without a valid time (missing, before 2020 or in '
            "the future).</p>\n"
        )
    yield "</section>\n"


def _bars(name: str, counts: list[int], labels: list[str]) -> Iterator[str]:
    most = max(counts)
    width = max(len(counts), _FULL)  # a single bar stays narrow
    yield (
        f'<svg viewBox="0 0 {width} 100" preserveAspectRatio="none" role="img" '
        f'aria-label="{name} over time, at most {words.number(most)} in a bar">'
    )
    for slot, (count, label) in enumerate(zip(counts, labels)):
        if count:
            height = max(100 * count / most, _LEAST)
            yield (
                f'<rect x="{slot + 0.08:.2f}" y="{100 - height:.2f}" width="0.84" '
                f'height="{height:.2f}"><title>{label}: {words.number(count)}</title></rect>'
            )
    yield "</svg>"


def _list(answer: Answer, name: str) -> Iterator[str]:
    rows = answer.lists[name]
    if not rows:
        return
    heading = answer.heading(name)
    yield (
        f"<section>\n<h2>{_sentence(heading, end='')}"
        f'<span class="n">{answer.size(name)}</span></h2>\n'
    )
    todo = words.advice(rows)
    if todo:
        yield _items(todo, "todo")
    yield (
        '<table class="wide kinds">\n<thead><tr><th>What</th><th class="count">Count</th>'
        "<th>Program</th><th>Peer</th><th>Last seen</th><th>Run next</th></tr></thead>\n<tbody>\n"
    )
    for row in rows[:_MOST]:
        yield _row(answer, row, name)
    yield "</tbody>\n</table>\n"
    if len(rows) > _MOST:
        more = words.number(len(rows) - _MOST)
        yield f'<p class="soft">and {more} more, which <code>--format json</code> lists.</p>\n'
    if any(row.rest for row in rows):
        yield '<p class="soft">Connections that have no row of their own are summed.</p>\n'
    yield "</section>\n"


def _row(answer: Answer, row: Row, name: str) -> str:
    where = " by ".join(filter(None, (row.where, words.through(row))))
    machines = words.hosts(row)
    where = ", ".join(filter(None, (where, machines and f"on {machines}")))
    role = {"client": "as a client", "server": "as a server"}.get(row.role, "")
    cells = (
        ("What", f"what {_TONES[name]}", words.what(row), row.exempted or row.text or row.suite),
        ("Count", "count", words.number(row.count)),
        ("Program", "", words.program(row), where),
        ("Peer", "", *filter(None, (words.peer(row), role))),
        ("Last seen", "when", words.moment(row.last)),
    )
    following = words.command(row, name)
    code = f"<code>{_escaped(following)}</code>" if following else ""
    entry = words.exemption(row, answer.made) if name in FLOORS else ""
    if entry:
        code += f"<details><summary>exemption</summary><pre>{html.escape(entry)}</pre></details>"
    texts = "".join(_cell(*cell) for cell in cells)
    return f'<tr>{texts}<td data-label="Run next">{code}</td></tr>\n'


def _cell(label: str, names: str, text: str = "", small: str = "") -> str:
    kind = f' class="{names.strip()}"' if names else ""
    more = f"<small>{_escaped(small)}</small>" if small else ""
    return f'<td data-label="{label}"{kind}>{_escaped(text)}{more}</td>'


def _programs(answer: Answer) -> Iterator[str]:
    spoken: dict[str, Counter[int]] = {}
    for row in answer.rows:
        handshakes = spoken.setdefault(words.program(row), Counter())
        if row.kind == "handshake":
            handshakes[row.version] += row.count
    if not spoken:
        return
    seen = sorted(answer.handshakes)
    # Programs that use the oldest version come first.
    order = sorted(spoken, key=lambda program: [-(spoken[program][wire]) for wire in seen])
    size = words.at_least(answer.tally.programs)
    yield (
        f'<section>\n<h2>Programs<span class="n">{size}</span></h2>\n'
        '<table class="wide">\n<thead><tr><th>Program</th>'
    )
    yield "".join(f'<th class="count">{words.version(wire)}</th>' for wire in seen)
    yield "</tr></thead>\n<tbody>\n"
    for program in order[:_MOST]:
        yield f'<tr><td data-label="Program">{_escaped(program)}</td>'
        for wire in seen:
            count = spoken[program][wire]
            text = words.number(count) if count else ""
            yield f'<td class="count" data-label="{words.version(wire)}">{text}</td>'
        yield "</tr>\n"
    yield "</tbody>\n</table>\n"
    if len(order) > _MOST:
        yield f'<p class="soft">and {words.number(len(order) - _MOST)} more.</p>\n'
    yield "</section>\n"


def _escaped(text: str) -> str:
    return html.escape(printable(text))


def _sentence(text: str, end: str = ".") -> str:
    return _escaped(text[:1].upper() + text[1:] + end)


def _width(seconds: int) -> str:
    for unit, length in (("week", 604_800), ("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds % length == 0:
            return words.many(seconds // length, unit)
    raise AssertionError(seconds)  # no such width

"""An answer as one HTML page, to send to those who have to act on it.

It needs nothing beside itself: no script, no font, no image, no network, and its policy forbids
them all. Every text of an event passes ``_escaped``, and no text becomes part of a command that
somebody might copy.
"""

from __future__ import annotations

import base64
import hashlib
import html
import os
from collections import Counter

from tlsfloor.report import words
from tlsfloor.report.answer import FLOORS
from tlsfloor.report.tally import NO, UNKNOWN, YES
from tlsfloor.versions import TLS1_2, TLS1_3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tlsfloor.report.answer import Answer
    from tlsfloor.report.tally import Row

# Rows of a list, programs and doubts, and doubts before all else: a page that can be read. The JSON
# has all.
_MOST = 200
_FEW_DOUBTS = 10

# Bars that fill the width.
_FULL = 12

# The least height of a bar, of 100: a single handshake is to be seen beside a million.
_LEAST = 4

_WORDS = {YES: "breaks something", NO: "breaks nothing", UNKNOWN: "could not be told"}

# What to do about rows of a kind and role.
_TODO = {
    ("handshake", "client"): "As a client: <code>tlsfloor check</code> tells whether the server "
    "speaks more, and so whether the program or the server is to be mended.",
    ("handshake", "server"): "As a server: the clients are to be updated.",
    ("handshake", ""): "Update the side that speaks nothing better.",
    ("refused", ""): "Refused: the program asks for this one version; let it ask for none.",
    ("failed", ""): "Failed: the other side has nothing in common with the floor; update it, or "
    "exempt it for a while.",
    ("discarded", ""): "Discarded: as a handshake of that version, and the stack let it happen.",
    ("uncovered", ""): "Not seen: <code>tlsfloor stacks</code> tells what holds a floor there.",
    ("unknown", ""): "Not seen: tlsfloor does not know this library, and holds no floor there.",
}

_LISTS = {
    "1.2": ("Floor 1.2 would break", YES),
    "1.3": ("Floor 1.3 would break", "between"),
    UNKNOWN: ("Could not be told", UNKNOWN),
    "exempted": ("Exemptions", UNKNOWN),
    "changed": ("Changed by the floor, and not broken by it", ""),
}


def to_html(answer: Answer) -> str:
    """Return an answer as one page."""
    # ASCII is written the same in every locale, as the JSON is.
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
        f"<title>Floor {answer.floor}: {_WORDS[answer.breaks[answer.floor]]}</title>\n"
        f"<style>{css}</style>\n</head>\n<body>\n"
    )
    yield from _head(answer)
    yield from _timeline(answer)
    for name, (heading, tone) in _LISTS.items():
        more = " as well" if name == "1.3" and answer.lists["1.2"] else ""
        yield from _list(heading + more, tone, answer.lists[name])
    yield from _programs(answer)
    yield (
        f"<footer>Times are UTC. A kind of connection is one line of one program, in one role, "
        f"towards one other side, at one version. Written by tlsfloor {_escaped(answer.tool)}."
        "</footer>\n</body>\n</html>\n"
    )


def _head(answer: Answer) -> Iterator[str]:
    summed = answer.tally
    facts = [
        _many(sum(row.count for row in answer.rows), "event"),
        _many(len(summed.programs), "program"),
        _many(len(summed.hosts), "machine"),
        _many(answer.reading.files, "file"),
    ]
    period = f"{words.moment(answer.first_time)} to {words.moment(answer.last_time)}"
    yield "<header>\n<h1>What a TLS floor would break</h1>\n"
    yield f'<p class="soft">{" · ".join(facts)}'
    yield f"<br>{period} UTC</p>\n" if answer.last_time else "</p>\n"
    yield '</header>\n<div class="cards">\n'
    for name, breaks in answer.breaks.items():
        asked = " · asked for" if name == answer.floor else ""
        yield (
            f'<div class="card {breaks}"><span class="floor">Floor {name}{asked}</span>'
            f"<strong>{_WORDS[breaks]}</strong><p>{_sentence(answer.reason(name))}</p></div>\n"
        )
    yield "</div>\n"
    doubts = dict.fromkeys(
        doubt for name in (answer.floor, *FLOORS) for doubt in answer.doubts[name]
    )
    if doubts:
        yield '<div class="doubts"><strong>Not all was seen</strong>\n'
        yield from _doubts(list(doubts)[:_FEW_DOUBTS])
        more = list(doubts)[_FEW_DOUBTS:]
        if more:
            yield f"<details><summary>and {words.number(len(more))} more</summary>\n"
            yield from _doubts(more[:_MOST])
            yield "</details>\n"
        yield "</div>\n"


def _doubts(doubts: list[str]) -> Iterator[str]:
    yield "<ul>\n"
    for each in doubts:
        yield f"<li>{_escaped(each)}</li>\n"
    yield "</ul>\n"


def _timeline(answer: Answer) -> Iterator[str]:
    if not answer.handshakes:
        return
    line, total = answer.tally.timeline, sum(answer.handshakes.values())
    starts = line.starts()
    form = "%Y-%m-%d" if line.width >= 86400 else "%Y-%m-%d %H:%M"
    yield "<section>\n<h2>Handshakes over time</h2>\n"
    if starts:
        yield (
            f'<p class="soft">A bar is {_width(line.width)}. Each version has a scale of its own, '
            "so that the last few are seen beside the many.</p>\n"
        )
    for wire, count in sorted(answer.handshakes.items()):
        tone = "old" if wire < TLS1_2 else "between" if wire < TLS1_3 else "new"
        name, last = words.version(wire), words.moment(answer.last[wire], "%Y-%m-%d")
        seen = f"<span>last {last}</span>" if last else ""
        yield (
            f'<div class="strip {tone}"><div class="name"><b>{name}</b>'
            f"<span>{words.number(count)} ({_share(count, total)})</span>{seen}</div>"
        )
        counts = [line.at(start, wire) for start in starts]
        if any(counts):
            yield from _bars(name, counts, [words.moment(start, form) for start in starts])
        else:
            yield '<div class="empty">when is not known</div>'
        yield "</div>\n"
    if starts:
        shown = [words.moment(each, form) for each in starts]
        if len(starts) >= _FULL:
            shown = [shown[0], shown[len(starts) // 2], shown[-1]]
        else:
            shown = [" to ".join(dict.fromkeys((shown[0], shown[-1])))]
        yield '<div class="axis">' + "".join(f"<span>{each}</span>" for each in shown) + "</div>\n"
    if answer.tally.untimed:
        many = _many(answer.tally.untimed, "line")
        yield f'<p class="soft">{many} had no time that can be true.</p>\n'
    yield "</section>\n"


def _bars(name: str, counts: list[int], labels: list[str]) -> Iterator[str]:
    most = max(counts)
    width = max(len(counts), _FULL)  # one bar is no wall
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


def _list(heading: str, tone: str, rows: list[Row]) -> Iterator[str]:
    if not rows:
        return
    apart = sum(not row.rest for row in rows)
    yield f'<section>\n<h2>{heading}<span class="n">{words.number(apart)}</span></h2>\n'
    todo = dict.fromkeys(
        _TODO.get((row.kind, row.role)) or _TODO.get((row.kind, "")) or ""
        for row in rows
        if not row.exempted
    )
    if any(todo):
        yield '<ul class="todo">' + "".join(f"<li>{each}</li>" for each in todo if each) + "</ul>\n"
    yield (
        '<table class="wide kinds">\n<thead><tr><th>What</th><th class="count">Count</th>'
        "<th>Program</th><th>Towards</th><th>Last seen</th></tr></thead>\n<tbody>\n"
    )
    for row in rows[:_MOST]:
        yield _row(row, tone)
    yield "</tbody>\n</table>\n"
    if len(rows) > _MOST:
        more = words.number(len(rows) - _MOST)
        yield f'<p class="soft">and {more} more, which <code>--format json</code> names.</p>\n'
    if apart < len(rows):
        yield '<p class="soft">Of so many kinds not all were kept apart; none is left out.</p>\n'
    yield "</section>\n"


def _row(row: Row, tone: str) -> str:
    detail = row.exempted or row.text or row.suite
    where = " by ".join(filter(None, (row.where, words.through(row))))
    side = {"client": "as a client", "server": "as a server"}.get(row.role, "")
    beside = ", ".join(filter(None, (side, words.hosts(row) and f"on {words.hosts(row)}")))
    cells = (
        ("What", f"what {tone}", words.what(row), detail),
        ("Count", "count", words.number(row.count)),
        ("Program", "", words.who(row), where),
        ("Towards", "", *filter(None, (words.towards(row), beside))),
        ("Last seen", "when", words.moment(row.last)),
    )
    return "<tr>" + "".join(_cell(*cell) for cell in cells) + "</tr>\n"


def _cell(label: str, names: str, text: str = "", small: str = "") -> str:
    kind = f' class="{names.strip()}"' if names else ""
    more = f"<small>{_escaped(small)}</small>" if small else ""
    return f'<td data-label="{label}"{kind}>{_escaped(text)}{more}</td>'


def _programs(answer: Answer) -> Iterator[str]:
    spoken: dict[str, Counter[int]] = {}
    for row in answer.rows:
        if row.kind == "handshake":
            spoken.setdefault(words.who(row), Counter())[row.version] += row.count
    if not spoken:
        return
    seen = sorted(answer.handshakes)
    # Who speaks the oldest comes first.
    order = sorted(spoken, key=lambda who: [-(spoken[who][wire]) for wire in seen])
    yield (
        f'<section>\n<h2>Programs<span class="n">{words.number(len(spoken))}</span></h2>\n'
        '<table class="wide">\n<thead><tr><th>Program</th>'
    )
    yield "".join(f'<th class="count">{words.version(wire)}</th>' for wire in seen)
    yield "</tr></thead>\n<tbody>\n"
    for who in order[:_MOST]:
        yield f'<tr><td data-label="Program">{_escaped(who)}</td>'
        for wire in seen:
            count = spoken[who][wire]
            text = words.number(count) if count else ""
            yield f'<td class="count" data-label="{words.version(wire)}">{text}</td>'
        yield "</tr>\n"
    yield "</tbody>\n</table>\n"
    if len(order) > _MOST:
        yield f'<p class="soft">and {words.number(len(order) - _MOST)} more.</p>\n'
    yield "</section>\n"


def _escaped(text: str) -> str:
    return html.escape(words.clean(text))


def _sentence(text: str) -> str:
    return _escaped(text[:1].upper() + text[1:] + ".")


def _many(count: int, name: str) -> str:
    return f"{words.number(count)} {name}{'s' * (count != 1)}"


def _share(count: int, total: int) -> str:
    share = count / total
    return "less than 0.1%" if share < 0.001 else f"{share:.1%}"


def _width(seconds: int) -> str:
    for unit, length in (("week", 604_800), ("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds % length == 0:
            return _many(seconds // length, unit)
    raise AssertionError(seconds)  # no such width

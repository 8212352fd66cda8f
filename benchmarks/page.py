"""Write the page of the docs from the result files: ``python -m benchmarks.page``."""

from __future__ import annotations

import math
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import pyperf

from benchmarks import FREE_THREADED, ON_REQUEST, PROGRAMS, RESULTS
from benchmarks.measure import AGAIN, figures, table

if TYPE_CHECKING:
    from benchmarks.measure import Figure

PAGE = RESULTS.with_suffix(".md")
BEGIN, END = "<!-- measured -->\n", "<!-- end of measured -->"

#: Program -> the heading of its table.
HEADINGS = {
    "starts": "Starting Python",
    "gates": "Contexts, TLS objects, handshakes",
    "metrics": "Handshakes that OpenTelemetry counts",
    "data": "After the handshake",
    "threads": "Threads",
    "verifier": "Verifying",
    "commands": "The processor time of commands",
    "many": "Verifying many interpreters",
    "rebuild": "Compared with rebuilding OpenSSL and Python",
    "fleet": "Reading the events of a fleet",
}

#: The rows of the picture at the top: the program, its row, and the label in the picture. Each
#: compares instructions with and without a floor.
HEADLINE = (
    ("starts", "start of an idle Python", "start of a Python that does nothing"),
    ("starts", "start with import ssl and a context", "start with import ssl and one context"),
    (
        "starts",
        "start with import ssl, urllib3, boto3, redis",
        "start with boto3, urllib3 and redis",
    ),
    ("gates", "SSLContext(PROTOCOL_TLS_CLIENT)", "one context"),
    ("gates", "handshake, TLS 1.2, ECDSA", "one handshake, both ends: TLS 1.2 by ECDSA"),
    ("data", "urllib3: GET, kept alive", "one request by urllib3 on an open connection"),
    ("data", "1 MB to the other end", "1 MB of data"),
)

#: The ratios at which an axis may have a mark.
TICKS = (0.5, 1, 1.2, 2, 5, 10, 20, 50, 100, 1000, 10000)

#: The column with the ratio of the repeated sample.
REPEAT = 5

#: Pixels: a line, the text left of the axis, the axis, the number right of it, and one below it.
LINE, LEFT, AXIS, RIGHT, NUMBER = 20, 470, 320, 80, 30

#: Goal met, missed, or none -> a color that is visible on a light and on a dark page.
COLORS = {True: "#2a7", False: "#d33", None: "#88a"}


def plot(found: list[Figure]) -> str:
    """Return a plot of ratios on a logarithmic scale: dots, with intervals as lines."""
    low = min([0.9, *(each.low for each in found)])
    high = max([1.1, *(each.high for each in found)])

    def across(ratio: float) -> float:
        return LEFT + AXIS * (math.log(ratio / low) / math.log(high / low))

    height = LINE * (len(found) + 1)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + AXIS + RIGHT} {height}" '
        'font-family="sans-serif" font-size="11" fill="#888" role="img">'
    )
    lines = [head, "<title>ratios, on a logarithmic scale</title>"]
    last = float(-NUMBER)
    for tick in TICKS:
        if low <= tick <= high and across(tick) - last >= NUMBER:
            last = across(tick)
            lines.append(
                f'<path d="M{last:.1f} 0V{height - LINE}" stroke="#8886" />'
                f'<text x="{last:.1f}" y="{height - 6}" text-anchor="middle">{tick:g}x</text>'
            )
    for number, each in enumerate(found):
        y, color = LINE * number + LINE // 2, COLORS[each.met]
        counted = ", instructions" if each.unit == "integer" else ""
        lines.append(
            f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">'
            f"{escape(each.row + counted)}: {escape(each.variant)}</text>"
            f'<path d="M{across(each.low):.1f} {y}H{across(each.high):.1f}" stroke="{color}" />'
            f'<circle cx="{across(each.ratio):.1f}" cy="{y}" r="3.5" fill="{color}" />'
            f'<text x="{LEFT + AXIS + 8}" y="{y + 4}">{each.ratio:.4g}x</text>'
        )
    return "\n".join([*lines, "</svg>"]) + "\n"


def headline() -> str:
    """Return the picture of what a floor costs: a bar for each row, in percent.

    The page contains it as an element, so that it uses the colors of the page.
    """
    found: dict[tuple[str, str], float] = {}
    for name in dict.fromkeys(file for file, _, _ in HEADLINE):
        for each in figures(pyperf.BenchmarkSuite.load(str(RESULTS / f"{name}.json"))):
            if each.unit == "integer":
                found.setdefault((name, each.row), each.ratio)
    more = [(label, max(0, found[file, row] * 100 - 100)) for file, row, label in HEADLINE]
    longest = 460 / max(percent for _, percent in more)
    head = (
        '<svg xmlns="http://www.w3.org/2000/svg" class="picture" role="img" '
        f'aria-labelledby="costs-title" viewBox="0 0 460 {44 * len(more)}">'
    )
    title = "What a floor costs: instructions more than without it"
    lines = [head, f'<title id="costs-title">{title}</title>']
    for number, (label, percent) in enumerate(more):
        y, width = 44 * number, percent * longest
        lines += [
            f'<text class="start" x="0" y="{y + 16}">{escape(label)}</text>',
            f'<text class="end head" x="460" y="{y + 16}">+{percent:.1f}%</text>',
            f'<rect class="bar" x="0" y="{y + 23}" width="460" height="10" rx="2" />',
            f'<rect class="cost" x="0" y="{y + 23}" width="{width:.1f}" height="10" rx="2" />',
        ]
    return "\n".join([*lines, "</svg>"]) + "\n"


def section(heading: str, file: Path) -> str:
    """Return the section of one result file, and write its plot."""
    suite = pyperf.BenchmarkSuite.load(str(file))
    found = list(figures(suite))
    drawn = [each for each in found if each.variant != AGAIN]
    file.with_suffix(".svg").write_text(plot(drawn), "utf-8")
    repeats = {
        (each.row, each.unit): f"{each.ratio:.4f}" for each in found if each.variant == AGAIN
    }
    head, *body = table(drawn)
    head.insert(REPEAT, "repeat")
    for each, line in zip(drawn, body):
        line.insert(REPEAT, repeats.get((each.row, each.unit), ""))
    lines = [head, ["---"] * len(head), *body]
    facts = suite.get_benchmarks()[0].get_metadata()
    parts = [
        f"{key.replace('_', ' ')} {value:g}"
        if isinstance(value, float)
        else f"{key.replace('_', ' ')} {value}"
        for key, value in facts.items()
        if key not in ("name", "unit", "row", "variant", "beside", "most", "more")
    ]
    return "\n".join(
        [
            f"## {heading}\n",
            f"![ratios]({RESULTS.name}/{file.stem}.svg)\n",
            *("| " + " | ".join(line) + " |" for line in lines),
            f"\n{', '.join(parts)}.\n\n",
        ]
    )


def written() -> str:
    """Return the page with the tables of all result files, and write the plots."""
    files = {
        HEADINGS[name] + more.replace("-", ", ", 1): RESULTS / f"{name}{more}.json"
        for name in (*PROGRAMS, *ON_REQUEST)
        for more in ("", FREE_THREADED)
    }
    (RESULTS / "costs.svg").write_text(headline(), "utf-8")
    text = "".join(section(heading, file) for heading, file in files.items() if file.exists())
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    return before + BEGIN + text + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(written(), "utf-8")

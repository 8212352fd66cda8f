"""Write the figures of the page about a fleet: ``python -m benchmarks.fleet_page``.

They are computed from what ``python -m benchmarks.fleet_model`` and ``python -m benchmarks fleet``
measured, and from the inputs below.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import pyperf

from benchmarks import RESULTS, fleet_events, fleet_model
from benchmarks.fleet import DUCKDB, GREP, JQ, PYTHON, SPARK
from benchmarks.measure import amount

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PAGE = RESULTS.parent.parent / "explanation" / "fleet.md"
PICTURE = RESULTS / "fleet-lines.svg"
BEGIN, END = "<!-- {} -->\n", "<!-- end -->"


class Inputs(NamedTuple):
    """What is assumed of the fleet, and what storage and queries cost there."""

    hosts: int = fleet_events.HOSTS
    processes: int = fleet_events.PROCESSES
    days: int = 30
    cluster: int = fleet_model.CLUSTER
    dollars_a_gb_month: float = 0.023  # object storage
    dollars_a_tb_read: float = 5.0  # an SQL service that is paid by what it reads


def grid(head: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    """Return a table."""
    head = list(head)
    cells = [head, ["---"] * len(head), *lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells) + "\n"


def size(value: float) -> str:
    """Format a number of bytes."""
    return f"{value / 1e12:.3g} TB" if value >= 1e12 else amount(value, "byte")


def number(value: float) -> str:
    """Format a number of lines or of series, by three digits."""
    if value < 10_000:
        return f"{value:,.0f}"
    digits = 2 - math.floor(math.log10(value))
    return f"{round(value, digits):,.0f}"


def dollars(value: float) -> str:
    """Format an amount of money."""
    return f"${value:,.0f}" if value >= 10 else f"${value:.2f}"


def duration(seconds: float) -> str:
    """Format seconds, minutes or hours."""
    if seconds >= 7200:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.3g} s"


def traffic(model: dict[str, Any]) -> str:
    """Return what a process of each kind does in a day."""
    kinds = {each.name: each for each in fleet_events.BEHAVIOURS}
    lines = [
        [
            f"`{each['name']}`",
            f"{each['share']}%",
            f"{kinds[each['name']].runs}",
            ", ".join(f"{peer.every:g} s" for peer in kinds[each["name"]].connections) or "never",
            number(each["handshakes"]),
            number(each["lines"]),
            number(each["bytes"] / each["lines"]),
        ]
        for each in model["behaviours"]
    ]
    head = "kind", "of the processes", "starts a day", "connects every", "handshakes a day"
    return grid([*head, "lines a day", "bytes of a line"], lines)


def means(model: dict[str, Any]) -> dict[str, float]:
    """Return handshakes, lines and bytes of a process in a day, on average."""
    return {
        key: sum(each[key] * each["share"] / 100 for each in model["behaviours"])
        for key in ("handshakes", "lines", "bytes")
    }


def volume(model: dict[str, Any], inputs: Inputs) -> str:
    """Return what is written: in a day by a process, a host and the fleet, and in all days."""
    mean, ratio = means(model), model["host"]["gzip"] / model["host"]["bytes"]
    fleet = inputs.hosts * inputs.processes
    lines = [
        [
            name,
            number(mean["handshakes"] * factor),
            number(mean["lines"] * factor),
            size(mean["bytes"] * factor),
            size(mean["bytes"] * factor * ratio),
        ]
        for name, factor in (
            ("a process, a day", 1),
            (f"a host of {inputs.processes} processes, a day", inputs.processes),
            (f"{inputs.hosts:,} hosts, a day", fleet),
            (f"{inputs.hosts:,} hosts, {inputs.days} days", fleet * inputs.days),
        )
    ]
    return grid(["written by", "handshakes", "lines", "bytes", "by gzip"], lines)


def levels(model: dict[str, Any], inputs: Inputs) -> str:
    """Return what is left after each level of condensing."""
    lines = []
    for name, text, hosts in (
        ("host", "a host", 1),
        ("cluster", f"a cluster of {inputs.cluster} hosts", inputs.cluster),
        ("fleet", f"the fleet of {inputs.hosts:,} hosts", inputs.hosts),
    ):
        found = model[name]
        raw = means(model)["bytes"] * inputs.processes * hosts
        lines.append(
            [
                text,
                size(raw),
                number(found["condensed_lines"]),
                size(found["condensed_bytes"]),
                size(found["condensed_gzip"]),
                f"{number(raw / found['condensed_bytes'])}x",
                size(found["condensed_gzip"] * inputs.hosts / hosts),
            ]
        )
    head = "level", "events of a day", "condensed lines", "bytes", "by gzip", "smaller by"
    return grid([*head, "all of them, by gzip"], lines)


def series(model: dict[str, Any], inputs: Inputs) -> str:
    """Return how many series a live view has, by what of the processes is kept in them."""
    own, server = model["series"]["process"], model["series"]["server"]
    of_service = {each: own + server * len(each.connections) for each in fleet_events.SERVICES}
    pairs = zip(of_service.values(), fleet_events.WEIGHTS)
    mean = sum(count * weight / 100 for count, weight in pairs)
    programs = len(of_service)
    lines = [
        ["a process, on average", number(mean)],
        [f"a host of {inputs.processes} processes", number(mean * inputs.processes)],
        [
            f"the fleet, one for each process: {inputs.hosts * inputs.processes:,} processes",
            number(mean * inputs.processes * inputs.hosts),
        ],
        [f"the fleet, summed by service: {programs} services", number(sum(of_service.values()))],
    ]
    fixed = (
        f"In mode `observe`, a process has {own} series for itself, and {server} for each server "
        "that it connects to, measured in a real process.\n\n"
    )
    return fixed + grid(["series of", "number"], lines)


def storage(model: dict[str, Any], inputs: Inputs) -> str:
    """Return what it costs to keep all days and to read them once."""
    fleet = inputs.hosts * inputs.processes * inputs.days
    ratio = model["host"]["gzip"] / model["host"]["bytes"]
    kept = {
        "every line, by gzip": means(model)["bytes"] * fleet * ratio,
        "condensed by each host, by gzip": model["host"]["condensed_gzip"]
        * inputs.hosts
        * inputs.days,
        "condensed for the fleet, by gzip": model["fleet"]["condensed_gzip"] * inputs.days,
    }
    lines = [
        [
            name,
            size(value),
            dollars(value / 1e9 * inputs.dollars_a_gb_month),
            dollars(value / 1e12 * inputs.dollars_a_tb_read),
        ]
        for name, value in kept.items()
    ]
    head = f"{inputs.days} days of {inputs.hosts:,} hosts", "bytes", "kept for a month"
    return grid([*head, "read once"], lines)


def measured(what: str) -> dict[int, dict[str, float]]:
    """Return the medians of the benchmark: lines -> engine -> seconds or bytes."""
    found: dict[int, dict[str, float]] = {}
    for each in pyperf.BenchmarkSuite.load(str(RESULTS / "fleet.json")):
        facts = each.get_metadata()
        lines, _, name = facts["row"].partition(" lines of events: ")
        if name == what:
            found.setdefault(int(lines), {})[facts["variant"]] = each.median()
    return found


def engines(model: dict[str, Any], inputs: Inputs) -> str:
    """Return what the engines take, and what they would take for the fleet."""
    seconds, processor, memory = map(measured, ("time", "processor time", "memory"))
    most = max(seconds)
    fleet = means(model)["lines"] * inputs.hosts * inputs.processes
    lines = [
        [
            name,
            *(f"{each[name]:.3g} s" if name in each else "" for each in processor.values()),
            f"{processor[largest][name] / processor[largest][PYTHON]:.2f}",
            f"{seconds[largest][name]:.3g} s",
            f"{seconds[largest][name] / seconds[largest][PYTHON]:.2f}",
            amount(memory[largest][name], "byte"),
            # Less than the most lines are mostly the start of an engine.
            duration(processor[most][name] / most * fleet) if name in processor[most] else "",
        ]
        for name in COLORS
        for largest in [max((each for each in seconds if name in seconds[each]), default=0)]
        if largest
    ]
    head = ["processor time for", *(f"{each:,} lines" for each in seconds), "ratio"]
    more = ["elapsed", "ratio", "memory", "processor time for every line of the fleet's day"]
    facts = pyperf.BenchmarkSuite.load(str(RESULTS / "fleet.json")).get_benchmarks()[0]
    known = facts.get_metadata()
    names = ("cpu_count", "cpu_model_name", "load_avg_1min", "python_version", "duckdb", "pyspark")
    machine = ", ".join(
        f"{name.replace('_', ' ')} {known[name]}" for name in names if name in known
    )
    missing = [name for name in COLORS if name not in seconds[most]]
    left_out = f"Measured with fewer lines: {', '.join(missing)}.\n\n" if missing else ""
    a_host = processor[most][PYTHON] / most * means(model)["lines"] * inputs.processes
    return (
        f"{grid([*head, *more], lines)}{machine}, {known['date']}.\n\n{left_out}"
        f"To read, or to condense, the day of one host takes {a_host:.2g} s of processor time in "
        "the Python reader.\n"
    )


#: Engine -> a color that is visible on a light and on a dark page.
COLORS = {PYTHON: "#48c", DUCKDB: "#2a7", SPARK: "#d73", JQ: "#a5c", GREP: "#888"}

#: Pixels of the picture.
WIDTH, HEIGHT, LEFT, RIGHT, BELOW, ABOVE, LINE = 560, 320, 60, 110, 40, 14, 14


def picture(seconds: Mapping[int, Mapping[str, float]]) -> str:
    """Return the picture of processor time against lines, both on a logarithmic scale."""
    values = [value for each in seconds.values() for value in each.values()]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    first, last = math.log10(min(seconds)), math.log10(max(seconds))

    def place(lines: float, value: float) -> str:
        x = LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(lines) - first) / (last - first)
        part = (math.log10(value) - low) / (high - low)
        return f"{x:.1f} {HEIGHT - BELOW - (HEIGHT - BELOW - ABOVE) * part:.1f}"

    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12" fill="#888" role="img">'
    )
    drawn = [
        head,
        "<title>seconds of processor time of each engine for so many lines of events</title>",
    ]
    for power in range(low, high + 1):
        x, y = place(min(seconds), 10.0**power).split()
        end, under = place(max(seconds), 10.0**power).split()[0], float(y) + 4
        drawn += [
            f'<path d="M{x} {y}H{end}" stroke="#8884" />',
            f'<text x="{LEFT - 8}" y="{under:.1f}" text-anchor="end">{10.0**power:g} s</text>',
        ]
    for lines in seconds:
        x = place(lines, 10.0**low).split()[0]
        drawn.append(f'<text x="{x}" y="{HEIGHT - 16}" text-anchor="middle">{lines:,} lines</text>')
    ends: list[tuple[float, str]] = []
    for name, color in COLORS.items():
        points = [place(lines, each[name]) for lines, each in seconds.items() if name in each]
        if points:
            shape = f'fill="none" stroke="{color}" stroke-width="2"'
            drawn.append(f'<path d="M{"L".join(points)}" {shape} />')
            ends.append((float(points[-1].split()[1]), name))
    lowest = 0.0
    for end_y, name in sorted(ends):
        lowest = max(end_y + 4, lowest + LINE)  # names of lines that end close together
        at = f'x="{WIDTH - RIGHT + 8}" y="{lowest:.1f}"'
        drawn.append(f'<text {at} fill="{COLORS[name]}">{name}</text>')
    return "\n".join([*drawn, "</svg>"]) + "\n"


def process(model: dict[str, Any]) -> str:
    """Return what the real process wrote."""
    found = model["process"]
    every = ", ".join(map(str, fleet_model.EVERY[:-1])) + f" and {fleet_model.EVERY[-1]}"
    assert found["same"], "the simulation differs from the real process"
    return (
        f"A real process that connects to three servers after each {every} seconds, for "
        f"{found['seconds']} seconds, completed {found['handshakes']} handshakes and wrote "
        f"{found['lines']} lines ({found['bytes']:,} bytes). The simulation, given the times of "
        "these handshakes, writes the same lines with the same counts.\n"
    )


def blocks(model: dict[str, Any], inputs: Inputs) -> dict[str, str]:
    """Return the parts of the page that are computed."""
    assumed = (
        ["hosts", number(inputs.hosts)],
        ["processes of a host that run Python", number(inputs.processes)],
        ["days", number(inputs.days)],
        ["hosts of a cluster", number(inputs.cluster)],
        ["a GB in object storage, a month", f"${inputs.dollars_a_gb_month:g}"],
        ["a TB read by an SQL service that is paid for it", f"${inputs.dollars_a_tb_read:g}"],
    )
    return {
        "inputs": grid(["input", "value"], assumed),
        "process": process(model),
        "traffic": traffic(model),
        "volume": volume(model, inputs),
        "levels": levels(model, inputs),
        "series": series(model, inputs),
        "engines": engines(model, inputs),
        "storage": storage(model, inputs),
    }


def written(inputs: Inputs | None = None) -> str:
    """Return the page with all figures, and write the picture."""
    model = json.loads(fleet_model.FILE.read_text("utf-8"))
    PICTURE.write_text(picture(measured("processor time")), "utf-8")
    text = PAGE.read_text("utf-8")
    for name, block in blocks(model, inputs or Inputs()).items():
        before, begin, rest = text.partition(BEGIN.format(name))
        assert begin, f"the page has no place for {name}"
        text = before + begin + block.rstrip("\n") + "\n" + END + rest.partition(END)[2]
    return text


if __name__ == "__main__":
    PAGE.write_text(written(), "utf-8")

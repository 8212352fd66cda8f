"""What all programs share: things take turns, and what counts is the ratio of each to the first.

pyperf's own runner measures one thing after the other, and whatever else the machine does in the
meantime meets one of them. So only its clock, its facts about the machine and its files are used
here (``python -m pyperf stats FILE`` reads them): in every round each variant of a row is sampled
once, and the first of them a second time, which tells what this machine makes of no difference at
all. A start-up of some milliseconds, or a handshake whose crypto swallows everything, is too noisy
even so: there valgrind counts instructions, which a busy machine does not change.
"""

from __future__ import annotations

import math
import os
import re
import resource
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyperf

import tlsfloor
from benchmarks import VARIANT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Callable

BOOTSTRAP = str(Path(tlsfloor.__file__).parent / "bootstrap")
WORK = str(Path(__file__).with_name("work.py"))

#: The name of the first variant's second sample in each round.
AGAIN = "the same again"

#: Facts about the machine that pyperf knows and a reader wants.
FACTS = ("cpu_count", "cpu_model_name", "load_avg_1min", "platform", "python_implementation")

#: Distributions whose version matters, where they are installed.
PARTS = (
    "boto3",
    "ddtrace",
    "numpy",
    "opentelemetry-distro",
    "pandas",
    "redis",
    "truststore",
    "urllib3",
    "wrapt",
)


class Row(NamedTuple):
    """What is measured: ``variants`` are sampled in turns, and the others stand beside the first.

    ``most`` is the goal: the highest ratio to the first variant; or with ``more`` the highest
    difference, in the unit. It is for the second variant, and the others are peers.
    """

    name: str
    unit: str  # pyperf's: "second", "byte" or "integer", which is instructions here
    variants: Mapping[str, Callable[[], float]]
    most: float = 0
    more: float = 0
    rounds: int = 5
    again: bool = True


class Figure(NamedTuple):
    """A variant beside the first one of its row."""

    row: str
    unit: str
    variant: str
    beside: str
    value: float
    base: float
    ratio: float
    low: float
    high: float
    more: float
    goal: str
    met: bool | None


def take_turns(row: Row) -> list[pyperf.Benchmark]:
    """Sample every variant in every round, every second round backwards."""
    first = next(iter(row.variants))
    variants = {**row.variants, **({AGAIN: row.variants[first]} if row.again else {})}
    values: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(row.rounds):
        for name in list(variants)[:: -1 if number % 2 else 1]:
            values[name].append(variants[name]())
    goal = {"most": row.most, "more": row.more}
    known = {**machine(), **goal, "unit": row.unit, "row": row.name, "beside": first}
    return [
        pyperf.Benchmark(
            [
                pyperf.Run(
                    values[name],
                    metadata={**known, "name": f"{row.name}, {row.unit}: {name}", "variant": name},
                    collect_metadata=False,
                )
            ]
        )
        for name in variants
    ]


def machine() -> dict[str, str | int | float]:
    """Return the facts that belong to a figure."""
    found = pyperf.Run([1.0], collect_metadata=True).get_metadata()
    facts = {name: found[name] for name in FACTS if name in found}
    return {
        **facts,
        "date": date.today().isoformat(),  # noqa: DTZ011 - where it was measured
        "openssl": ssl.OPENSSL_VERSION,
        "python_version": sys.version.split()[0] + VARIANT,
        "tlsfloor": tlsfloor.__version__,
        **{name: metadata.version(name) for name in PARTS if _installed(name)},
    }


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def figures(suite: pyperf.BenchmarkSuite) -> Iterator[Figure]:
    """Yield what a file says: medians, and the median of the rounds' ratios with its bounds."""
    rows: dict[tuple[str, str], dict[str, pyperf.Benchmark]] = {}
    for each in suite:
        facts = each.get_metadata()
        rows.setdefault((facts["row"], facts["unit"]), {})[facts["variant"]] = each
    for variants in rows.values():
        first, *others = variants
        for variant in others:
            yield _figure(variants[first], variants[variant], goal=variant == others[0])


def _figure(first: pyperf.Benchmark, each: pyperf.Benchmark, *, goal: bool) -> Figure:
    facts = each.get_metadata()
    values, base = each.get_values(), first.get_values()
    ratios = sorted(one / other for one, other in zip(values, base))
    more = statistics.median(one - other for one, other in zip(values, base))
    # A confidence interval of 95% for a median, by the binomial distribution of ranks.
    outside = max(0, math.floor(len(ratios) / 2 - 0.98 * math.sqrt(len(ratios))))
    ratio, written, met = statistics.median(ratios), "", None
    if goal and facts["most"]:
        written, met = f"≤ {facts['most']:g}x", ratio <= facts["most"]
    elif goal and facts["more"]:
        written, met = f"≤ +{amount(facts['more'], facts['unit'])}", more <= facts["more"]
    return Figure(
        facts["row"],
        facts["unit"],
        facts["variant"],
        facts["beside"],
        statistics.median(values),
        statistics.median(base),
        ratio,
        ratios[outside],
        ratios[-1 - outside],
        more,
        written,
        met,
    )


def amount(value: float, unit: str) -> str:
    """Write a number so that it can be read, with its unit."""
    if unit == "second":
        if abs(value) >= 600:
            return f"{value / 60:.0f} min"
        for factor, name in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
            if abs(value) * factor >= 1 or name == "µs":
                return f"{value * factor:.3g} {name}"
    names = ("", "k", "M", "G")
    power = min(3, int(math.log(max(1, abs(value)), 1000)))
    return f"{value / 1000**power:.4g} {names[power]}{'B' if unit == 'byte' else ''}".rstrip()


def table(found: Iterable[Figure]) -> list[list[str]]:
    """Return the cells of a table, with its head."""
    cells = (
        [
            f"{each.row}, instructions" if each.unit == "integer" else each.row,
            f"{each.variant}: {amount(each.value, each.unit)}",
            f"{each.beside}: {amount(each.base, each.unit)}",
            f"{each.ratio:.4f}" if each.ratio < 10 else f"{each.ratio:.0f}",
            f"{each.low:.3f} to {each.high:.3f}" if each.low < each.high < 10 else "",
            amount(each.more, each.unit),
            each.goal,
            {None: "", True: "met", False: "missed"}[each.met],
        ]
        for each in found
    )
    head = ["what", "measured", "compared with", "ratio", "95% interval", "difference", "goal", ""]
    return [head, *cells]


def environment(folder: str = "", **more: str) -> dict[str, str]:
    """Return this process's environment, without what steers Python, for a PYTHONPATH.

    The byte code lies in a folder that all share, and is there from the second start on. Strings
    hash alike, or no two starts would run as many instructions.
    """
    named = ("TLS", "PYTHON", "COV", "SSL_", "OPENSSL_", "DD_", "OTEL_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(named)}
    cache = os.path.join(tempfile.gettempdir(), "tlsfloor-benchmarks")
    steered = {"PYTHONPATH": folder, "PYTHONPYCACHEPREFIX": cache, "PYTHONHASHSEED": "0"}
    return {**kept, **steered, **more}


def seconds(command: list[str], env: dict[str, str]) -> float:
    """Return how long a program takes."""
    begin = pyperf.perf_counter()
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
    return float(pyperf.perf_counter() - begin)


def processor_seconds(command: list[str], env: dict[str, str]) -> float:
    """Return the processor's time that a program takes; no waiting for a busy machine is in it."""

    def spent() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return children.ru_utime + children.ru_stime

    begin = spent()
    seconds(command, env)
    return spent() - begin


def instructions(command: list[str], env: dict[str, str]) -> int:
    """Return how many instructions a program runs, its children not counted."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise SystemExit("error: valgrind is not on PATH\nhint: apt-get install valgrind")
    tool = [valgrind, "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    done = subprocess.run([*tool, *command], env=env, capture_output=True, text=True, check=False)
    counted = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or counted is None:
        raise SystemExit(f"error: {command} ended with {done.returncode}: {done.stderr}")
    return int(counted[1])


def instructions_of(
    name: str, args: tuple[str, ...], env: dict[str, str], few: int, many: int
) -> float:
    """Return the instructions of one call of a piece of work, in a process of its own.

    That is what ``many`` calls take beyond ``few``: the start and the warming up fall out.
    """
    program = [sys.executable, WORK, name]
    seconds([*program, "1", *args], env)  # its byte code is written
    count = {calls: instructions([*program, str(calls), *args], env) for calls in (few, many)}
    return (count[many] - count[few]) / (many - few)


@contextmanager
def empty_folder() -> Iterator[str]:
    """Make a folder with an empty ``sitecustomize``: what the bootstrap folder stands beside."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "sitecustomize.py").touch()
        yield folder

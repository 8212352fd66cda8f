"""Sample variants in turns, and compare each with the first one.

pyperf's own runner measures one variant after the other, so other load on the machine disturbs only
one of them. Here, each round samples every variant of a row once, and the first variant a second
time. The ratio of these two samples shows the noise of the machine. Of pyperf, only the clock, the
facts about the machine and the file format are used (``python -m pyperf stats FILE`` reads a file).

The start of a process, or a handshake that consists mostly of cryptography, is still too noisy.
For these, valgrind counts instructions, and a busy machine does not change the count.
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

#: The name of the second sample of the first variant.
AGAIN = "the same again"

#: The facts about the machine that pyperf collects and the page shows.
FACTS = ("cpu_count", "cpu_model_name", "load_avg_1min", "platform", "python_implementation")

#: The distributions whose version the page shows, if they are installed.
PARTS = (
    "boto3",
    "ddtrace",
    "duckdb",
    "numpy",
    "opentelemetry-distro",
    "pandas",
    "pyspark",
    "redis",
    "truststore",
    "urllib3",
    "wrapt",
)


class Row(NamedTuple):
    """A measurement: ``variants`` are sampled in turns, and compared with the first one.

    The goal is for the second variant: ``most`` is the highest ratio to the first variant, and
    ``more`` the highest difference from it, in the unit.
    """

    name: str
    unit: str  # of pyperf: "second", "byte", or "integer" for instructions
    variants: Mapping[str, Callable[[], float]]
    most: float = 0
    more: float = 0
    rounds: int = 5
    again: bool = True


class Figure(NamedTuple):
    """A variant compared with the first one of its row."""

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
    """Sample every variant in every round, in reverse order in every second round."""
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
    """Return the facts about this machine and the installed versions."""
    found = pyperf.Run([1.0], collect_metadata=True).get_metadata()
    facts = {name: found[name] for name in FACTS if name in found}
    return {
        **facts,
        "date": date.today().isoformat(),  # noqa: DTZ011 - the local date
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
    """Yield the figures of a file: medians, and the median of all ratios with its interval."""
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
    """Format a number with its unit."""
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
    """Return the cells of a table, the head first."""
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
    """Return the environment for a process with this PYTHONPATH, without other Python settings.

    All processes share one folder for bytecode, which is written by the first start. The hash seed
    is fixed, because the number of instructions depends on it.
    """
    named = ("TLS", "PYTHON", "COV", "SSL_", "OPENSSL_", "DD_", "OTEL_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(named)}
    cache = os.path.join(tempfile.gettempdir(), "tlsfloor-benchmarks")
    steered = {"PYTHONPATH": folder, "PYTHONPYCACHEPREFIX": cache, "PYTHONHASHSEED": "0"}
    return {**kept, **steered, **more}


def seconds(command: list[str], env: dict[str, str]) -> float:
    """Return the seconds that a program takes."""
    begin = pyperf.perf_counter()
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
    return float(pyperf.perf_counter() - begin)


def processor_seconds(command: list[str], env: dict[str, str]) -> float:
    """Return the processor time of a program, without its waiting for the processor."""

    def spent() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return children.ru_utime + children.ru_stime

    begin = spent()
    seconds(command, env)
    return spent() - begin


def instructions(command: list[str], env: dict[str, str]) -> int:
    """Return the number of instructions that a program executes, without its child processes."""
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
    """Return the number of instructions of one call of a function of ``work``.

    It is the difference between a process with ``many`` calls and one with ``few``, for each call,
    so that it contains neither the start nor the first calls.
    """
    program = [sys.executable, WORK, name]
    seconds([*program, "1", *args], env)  # writes the bytecode
    count = {calls: instructions([*program, str(calls), *args], env) for calls in (few, many)}
    return (count[many] - count[few]) / (many - few)


@contextmanager
def empty_folder() -> Iterator[str]:
    """Create a folder with an empty ``sitecustomize``, to compare the bootstrap folder with."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "sitecustomize.py").touch()
        yield folder

"""Run benchmarks, print and save their results: ``python -m benchmarks [NAME...]``."""

from __future__ import annotations

import argparse
import warnings
from importlib import import_module
from pathlib import Path

import pyperf

from benchmarks import ON_REQUEST, PROGRAMS, RESULTS, VARIANT
from benchmarks.measure import figures, table, take_turns


def main() -> None:
    """Run the benchmarks that the command line names."""
    names = [*PROGRAMS, *ON_REQUEST]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"one of {', '.join(names)} (default: the first seven)",
    )
    parser.add_argument(
        "--into",
        type=Path,
        default=RESULTS,
        help="write to this folder (default: that of the docs)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="only check that they run: one very short round"
    )
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(names)
    if unknown:
        parser.error(f"no such program: {', '.join(sorted(unknown))}")
    warnings.simplefilter("ignore")
    for name in arguments.names or PROGRAMS:
        program = import_module(f"benchmarks.{name}")
        print(f"\n{name}: {(program.__doc__ or '').splitlines()[0]}\n")
        arguments.into.mkdir(parents=True, exist_ok=True)
        benchmarks: list[pyperf.Benchmark] = []
        for row in program.rows(quick=arguments.quick):
            measured = take_turns(row._replace(rounds=1, again=False) if arguments.quick else row)
            for line in table(figures(pyperf.BenchmarkSuite(measured)))[1:]:
                print("  ".join(line), flush=True)
            benchmarks += measured
            suite = pyperf.BenchmarkSuite(benchmarks)  # keep these results if a later row fails
            suite.dump(str(arguments.into / f"{name}{VARIANT}.json"), replace=True)


if __name__ == "__main__":
    main()

"""Run the programs, print what they find, write their files: ``python -m benchmarks [NAME...]``."""

from __future__ import annotations

import argparse
import warnings
from importlib import import_module
from pathlib import Path

import pyperf

from benchmarks import ON_REQUEST, PROGRAMS, RESULTS, VARIANT
from benchmarks.measure import figures, table, take_turns


def main() -> None:
    """Measure."""
    names = [*PROGRAMS, *ON_REQUEST]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(names)} (default: the first five)"
    )
    parser.add_argument("--into", type=Path, default=RESULTS, help="folder (default: the docs')")
    parser.add_argument(
        "--quick", action="store_true", help="see that they run: one round of next to nothing"
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
            suite = pyperf.BenchmarkSuite(benchmarks)  # what there is of it, whatever comes next
            suite.dump(str(arguments.into / f"{name}{VARIANT}.json"), replace=True)


if __name__ == "__main__":
    main()

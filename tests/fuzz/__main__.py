"""Fuzz a target with atheris, or replay its corpus if no number of inputs is given.

::

    python tests/fuzz wire
    python tests/fuzz wire 1000000 --seed 1 --found /tmp/wire

A target is a module ``fuzz_NAME``. The first sentence of its docstring is its invariant, and its
function ``one_input`` raises for bytes that break it. ``corpus/NAME`` has inputs that reach
different code, and those that have broken the invariant before. Copy a new one of these there.
Further arguments are libFuzzer's: ``wire 0 -merge=1 tests/fuzz/corpus/wire /tmp/wire`` adds to the
corpus what reaches more code.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


def targets():
    """Return the names of all targets."""
    names = sorted(os.listdir(HERE))
    return [name[5:-3] for name in names if name.startswith("fuzz_") and name.endswith(".py")]


def corpus_of(name):
    """Return the inputs in the corpus of a target: name of the file -> bytes."""
    folder, found = os.path.join(HERE, "corpus", name), {}
    for each in sorted(os.listdir(folder)):
        with open(os.path.join(folder, each), "rb") as file:
            found[each] = file.read()
    return found


def load(name):
    """Return the module of a target."""
    if HERE not in sys.path:
        sys.path.insert(0, HERE)
    return importlib.import_module(f"fuzz_{name}")


def main(arguments=None):
    """Fuzz, or replay; raise if an input breaks the invariant."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("target", choices=targets())
    parser.add_argument("inputs", nargs="?", type=int, help="how many; needs atheris")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers; 0 for any")
    parser.add_argument("--found", help="a folder for inputs that reach new code or fail")
    options, rest = parser.parse_known_args(arguments)
    if options.inputs is None and not rest:
        corpus = corpus_of(options.target)
        one_input = load(options.target).one_input
        for data in corpus.values():
            one_input(data)
        print(f"{len(corpus)} inputs of the corpus of {options.target}: the invariant holds")
        return
    import atheris

    with atheris.instrument_imports(include=["tlsfloor", "tomllib"]):
        target = load(options.target)
    if not rest:
        found = options.found or tempfile.mkdtemp(prefix=f"fuzz-{options.target}-")
        os.makedirs(found, exist_ok=True)
        rest = [f"-runs={options.inputs}", f"-seed={options.seed}", f"-artifact_prefix={found}/"]
        rest += [f"-max_len={getattr(target, 'MOST_BYTES', 4096)}"]
        rest += ["-timeout=20", "-print_final_stats=1"]
        rest += [found, os.path.join(HERE, "corpus", options.target)]
        words = os.path.join(HERE, f"{options.target}.dict")
        rest += [f"-dict={words}"] * os.path.exists(words)
    # A merge runs this command again.
    atheris.Setup([f"{sys.executable} {HERE} {options.target} 0", *rest], target.one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

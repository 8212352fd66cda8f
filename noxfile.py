"""Run the tests on every installed interpreter, and lint and types once."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import nox

# uv, if installed, creates an environment in seconds. NOX_DEFAULT_VENV_BACKEND=venv keeps to pip.
nox.options.default_venv_backend = "uv|venv"
nox.options.sessions = ["tests", "lint", "types"]

PYTHONS = ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15", "pypy3"]

# Tests whose packages cannot share an environment with the other TLS libraries and the site: some
# pin older versions, and an agent imports every library that it finds.
GUIDES = sorted(map(str, Path("tests/docs").glob("test_guide_*.py")))
APART = [
    "tests/startup/test_jupyter.py",
    "tests/startup/test_launchers.py",
    "tests/startup/test_neighbours.py",
    "tests/test_metrics.py",
    "tests/docs/test_frameworks.py",
    "tests/docs/test_monitor.py",
    "tests/floor/test_tools.py",
]

# It needs the extra `lint`.
TYPES = "tests/test_types.py"

# Tests that do not depend on the interpreter, or that start every interpreter themselves, and tests
# that need other extras: guides, agents and other TLS libraries.
ELSEWHERE = [
    TYPES,
    "tests/docs",
    "tests/endpoints",
    "tests/fuzz",
    "tests/peers",
    "tests/report",
    "tests/wire",
    "tests/stacks/test_stack*.py",
    "tests/deploy/test_bundle.py",
    "tests/floor/test_hooks_everywhere.py",
    "tests/test_repository.py",
    "tests/verifier/test_verify_targets.py",
    *APART,
]

# The interpreters of .ci/debian-pythons, and the tests that depend most on the interpreter: on its
# import system, its ssl module and its start.
NEWER = ["3.13t", "3.14", "3.15", "pypy3", "pypy3.11"]
HOOKS = [
    "tests/floor/test_hooks.py",
    "tests/floor/test_gates.py",
    "tests/startup/test_bootstrap.py",
]


# What ``nox -s mutants`` changes, one module each.
MUTATED = ["policy", "exemptions", "judge", "hooks", "stdlib", "contexts", "connections"]


def install(session: nox.Session, what: str) -> None:
    """Install the package with some extras, and pip, which some tests call."""
    session.install("--upgrade", "pip")  # an old pip searches for minutes
    session.install(what)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run all tests, as the README describes, on an installed package."""
    install(session, ".[test]")
    session.run("pytest", "-n", "2", *session.posargs)


@nox.session(python=PYTHONS)
def floor(session: nox.Session) -> None:
    """Run the tests of the floor, which depend on the interpreter."""
    install(session, ".[test]")
    ignored = [f"--ignore-glob={path}" for path in ELSEWHERE]
    session.run("pytest", "-n", "2", *ignored, *session.posargs)


@nox.session(python=NEWER)
def hooks(session: nox.Session) -> None:
    """Run the tests that depend most on the interpreter. They need few packages."""
    install(session, ".[pytest,verify]")
    session.install("wrapt")  # it has its own import hook
    session.run("pytest", "-n", "2", *HOOKS, *session.posargs)


@nox.session(python=[each for each in PYTHONS if each.startswith("3")])
def cpython(session: nox.Session) -> None:
    """Run CPython's own tests of ssl and of what is built on it under a floor."""
    session.install(".[pytest,verify]")
    weekly = ["-m", "weekly or not weekly"]
    session.run("pytest", *weekly, "tests/floor/test_cpython.py", *session.posargs)


@nox.session(python="3.12")  # for which atheris has a wheel
def fuzz(session: nox.Session) -> None:
    """Fuzz each target with a million inputs, or one: `nox -s fuzz -- wire 1000 --seed 1`."""
    session.install(".", "atheris")
    targets = sorted(path.stem[len("fuzz_") :] for path in Path("tests/fuzz").glob("fuzz_*.py"))
    for arguments in [session.posargs] if session.posargs else [[t, "1000000"] for t in targets]:
        session.run("python", "tests/fuzz", *arguments)


@nox.session
def airflow(session: nox.Session) -> None:
    """Run the tests of Airflow, which is large and pins many packages."""
    session.install(".[pytest,verify]", "apache-airflow>=3,<4")
    session.run("pytest", "tests/docs/airflow_guide.py", *session.posargs)


@nox.session(name="format")
def format_(session: nox.Session) -> None:
    """Format the code, and correct what ruff can correct."""
    session.install(".[style]")
    session.run("ruff", "check", "--fix")
    session.run("ruff", "format")


@nox.session
def lint(session: nox.Session) -> None:
    """Run ruff and codespell, and read the entries of the changelog."""
    session.install(".[style]")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("codespell")
    session.run("towncrier", "build", "--draft", silent=True)


@nox.session
def changes(session: nox.Session) -> None:
    """Show the next section of the changelog."""
    session.install("towncrier")
    session.run("towncrier", "build", "--draft")


@nox.session
def types(session: nox.Session) -> None:
    """Run mypy, and three type checkers on programs that use tlsfloor."""
    session.install(".[lint,pytest]")
    session.run("mypy")
    session.run("pytest", TYPES, *session.posargs)


@nox.session
def apart(session: nox.Session) -> None:
    """Run the tests of guides, agents, metrics and launchers, each with its own packages."""
    left_out = "--left-out" in session.posargs
    install(session, ".[test,guides]")
    # In CI too, a test is left out here if something is missing. The next run reports it.
    session.run("pytest", *GUIDES, *session.posargs, env={"CI": ""}, success_codes=[0, 5])
    install(session, ".[test,launchers,monitor,neighbours,tools]")
    session.run("pytest", *([] if left_out else APART), *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site, by default into docs/_build. A warning is an error."""
    session.install(".[docs]")
    strict = ["-W", "--keep-going", "-n", "-b", "html"]
    session.run("sphinx-build", *strict, "docs", *(session.posargs or ["docs/_build"]))


@nox.session
def man(session: nox.Session) -> None:
    """Make the manual page from the parsers, as docs/_build/man/tlsfloor.1."""
    session.install(".[docs]")
    session.run("sphinx-build", "-W", "-b", "man", "docs", "docs/_build/man", *session.posargs)


@nox.session
def dist(session: nox.Session) -> None:
    """Build what a release consists of into dist/. With a version, check that it is the one."""
    session.install("build", "cyclonedx-bom", "pip", "twine")
    folder = Path("dist")
    for each in folder.glob("*"):
        each.unlink()
    session.run("python", "-m", "build", "--outdir", str(folder))
    files = sorted(map(str, folder.glob("*")))
    session.run("twine", "check", "--strict", *files)
    [wheel] = folder.glob("*.whl")
    if session.posargs and f"-{session.posargs[0]}-" not in wheel.name:
        session.error(f"{wheel.name} is not version {session.posargs[0]}")
    # The bill of materials lists what `pip install 'tlsfloor[verify]'` brings today.
    place = session.create_tmp()
    session.run("python", "-m", "venv", "--clear", "--without-pip", place)
    python = shutil.which("python", path=f"{place}/bin{os.pathsep}{place}/Scripts")
    session.run("pip", "--python", str(python), "install", "--quiet", f"{wheel}[verify]")
    about = ["--pyproject", "pyproject.toml", "--mc-type", "library", "--output-reproducible"]
    bill = ["--output-file", str(folder / "sbom.cdx.json")]
    session.run("cyclonedx-py", "environment", *about, *bill, str(python))


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Run all benchmarks, or those that are named, and write the page."""
    session.install(".[benchmarks]")
    session.run("python", "-m", "benchmarks", *session.posargs)
    session.run("python", "-m", "benchmarks.page")


@nox.session(python="3.11")  # other versions take other branches
def mutants(session: nox.Session) -> None:
    """Change the policy, the judge, the hooks and the gates, or those named: do tests notice?"""
    place = Path(session.create_tmp()).resolve() / "checkout"
    shutil.rmtree(place, ignore_errors=True)
    session.run(
        "git", "clone", "--quiet", ".", str(place), external=True
    )  # files are changed there
    session.install("--editable", f"{place}[test]", "cosmic-ray")
    session.chdir(place)
    # Two mutants of one second may have the same size, so bytecode must be checked by its hash.
    session.run("python", "-m", "compileall", "-q", "--invalidation-mode=checked-hash", "tlsfloor")
    plugins = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # to load the others takes half of the time
    env = {**plugins, "PYTEST_ADDOPTS": "-qx -p pytest_socket -p pytest_timeout"}
    names = session.posargs or MUTATED
    for name in names:
        config, found = f"tests/mutants/{name}.toml", f"{name}.sqlite"
        session.run("cosmic-ray", "baseline", config, env=env)
        session.run("cosmic-ray", "init", config, found)
        session.run("cr-filter-operators", found, "tests/mutants/operators.toml")
        with sqlite3.connect(found) as database:  # what was filtered would count as killed
            for table in ("mutation_specs", "work_items", "work_results"):
                condition = "job_id IN (SELECT job_id FROM work_results)"
                database.execute(f"DELETE FROM {table} WHERE {condition}")  # noqa: S608
        session.run("cosmic-ray", "exec", config, found, env=env)
        session.run("cr-report", "--surviving-only", "--show-diff", found)
    for name in names:
        session.run("cr-rate", "--fail-over", "5", f"{name}.sqlite")  # percent that survived

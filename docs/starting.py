"""Start Pythons in many ways, and write into ``reference/starting.md`` which of them are armed.

``python docs/starting.py PYTHON...`` measures these interpreters. The tables of the page are the
only record: what they say of other interpreters stays. Each program asks for as little as it can
and tries to connect by TLS 1.0 and by TLS 1.2, which shows whether the floor holds in it.
``tlsfloor verify`` must have the same result. No interpreter is changed: start-up files are
installed into a copy of it, and into its environments.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from tlsfloor.deploy.bundle_folder import BOOTSTRAP
from tlsfloor.peers.handshakes import ServerPeer
from tlsfloor.verifier.launch import options_of
from tlsfloor.versions import TLS1_0, TLS1_2

PAGE = Path(__file__).parent / "reference" / "starting.md"
PROGRAM = Path(__file__).parent.parent / "tests" / "programs" / "start.py"
CALLED = PROGRAM.with_name("called.py")

#: How a program is started -> the kind of environment whose interpreter runs it.
WAYS = {
    "file": "plain",
    "file, in a venv": "venv",
    "file, in a venv with system packages": "venv with system packages",
    "`-m`": "venv",
    "stdin": "venv",
    "zipapp": "venv",
    "multiprocessing: fork": "venv",
    "multiprocessing: spawn": "venv",
    "subprocess": "venv",
    "subprocess without environment": "venv",
}

#: How the floor gets into a process: heading of the table -> route.
ROUTES = {
    "The folder on PYTHONPATH": "PYTHONPATH",
    "Installed in the environment that runs it": "installed",
    "Installed in the Python that the environment was made of": "installed below",
    "Called: children of a program after `enforce()`": "enforce()",
    "Called: children of a program after `enforce(children=True)`": "enforce(children=True)",
}

#: Whether TLS 1.0 and 1.2 were reached -> outcome.
MEANING = {(False, True): "armed", (True, True): "open"}

#: The columns of the tables: a flag of Python, or none.
FLAGS = ("", "-E", "-I", "-P", "-S", "-s")

BEGIN, END = "<!-- starts -->\n", "<!-- end of starts -->"

#: Verdict of the verifier on a program that asks for everything -> outcome.
VERDICTS = {"enforced": "armed", "leaks": "open", "lowerable": "open"}

#: Names in ``sys.flags`` -> options. ``-I`` sets several, so it comes first.
WRITTEN = {
    "isolated": "-I",
    "ignore_environment": "-E",
    "safe_path": "-P",
    "no_site": "-S",
    "no_user_site": "-s",
}

WHO = """
import json, platform, sys
kind = platform.python_implementation()
name = ("" if kind == "CPython" else kind + " ") + platform.python_version()
print(json.dumps([name, list(sys.version_info[:2]), sys.prefix]))
"""


class Cell(NamedTuple):
    """One start and its outcome; ``verified`` is the outcome by the verifier, if it has one."""

    python: str
    route: str
    way: str
    flag: str
    outcome: str
    verified: str = ""


def environment(**more: str) -> dict[str, str]:
    """Return this process's environment without variables that arm or configure a Python."""
    named = ("TLS", "PYTHON", "COV")
    return {**{k: v for k, v in os.environ.items() if not k.startswith(named)}, **more}


def output(
    command: list[str], env: dict[str, str], *, good: tuple[int, ...] = (0,), **more: Any
) -> str:
    """Run a command, which must end with a status of ``good``; return its output."""
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=300, check=False, **more
    )
    if done.returncode not in good:
        raise RuntimeError(f"{command} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or another's file
        shutil.copy2(source, target)


class Interpreter:
    """An interpreter with its environments, in which programs are started."""

    def __init__(self, executable: str, folder: Path, ports: list[str]) -> None:
        self.folder, self.ports = folder, ports
        self.name, version, prefix = json.loads(output([executable, "-c", WHO], environment()))
        self.version, prefix = tuple(version), Path(prefix)
        self.bundle = str(folder / "bundle")
        self.tlsfloor("bundle", self.bundle)
        self.zipapp = str(folder / "program.pyz")
        with zipfile.ZipFile(self.zipapp, "w") as file:
            file.write(PROGRAM, "__main__.py")
        # A copy made of links can be changed without harm. A Python in /usr cannot be copied: its
        # files are in many folders.
        self.copy = None if prefix == Path("/usr") else folder / "copy"
        self.pythons = {"plain": executable}
        if self.copy:
            shutil.copytree(prefix, self.copy, symlinks=True, copy_function=_link)
            inside = Path(executable).resolve().relative_to(prefix.resolve())
            self.pythons["plain"] = str(self.copy / inside)
        for kind, more in (("venv", []), ("venv with system packages", ["--system-site-packages"])):
            made = str(folder / kind.replace(" ", "-"))
            if self.version > (3,):  # Python 2 has no venv
                venv = [self.pythons["plain"], "-m", "venv", "--without-pip", *more, made]
                output(venv, environment())
                self.pythons[kind] = os.path.join(made, "bin", "python")

    def tlsfloor(self, *words: str) -> None:
        """Run a command of tlsfloor here, with this Python."""
        output([sys.executable, "-m", "tlsfloor", *words], environment())

    def kind(self, way: str) -> str:
        """Return the kind of environment for a way to start; plain if there are no others."""
        return WAYS[way] if WAYS[way] in self.pythons else "plain"

    def ways(self, route: str) -> list[str]:
        """Return the ways to start a program on which the route may have an effect."""
        ways = list(WAYS)
        if self.version < (3,):
            ways = [way for way in ways if "in a venv" not in way and "spawn" not in way]
        if route.startswith("enforce"):
            return [way for way in ways if "process" in way and self.version >= (3, 8)]
        if route == "installed below":
            return [way for way in ways if "in a venv" in way and self.copy]
        if route == "installed" and not self.copy:
            return [way for way in ways if self.kind(way) != "plain"]
        return ways

    def measure(self, route: str, only: tuple[str, ...] = ()) -> list[Cell]:
        """Start a program in each way, with each flag or ``only`` these."""
        cells = []
        ways = self.ways(route)
        for kind in dict.fromkeys(map(self.kind, ways)):
            into = {"installed": kind, "installed below": "plain"}.get(route)
            prefix = str(Path(self.pythons[into]).parent.parent) if into else ""
            if into:
                self.tlsfloor("install", "--prefix", prefix)
            jobs = [
                (way, flag)
                for way in ways
                if self.kind(way) == kind
                for flag in only or ("", *options_of("{}.{}".format(*self.version)))
            ]
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                verified = {} if route.startswith("enforce") else self.verify(route, kind)
                for (way, flag), (outcome, seen) in zip(
                    jobs, pool.map(lambda job: self.start(route, *job), jobs)
                ):
                    alone = "without" in way
                    cells.append(
                        Cell(self.name, route, way, flag, outcome, verified.get((alone, seen), ""))
                    )
            if into:
                self.tlsfloor("uninstall", "--prefix", prefix)
        return cells

    def start(self, route: str, way: str, flag: str) -> tuple[str, str]:
        """Start a program; return its outcome, and the flag that it runs with."""
        script = [str(PROGRAM)]
        if route.startswith("enforce"):
            script = [str(CALLED), self.bundle, str(int("children" in route))]
        child = way.rpartition(": ")[2].split()[0] if "process" in way else ""
        words, stdin = [*script, *filter(None, ["cleared" if "without" in way else child])], ""
        if way == "`-m`":  # of a module that every Python has
            code = f"exec(open({str(PROGRAM)!r}).read(), {{'__name__': '__main__'}})"
            words = [
                "-m",
                "timeit",
                "-n",
                "1",
                "-r",
                "1",
                f"import sys; sys.argv[1:] = {self.ports}; {code}",
            ]
        elif way == "stdin":
            words, stdin = ["-"], PROGRAM.read_text()
        elif way == "zipapp":
            words = [self.zipapp]
        command = [self.pythons[self.kind(way)], "-B", *filter(None, [flag]), *words, *self.ports]
        lines = output(command, self.environment(route), input=stdin).splitlines()
        reported = lines.index("started") + 1
        reached, seen = json.loads(lines[reported]), json.loads(lines[reported + 1])
        outcome = MEANING[tuple(each.startswith("TLSv") for each in reached)]
        return outcome, next((WRITTEN[each] for each in WRITTEN if each in seen), "")

    def environment(self, route: str) -> dict[str, str]:
        """Return the environment of programs that a route arms."""
        if route != "PYTHONPATH":
            return environment()
        return environment(PYTHONPATH=os.path.join(self.bundle, BOOTSTRAP))

    def verify(self, route: str, kind: str) -> dict[tuple[bool, str], str]:
        """Return the results of the verifier: without environment or not, flag -> outcome."""
        found = {}
        for alone in (False, True):
            command = [sys.executable, "-m", "tlsfloor", "verify", "--json", "--role", "client"]
            env = self.environment("" if alone else route)
            report = json.loads(output([*command, self.pythons[kind]], env, good=(0, 1)))
            [examined] = report["interpreters"]
            verdicts = {"": examined["verdict"]}
            for name, judged in examined["other_verdicts"].items():
                if name.startswith("as started, "):
                    verdicts[name[len("as started, ") :]] = judged["verdict"]
            if verdicts[""] != "enforced":  # then no flag is tried: none can arm
                verdicts = dict.fromkeys(["", *WRITTEN.values()], verdicts[""])
            found.update({(alone, flag): VERDICTS[each] for flag, each in verdicts.items()})
        return found


def read() -> list[Cell]:
    """Return what the page says of each interpreter that it names."""
    text = PAGE.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]
    pythons = text.rpartition("Measured with ")[2].strip(".\n").split(", ")
    cells = []
    for heading, route in ROUTES.items():
        table = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
        for line in table.splitlines():
            way, *outcomes = (cell.strip() for cell in line.split("|")[1:-1] or [""])
            for flag, outcome in zip(FLAGS, outcomes if way in WAYS else ()):
                usual, *others = outcome.replace("**", "").split("; ")
                named = (other.partition(" on ") for other in others)
                other = {python: name for name, _, of in named for python in of.split(", ")}
                cells += [
                    Cell(python, route, way, flag, other.get(python, usual))
                    for python in pythons
                    if usual
                ]
    return cells


def tables(cells: list[Cell]) -> str:
    """Return the tables: a way to start in each line, a flag in each column."""
    lines = []
    order = sorted({cell.python for cell in cells}, key=_order)
    for heading, route in ROUTES.items():
        lines += [
            f"## {heading}",
            "",
            "| started as | no flag | `-E` | `-I` | `-P` | `-S` | `-s` |",
        ]
        lines += ["| --- | --- | --- | --- | --- | --- | --- |"]
        for way in WAYS:
            row = []
            for flag in FLAGS:
                here = [each for each in cells if each[1:4] == (route, way, flag)]
                row.append(_cell(here, order))
            if any(row):
                lines.append(f"| {way} | {' | '.join(row)} |")
        lines.append("")
    return "\n".join([*lines, f"Measured with {', '.join(order)}."]) + "\n"


def _cell(cells: list[Cell], order: list[str]) -> str:
    """Return the most frequent outcome, and the interpreters that have another one."""
    found: dict[str, list[str]] = {}
    for cell in sorted(cells, key=lambda cell: order.index(cell.python)):
        found.setdefault(cell.outcome, []).append(cell.python)
    outcomes = sorted(found, key=lambda outcome: -len(found[outcome]))
    more = [f"{each} on {', '.join(found[each])}" for each in outcomes[1:]]
    return "; ".join([f"**{each}**" if each == "armed" else each for each in outcomes[:1]] + more)


def _order(name: str) -> tuple[str, list[int]]:
    kind, _, version = name.rpartition(" ")
    return kind, [int(each) for each in version.split(".")]


def measure(executable: str, routes: list[str], only: tuple[str, ...] = ()) -> list[Cell]:
    """Start an interpreter in each way by these routes; return the outcomes."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        made = [stack.enter_context(ServerPeer(each)) for each in (TLS1_0, TLS1_2)]
        here = Interpreter(executable, folder, [str(each.port) for each in made])
        return [cell for route in routes for cell in here.measure(route, only)]


def main(executables: list[str]) -> int:
    """Measure these interpreters and write the page; return 1 if the verifier contradicts one."""
    known, wrong = read(), []
    for executable in executables:
        cells = measure(executable, list(ROUTES.values()))
        known = [each for each in known if each.python != cells[0].python] + cells
        wrong += [each for each in cells if each.verified not in ("", each.outcome)]
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    PAGE.write_text(before + BEGIN + tables(known) + END + rest.partition(END)[2], "utf-8")
    for each in wrong:
        print(f"error: the verifier has another result: {each}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
